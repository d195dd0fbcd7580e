"""One measurement, and all rounds of them."""
import contextlib
import os
import random
import subprocess
import sys
from dataclasses import dataclass, field

from cases import CASES
from contestants import PROXY_ADDRESS
from processes import Clock, Failed, cpu_of, free_port, own_network, running, running_quietly, wait_until_listening, work_folder

GIB = 1 << 30


@dataclass
class Result:
    work: float             # requests, or GiB
    seconds: float
    clock: Clock            # of the proxy
    ends_cpu_s: float       # of load and origin together

    @property
    def cpu_each(self):
        return self.clock.cpu_s / self.work


@dataclass
class Bench:
    load: str
    workers: int
    seconds: float
    results: dict = field(default_factory=dict)         # (case, contestant): one Result a round

    def cores(self, saturated):
        """For the proxy, for the two ends."""
        usable = sorted(os.sched_getaffinity(0))
        mine = usable[:self.workers]
        return set(mine), set(mine) if saturated else set(usable[self.workers:])

    @contextlib.contextmanager
    def origin(self, case, cores):
        """Its process and its port."""
        port = free_port()
        with running([self.load, "origin", case.origin, case.origin_address, str(port)], cores) as child:
            wait_until_listening(child, case.origin_address, port)
            yield child, port

    @contextlib.contextmanager
    def proxy(self, case, contestant, workers, origin_port, cores):
        """Its process, its port, its folder."""
        port = free_port()
        with work_folder() as folder:
            command = contestant.command(folder, case, workers, port, origin_port)
            with running_quietly(command, cores, folder) as child:
                wait_until_listening(child, getattr(contestant, "address", PROXY_ADDRESS), port)
                yield child, port, folder

    def measure(self, case, contestant):
        proxy_cores, end_cores = self.cores(case.saturated)
        with contextlib.ExitStack() as on:
            if case.rules is not None:
                on.enter_context(own_network())
            origin, origin_port = on.enter_context(self.origin(case, end_cores))
            if contestant.command is None:
                return self.ask(case, case.origin_address, origin_port, origin, None, end_cores)
            proxy, port, _ = on.enter_context(self.proxy(case, contestant, self.workers, origin_port, proxy_cores))
            return self.ask(case, getattr(contestant, "address", PROXY_ADDRESS), port, origin, proxy, end_cores)

    def ask(self, case, address, port, origin, proxy, cores):
        argv = [self.load, case.ask, address, str(port), str(case.connections), str(self.seconds)]
        with running(argv, cores, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
            if load.stdout.readline() != "ready\n":
                raise Failed("the load ended early")
            before, origin_before = cpu_of(proxy.pid) if proxy else Clock(), cpu_of(origin.pid)
            load.stdin.write("go\n")
            load.stdin.flush()
            answer = dict(word.split("=") for word in load.stdout.readline().split())
            if load.wait() != 0:
                raise Failed("the load ended early")
            clock = cpu_of(proxy.pid).since(before) if proxy else Clock()
            ends = float(answer["cpu"]) + cpu_of(origin.pid).since(origin_before).cpu_s
        work = int(answer["bytes"]) / GIB if case.bulk else int(answer["requests"])
        return Result(work, float(answer["seconds"]), clock, ends)

    def run(self, cases, contestants, rounds):
        """Rounds outermost: what else the machine does in a minute meets every case, not one."""
        for number in range(rounds):
            for name in cases:
                for contestant in random.sample(contestants[name], len(contestants[name])):
                    try:
                        result = self.measure(CASES[name], contestant)
                    except Failed as failed:
                        raise SystemExit(f"bench: {name} through {contestant.name}: {failed}") from None
                    self.results.setdefault((name, contestant.name), []).append(result)
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
