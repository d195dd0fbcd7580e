"""Which cluster and which endpoint: weights, balancers, weighted clusters, further attempts, and the greatest age."""
import time

import pytest

from lib.crowd import Origin, alive, greeted, talk, try_connect
from lib.hosts import wait_for
from lib.traffic import ends

PORTS = range(9001, 9005)


def endpoints(b, weights):
    return ", ".join(f'{{ address = "{b.v4}:{port}"; weight = {w}; }}' for port, w in zip(PORTS, weights))


def cluster(name, b, weights, policy, more=""):
    return f'{{ name = "{name}"; lb_policy = "{policy}"; {more} endpoints = ( {endpoints(b, weights)} ); }}'


def proxy(cluster, more=""):
    return ('listeners = ( { name = "gate"; address = "0.0.0.0"; port = 8000; filter_chains = ( { filters = ( '
            f'{{ type = "tcp_proxy"; {cluster} {more} }} ); }} ); }} );\n')


class Origins:
    def __init__(self, host, n):
        self.all = [Origin(host, host.v4, port) for port in list(PORTS)[:n]]

    def __enter__(self):
        return self.all

    def __exit__(self, *_):
        for o in self.all:
            o.close()


def visit(c, a, n, port=8000):
    for _ in range(n):
        s = try_connect(c, a.v4, port)
        assert s is not None
        s.close()


def trio(net):
    return net.host("a"), net.host("b"), net.host("c")


# ---- weights ----

@pytest.mark.parametrize("workers", [1, 4])
def test_round_robin_by_weight(net, start, workers):
    """A round of a worker is exact; each has its own, and the last one may be unfinished."""
    a, b, c = trio(net)
    start(a, proxy('cluster = "b";') + f"clusters = ( {cluster('b', b, (1, 2, 5), 'round_robin')} );\n", workers=workers, intercept="")
    with Origins(b, 3) as origins:
        visit(c, a, 160)
        served = [o.served for o in origins]
        assert sum(served) == 160
        for n, weight in zip(served, (1, 2, 5)):
            assert abs(n - 20 * weight) <= (0 if workers == 1 else workers * weight), served


def test_random_by_weight(net, start):
    """800 draws of 1 : 3.  Six deviations: one run in a thousand million fails by chance."""
    a, b, c = trio(net)
    start(a, proxy('cluster = "b";') + f"clusters = ( {cluster('b', b, (1, 3), 'random')} );\n", intercept="")
    with Origins(b, 2) as origins:
        visit(c, a, 800)
        assert origins[0].served + origins[1].served == 800
        assert abs(origins[0].served - 200) < 6 * (800 * 0.25 * 0.75) ** 0.5


def test_least_request_sees_what_all_workers_hold(net, start):
    """One connection, held by one worker: newcomers, which come to the three others, go to the other endpoint unless
    both draws are the loaded one.  A worker that saw its own alone would draw half."""
    a, b, c = trio(net)
    one = f"clusters = ( {cluster('b', b, (1,), 'least_request')} );\n"
    both = f"clusters = ( {cluster('b', b, (1, 1), 'least_request')} );\n"
    m = start(a, proxy('cluster = "b";') + one, workers=4, intercept="", access_log=False)
    with Origins(b, 2) as (loaded, free):
        held = try_connect(c, a.v4, 8000)
        assert m.reload(proxy('cluster = "b";') + both).returncode == 0
        for n in range(400):
            try_connect(c, a.v4, 8000).close()
            wait_for("it has ended", lambda: m.stat("server.connections") == 1)
        assert loaded.served - 1 + free.served == 400
        assert loaded.served - 1 < 152, "a quarter is 100, six deviations 52"
        assert talk(held)


def test_least_request_goes_where_there_is_room(net, start):
    """Held ones level out."""
    a, b, c = trio(net)
    start(a, proxy('cluster = "b";') + f"clusters = ( {cluster('b', b, (1, 1, 1, 1), 'least_request')} );\n",
          workers=2, intercept="")
    with Origins(b, 4) as origins:
        held = [try_connect(c, a.v4, 8000) for _ in range(200)]
        assert None not in held
        counts = [len(o.open) for o in origins]
        assert sum(counts) == 200 and max(counts) - min(counts) <= 12, counts


# ---- weighted clusters ----

def test_weighted_clusters(net, start):
    """800 draws of 1 : 3 : 0; who weighs nothing gets nothing."""
    a, b, c = trio(net)
    names = ", ".join(f'{{ name = "{n}"; weight = {w}; }}' for n, w in (("x", 1), ("y", 3), ("z", 0)))
    clusters = ", ".join(f'{{ name = "{n}"; endpoints = [ "{b.v4}:{port}" ]; }}' for n, port in zip("xyz", PORTS))
    m = start(a, proxy(f"weighted_clusters = ( {names} );") + f"clusters = ( {clusters} );\n", intercept="", access_log=False)
    with Origins(b, 3) as (x, y, z):
        visit(c, a, 800)
        assert x.served + y.served == 800 and z.served == 0
        assert abs(x.served - 200) < 6 * (800 * 0.25 * 0.75) ** 0.5
        wait_for("all ended", lambda: m.stat("server.connections") == 0)
        assert m.stat("cluster.x.upstream_cx_total") == x.served
        assert m.stat("cluster.y.upstream_cx_total") == y.served
        assert m.stat("tcp.x.downstream_cx_total") == 800      # stat_prefix: the first one's name


