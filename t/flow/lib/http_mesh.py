"""Configurations for HTTP: one gate on a host, between clients and an origin on the same host."""
from .hosts import sh
from .mesh import bracket
from .meshd import Meshd

GATE, ORIGIN = ("127.0.0.1", 8000), ("127.0.0.1", 9000)


def gate(http="", cluster="", listener="", to=ORIGIN):
    """A bound listener whose only filter is HTTP, and its cluster; each may be given more keys."""
    return ('listeners = ( { name = "gate"; address = "%s"; port = %d; %s filter_chains = ( { filters = (\n'
            '  { type = "http"; stat_prefix = "gate"; cluster = "b"; %s } ); } ); } );\n'
            'clusters = ( { name = "b"; endpoints = [ "%s:%d" ]; %s } );\n' % (*GATE, listener, http, *to, cluster))


def many_ports(host):
    """Room for tens of thousands of short connections within a minute."""
    sh(f"ip netns exec {host.ns} sysctl -qw net.ipv4.ip_local_port_range='10000 65535'")


def small_buffers(host):
    """The kernel holds little: what a proxy cannot hand on stands where it came from."""
    sh(f"ip netns exec {host.ns} sysctl -qw net.ipv4.tcp_rmem='4096 65536 262144' net.ipv4.tcp_wmem='4096 65536 262144'")


# ---- two hosts, each with a sidecar ----

VIP = {4: "203.0.113.{}", 6: "2001:db8:ffff::{}"}
SERVICES = {"web": (20, 8080), "socket": (21, 8090), "origin": (22, 8091)}


def address(service, version):
    return VIP[version].format(SERVICES[service][0])


def url(service, version, path="/"):
    """For curl, to which brackets are more than themselves."""
    host = bracket(address(service, version), SERVICES[service][1]).replace("[", "\\[").replace("]", "\\]")
    return f"http://{host}{path}"


def caller(b):
    rows = [f'{{ name = "{name}{"" if version == 4 else "6"}"; port = {port}; protocol = "http"; '
            f'addresses = [ "{address(name, version)}" ]; endpoints = [ "{bracket(b.ip[version], port)}" ]; }}'
            for name, (_, port) in SERVICES.items() for version in (4, 6)]
    return "services = (\n  " + ",\n  ".join(rows) + " );\n"


def offerer():
    return "inbound = ( " + ", ".join(f'{{ port = {port}; protocol = "http"; }}' for _, port in SERVICES.values()) + " );\n"


class HttpMesh:
    """As lib/mesh.py's, with services that speak HTTP."""

    def __init__(self, net):
        self.a, self.b = net.host("a"), net.host("b")
        self.out, self.inn = Meshd(self.a, caller(self.b)), Meshd(self.b, offerer())

    def start(self):
        self.out.start()
        self.inn.start()
        return self

    def stop(self):
        try:
            self.out.ensure_stopped()
        finally:
            self.inn.ensure_stopped()
