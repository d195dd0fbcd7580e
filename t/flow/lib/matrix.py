"""The rows of the interception matrix: which options, and which connections are tried with each."""
import itertools
import random
from collections import namedtuple

# A name of each value, and what it is in the configuration.  The first one is the default.
AXES = {
    "inbound": {"*": {}, "* but 7001": {"exclude_inbound_ports": [7001]}, "7002": {"include_inbound_ports": ["7002-7003"]},
                "none": {"include_inbound_ports": []}},
    "ranges": {"*": {}, "some": {"include_outbound_ranges": ["198.51.100.0/24", "2001:db8::/64"]},
               "loopback": {"include_outbound_ranges": ["198.51.100.0/24", "127.0.0.0/8", "2001:db8::/64"]},
               "none": {"include_outbound_ranges": []}},
    "but": {"-": {}, "some": {"exclude_outbound_ranges": ["198.51.100.128/25", "2001:db8::1:0/112"]}},
    "ports": {"-": {}, "7002 7003": {"include_outbound_ports": [7002, 7003]}},
    "but ports": {"-": {}, "7001 7003": {"exclude_outbound_ports": [7001, 7003]}},
    "interfaces": {"-": {}, "second0": {"exclude_interfaces": ["second0"]}, "sec+": {"exclude_interfaces": ["nosuch0", "sec+"]}},
    "guests": {"-": {}, "guest0": {"guest_interfaces": ["guest0"]}},
    "users": {"*": {}, "3001": {"include_outbound_users": [0, "3001-3001"]}, "* but 3001": {"exclude_outbound_users": [3001]},
              "3000s but 3002": {"include_outbound_users": ["3000-3999"], "exclude_outbound_users": [3002]}},
    "groups": {"*": {}, "4001": {"include_outbound_groups": [4001, "4100-4199"]}, "* but 4001": {"exclude_outbound_groups": [4001]}},
    "dns": {"-": {}, "excluded": {"exclude_dns": True}},
    "invalid": {"-": {}, "dropped": {"drop_invalid": True}},
}

# Each combination of these.  Of what is in one line, the groups are independent: the combinations of one are tried
# beside those of the other.
PRODUCTS = [[("ranges", "but", "ports", "but ports", "dns"), ("inbound", "interfaces", "guests")], [("users", "groups")]]

# Rows of their own.
NAMED = {
    "Istio's defaults": {"include_inbound_ports": "*", "exclude_inbound_ports": [15090, 15021, 15020],
                         "include_outbound_ranges": "*", "exclude_outbound_ranges": []},
    "ports alone": {"include_outbound_ranges": [], "include_outbound_ports": ["7000-7001", 53], "exclude_outbound_ports": [7001]},
    "as many groups as can be": {"include_outbound_groups": [*range(5000, 5063), 4001]},
    "two users and two groups": {"include_outbound_users": [3001, 3002], "include_outbound_groups": [0, 4002]},
    "loopback left alone": {"exclude_interfaces": ["lo"]},
    "loopback alone": {"include_outbound_ranges": ["127.0.0.0/8", "::1/128"]},
    "guests to some": {"guest_interfaces": ["gue+"], "include_outbound_ranges": ["198.51.100.3/32", "2001:db8::3/128"],
                       "include_outbound_ports": [7002], "include_inbound_ports": []},
    "a guest that is left alone": {"guest_interfaces": ["guest0"], "exclude_interfaces": ["gue+"]},
}


def options_of(row):
    """{axis: name of its value} -> what stands in the configuration"""
    merged = {}
    for axis, name in row.items():
        merged.update(AXES[axis][name])
    return merged


def conf(options):
    def one(v):
        if isinstance(v, bool):
            return str(v).lower()
        if isinstance(v, list):
            return "( " + ", ".join(one(x) for x in v) + " )"
        return str(v) if isinstance(v, int) else f'"{v}"'
    return "intercept = { " + " ".join(f"{k} = {one(v)};" for k, v in options.items()) + " };\n"


def _pairs_in(row):
    return {frozenset(pair) for pair in itertools.combinations(row.items(), 2)}


def pairwise(seed=5):
    """Few rows in which any two values of two axes meet."""
    rng = random.Random(seed)
    left = set()
    for a, b in itertools.combinations(AXES, 2):
        left |= {frozenset(((a, x), (b, y))) for x in AXES[a] for y in AXES[b]}
    rows = []
    while left:
        candidates = []
        for _ in range(60):
            row = dict(rng.choice(sorted(left, key=sorted)))
            axes = [a for a in AXES if a not in row]
            rng.shuffle(axes)
            for axis in axes:
                values = list(AXES[axis])
                rng.shuffle(values)
                row[axis] = max(values, key=lambda v: sum(frozenset(((axis, v), other)) in left for other in row.items()))
            candidates.append(row)
        best = max(candidates, key=lambda row: len(_pairs_in(row) & left))
        left -= _pairs_in(best)
        rows.append({axis: best[axis] for axis in AXES})
    return rows


def product(groups):
    made = [[dict(zip(axes, values)) for values in itertools.product(*(AXES[a] for a in axes))] for axes in groups]
    for i in range(max(map(len, made))):
        yield {axis: value for rows in made for axis, value in rows[i % len(rows)].items()}


def rows(whole=True):
    """(what it is called, its options); whole: with products, too."""
    yield "defaults", {}
    yield from NAMED.items()
    for groups in PRODUCTS if whole else ():
        for row in product(groups):
            yield "product: " + _spoken(row), options_of(row)
    for row in pairwise():
        yield "pairs: " + _spoken(row), options_of(row)


def _spoken(row):
    return ", ".join(f"{axis} {value}" for axis, value in row.items() if value != next(iter(AXES[axis])))


# ---- probes ----

PORTS = 7000, 7001, 7002, 7003, 53
APP, OTHER, ROOT = (3001, 4001), (3002, 4002), (0, 0)

# host: where it starts; owner: uid and gid of it; interface: what it comes to the sidecar's host by, None from within
Probe = namedtuple("Probe", "host owner interface what ip port")


def probes(to, worker, agent):
    """to: {what: {version: address}}; worker, agent: uid and gid"""
    found = []

    def add(host, owners, interface, whats, ports):
        for owner, what, port in itertools.product(owners, whats, ports):
            found.extend(Probe(host, owner, interface, what, ip, port) for ip in to[what].values())

    add("a", (APP, OTHER, worker), None,
        ("far", "far excluded", "far by second NIC", "own", "own on second NIC", "localhost", "loopback", "service", "self"), PORTS)
    add("a", (ROOT, agent), None, ("far", "own"), PORTS[:1])
    add("a", ((APP[0], OTHER[1]), (OTHER[0], APP[1])), None, ("far",), PORTS[:1])
    add("b", (ROOT,), "eth0", ("own",), (*PORTS, 15020, 15021, 15090))
    add("b", (ROOT,), "second0", ("own on second NIC",), PORTS)
    add("guest", (ROOT,), "guest0", ("far", "far excluded", "service", "own for guests"), PORTS)
    return found
