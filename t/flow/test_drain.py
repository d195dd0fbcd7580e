"""Ending connections on purpose: what is taken out of the configuration drains, by itself; meshctl connections, drain."""
import time

import pytest

from lib.crowd import Origin, alive, talk, try_connect
from lib.hosts import wait_for
from lib.traffic import ends

GATE = {"one": 8001, "two": 8002}


def chain(name, cluster, match=""):
    return f'{{ name = "{name}"; {match} filters = ( {{ type = "tcp_proxy"; stat_prefix = "{name}"; cluster = "{cluster}"; }} ); }}'


def listener(name, *chains):
    return f'{{ name = "{name}"; address = "0.0.0.0"; port = {GATE[name]}; filter_chains = ( {", ".join(chains)} ); }}'


def config(b, *listeners, clusters=("x", "y"), more=""):
    rows = ", ".join(f'{{ name = "{n}"; {more} endpoints = [ "{b.v4}:{port}" ]; }}'
                     for n, port in (("x", 9001), ("y", 9002)) if n in clusters)
    return f"listeners = ( {', '.join(listeners)} );\nclusters = ( {rows} );\n"


@pytest.fixture
def held(net, start):
    """Ten connections through each of two listeners, the second with two chains: .of[chain] -> client sockets."""
    class Held:
        pass
    h = Held()
    h.a, h.b, h.c, h.d = (net.host(n) for n in "abcd")
    h.from_c = f'filter_chain_match = {{ source_prefix_ranges = [ "{h.c.v4}/32" ]; }};'
    h.whole = config(h.b, listener("one", chain("all", "x")), listener("two", chain("c", "x", h.from_c), chain("rest", "y")))
    h.m = start(h.a, h.whole, intercept="", drain_time="1s")
    with Origin(h.b, h.b.v4, 9001), Origin(h.b, h.b.v4, 9002):
        h.of = {name: [try_connect(host, h.a.v4, port) for _ in range(10)]
                for name, host, port in (("all", h.c, 8001), ("c", h.c, 8002), ("rest", h.d, 8002))}
        assert not any(s is None for group in h.of.values() for s in group)
        yield h
        for group in h.of.values():
            for s in group:
                s.close()


def untouched(h, *names):
    return all(alive(s) for name in names for s in h.of[name])


def drained(h, name, seconds):
    """When each of them ended, in seconds from now; in good order, not by reset."""
    began, at = time.monotonic(), []
    left = list(h.of[name])
    for s in left:
        s.setblocking(False)
    while left:
        assert time.monotonic() - began < seconds + 10
        for s in list(left):
            try:
                assert s.recv(1) == b""
                at.append(time.monotonic() - began)
                left.remove(s)
            except BlockingIOError:
                pass
        time.sleep(0.01)
    return at


def test_a_listener_that_goes_drains_its_connections(held):
    """Over drain_time, each at a moment of its own; those of the other listener go on."""
    assert held.m.reload(config(held.b, listener("one", chain("all", "x")))).returncode == 0
    at = drained(held, "c", 1) + drained(held, "rest", 1)
    assert max(at) - min(at) > 0.3, "they do not all end at once"
    assert untouched(held, "all")
    held.m.logged(details="drain_time", count=20)
    assert held.m.stat("server.connections") == 10
    assert len({line["duration"] for line in held.m.log_lines() if line["details"] == "drain_time"}) > 10


def test_a_chain_that_goes_drains_its_connections(held):
    assert held.m.reload(config(held.b, listener("one", chain("all", "x")), listener("two", chain("rest", "y")))).returncode == 0
    drained(held, "c", 1)
    assert untouched(held, "all", "rest")
    held.m.logged(details="drain_time", count=10)
    assert held.m.stat("server.connections") == 20


@pytest.mark.parametrize("change", ["another cluster", "a cluster that goes", "an endpoint that goes", "time-outs",
                                    "a listener more", "a chain more", "limits", "nothing"])
def test_any_other_change_touches_none(held, change):
    h, one = held, listener("one", chain("all", "x"))
    two = listener("two", chain("c", "x", held.from_c), chain("rest", "y"))
    body = {
        "another cluster": lambda: config(h.b, listener("one", chain("all", "y")), two),
        "a cluster that goes": lambda: config(h.b, listener("one", chain("all", "y")), listener("two", chain("c", "y", h.from_c),
                                              chain("rest", "y")), clusters=("y",)),
        "an endpoint that goes": lambda: h.whole.replace(f'"{h.b.v4}:9001"', f'"{h.b.v4}:9009"'),
        "time-outs": lambda: config(h.b, one, two, more='connect_timeout = "7s";'),
        "a listener more": lambda: h.whole.replace("listeners = (", 'listeners = ( { name = "three"; address = "0.0.0.0"; '
                                                   f'port = 8003; filter_chains = ( {chain("n", "x")} ); }},'),
        "a chain more": lambda: config(h.b, one, listener("two", chain("c", "x", h.from_c), chain("rest", "y"), chain(
            "d", "x", 'filter_chain_match = { source_prefix_ranges = [ "192.0.2.0/24" ]; };'))),
        "limits": lambda: config(h.b, one, two, more="max_connections = 1;") + "max_connections = 1;\n",
        "nothing": lambda: h.whole,
    }[change]()
    assert h.m.reload(body).returncode == 0
    time.sleep(1.2)     # drain_time is past: what was to go would have gone
    assert untouched(h, "all", "c", "rest")
    assert h.m.stat("server.connections") == 30
    assert not h.m.log_lines()


