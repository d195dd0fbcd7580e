"""What a row of a table of messages is made of."""
NAME = b"@@@@@@"            # replaced by each conversation's own name, of the same length
ID = b"X-Id: " + NAME


def lines(*rows, body=b""):
    return b"\r\n".join(rows) + b"\r\n\r\n" + body


def request(first, *fields, body=b""):
    """With the Host that it needs."""
    return lines(first, b"Host: a", *fields, ID, body=body)


def get(*fields):
    return request(b"GET / HTTP/1.1", *fields)


def post(*fields, body=b""):
    return request(b"POST / HTTP/1.1", *fields, body=body)


def chunked(body, *fields):
    return post(b"Transfer-Encoding: chunked", *fields, body=body)


class Refused:
    """Answered with one of these statuses, the connection closed, nothing of it passed on.  late: its head was right and
    may have been passed on, but the other side never sees it whole."""

    def __init__(self, *statuses, late=False):
        self.statuses, self.late = statuses, late

    def __repr__(self):
        return f"refused with {self.statuses}"


class Passed:
    """Seen at the other side, once, with this meaning.  has: name -> values; lacks: names that must not be there.
    closes: the connection it came on ends after the answer."""

    def __init__(self, method=b"GET", target=b"/", body=b"", has=None, lacks=(), trailers=None, closes=False):
        self.method, self.target, self.body, self.has, self.lacks = method, target, body, has or {}, lacks
        self.trailers, self.closes = trailers, closes

    def differs(self, m):
        """None, or what is not as it should be."""
        for what, is_, should in (("method", m.method, self.method), ("target", m.target, self.target),
                                  ("body", bytes(m.body), self.body)):
            if is_ != should:
                return f"{what} {is_}"
        return fields_differ(self, m)

    def __repr__(self):
        return f"passed as {self.method} {self.target} {self.has} {self.body[:100]}"


class Answered:
    """By the proxy itself, which keeps the connection or not: nothing is passed on."""

    def __init__(self, *statuses):
        self.statuses = statuses

    def __repr__(self):
        return f"answered with {self.statuses}"


class Given:
    """A response as the client sees it.  interim: the statuses before it."""

    def __init__(self, status=200, body=b"", has=None, lacks=(), trailers=None, interim=()):
        self.status, self.body, self.has, self.lacks = status, body, has or {}, lacks
        self.trailers, self.interim = trailers, list(interim)

    def differs(self, m):
        for what, is_, should in ("status", m.status, self.status), ("body", bytes(m.body), self.body):
            if is_ != should:
                return f"{what} {is_}"
        return fields_differ(self, m)

    def __repr__(self):
        return f"given as {self.status} {self.has} {self.body[:100]}"


class Bad:
    """The proxy answers for the origin."""

    def __init__(self, *statuses):
        self.statuses = statuses or (502,)

    def __repr__(self):
        return f"bad: {self.statuses}"


class Broken:
    """The client sees that it is not whole; or nothing of it, and a 502."""

    def __repr__(self):
        return "broken off"


def fields_differ(expected, m):
    for name, values in expected.has.items():
        if m.values(name) != values:
            return f"{name}: {m.values(name)}"
    for name in expected.lacks:
        if m.values(name):
            return f"{name}: {m.values(name)} is still there"
    if expected.trailers is not None and m.trailers != expected.trailers:
        return f"trailers {m.trailers}"
    return None


class Case:
    """One row: where the rule stands, what it says, the message, and what may become of it: one thing, or one of several
    where the rule leaves it open."""

    def __init__(self, section, words, message, *outcomes, **more):
        self.section, self.words, self.message, self.outcomes = section, words, message, outcomes
        self.method = more.pop("method", b"GET")        # of a response: what it answers
        self.version = more.pop("version", b"1.1")
        self.fields = more.pop("fields", ())
        self.end = more.pop("end", None)                # of a response: how the origin ends it
        self.last = self.version == b"1.0" or any(isinstance(o, Passed) and o.closes for o in outcomes)     # asked to be
        assert not more

    def __repr__(self):
        return f"[{self.section}: {self.words}]"
