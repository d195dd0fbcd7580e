"""The unit under a real systemd: start, reload, a master that dies, stop."""
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from lib.hosts import wait_for

SOURCE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("MESHD_BUILD", SOURCE / "build")).resolve()
SYSTEMD = "/lib/systemd/systemd"


class System:
    def __init__(self, folder):
        self.log = open(folder / "log", "w+")
        self.unshare = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount", "--net", "--ipc", "--cgroup", "--uts", "--mount-proc",
             "sh", Path(__file__).parent / "systemd" / "boot.sh", folder],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        wait_for("systemd runs", self.is_up, 20)

    def is_up(self):
        assert self.unshare.poll() is None, f"systemd did not boot: {self.said()}"
        children = Path(f"/proc/{self.unshare.pid}/task/{self.unshare.pid}/children").read_text().split()
        self.pid = int(children[0]) if children else 0
        return self.pid and os.path.exists(f"/proc/{self.pid}/exe") and os.readlink(f"/proc/{self.pid}/exe").endswith("systemd")

    def said(self):
        self.log.seek(0)
        return self.log.read()[-3000:]

    def run(self, *argv):
        return subprocess.run(["nsenter", "-t", str(self.pid), "-m", "-p", "-n", "-i", "-C", *argv],
                              capture_output=True, text=True, timeout=60)

    def show(self, what):
        return self.run("systemctl", "show", "-p", what, "--value", "meshd").stdout.strip()

    def rules(self):
        return self.run("iptables-save", "-t", "nat").stdout.count("MESHD_")

    def end(self):
        self.unshare.send_signal(signal.SIGKILL)        # and by --kill-child all in its namespaces
        self.unshare.wait()
        self.log.close()


@pytest.fixture
def system(tmp_path):
    if not os.path.exists(SYSTEMD):
        pytest.skip("systemd is not installed")
    (tmp_path / "bin").mkdir()
    for program in ("meshd", "meshd-worker", "meshd-agent", "meshd-conf", "meshctl"):
        shutil.copy(BUILD / program, tmp_path / "bin")
    unit = (SOURCE / "master" / "meshd.service.in").read_text()
    for mark, there in (("@sbindir@", "/run/t/bin"), ("@bindir@", "/run/t/bin"), ("@sysconfdir@/meshd", "/run/t")):
        unit = unit.replace(mark, there)
    (tmp_path / "meshd.service").write_text(unit.replace("[Unit]", "[Unit]\nDefaultDependencies=no", 1))
    (tmp_path / "meshd.conf").write_text(
        'workers = 2; orphan_timeout = "1s"; drain_time = "1s"; access_log = "/var/log/meshd/access.log";\n'
        'intercept = { }; inbound = ( { port = 8080; protocol = "tcp"; } );\n')
    system = System(tmp_path)
    yield system
    system.end()


@pytest.mark.long            # and the unit's limits are not for sanitizers
def test_the_unit_under_systemd(system):
    wait_for("the unit is active", lambda: system.show("ActiveState") == "active", 20)
    assert system.show("StatusText") == "running, generation 1" and system.rules() > 0
    assert system.run("systemctl", "reload", "meshd").returncode == 0

    first = system.show("MainPID")
    system.run("kill", "-9", first)
    wait_for("it is started again", lambda: system.show("ActiveState") == "active" and system.show("MainPID") not in ("0", first), 20)
    assert system.rules() > 0

    assert system.run("systemctl", "stop", "meshd").returncode == 0
    assert system.show("ActiveState") == "inactive" and system.show("Result") == "success"
    assert system.rules() == 0
