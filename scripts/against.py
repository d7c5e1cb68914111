"""Times a piece of work here and at another commit, in turns: ./scripts/benchmark NAME --against COMMIT

NAME is prepare, duplicates, train, sample, evaluate or refine. The other benchmarks measure quality, memory or peers, and have
no work to repeat in pairs.

Both processes stay alive and work one after the other, nine times in pairs, the first of a pair changing; a pair's ratio is
this tree's seconds over the commit's. The interval of the median is that of order statistics: the second and the eighth of
nine ratios hold the true median in 96 of 100 cases, whatever the distribution. "Not slower" is an upper end of 1.05 at most;
the exit code is 1 otherwise. Both run the works of this tree, so that the work is the same.
"""

import argparse
import itertools
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from works import WORKS
from worktrees import ROOT, checkout, environment_of, git

PAIRS = 9
MOST = 1.05
_COVERED = 0.95
_FEWEST = 6  # the smallest and the largest of six hold the median in 97 of 100 cases, of five in 94


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the interval of order statistics that holds the median with at least 95 % probability.

    It is the narrowest (k-th smallest, k-th largest) with 1 - 2 * P(Binomial(n, 1/2) < k) >= 0.95; of fewer than six values
    none does, and the ends are infinite.
    """
    ordered, count = sorted(values), len(values)
    outside, place = 1 / 2**count, 0
    while 1 - 2 * outside >= _COVERED:
        place += 1
        outside += math.comb(count, place) / 2**count
    return (ordered[place - 1], ordered[-place]) if place else (-math.inf, math.inf)


class Worker:
    """A process that has artgan of one tree, and repeats a piece of work when it is asked to."""

    def __init__(self, name: str, tree: Path, place: Path, by_processor: bool) -> None:
        place.mkdir()
        words = [sys.executable, __file__, name, "--serve", *(["--processor-time"] if by_processor else [])]
        environment = environment_of(tree) | {"ARTGAN_CACHE": str(place / "cache"), "ARTGAN_OFFLINE": "1"}
        self.process = subprocess.Popen(
            words, cwd=place, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer()  # inputs made, and worked once, so that imports and caches do not count

    def seconds(self) -> float:
        """Let it work once; return how long that took."""
        assert self.process.stdin is not None
        print(file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> float:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit("the work broke off; the error stands above")
        return float(line)

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


def serve(name: str, by_processor: bool) -> None:
    """Work once at the start and once for each line that comes in; answer each with its seconds."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the work prints is not an answer

    def clock() -> float:
        if not by_processor:
            return time.perf_counter()
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(usage.ru_utime + usage.ru_stime for usage in used)

    work = WORKS[name]()
    for _ in itertools.chain([""], sys.stdin):
        started = clock()
        work()
        print(clock() - started, file=answers, flush=True)


def compare(name: str, commit: str, pairs: int, by_processor: bool) -> bool:
    """Print how a work's time compares, and return whether this tree is not slower."""
    ratios = []
    with checkout(commit) as tree, tempfile.TemporaryDirectory(prefix="artgan-") as folder:
        exact, workers = git("rev-parse", "--short", "HEAD", tree=tree), []
        try:
            for source in (ROOT, tree):
                workers.append(Worker(name, source, Path(folder, str(len(workers))), by_processor))
            ours, theirs = workers
            for pair in range(pairs):
                spent = {worker: worker.seconds() for worker in ((ours, theirs) if pair % 2 else (theirs, ours))}
                ratios.append(spent[ours] / spent[theirs])
                print(f"{name}: {spent[ours]:.3f} s, at {exact} {spent[theirs]:.3f} s, ratio {ratios[-1]:.3f}", flush=True)
        finally:
            for worker in workers:
                worker.end()
    low, high = interval(ratios)
    verdict = "not slower" if high <= MOST else "slower" if low > 1 else f"not shown to be no slower (over {MOST})"
    print(
        f"{name} against {exact}: median ratio {statistics.median(ratios):.3f}, 95 % interval {low:.3f} to {high:.3f} of "
        f"{pairs} pairs{' of processor time' if by_processor else ''}: {verdict}"
    )
    return high <= MOST


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME", help="; ".join(f"{name}: {work.__doc__}" for name, work in WORKS.items()))
    parser.add_argument("--against", metavar="COMMIT", help="a hash, a branch or a tag")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="how many, six at least: fewer give no interval")
    parser.add_argument(
        "--processor-time", action="store_true", help="count processor time, where other work shares the machine"
    )
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.name not in WORKS:
        sys.exit(f"--against: the benchmark {options.name} compares no commits; those that do are {', '.join(WORKS)}")
    if options.pairs < _FEWEST:
        sys.exit(f"--pairs {options.pairs}: expected {_FEWEST} or more, of which alone there is an interval")
    if options.serve:
        serve(options.name, options.processor_time)
    elif options.against:
        sys.exit(not compare(options.name, options.against, options.pairs, options.processor_time))
    else:
        parser.error("give --against COMMIT")


if __name__ == "__main__":
    main()
