"""meshd-conf's cage, from inside: t/unit/conf/confined.c in its place, started by a real meshd as root."""
import os
import pathlib
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


# ---- interception: what is written, printed, refused ----

SAMPLES = sorted(pathlib.Path(__file__).parents[2].glob("conf/samples/*.conf"))


def check(tmp_path, text, *options):
    file = tmp_path / "m.conf"
    file.write_text(text)
    return subprocess.run([meshd.MESHD, "-n", *options, "-c", "m.conf"], cwd=tmp_path, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_expands_to_what_means_the_same(tmp_path, sample):
    once = check(tmp_path, sample.read_text(), "-v")
    assert once.returncode == 0, once.stderr
    again = check(tmp_path, once.stdout, "-v")
    assert again.returncode == 0, again.stderr
    assert again.stdout == once.stdout
    assert "listeners = (" in once.stdout


def test_what_does_not_belong_together_is_refused_with_its_line_and_reason(tmp_path):
    cases = {
        "port = 8090;\ninbound_port = 15006;": "intercept.inbound_port: cannot be with port, which is one for both directions",
        "outbound_port = 15006;\n inbound_port = 15006;": "intercept.inbound_port: one port for both directions is written as port = 15006",
        "mode = \"redirect\";\ntproxy_mark = 7;": "intercept.tproxy_mark: is of mode = \"tproxy\" only",
        "include_inbound_ports = [ 80 ];\nexclude_inbound_ports = [ 22 ];":
            "intercept.exclude_inbound_ports: cannot be with a list of include_inbound_ports: other ports are not caught anyway",
        "\nexclude_outbound_ranges = \"*\";": "intercept.exclude_outbound_ranges: must be a list of \"address/length\"",
        "\nkubevirt_interfaces = [ \"tap0\" ];": "intercept.kubevirt_interfaces: is called guest_interfaces here",
        "\nexclude_interfaces = [ \"eth0; reboot\" ];": "intercept.exclude_interfaces[0]: \"eth0; reboot\" is not a name of an interface",
        "\noutbound_port = \"15001-15065\";": "intercept.outbound_port: \"15001-15065\" are 65 ports, at most 64 can be",
    }
    for keys, reason in cases.items():
        done = check(tmp_path, "intercept = { " + keys + " };\n")
        assert (done.returncode, done.stderr) == (1, f"m.conf:2: {reason}\n"), keys


START_ONLY = {
    "mode": 'mode = "redirect"; apply = "manual";',
    "apply": 'mode = "none"; apply = "manual";',
    "iptables": 'mode = "none"; iptables = "legacy";',
    "outbound_port": 'mode = "none"; outbound_port = "15001-15002";',
    "inbound_port": 'mode = "none"; inbound_port = 15007;',
    "inbound_sources": 'mode = "none"; inbound_sources = 2;',
}
RELOADED = """include_inbound_ports = [ 80 ]; include_outbound_ports = [ 81 ]; exclude_outbound_ports = [ 82 ];
include_outbound_ranges = [ "10.0.0.0/8" ]; exclude_outbound_ranges = [ "10.1.0.0/16" ]; exclude_interfaces = [ "eth7" ];
guest_interfaces = [ "tap7" ]; include_outbound_users = [ "root" ]; exclude_outbound_users = ( 7, "8-9" );
include_outbound_groups = [ "root" ]; exclude_outbound_groups = [ 7 ]; exclude_dns = true; drop_invalid = true; on_exit = "block"; """


def test_which_keys_only_a_restart_changes(host, start):
    m = start(host, 'intercept = { mode = "none"; };\n', intercept="", workers=1)
    for key, keys in START_ONLY.items():
        done = m.reload("intercept = { " + keys + " };\n")
        assert done.returncode == 1, key
        assert f"intercept.{key}: only a restart can change it" in done.stderr, done.stderr
    done = m.reload('intercept = { mode = "none"; ' + RELOADED + "};\n")
    assert done.returncode == 0, done.stderr


def test_only_a_restart_changes_marks_and_tables(host, start):
    def body(keys):
        return 'intercept = { mode = "tproxy"; apply = "manual"; ' + keys + "};\n"

    m = start(host, body(""), intercept="", workers=1)
    done = m.reload(body("tproxy_mark = 7; tproxy_route_table = 8; "))
    assert done.returncode == 1
    for key in ("tproxy_mark", "tproxy_route_table"):
        assert f"intercept.{key}: only a restart can change it" in done.stderr, done.stderr
    assert m.reload(body("exclude_dns = true; ")).returncode == 0
