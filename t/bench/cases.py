"""What is measured, and what is wanted of it."""
import os
from dataclasses import dataclass

ORIGIN_ADDRESS = "127.0.0.2"
LOCALHOST = "127.0.0.1"             # what a worker sends to any other address of this host counts as a self-call
ORIGIN_OF = {"small": "echo", "close": "once", "upload": "sink", "download": "source", "http-upload": "http-blocks",
             "http-download": "http-blocks"}    # of all else: http


@dataclass(frozen=True)
class Case:
    ask: str                # what load does
    connections: int
    saturated: bool         # proxy, load and origin share the proxy's core; else the two ends have the others
    target: float | None    # least ratio of the best other's CPU to meshd's
    words: str
    user_target: float | None = None    # most user time of meshd's own, microseconds a request
    rules: int | None = None            # excluded ranges before the rule that captures; None: nothing is intercepted
    logs: bool = False                  # with and without an access log

    @property
    def origin(self):
        return ORIGIN_OF.get(self.ask, "http")

    @property
    def http(self):
        return self.ask.startswith("http")

    @property
    def bulk(self):
        return self.ask.endswith("load")

    @property
    def bodies(self):
        """That splice could help."""
        return self.http and self.ask not in ("http", "http-close")

    @property
    def origin_address(self):
        return ORIGIN_ADDRESS if self.rules is None else LOCALHOST


SMALL = "64 connections, 64 bytes there and back"
CLOSE = "a connection per request, 16 at a time, 64 bytes there and back"
HTTP = "HTTP, {} kept, GET, 64 bytes in the answer"
GET, POST = "HTTP, 64 kept connections, GET, 64 KiB in the answer", "HTTP, 64 kept connections, POST, 64 KiB in the request"
HTTP_CLOSE = "HTTP, a connection per request, 16 at a time, 64 bytes in the answer"

CASES = {
    "small": Case("small", 64, False, 1.1, SMALL),
    "small-sat": Case("small", 64, True, 1.2, SMALL),
    "close": Case("close", 16, False, 1.0, CLOSE),
    "close-sat": Case("close", 16, True, 1.0, CLOSE),
    "bulk": Case("upload", 1, False, 1.3, "one connection, 1 MiB writes to the origin"),
    "bulk-sat": Case("upload", 1, True, 1.3, "one connection, 1 MiB writes to the origin"),
    "bulk-down": Case("download", 1, False, 1.3, "one connection, 1 MiB writes from the origin"),
    "http-64": Case("http", 64, False, 1.3, HTTP.format("64 connections"), user_target=2.0),
    "http-64-sat": Case("http", 64, True, 1.7, HTTP.format("64 connections"), user_target=2.0),
    "http-512": Case("http", 512, False, 1.1, HTTP.format("512 connections"), user_target=2.0),
    "http-512-sat": Case("http", 512, True, 1.8, HTTP.format("512 connections"), user_target=2.0),
    "http-1": Case("http", 1, False, 1.1, HTTP.format("one connection"), user_target=2.0),
    "http-get": Case("http-get", 64, False, 1.5, GET),
    "http-get-sat": Case("http-get", 64, True, 1.6, GET),
    "http-post": Case("http-post", 64, False, 1.5, POST),
    "http-post-sat": Case("http-post", 64, True, 1.6, POST),
    "http-close": Case("http-close", 16, False, 1.0, HTTP_CLOSE),
    "http-close-sat": Case("http-close", 16, True, 0.95, HTTP_CLOSE),
    "http-bulk": Case("http-upload", 1, False, None, "HTTP, one connection, bodies of 64 MiB to the origin"),
    "http-bulk-down": Case("http-download", 1, False, None, "HTTP, one connection, bodies of 64 MiB from the origin"),
    "http-log": Case("http", 64, False, None, HTTP.format("64 connections") + ", with and without an access log", logs=True),
}

for rules in map(int, os.environ.get("BENCH_RULES", "10 1000").split()):
    CASES[f"intercepted-{rules}"] = Case("small", 64, False, None, f"intercepted behind {rules} rules, 64 kept connections, "
                                         "64 bytes there and back", rules=rules)
    CASES[f"intercepted-close-{rules}"] = Case("close", 16, False, None, f"intercepted behind {rules} rules, {CLOSE}", rules=rules)
