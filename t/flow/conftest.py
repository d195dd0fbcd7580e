"""What every flow test stands on.  The last line is "N passed, N failed", with skipped ones named before it."""
import itertools
import os
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from lib import hosts, meshd  # noqa: E402
from lib.mesh import Mesh  # noqa: E402

_index = itertools.count()
# A suite that runs in the background ignores SIGINT, and so would what it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
LONG = os.environ.get("MESHD_LONG") == "1"


@pytest.fixture
def net(tmp_path):
    n = hosts.Net(tmp_path, next(_index))
    yield n
    n.close()


@pytest.fixture
def host(net):
    return net.host("a")


@pytest.fixture
def start():
    """start(host, body, ...) -> a running meshd, which is stopped, and must stop well, when the test is over."""
    started = []

    def start(host, body, **options):
        m = meshd.Meshd(host, body, **options)
        started.append(m)
        return m.start()

    def stop_all():
        while started:
            started.pop().ensure_stopped()

    start.stop_all = stop_all
    yield start
    stop_all()


@pytest.fixture
def mesh(net):
    """Two hosts, each with a running sidecar: see lib/mesh.py."""
    m = Mesh(net)
    try:
        yield m.start()
    finally:
        m.stop()


def pytest_configure(config):
    config.addinivalue_line("markers", "long: not under sanitizers")


def pytest_collection_modifyitems(config, items):
    """Long flows are for the plain build; under sanitizers they are left out, which pytest calls deselected."""
    left_out = [item for item in items if meshd.SANITIZED and item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


_outcome = {}


def pytest_runtest_logreport(report):
    """A test counts once: failed if its setup, its body or its end failed, passed only if all three passed."""
    if report.failed:
        _outcome[report.nodeid] = "failed"
    elif report.skipped:
        _outcome.setdefault(report.nodeid, "skipped")
    elif report.when == "call":
        _outcome.setdefault(report.nodeid, "passed")


def pytest_collectreport(report):
    if report.failed:
        _outcome[report.nodeid] = "failed"


def pytest_sessionfinish():
    hosts.reap()


def pytest_unconfigure():
    counts = list(_outcome.values())
    print(f"{counts.count('passed')} passed, {counts.count('failed')} failed")
