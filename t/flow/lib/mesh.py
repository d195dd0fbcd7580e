"""Two hosts, each with a sidecar: host a calls services, host b offers them."""
from .meshd import Meshd

VIP = {4: "203.0.113.{}", 6: "2001:db8:ffff::{}"}
SERVICES = {"redis": (10, 6379), "postgres": (11, 5432), "web": (12, 8080), "mover": (13, 7000), "plain": (14, 7001)}


def address(name, version):
    return VIP[version].format(SERVICES[name][0])


def bracket(ip, port):
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def service(name, version, endpoint_ip, more=""):
    number, port = SERVICES[name]
    full = name if version == 4 else name + "6"
    return (f'{{ name = "{full}"; port = {port}; protocol = "tcp"; addresses = [ "{VIP[version].format(number)}" ]; '
            f'endpoints = [ "{bracket(endpoint_ip, port)}" ]; {more} }}')


def caller(b, more=""):
    """The configuration of a host that calls all services of host b, over IPv4 and over IPv6."""
    rows = [service(name, version, b.ip[version], more) for name in SERVICES for version in (4, 6)]
    return "services = (\n  " + ",\n  ".join(rows) + " );\n"


def offerer(more=""):
    rows = [f'{{ port = {port}; protocol = "tcp"; {more} }}' for _, port in SERVICES.values()]
    return "inbound = (\n  " + ",\n  ".join(rows) + " );\n"


class Mesh:
    def __init__(self, net, **options):
        self.a, self.b = net.host("a"), net.host("b")
        self.out = Meshd(self.a, caller(self.b), **options)
        self.inn = Meshd(self.b, offerer(), **options)

    def start(self):
        self.out.start()
        self.inn.start()
        return self

    def stop(self):
        try:
            self.out.ensure_stopped()
        finally:
            self.inn.ensure_stopped()
