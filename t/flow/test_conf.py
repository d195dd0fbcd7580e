"""meshd-conf's cage, from inside: t/unit/conf/confined.c in its place, started by a real meshd as root."""
import os
import shutil
import subprocess
import time

import pytest

from lib import meshd
from lib.traffic import BUILD

FORBIDDEN = ("open", "open its executable", "socket", "unix socket", "pipe", "memfd", "kill", "kill all", "pidfd", "limits", "ring",
             "seals", "unlink", "exec", "trace", "executable memory", "executable map", "fork", "reading memory",
             "message elsewhere")


@pytest.fixture
def load(tmp_path):
    """load(FILE, options) -> what `confined` reported, and how long meshd ran."""
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(folder.stat().st_mode | 0o011)     # the user nobody starts it
    shutil.copy(meshd.MESHD, tmp_path / "meshd")
    shutil.copy(os.path.join(BUILD, "confined"), tmp_path / "meshd-conf")

    def load(file, *options):
        (tmp_path / file).touch()
        began = time.monotonic()
        done = subprocess.run([tmp_path / "meshd", "-c", file, *options], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1, done.stderr
        lines = [line.removeprefix("meshd: error: ") for line in done.stderr.splitlines()]
        return dict(line.split(":", 1) if ":" in line else (line, "") for line in lines), time.monotonic() - began

    return load


def test_a_load_has_no_rights(load):
    told, _ = load("confined")
    for row in ("Uid", "Gid"):
        assert told[row].split() == ["65534"] * 4, told
    assert told["Groups"].split() == []
    assert int(told["CapEff"], 16) == int(told["CapPrm"], 16) == 0
    assert told["NoNewPrivs"].strip() == "1"
    assert told["addresses"].split() == ["lo"], "the host's network is seen"
    assert told["descriptors"].split() == ["0", "1", "2", "3", "4", "5"]


def test_a_load_can_do_nothing_else(load):
    told, _ = load("confined")
    assert {name: told[name].strip() for name in FORBIDDEN} == dict.fromkeys(FORBIDDEN, "EPERM")
    assert told["writes the image"].strip() == told["memory"].strip() == "yes"


def test_files_come_from_the_folders_named_only(load):
    assert load("confined")[0]["asks"].split(",")[0].strip() == "no"
    told, _ = load("confined", "-I", "/etc")
    assert told["asks"].strip() == "yes, reads: yes"
    assert told["writes what it reads"].strip() == "no"


def test_a_meshd_conf_that_cannot_be_started(load, tmp_path):
    tmp_path.chmod(0o700)
    told, seconds = load("confined")
    assert told[str(tmp_path / "meshd-conf")].strip() == "Permission denied"
    assert told["start failed"].strip() == "confined is refused"
    assert seconds < 10, "it waited for an event that does not come"


@pytest.mark.long            # under sanitizers the deadline is minutes
def test_a_load_has_a_deadline(load):
    told, seconds = load("slow")
    assert told["slow"].strip() == "meshd-conf took longer than 20 s and was stopped"
    assert 19 < seconds < 30
