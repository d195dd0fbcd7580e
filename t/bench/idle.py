"""What is not a rate: how few connections are spread over workers, and memory."""
import contextlib
import os
import re
import socket
import time

from cases import CASES
from contestants import PROXY_ADDRESS, output_of
from processes import tree

REQUEST = b"GET /s0123456789abcdef HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\n\r\n"
ANSWER_BYTES = 64


# --- the spread of few connections over workers ---

def print_spread(bench, meshd, connections=4, workers=2, trials=20, goal=1.05):
    case, cores = CASES["small"], os.sched_getaffinity(0)
    with bench.origin(case, cores) as (_, origin_port), bench.proxy(case, meshd, workers, origin_port, cores) as (_, port, folder):
        worst = [busiest_over_mean(meshd, folder, port, connections, workers) for _ in range(trials)]
    mean = sum(worst) / trials
    print(f"\n{connections} connections on {workers} workers, {trials} trials: busiest over mean {mean:.2f}, "
          f"at worst {max(worst):.2f}, goal {goal} {'met' if mean <= goal else 'missed'}")


def busiest_over_mean(meshd, folder, port, connections, workers):
    while sum(connections_of_workers(meshd, folder)) != 0:      # the last trial's are still ending
        time.sleep(0.01)
    with contextlib.ExitStack() as on:
        for _ in range(connections):
            s = on.enter_context(socket.create_connection((PROXY_ADDRESS, port), 5))
            s.sendall(b"x")
            if s.recv(1) != b"x":
                raise SystemExit("bench: spread: not the byte that was sent")
        return max(connections_of_workers(meshd, folder)) * workers / connections


def connections_of_workers(meshd, folder):
    text = output_of(f"{os.path.dirname(meshd.binary)}/meshctl", "-r", f"{folder}/run", "stats", r"^worker\.\d+\.connections$")
    return [int(line.rsplit(" ", 1)[1]) for line in text.splitlines()]


# --- memory ---

def print_idle_memory(bench, meshd, goal_mib=8):
    with bench.proxy(CASES["small"], meshd, 2, 1, os.sched_getaffinity(0)) as (proxy, _, _):
        time.sleep(1)
        sizes = [(process_name(pid), pss_kib(pid)) for pid in tree(proxy.pid)]
    total = sum(size for _, size in sizes) / 1024
    print(f"\nidle tree, 2 workers: PSS {total:.2f} MiB, goal {goal_mib} {'met' if total <= goal_mib else 'missed'} ("
          + ", ".join(f"{name} {size} KiB" for name, size in sizes) + ")")


def print_idle_connections(bench, contestants, few=1000, many=6000, goal=400):
    """Of HTTP, each after a request, so all that a request has left is counted.  The kernel's own memory is not; nor is what
    nginx has taken for each of worker_connections at its start.  Pages of files are left out: a proxy's share of them depends
    on who else maps them."""
    print(f"\nmemory of an idle HTTP connection after a request, {few} against {many} connections, 1 worker:")
    case, cores = CASES["http-64"], os.sched_getaffinity(0)
    for contestant in contestants:
        with (bench.origin(case, cores) as (_, origin_port), bench.proxy(case, contestant, 1, origin_port, cores) as (proxy, port, _),
              contextlib.ExitStack() as on):
            before = own_kib_with(on, proxy, port, few)
            each = (own_kib_with(on, proxy, port, many - few) - before) * 1024 / (many - few)
        verdict = f", goal {goal} {'met' if each <= goal else 'missed'}" if contestant.name == "meshd" else ""
        print(f"  {contestant.name:16}{each:11.0f} bytes{verdict}")


def own_kib_with(on, proxy, port, more):
    for _ in range(more):
        sock = on.enter_context(socket.create_connection((PROXY_ADDRESS, port), 5))
        sock.sendall(REQUEST)
        answer = b""
        while len(answer.partition(b"\r\n\r\n")[2]) < ANSWER_BYTES:
            part = sock.recv(4096)
            if not part:
                raise SystemExit("bench: idle connections: an answer is missing")
            answer += part
    return sum(pss_kib(pid, of) for pid in tree(proxy.pid) for of in ("_Anon", "_Shmem"))


def process_name(pid):
    with open(f"/proc/{pid}/comm") as f:
        return f.read().strip()


def pss_kib(pid, of=""):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return int(re.search(rf"^Pss{of}:\s+(\d+) kB", f.read(), re.M)[1])
