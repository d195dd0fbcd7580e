"""meshctl intercept verify: probes through the rules as they are, where each arrives, and nothing left behind."""
import json


def verify(m, *flags):
    done = m.meshctl("intercept", "verify", "-o", "json", *flags)
    assert done.stdout, done.stderr
    return done.returncode, {row["probe"]: row for row in json.loads(done.stdout)}


def test_rules_as_they_should_be(host, start):
    m = start(host, "")
    print(m.meshctl("intercept", "verify").stdout)
    status, rows = verify(m)
    assert status == 0, rows
