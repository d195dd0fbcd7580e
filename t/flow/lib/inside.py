"""What a running meshd has, read from outside: memory, descriptors, and the rows of the shared memory."""
import os

KINDS = {1: "listener", 2: "chain", 3: "cluster", 4: "endpoint"}
ENTRY_BYTES = 256               # struct live_entry: kind, birth, name
SLOTS = 131072
KNOWN = b"BlackHoleCluster\0"    # every configuration with interception has it


def _live(master):
    for fd in os.listdir(f"/proc/{master}/fd"):
        if os.readlink(f"/proc/{master}/fd/{fd}").startswith("/memfd:meshd-live"):
            return f"/proc/{master}/fd/{fd}"
    raise AssertionError("no live memory")


def slots_in_use(master):
    """The names that have a row.  By read(2): what is read through a mapping becomes memory."""
    with open(_live(master), "rb") as f:
        head = f.read((SLOTS + 4096) * ENTRY_BYTES)
    known = head.index(KNOWN) - 16
    found = []
    for at in range(known % ENTRY_BYTES, len(head), ENTRY_BYTES):
        kind = int.from_bytes(head[at:at + 8], "little")
        name = head[at + 16:at + ENTRY_BYTES].split(b"\0")[0]
        if kind in KINDS and name.isascii() and name.decode("ascii").isprintable() and name:
            found.append(f"{KINDS[kind]} {name.decode()}")
    assert len(found) == len(set(found)), "a name has two rows"
    return set(found)


def is_dead(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True
