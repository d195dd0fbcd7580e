"""Every message of the tables in lib/http_requests.py and lib/http_responses.py, whole, byte by byte, cut at every byte, and
pipelined: what each side saw is what h11 accepts with the meaning of the row, or the exact refusal."""
from collections import defaultdict

import pytest

from lib import http_rows
from lib.hosts import wait_for
from lib.http_client import Client, Talk, crowd, name
from lib.http_mesh import GATE, ORIGIN, gate, many_ports
from lib.http_origin import CLOSE, RST, Origin, Script
from lib.http_requests import REQUESTS
from lib.http_responses import RESPONSES
from lib.http_rows import NAME, Answered, Bad, Broken, Given, Passed, Refused
from lib.http_wire import judge

SHOWN = 50              # rows that failed
PAUSE = 0.01            # between two parts: they come as two


def good(called):
    return http_rows.get().replace(NAME, called)


def every_cut(message):
    return [[message[:at], message[at:]] for at in range(1, len(message))]


def by_bytes(message):
    return [message[i:i + 1] for i in range(len(message))]


# How a message is fed: its parts, in several ways or one; seconds between two of them; and whether a good request goes before
# it and after it.
MODES = {"whole": (lambda m: [[m]], PAUSE, 0, 1),
         "byte by byte": (lambda m: [by_bytes(m)], 0.001, 0, 0),
         "cut": (every_cut, PAUSE, 0, 0),
         "pipelined": (lambda m: [[m]], PAUSE, 1, 1)}
ALL_MODES = pytest.mark.parametrize("mode", MODES)


@pytest.fixture
def way(host, start):
    """An origin behind a gate."""
    many_ports(host)
    with Origin(host, *ORIGIN) as origin:
        start(host, gate(), intercept="", access_log=False)
        yield origin


class Try:
    """One conversation about a case, and what it must come to."""

    def __init__(self, case, before, after):
        if case.last and not before:
            after = 0           # a client that has said so sends no more
        self.case, self.before, self.after, self.name = case, before, after, name()
        self.names = [name(b"b") for _ in range(before)], [name(b"a") for _ in range(after)]
        self.talk = None

    def feed(self, parts, pause, asked):
        """`parts` are the message; what goes before and after is put to them, or, of several, sent with a pause."""
        before, after = (b"".join(good(n) for n in names) for names in self.names)
        parts = [p for p in ([before + parts[0] + after] if self.before else [*parts, after]) if p]
        self.talk = Talk(parts, (b"GET",) * self.before + (asked,) + (b"GET",) * self.after, self.before + 1 + self.after, pause)
        return self.talk

    def wrong(self, outcome, seen):
        """What is not as this outcome says; None: nothing."""
        talk = self.talk
        if talk.wrong or talk.ended == "late":
            return talk.wrong or "no answer in time"
        finals = talk.responses
        for n, m in zip(self.names[0], finals):
            if m.id != n:
                return f"the request before it was answered with {m}"
        if len(finals) <= self.before:
            return None if isinstance(outcome, Broken) else "no answer"
        return CHECKS[type(outcome)](self, outcome, finals[self.before], finals[self.before + 1:], seen)

    def closed(self, m, rest):
        if rest or self.talk.ended != "eof" or not m.has_option(b"close") and m.start[0] != b"HTTP/1.0":
            return f"not closed: {self.talk.ended}, {m}, {rest}"
        return None

    def went_on(self, rest):
        if [m.id for m in rest] != self.names[1]:
            return f"the requests after it were answered with {rest}"
        return None


def check_refused(t, outcome, m, rest, seen):
    if m.status not in outcome.statuses:
        return f"status {m.status}"
    if t.closed(m, rest):
        return t.closed(m, rest)
    if any(seen[n] for n in t.names[1]):
        return "what came after it was passed on"
    if seen[t.name] and not outcome.late or any(r.complete for r in seen[t.name]):
        return f"passed on: {seen[t.name]}"
    return None


def check_passed(t, outcome, m, rest, seen):
    if m.id != t.name or m.status != 200:
        return f"answered with {m}"
    if len(seen[t.name]) != 1 or not seen[t.name][0].complete:
        return f"seen as {seen[t.name]}"
    judge(m, t.case.method)
    return outcome.differs(seen[t.name][0]) or (t.closed(m, rest) if outcome.closes else t.went_on(rest))


def check_answered(t, outcome, m, rest, seen):
    judge(m, t.case.method)
    if m.status not in outcome.statuses or seen[t.name]:
        return f"answered with {m}, seen as {seen[t.name]}"
    return t.closed(m, rest) if m.has_option(b"close") else t.went_on(rest)


def check_given(t, outcome, m, rest, seen):
    judge(m, t.case.method)
    interim = [i.status for i in t.talk.reader.messages if i.status < 200]
    if interim != outcome.interim:
        return f"interim responses {interim}"
    if m.value(b"date") is None:
        return "no Date"
    if t.case.version == b"1.0":
        return outcome.differs(m) or (f"{m} for 1.0" if m.values(b"transfer-encoding") else None) or t.closed(m, rest)
    return outcome.differs(m) or t.went_on(rest)


def check_bad(t, outcome, m, rest, seen):
    judge(m, t.case.method)
    if m.status not in outcome.statuses:
        return f"answered with {m}"
    return t.closed(m, rest) if m.has_option(b"close") else t.went_on(rest)


def check_broken(t, outcome, m, rest, seen):
    return check_bad(t, Bad(), m, rest, seen)


CHECKS = {Refused: check_refused, Passed: check_passed, Answered: check_answered, Given: check_given, Bad: check_bad, Broken: check_broken}


