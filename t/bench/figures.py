"""What the measurements say: ratios and their intervals, a table for each case."""
import math
import random

from cases import CASES

NO_RATIO = ("direct", "meshd")


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def interval(rounds, figure, samples=4000):
    """90 %, by resampling whole rounds."""
    figures = sorted(figure(random.choices(rounds, k=len(rounds))) for _ in range(samples))
    return figures[int(samples * 0.05)], figures[int(samples * 0.95)]


def words_of(rounds, figure):
    low, high = interval(rounds, figure)
    return f"{figure(rounds):.2f} [{low:.2f}..{high:.2f}]"


def times_meshd(results, case, other):
    """CPU of another over meshd's, round by round."""
    return [theirs.cpu_each / ours.cpu_each for theirs, ours in zip(results[case, other], results[case, "meshd"])]


def user_us(rounds):
    """User time for each request: ticks are too few to be taken round by round."""
    ticks = max(sum(r.clock.ticks for r in rounds), 1)
    return sum(r.clock.cpu_s for r in rounds) * sum(r.clock.user_ticks for r in rounds) / ticks / sum(r.work for r in rounds) * 1e6


# --- a case ---

def print_case(bench, name, names):
    case, results = CASES[name], bench.results
    proxy_cores, end_cores = bench.cores(case.saturated)
    where = (f"all on core {listed(proxy_cores)}" if case.saturated
             else f"proxy on core {listed(proxy_cores)}, load and origin on {listed(end_cores)}")
    print(f"\n{name}: {case.words}; {where}")
    rate, unit = ("GiB/s", "ms/GiB") if case.bulk else ("requests/s", "us")
    print(f"  {'':16}{rate:>11}{'CPU ' + unit:>12}{'user ' + unit:>12}{'ends ' + unit:>12}   CPU, times meshd's")
    for who in names:
        print_contestant(results[name, who], who, case, None if who in NO_RATIO else times_meshd(results, name, who))
    if case.logs:
        print_logs(results, name)
        return
    print_verdict(results, name, [who for who in names if who not in NO_RATIO])
    if case.user_target is not None:
        rounds = results[name, "meshd"]
        met = interval(rounds, user_us)[0] <= case.user_target
        print(f"  user time of meshd: {words_of(rounds, user_us)} us, target {case.user_target:.2f} {'met' if met else 'missed'}")


def print_contestant(rounds, who, case, ratios):
    scale = 1e3 if case.bulk else 1e6
    work, rate = sum(r.work for r in rounds), sum(r.work for r in rounds) / sum(r.seconds for r in rounds)
    cpu = sum(r.clock.cpu_s for r in rounds) / work * scale
    cells = [f"{rate:11.2f}" if case.bulk else f"{rate:11.0f}"]
    cells += [f"{'-':>12}" if who == "direct" else f"{each:12.2f}" for each in (cpu, user_us(rounds) * scale / 1e6)]
    cells.append(f"{sum(r.ends_cpu_s for r in rounds) / work * scale:12.2f}")
    print(f"  {who:16}{''.join(cells)}   {words_of(ratios, geometric_mean) if ratios else ''}".rstrip())


def print_verdict(results, name, others):
    best = min(others, key=lambda who: geometric_mean([r.cpu_each for r in results[name, who]]))
    ratios = times_meshd(results, name, best)
    target = CASES[name].target
    if target is None:
        verdict = "no target"
    else:
        verdict = f"target {target:.2f} {'missed' if interval(ratios, geometric_mean)[1] < target else 'met'}"
    print(f"  the best other, {best}, over meshd: {words_of(ratios, geometric_mean)}, {verdict}")


def print_logs(results, name):
    def more_us(pairs):
        return sum(logs.cpu_each - silent.cpu_each for logs, silent in pairs) / len(pairs) * 1e6
    for who in "meshd", "nginx":
        pairs = list(zip(results[name, f"{who}-log"], results[name, who]))
        print(f"  the log costs {who} {words_of(pairs, more_us)} us a request")


def listed(cores):
    return ",".join(map(str, sorted(cores)))
