"""Rules that a test sets itself, where meshd sets none (mode = "none") or before it does."""
import contextlib

IPTABLES = {4: "iptables", 6: "ip6tables"}


@contextlib.contextmanager
def rules(host, table, *lines, versions=(4, 6)):
    """Each line is what iptables -t TABLE takes; at the end the table is emptied."""
    for version in versions:
        text = "\n".join([f"*{table}", *(":" + line[3:] + " -" for line in lines if line.startswith("-N ")),
                          *(line for line in lines if not line.startswith("-N ")), "COMMIT\n"])
        done = host.run(f"{IPTABLES[version]}-restore", "--noflush", stdin=text)
        assert done.returncode == 0, done.stderr + text
    try:
        yield
    finally:
        for version in versions:
            host.must(IPTABLES[version], "-t", table, "-F")
            host.must(IPTABLES[version], "-t", table, "-X")
