"""Limits are exact over all workers, come back whole after a death, and belong to one thing only."""
import os
import signal

import pytest

from conftest import LONG
from lib.crowd import Origin, alive, storm, talk, try_connect
from lib.hosts import wait_for

LIMIT = 3


def config(b, where):
    limit = {w: f"max_connections = {LIMIT};" if w == where else "" for w in ("whole", "listener", "cluster")}
    return (f'{limit["whole"]}\nlisteners = ( {{ name = "gate"; address = "0.0.0.0"; port = 8000; {limit["listener"]} '
            'filter_chains = ( { filters = ( { type = "tcp_proxy"; cluster = "b"; } ); } ); } );\n'
            f'clusters = ( {{ name = "b"; {limit["cluster"]} endpoints = [ "{b.v4}:9000" ]; }} );\n')


OVERFLOW = {"whole": "listener.0.0.0.0_8000.downstream_global_cx_overflow",
            "listener": "listener.0.0.0.0_8000.downstream_cx_overflow",
            "cluster": "cluster.b.upstream_cx_overflow"}
WHERE = pytest.mark.parametrize("where", OVERFLOW)


def fill(c, a):
    """Opens until one is refused; what is open."""
    held = []
    while (s := try_connect(c, a.v4, 8000)) is not None:
        held.append(s)
        assert len(held) <= LIMIT
    return held


@WHERE
def test_a_limit_of_3_under_200_clients(net, start, where):
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    m = start(a, config(b, where), workers=4, intercept="")
    rounds = 100 if LONG else 5
    with Origin(b, b.v4, 9000) as origin:
        served, refused, odd = storm(c, a.v4, 8000, 200, rounds)
        assert not odd
        assert served + refused == 200 * rounds
        assert origin.most <= LIMIT, f"{origin.most} open at the origin"
        assert origin.served == served > 0
        wait_for("all ended", lambda: m.stat("server.connections") == 0)
        stats = m.stats()
        assert stats[OVERFLOW[where]] == refused
        assert stats["cluster.b.upstream_cx_total"] == served
        held = fill(c, a)
        assert len(held) == LIMIT == origin.most
        assert m.logged(cluster="b", flags="-")
        if where != "whole":
            assert m.logged(flags="UO")["details"] == "max_connections"
        for s in held:
            s.close()


@WHERE
def test_the_limit_is_whole_after_the_death_of_a_holder(net, start, where):
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    m = start(a, config(b, where), workers=4, intercept="")
    with Origin(b, b.v4, 9000) as origin:
        for _ in range(20 if LONG else 4):
            assert m.reload().returncode == 0       # ten deaths in ten seconds would be another matter
            held = fill(c, a)
            assert len(held) == LIMIT
            serves = m.worker_of()
            victim = serves[f"{c.v4}:{held[0].getsockname()[1]}"]
            lost = [s for s in held if serves[f"{c.v4}:{s.getsockname()[1]}"] == victim]
            pids = m.workers()
            os.kill(pids[victim], signal.SIGKILL)
            wait_for("a successor", lambda: len(m.workers()) == 4 and pids[victim] not in m.workers())
            wait_for("it is given back", lambda: m.stat("server.connections") == LIMIT - len(lost))
            again = fill(c, a)
            assert len(again) == len(lost)
            for s in held:
                assert alive(s) == (s not in lost)
            assert origin.most <= LIMIT
            for s in held + again:
                s.close()
            wait_for("all ended", lambda: m.stat("server.connections") == 0 and not origin.open)


def test_a_limit_that_is_lowered_closes_nothing(net, start):
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    m = start(a, config(b, "cluster").replace(f"= {LIMIT};", "= 6;"), workers=2, intercept="")
    with Origin(b, b.v4, 9000):
        held = [try_connect(c, a.v4, 8000) for _ in range(6)]
        assert None not in held
        assert m.reload(config(b, "cluster")).returncode == 0
        assert all(talk(s) for s in held)
        for n in range(4):
            assert try_connect(c, a.v4, 8000) is None
            held.pop().close()
            wait_for("it has ended", lambda: m.stat("server.connections") == len(held))
        assert len(fill(c, a)) == 1


# ---- slots ----

def many(n, first, b):
    return ", ".join(f'{{ name = "other-{i}"; endpoints = [ "{b.v4}:{9100 + i}" ]; max_connections = 5; }}'
                     for i in range(first, first + n))


def one_way(b, cluster, *more):
    clusters = ", ".join([f'{{ name = "{cluster}"; endpoints = [ "{b.v4}:9000" ]; }}', *more])
    return ('listeners = ( { name = "gate"; address = "0.0.0.0"; port = 8000; '
            'filter_chains = ( { name = "way"; filters = ( { type = "tcp_proxy"; stat_prefix = "way"; '
            f'cluster = "{cluster}"; }} ); }} ); }} );\nclusters = ( {clusters} );\n')


def of_others(m):
    """The counters and gauges of clusters named other-N that are not nought."""
    return {k: v for k, v in m.stats().items() if k.startswith("cluster.other-") and v != 0}


@pytest.mark.parametrize("how", ["ends", "is killed"])
def test_a_tunnel_that_outlives_its_cluster_touches_nobody_elses_row(net, start, how):
    """Its row keeps its name while it lives; rows given anew begin at nought and stay there."""
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    m = start(a, one_way(b, "first", many(4, 0, b)), intercept="")
    with Origin(b, b.v4, 9000):
        tunnels = [try_connect(c, a.v4, 8000) for _ in range(4)]
        assert m.reload(one_way(b, "second", many(40, 100, b))).returncode == 0
        assert [x["cluster"] for x in m.connections()] == ["first"] * 4
        assert not of_others(m)
        assert all(talk(s, b"x" * 10000) for s in tunnels)
        assert not of_others(m)
        assert m.stat("cluster.second.upstream_cx_rx_bytes_total") == 0
        assert [x["cluster"] for x in m.connections("--cluster", "first")] == ["first"] * 4
        if how == "ends":
            for s in tunnels:
                s.close()
        else:
            for pid in m.workers():
                os.kill(pid, signal.SIGKILL)
        wait_for("they have ended", lambda: len(m.workers()) == 2 and m.stat("server.connections") == 0)
        assert not of_others(m)
        # The rows of `first` and its endpoint are free now, and are given anew at the next reloads.
        for n in range(3):
            assert m.reload(one_way(b, "third", many(60, 200 + 100 * n, b))).returncode == 0
            assert not of_others(m)
        s = try_connect(c, a.v4, 8000)
        stats = m.stats()
        assert stats["cluster.third.upstream_cx_total"] == stats["cluster.third.upstream_cx_active"] == 1
        assert not of_others(m)
        # One that comes back by name does not inherit what was given away.
        assert m.reload(one_way(b, "first")).returncode == 0
        t = try_connect(c, a.v4, 8000)
        assert m.stats()["cluster.first.upstream_cx_total"] == 1
        for x in s, t:
            x.close()
