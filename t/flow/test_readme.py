"""What the README promises a newcomer."""
import os
import re

import pytest

from lib.meshd import MESHD

README = os.path.join(os.path.dirname(__file__), "..", "..", "README.md")


def configuration():
    with open(README) as f:
        (block,) = re.findall(r"^```(?:conf)?\n(.*?intercept.*?)^```", f.read(), re.M | re.S)
    return block


def test_its_configuration_loads(host):
    conf = host.tmp / "meshd.conf"
    conf.write_text(configuration())
    done = host.run(MESHD, "-n", "-c", conf)
    assert done.returncode == 0, done.stderr


def test_its_configuration_is_ten_lines():
    assert len(configuration().strip().splitlines()) <= 10


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md", "man/meshd.8", "man/meshd.conf.5", "man/meshctl.1"])
def test_what_it_points_to_is_there(name):
    with open(README) as f:
        assert name in f.read()
    assert os.path.exists(os.path.join(os.path.dirname(README), name))
