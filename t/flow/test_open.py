"""A host in the midst of its work: what is open when the rules come in goes on, and so does it when they go out."""
import pytest

from lib import matrix
from lib.crowd import Origin, alive, try_connect
from lib.rig import Rig


@pytest.fixture
def rig(net):
    r = Rig(net)
    yield r
    r.close()


@pytest.mark.parametrize("followed", [False, True])
@pytest.mark.parametrize("mode", ["redirect", "tproxy"])
@pytest.mark.parametrize("variant", ["nft", "legacy"])
def test_what_is_open_goes_on(rig, start, variant, mode, followed):
    """Whether the kernel has followed connections before (some firewall) or begins with it now."""
    a, b, guest = rig.a, rig.b, rig.hosts["guest"]
    for tool in ("iptables", "ip6tables") if followed else ():
        a.must(f"{tool}-{variant}", "-A", "INPUT", "-m", "conntrack", "--ctstate", "ESTABLISHED", "-j", "ACCEPT")
    options = {"iptables": variant, "mode": mode, "apply": "manual", "guest_interfaces": ["guest0"]}
    m = start(a, "", intercept=matrix.conf(options))
    with Origin(b, b.v4, 9000), Origin(b, b.v6, 9000), Origin(a, "0.0.0.0", 9000), Origin(a, "::", 9001):
        def some():
            return {"out": try_connect(a, b.v4, 9000), "out by v6": try_connect(a, b.v6, 9000),
                    "in": try_connect(b, a.v4, 9000), "in by v6": try_connect(b, a.v6, 9001),
                    "within": try_connect(a, "127.0.0.1", 9000), "through": try_connect(guest, b.v4, 9000)}

        def broken(conns):
            for c in conns.values():
                c.settimeout(5)
            return [name for name, c in conns.items() if not alive(c)]

        before = some()
        assert not broken(before)
        m.ask("intercept", "apply")
        assert not broken(before)
        assert m.connections() == []
        caught = some()
        assert len(m.connections()) == 5        # all but the one within
        assert not broken(caught)
        m.ask("intercept", "clear")
        assert not broken(before)
        for c in (*before.values(), *caught.values()):
            c.close()
