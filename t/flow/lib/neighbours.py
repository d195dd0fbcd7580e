"""Rules of others, as they are found on hosts that have been in use for years; and all that can be seen of a host's rules."""
import re

FAMILIES = "ip", "ip6"
KINDS = "nft", "legacy"
SAVES = [f"{family}tables-{kind}-save" for family in FAMILIES for kind in KINDS]

DOCKER = """*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER -d {container}/{all} ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -m comment --comment "-A OUTPUT -j MESHD_OUTPUT" -j RETURN
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d {local} -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s {range} ! -o docker0 -j MASQUERADE
-A POSTROUTING -s {container}/{all} -d {container}/{all} -p tcp -m tcp --dport 80 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination {to}:80
COMMIT
"""

FIREWALLD = """*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:OUTPUT_direct - [0:0]
:PREROUTING_direct - [0:0]
:PREROUTING_ZONES - [0:0]
:PRE_public - [0:0]
-A PREROUTING -j PREROUTING_direct
-A PREROUTING -j PREROUTING_ZONES
-A OUTPUT -j OUTPUT_direct
-A PREROUTING_ZONES -i eth0 -g PRE_public
-A PREROUTING_ZONES -g PRE_public
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:PREROUTING_direct - [0:0]
:PREROUTING_ZONES - [0:0]
:PRE_public - [0:0]
-A PREROUTING -j PREROUTING_direct
-A PREROUTING -j PREROUTING_ZONES
-A PREROUTING_ZONES -i eth0 -g PRE_public
-A PREROUTING_ZONES -g PRE_public
-A PRE_public -p tcp -m tcp --dport 25 -j MARK --set-xmark 0x19/0xffffffff
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:OUTPUT_direct - [0:0]
:POSTROUTING_ZONES - [0:0]
:PREROUTING_ZONES - [0:0]
-A PREROUTING -j PREROUTING_ZONES
-A OUTPUT -j OUTPUT_direct
-A POSTROUTING -j POSTROUTING_ZONES
-A OUTPUT_direct -p tcp -m tcp --dport 3128 -j REDIRECT --to-ports 8128
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:INPUT_ZONES - [0:0]
:INPUT_direct - [0:0]
:IN_public - [0:0]
:IN_public_allow - [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -j INPUT_direct
-A INPUT -j INPUT_ZONES
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT_ZONES -i eth0 -g IN_public
-A INPUT_ZONES -g IN_public
-A INPUT_direct -p tcp -m multiport --dports 22,2222 -m comment --comment "f2b \\"sshd\\"" -j RETURN
-A IN_public -j IN_public_allow
-A IN_public_allow -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT
COMMIT
"""

KUBERNETES = """*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-KUBELET-CANARY - [0:0]
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SEP-4ZRQYDJLMA2SC5KX - [0:0]
:KUBE-SEP-7QUJBZKBKRV2DGYN - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-NPX46M4PTMTKRN6Y - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
-A KUBE-SEP-4ZRQYDJLMA2SC5KX -s {container}/{all} -j KUBE-MARK-MASQ
-A KUBE-SEP-4ZRQYDJLMA2SC5KX -p tcp -m tcp -j DNAT --to-destination {to}:6443
-A KUBE-SEP-7QUJBZKBKRV2DGYN -p tcp -m tcp -j DNAT --to-destination {to}:6444
-A KUBE-SERVICES -d {service}/{all} -p tcp -m comment --comment "default/kubernetes:https cluster IP" -m tcp --dport 443 -j KUBE-SVC-NPX46M4PTMTKRN6Y
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-SVC-NPX46M4PTMTKRN6Y -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-4ZRQYDJLMA2SC5KX
-A KUBE-SVC-NPX46M4PTMTKRN6Y -j KUBE-SEP-7QUJBZKBKRV2DGYN
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:KUBE-FIREWALL - [0:0]
-A INPUT -j KUBE-FIREWALL
-A OUTPUT -j KUBE-FIREWALL
-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP
COMMIT
"""

ADDRESSES = {
    "ip": dict(local="127.0.0.0/8", container="172.17.0.2", to="172.17.0.2", range="172.17.0.0/16", all=32, service="10.96.0.1"),
    "ip6": dict(local="::1/128", container="fd00::2", to="[fd00::2]", range="fd00::/64", all=128, service="fd00:96::1"),
}
NEIGHBOURS = {"nobody": "", "docker": DOCKER, "firewalld": FIREWALLD, "kubernetes": KUBERNETES}


def move_in(host, kind, name):
    """Their rules, for both families, in tables of that kind."""
    for family in FAMILIES:
        text = NEIGHBOURS[name].format(**ADDRESSES[family])
        done = host.run(f"{family}tables-{kind}-restore", stdin=text)
        assert done.returncode == 0, done.stderr


def tables(host, save):
    """{table: its lines, in order}, without counters, comments, and tables of which nothing but empty chains of the kernel
    is there."""
    found, lines = {}, None
    for line in host.must(save).splitlines():
        if line.startswith("*"):
            lines = found[line[1:]] = []
        elif line.startswith((":", "-A")):
            lines.append(re.sub(r" \[\d+:\d+\]$", "", line).rstrip())
    return {table: lines for table, lines in found.items() if not all(re.fullmatch(r":\S+ ACCEPT", line) for line in lines)}


def everything(host):
    """All that interception can leave in a host."""
    found = {save: tables(host, save) for save in SAVES}
    for family in "-4", "-6":
        for what in ["rule"], ["route", "show", "table", "all"], ["addr", "show", "dev", "lo"]:
            lines = host.must("ip", family, *what).splitlines()
            found[" ".join(["ip", family, *what])] = [line for line in lines if "fe80:" not in line and "ff00:" not in line]
    found["sysctl"] = host.must("sysctl", "net.ipv4.conf", "net.ipv6.conf").splitlines()
    return found


def difference(before, after):
    """What is not as it was, for a message."""
    said = []
    for what in before:
        if before[what] != after[what]:
            said.append(f"{what}: {before[what]}\n  is now {after[what]}")
    return "\n".join(said)