def verdict(tries, origin):
    """Each came to what its row allows, and every way of feeding it to the same; the origin saw nothing else."""
    seen, wrong, outcomes = defaultdict(list), {}, defaultdict(set)
    for r in list(origin.heads):
        seen[r.id].append(r)
    for t in tries:
        problems = [(o, t.wrong(o, seen)) for o in t.case.outcomes]
        fitting = [o for o, problem in problems if problem is None]
        if not fitting:
            wrong.setdefault(t.case, f"{t.case}: {problems}\n    {t.talk}")
        outcomes[t.case].update(fitting[:1])
    for case, came in outcomes.items():
        if len(came) > 1:
            wrong.setdefault(case, f"{case}: it depends on how it is fed: {came}")
    complaints = list(wrong.values()) + strangers(tries, origin)
    if complaints:
        pytest.fail(f"{len(wrong)} of {len(outcomes)} rows:\n" + "\n".join(complaints[:SHOWN]), pytrace=False)


def strangers(tries, origin):
    """What the origin saw and nobody sent, or what is no HTTP."""
    names = {n for t in tries for n in (t.name, *t.names[0], *t.names[1])}
    found = list(origin.wrong)
    for r in list(origin.heads):
        if r.id not in names:
            found.append(f"nobody sent {r}")
        try:
            if r.complete:
                judge(r)
        except AssertionError as e:
            found.append(str(e))
    return found + [f"half of a head: {c.reader.rest}" for c in origin.connections if c.reader.rest]


@ALL_MODES
def test_requests(host, way, mode):
    cuts, pause, before, after = MODES[mode]
    tries = []
    for case in REQUESTS:
        for i in range(len(cuts(case.message))):
            t = Try(case, before, after)
            t.feed(cuts(case.message.replace(NAME, t.name))[i], pause, case.method)
            tries.append(t)
    crowd(host, GATE, [t.talk for t in tries])
    verdict(tries, way)


@ALL_MODES
def test_responses(host, way, mode):
    cuts, pause, before, after = MODES[mode]
    tries = []
    for case in RESPONSES:
        for parts in cuts(case.message):
            t = Try(case, before, after)
            steps = [s for p in parts for s in (pause, p)][1:]
            way.scripts[t.name] = Script(*steps, *{"close": [CLOSE], "rst": [RST], None: []}[case.end])
            asks = http_rows.request(case.method + b" / HTTP/" + case.version, *case.fields).replace(NAME, t.name)
            t.feed([asks], pause, case.method)
            tries.append(t)
    crowd(host, GATE, [t.talk for t in tries])
    verdict(tries, way)
    ours = {t.name for t in tries if any(isinstance(o, (Bad, Broken)) for o in t.case.outcomes) and len(t.case.outcomes) == 1}
    bad = {r.connection for r in way.heads if r.id in ours}
    wait_for("what answered badly is left", lambda: all(c.closed for c in bad))


# ---- limits ----

def fields(n):
    return [b"X-%d: b" % i for i in range(n)]


LIMITS = {
    "target of 100 KB": (http_rows.request(b"GET /" + b"a" * 100_000 + b" HTTP/1.1"), 414),
    "method of 100 KB": (http_rows.request(b"A" * 100_000 + b" / HTTP/1.1"), 414),
    "value of 200 KB": (http_rows.get(b"X-A: " + b"b" * 200_000), 431),
    "name of 200 KB": (http_rows.get(b"X" * 200_000 + b": b"), 431),
    "1,000 fields": (http_rows.get(*fields(1000)), 431),
    "101 fields": (http_rows.get(*fields(99)), 431),
    "100 fields": (http_rows.get(*fields(98)), 200),
    "value of 50 KB": (http_rows.get(b"X-A: " + b"b" * 50_000), 200),
    "trailers of 200 KB": (http_rows.chunked(b"0\r\nX-A: " + b"b" * 200_000 + b"\r\n\r\n"), 431),
    "extensions of 200 KB": (http_rows.chunked(b"5;a=" + b"b" * 200_000 + b"\r\nhello\r\n0\r\n\r\n"), 400),
}


@pytest.mark.parametrize("what", LIMITS)
def test_limits(host, way, what):
    """In one piece, in pieces of 1,000 bytes, and behind a request that is in order."""
    message, status = LIMITS[what]
    pieces = [message[i:i + 1000] for i in range(0, len(message), 1000)]
    names = [name() for _ in range(3)]
    talks = crowd(host, GATE, [Talk([message.replace(NAME, names[0])]), Talk([p.replace(NAME, names[1]) for p in pieces], pause=0.0005),
                               Talk([good(name()) + message.replace(NAME, names[2])], (b"GET", b"GET"), 2)])
    for t in talks:
        assert t.responses[-1].status == status and t.ended == ("done" if status == 200 else "eof"), t
    complete = [r.id for r in way.requests if r.id in names]
    assert sorted(complete) == (names if status == 200 else [])


RESPONSE_LIMITS = {
    "reason of 200 KB": (b"HTTP/1.1 200 " + b"a" * 200_000 + b"\r\nContent-Length: 0\r\n\r\n", 502),
    "value of 200 KB": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-A: " + b"b" * 200_000 + b"\r\n\r\n", 502),
    "1,000 fields": (http_rows.lines(b"HTTP/1.1 200 OK", b"Content-Length: 0", *fields(1000)), 502),
    "value of 50 KB": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-A: " + b"b" * 50_000 + b"\r\n\r\n", 200),
}


@pytest.mark.parametrize("what", RESPONSE_LIMITS)
def test_limits_of_responses(host, way, what):
    message, status = RESPONSE_LIMITS[what]
    called = name()
    way.scripts[called] = Script(message)
    with Client(host, *GATE) as c:
        assert c.ask(good(called)).status == status
        last = name()
        assert c.ask(good(last)).id == last