# ---- meshctl connections ----

def test_connections_are_listed(held):
    h = held
    everything = h.m.connections()
    assert len(everything) == 30
    assert {c["client"] for c in everything} == {f"{s.getsockname()[0]}:{s.getsockname()[1]}" for g in h.of.values() for s in g}
    assert [c["ageMs"] for c in everything] == sorted((c["ageMs"] for c in everything), reverse=True)
    assert len({c["id"] for c in everything}) == 30
    assert talk(h.of["all"][0], b"x" * 1000)
    (one,) = h.m.connections("--client", "{}:{}".format(*h.of["all"][0].getsockname()))
    assert one["listener"] == "one" and one["chain"] == "one/all" and one["cluster"] == "x"
    assert one["endpoint"] == f"{h.b.v4}:9001" and one["state"] == "open"
    assert (one["received"], one["sent"]) == (1000, 1005) and one["idleMs"] <= one["ageMs"]

    def n(*flags):
        return len(h.m.connections(*flags))

    assert (n("--listener", "one"), n("--listener", "two"), n("--listener", "none")) == (10, 20, 0)
    assert (n("--chain", "two/c"), n("--chain", "two/rest"), n("--cluster", "x"), n("--cluster", "y")) == (10, 10, 20, 10)
    assert (n("--endpoint", f"{h.b.v4}:9002"), n("--endpoint", f"y/{h.b.v4}:9002"), n("--endpoint", f"x/{h.b.v4}:9002")) == (10, 10, 0)
    assert (n("--client", h.c.v4), n("--client", f"{h.d.v4}/32"), n("--client", "198.51.100.0/24")) == (20, 10, 30)
    assert n("--worker", "0") + n("--worker", "1") == 30 and 0 < n("--worker", "0") < 30
    assert (n("--older", "1h"), n("--older", "1ms"), n("--listener", "two", "--cluster", "x")) == (0, 30, 10)
    by_worker = {w["index"]: w["connections"] for w in h.m.status()["workers"]}
    assert by_worker == {w: n("--worker", str(w)) for w in by_worker}


def test_connections_are_killed(held):
    """By reset, those that are meant and no other."""
    h = held
    assert h.m.meshctl("connections", "--kill").returncode == 2
    assert untouched(h, "all", "c", "rest")
    assert len(h.m.connections("--kill", "--chain", "two/c")) == 10
    assert [ends(s) for s in h.of["c"]] == ["reset"] * 10
    assert untouched(h, "all", "rest")
    first, second = h.of["all"][:2]
    (one,) = h.m.connections("--client", "{}:{}".format(*first.getsockname()))
    assert h.m.meshctl("connections", "kill", str(one["id"]), "999999").returncode == 1      # one is none of ours
    assert ends(first) == "reset"
    assert alive(second)
    h.m.logged(details="closed_by_operator", count=11)
    assert h.m.meshctl("connections", "--kill", "--all").returncode == 0
    wait_for("all are gone", lambda: h.m.stat("server.connections") == 0)


# ---- meshctl drain ----

@pytest.mark.parametrize("what, ended", [(("--listener", "two"), ("c", "rest")), (("--chain", "two/c"), ("c",)),
                                         (("--cluster", "y"), ("rest",)), (("--endpoint", "y/{b}:9002"), ("rest",)),
                                         (("--all",), ("all", "c", "rest"))])
def test_drain(held, what, ended):
    """Over the time that is said, in good order; new ones are taken as before."""
    h = held
    done = h.m.meshctl("drain", "--over", "1s", *(w.format(b=h.b.v4) for w in what))
    assert done.returncode == 0, done.stderr
    at = []
    for name in ended:
        at += drained(h, name, 1)
    assert untouched(h, *(name for name in h.of if name not in ended))
    h.m.logged(details="drain_time", count=10 * len(ended))
    assert len({line["duration"] for line in h.m.log_lines()}) > 3
    s = try_connect(h.c, h.a.v4, 8002)
    assert talk(s)
    s.close()
    for name in ended:
        h.of[name] = []


def test_drain_of_what_is_not_there(held):
    done = held.m.meshctl("drain", "--listener", "nowhere")
    assert done.returncode != 0 and "nowhere" in done.stderr
    assert held.m.meshctl("drain").returncode == 2
    assert untouched(held, "all", "c", "rest")