# ---- further attempts ----

def tries(b, attempts, *points, more=""):
    listed = ", ".join(f'"{p}"' for p in points)
    return (proxy('cluster = "b";', f"max_connect_attempts = {attempts};") +
            f'clusters = ( {{ name = "b"; {more} endpoints = [ {listed} ]; }} );\n')


def test_a_refused_endpoint_is_followed_by_the_next(net, start):
    a, b, c = trio(net)
    m = start(a, tries(b, 3, f"{b.v4}:9011", f"{b.v4}:9012", f"{b.v4}:9001"), intercept="")
    with Origins(b, 1) as (origin,):
        visit(c, a, 30)
        assert origin.served == 30
        wait_for("all ended", lambda: m.stat("server.connections") == 0)
        stats = m.stats()
        assert stats["cluster.b.upstream_cx_total"] == 30 + stats["cluster.b.upstream_cx_connect_fail"]
        # By turns the first is the good one, one before it, two before it.
        assert 26 <= stats["cluster.b.upstream_cx_connect_fail"] <= 34
        assert stats["cluster.b.upstream_cx_connect_attempts_exceeded"] == 0
        assert all(line["flags"] == "-" for line in m.log_lines())


def test_a_black_holed_endpoint_is_followed_by_the_next(net, start):
    """Each attempt has connect_timeout of its own, and what the client has said by then is not lost."""
    a, b, c = trio(net)
    m = start(a, tries(b, 3, "192.0.2.7:9000", "192.0.2.8:9000", f"{b.v4}:9001", more='connect_timeout = "300ms";'),
              workers=1, intercept="")
    with Origins(b, 1):
        began = time.monotonic()
        s = c.connect(a.v4, 8000)
        s.sendall(b"early")
        assert greeted(s)
        assert time.monotonic() - began >= 0.6
        assert s.recv(5) == b"early"
        assert alive(s)
        s.close()
    stats = m.stats()
    assert stats["cluster.b.upstream_cx_connect_timeout"] == stats["cluster.b.upstream_cx_connect_fail"] == 2


def test_attempts_that_all_fail(net, start):
    """No more of them than there may be; the log has the last one's words."""
    a, b, c = trio(net)
    m = start(a, tries(b, 2, f"{b.v4}:9011", f"{b.v4}:9012", f"{b.v4}:9013"), intercept="")
    for _ in range(10):
        assert try_connect(c, a.v4, 8000) is None
    stats = m.stats()
    assert stats["cluster.b.upstream_cx_total"] == stats["cluster.b.upstream_cx_connect_fail"] == 20
    assert stats["cluster.b.upstream_cx_connect_attempts_exceeded"] == 10
    line = m.logged(cluster="b", count=10)
    assert line["flags"] == "UF,URX" and line["reason"] == "Connection refused"


def test_more_attempts_than_endpoints(net, start):
    """They come round again."""
    a, b, c = trio(net)
    m = start(a, tries(b, 5, f"{b.v4}:9011", f"{b.v4}:9012"), intercept="")
    assert try_connect(c, a.v4, 8000) is None
    assert m.stat("cluster.b.upstream_cx_connect_fail") == 5


def test_attempts_without_an_endpoint(net, start):
    a, b, c = trio(net)
    m = start(a, tries(b, 5), intercept="")
    assert ends(c.connect(a.v4, 8000)) == "eof"
    assert m.logged(flags="UH")["details"] == "no_healthy_upstream"
    assert m.stat("cluster.b.upstream_cx_none_healthy") == 1


# ---- the greatest age ----

def test_max_downstream_connection_duration(net, start):
    """Busy or not, it ends at its age; one that ends before is none of its business."""
    a, b, c = trio(net)
    m = start(a, proxy('cluster = "b";', 'max_downstream_connection_duration = "1s"; stat_prefix = "aged";') +
              f"clusters = ( {cluster('b', b, (1,), 'round_robin')} );\n", intercept="")
    with Origins(b, 1):
        idle, busy, short = [try_connect(c, a.v4, 8000) for _ in range(3)]
        began = time.monotonic()
        assert talk(short)
        short.close()
        while alive(busy):
            assert time.monotonic() - began < 10
            time.sleep(0.02)
        assert ends(idle) in ("eof", "reset")
        assert time.monotonic() - began > 0.5
    m.logged(flags="DT", details="max_downstream_connection_duration", count=2)
    assert m.stat("tcp.aged.max_downstream_connection_duration") == 2
    assert [line["flags"] for line in m.log_lines()].count("-") == 1
