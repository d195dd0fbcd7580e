"""Where a connection has to land, decided from the documented order of Istio's rules and from nothing that meshd has.

The options are those of `intercept = { }`, by their names; what is not given has its default.
"""
import ipaddress

OUTBOUND, INBOUND, DIRECT = "virtualOutbound", "virtualInbound", "direct"
LOCALHOST = "127.0.0.1", "::1"


class Place:
    """The host with the sidecar, as far as a decision needs it."""

    def __init__(self, own, routes, services, worker, agent):
        self.own, self.routes, self.services = own, routes, services
        self.worker, self.agent = worker, agent     # uids

    def is_own(self, ip):
        return ip in self.own or ipaddress.ip_address(ip).is_loopback

    def interface(self, ip):
        """What a packet to it leaves by."""
        if self.is_own(ip):
            return "lo"
        return next((name for prefix, name in self.routes if in_range(ip, prefix)), "eth0")


def in_range(ip, prefix):
    return ipaddress.ip_address(ip) in ipaddress.ip_network(prefix)


def named(interface, names):
    return any(interface.startswith(n[:-1]) if n.endswith("+") else interface == n for n in names)


def listed(number, ranges):
    """Ports, users and groups are written alike: 80, "80", "80-89"."""
    for r in ranges:
        first, _, last = str(r).partition("-")
        if int(first) <= number <= int(last or first):
            return True
    return False


def is_in(ip, ranges):
    return ranges == "*" or any(in_range(ip, r) for r in ranges)


def excluded_port(o, port):
    return listed(port, o.get("exclude_outbound_ports", [])) or (port == 53 and o.get("exclude_dns", False))


def leaving(o, place, owner, ip, port):
    """A program of this host opens a connection."""
    uid, gid = owner
    interface = place.interface(ip)
    ranges = o.get("include_outbound_ranges", "*")
    users, groups = o.get("include_outbound_users", "*"), o.get("include_outbound_groups", "*")
    redirect = o.get("mode", "redirect") == "redirect"

    # An interface that is left alone is left alone by everything.
    if named(interface, o.get("exclude_interfaces", [])):
        return DIRECT
    # TPROXY has its self-call in the mangle table, of which nat's exclusions know nothing.
    if not redirect and uid == place.worker and interface == "lo" and ip not in LOCALHOST:
        return arriving(o, place, ip, port, "lo", self_call=True)
    # 7: excluded ports, before any handling of loops
    if excluded_port(o, port):
        return DIRECT
    # (meshd's own: its agent is nobody's application)
    if uid == place.agent:
        return DIRECT
    # 9: a service's address was this host's own
    if redirect and interface == "lo" and ip not in LOCALHOST and uid == place.worker:
        return INBOUND
    # 10: programs of one host among themselves, unless a loopback range is included explicitly
    explicit = ranges != "*" and any(ipaddress.ip_network(r).is_loopback for r in ranges)
    if interface == "lo" and uid != place.worker and not explicit:
        return DIRECT
    # 11: loop avoidance
    if uid == place.worker:
        return DIRECT
    # 13: whose connections are caught at all
    for number, include, exclude in ((uid, users, "exclude_outbound_users"), (gid, groups, "exclude_outbound_groups")):
        if (include != "*" and not listed(number, include)) or listed(number, o.get(exclude, [])):
            return DIRECT
    # 15: explicitly to this host
    if ip in LOCALHOST:
        return DIRECT
    # 16: excluded ranges before included ones
    if is_in(ip, o.get("exclude_outbound_ranges", [])):
        return DIRECT
    # 17: included ports even where no range would match; 18: ranges
    if listed(port, o.get("include_outbound_ports", [])) or is_in(ip, ranges):
        return OUTBOUND
    return DIRECT


def arriving(o, place, ip, port, interface, self_call=False):
    """A packet comes in at an interface."""
    if named(interface, o.get("exclude_interfaces", [])):
        return DIRECT
    # 0b, 19: machines behind an interface are as programs of this host, and never inbound
    if named(interface, o.get("guest_interfaces", [])):
        return OUTBOUND if is_in(ip, o.get("include_outbound_ranges", "*")) else DIRECT
    # (meshd's own: a host may forward, which a pod does not; that is nobody's inbound traffic)
    if not place.is_own(ip):
        return DIRECT
    if o.get("mode", "redirect") == "tproxy":
        # what stays on this host is left alone, but for the proxy's self-calls; and so is 127.0.0.1, from wherever
        if interface == "lo" and not self_call or ip in LOCALHOST:
            return DIRECT
    # 5: the list of excludes is for "*" only
    include = o.get("include_inbound_ports", "*")
    if include == "*":
        return DIRECT if listed(port, o.get("exclude_inbound_ports", [])) else INBOUND
    return INBOUND if listed(port, include) else DIRECT


def direction(o, place, verdict, ip):
    """With one port for both, nothing but the destination tells: what is for this host is inbound."""
    if verdict == DIRECT or "port" not in o:
        return verdict
    return INBOUND if place.is_own(ip) else OUTBOUND


def lands(o, place, probe):
    """The listeners it comes through, in order, and the address where an application would get it."""
    ip, port = probe.ip, probe.port
    if probe.interface is None:
        verdict = leaving(o, place, probe.owner, ip, port)
    else:
        verdict = arriving(o, place, ip, port, probe.interface)
    path, verdict = [], direction(o, place, verdict, ip)
    if verdict == OUTBOUND:
        path.append(verdict)
        ip, port = place.services.get((ip, port), (ip, port))
        verdict = leaving(o, place, (place.worker, place.worker), ip, port)
        assert verdict != OUTBOUND, "the proxy's own connections would loop"
    if verdict == INBOUND:
        path.append(verdict)
    return path, ip
