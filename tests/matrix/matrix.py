#!/usr/bin/env python3
"""matrix.py - the verification matrix: every case in many process runs, none of which may fail.

    tests/matrix/matrix.py [--runs N] [--jobs N] [--larson-seconds S] [--only REGEX] [--seed N] ...

Run from the repository root. Each run is one process of a benchmark program with libhakmem.so
preloaded and a seed of its own; the program checks the ends of every block. A run is good when it
exits with 0, prints exactly its one line with the parameters it was given and a rate, prints nothing on
standard error (the dynamic linker would tell there that it could not preload), and ends in time.
One further run of each case proves from its memory map that the library is in the process.
With --linked the programs are those of bench/linked, which contain hakmem, and nothing is preloaded.

Prints TAP: one result for each case, with run number, seed and signal of each failure, and the bound on
the crash rate that the runs allow. The larson cases run for --larson-seconds each; --long-runs of them have
the full length, 10 s.
"""

import argparse
import concurrent.futures
import dataclasses
import itertools
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile

OPERATIONS = 200_000
LONG_SECONDS = 10.0
CONFIDENCE = 0.95
TOLD_FAILURES = 10  # of one case; a broken build would print thousands


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    program: str
    arguments: tuple  # "SEED" and "SECONDS" stand for what changes from run to run
    output: str       # regular expression of the parameters that the program must repeat

    @property
    def timed(self):
        return "SECONDS" in self.arguments


def fixed(kind, size):
    return Case(f"{kind}_{size}", "bench_fixed_size", (str(OPERATIONS), str(size), "128", "SEED"),
                rf"fixed size={size} ws=128 seed=SEED: {OPERATIONS} operations \(\d+ blocks\)")


def mixed(slots):
    return Case(f"mixed_ws{slots}", "bench_random_mixed", (str(OPERATIONS), str(slots), "SEED"),
                rf"mixed ws={slots} seed=SEED: {OPERATIONS} operations \(\d+ blocks\)")


def larson(threads):
    return Case(f"larson_T{threads}", "larson", ("SECONDS", "8", "128", "1024", "1", "SEED", str(threads)),
                rf"larson size=8-128 blocks=1024 rounds=1 seed=SEED threads={threads}: \d+ operations \(\d+ threads born\)")


CASES = ([fixed("fixed", size) for size in (128, 256, 512, 1024)]
         + [mixed(slots) for slots in (128, 512, 8192)]
         + [fixed("pool", size) for size in (8192, 32768, 53248)]
         + [larson(threads) for threads in (1, 4, 8)])


@dataclasses.dataclass(frozen=True)
class Failure:
    run: int
    seed: int
    reason: str

    def __str__(self):
        return f"run {self.run}, seed {self.seed}: {self.reason}"


# ---- one run ----------------------------------------------------------------------------------


def command_line(args, case, seed, seconds):
    values = {"SEED": str(seed), "SECONDS": f"{seconds:g}"}
    program = pathlib.Path(args.build, "bench", "linked" if args.linked else "", case.program)
    return [str(program), *(values.get(a, a) for a in case.arguments)]


def output_fault(case, seed, out):
    """What is wrong with the one line that the program must print, or None."""
    pattern = case.output.replace("SEED", str(seed)) + r", (\d+) operations per second, \d+\.\d+ s\n"
    line = re.fullmatch(pattern, out)
    if line is None:
        return f"unexpected output {out[:200]!r}"
    if int(line.group(1)) == 0:
        return "no operation was done"
    return None


def exit_fault(code):
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit status {code}" if code else None


def fault_of(args, case, seed, seconds):
    """Runs the case once. None when all is well, else the reason."""
    environment = {**os.environ, "LD_PRELOAD": "" if args.linked else args.lib}
    timeout = args.timeout + (seconds if case.timed else 0)
    try:
        done = subprocess.run(command_line(args, case, seed, seconds), env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return f"hung: still running after {timeout:g} s"
    except OSError as error:
        return f"did not start: {error}"
    fault = exit_fault(done.returncode)
    if fault is None and done.stderr == "":
        fault = output_fault(case, seed, done.stdout)
    if done.stderr:
        fault = (fault or "message on standard error") + f", standard error {done.stderr[:300]!r}"
    return fault


def proof_fault(args, case, seed):
    """None when a run shows the library among the files mapped at its end. A linked program needs no proof:
    it was built from hak_malloc."""
    if args.linked:
        return None
    measure = str(pathlib.Path(args.build, "bench", "measure"))
    with tempfile.NamedTemporaryFile() as report_file:
        command = [measure, report_file.name, str(args.timeout), args.lib, *command_line(args, case, seed, 0.05)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode != 0:
            return f"{measure}: {done.stderr.strip()}"
        report = json.loads(pathlib.Path(report_file.name).read_text())
    if report["loaded"] is True:
        return None
    return "the library is not in the process" if report["loaded"] is False else "the process could not be looked into"


# ---- many runs ----------------------------------------------------------------------------------


def chance_of_at_most(failures, runs, rate):
    """Probability of so few failures when each run fails with this probability."""
    term = (1 - rate) ** runs
    total = term
    for k in range(1, failures + 1):
        term *= (runs - k + 1) / k * rate / (1 - rate)
        total += term
    return total


def rate_bound(failures, runs):
    """The failure rate above which so few failures would be a 1 in 20 chance (Clopper and Pearson)."""
    if failures >= runs:
        return 1.0
    low, high = failures / runs, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if chance_of_at_most(failures, runs, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def bound_text(failures, runs):
    """3/runs is the usual approximation for none failed; at few runs it is above the exact bound."""
    text = f"{failures} of {runs} runs failed; crash rate below {rate_bound(failures, runs):.3g} with {CONFIDENCE:.0%} confidence"
    return text + (f" (3/runs = {3 / runs:.3g})" if failures == 0 else "")


def run_case(args, case, seeds, pool):
    """All runs of a case; the failures, in order of the runs."""
    def one(number, seed):
        long = case.timed and number <= args.long_runs
        fault = fault_of(args, case, seed, LONG_SECONDS if long else args.larson_seconds)
        return Failure(number, seed, fault) if fault else None

    futures = [pool.submit(one, number, seed) for number, seed in enumerate(seeds, 1)]
    return [f for f in (future.result() for future in futures) if f is not None]


def report_case(args, number, case, failures, proof):
    good = not failures and proof is None
    print(f"{'ok' if good else 'not ok'} {number} - {case.name}_never_fails # {bound_text(len(failures), args.runs)}")
    if proof is not None:
        print(f"#   no proof that hakmem ran: {proof}")
    for failure in failures[:TOLD_FAILURES]:
        print(f"#   {failure}")
        preload = [] if args.linked else [f"LD_PRELOAD={args.lib}"]
        print("#     again: " + " ".join(preload + command_line(args, case, failure.seed, args.larson_seconds)))
    if len(failures) > TOLD_FAILURES:
        print(f"#   and {len(failures) - TOLD_FAILURES} more")
    sys.stdout.flush()
    return good


def describe(args, seed):
    print(f"# {args.runs} process runs of each case, {args.jobs} at a time, first seed {seed}, "
          + ("hakmem linked in" if args.linked else f"preloading {args.lib}"))
    print(f"# fixed, mixed, pool: {OPERATIONS} operations a run")
    if args.larson_seconds == LONG_SECONDS:
        print(f"# larson: {LONG_SECONDS:g} s a run")
        return
    long = min(args.long_runs, args.runs)
    print(f"# larson: {args.runs - long} runs of {args.larson_seconds:g} s and {long} of {LONG_SECONDS:g} s "
          "(the full length)")


# ---- the command line ---------------------------------------------------------------------------


def at_least(kind, low):
    def parse(text):
        value = kind(text)
        if not value >= low:
            raise ValueError
        return value
    parse.__name__ = f"{kind.__name__} of at least {low}"
    return parse


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description="Run the verification matrix of hakmem.")
    parser.add_argument("--runs", type=at_least(int, 1), default=200, help="process runs of each case (default 200)")
    parser.add_argument("--jobs", type=at_least(int, 1), default=len(os.sched_getaffinity(0)),
                        help="runs at a time (default: one for each core)")
    parser.add_argument("--larson-seconds", type=at_least(float, 0.01), default=0.2,
                        help="length of a larson run (default 0.2)")
    parser.add_argument("--long-runs", type=at_least(int, 0), default=0,
                        help=f"larson runs of {LONG_SECONDS:g} s in each case (default 0)")
    parser.add_argument("--timeout", type=at_least(float, 0.1), default=60,
                        help="seconds after which a run hangs, beyond a larson run's length")
    parser.add_argument("--only", metavar="REGEX", type=re.compile, default=re.compile(""),
                        help="cases whose name matches")
    parser.add_argument("--seed", type=at_least(int, 0),
                        help="seed of the first run; the others follow it (default: random)")
    parser.add_argument("--build", metavar="DIR", default="build", help="where bench/ is (default build)")
    parser.add_argument("--lib", metavar="PATH", default=os.environ.get("HAKMEM_LIB", "build/libhakmem.so"),
                        help="library to preload (default: what HAKMEM_LIB says, or build/libhakmem.so)")
    parser.add_argument("--linked", action="store_true", help="run the programs that have hakmem linked in")
    return parser.parse_args(arguments)


def main(arguments):
    args = parse_arguments(arguments)
    args.lib = os.path.realpath(args.lib)
    cases = [c for c in CASES if args.only.search(c.name)]
    if not cases or not (args.linked or os.path.isfile(args.lib)):
        print("1..1\nnot ok 1 - matrix_can_run # " + (f"{args.lib} does not exist" if cases else "no case matches --only"))
        return 1
    first_seed = args.seed if args.seed is not None else random.SystemRandom().randrange(2**32)
    seeds = itertools.count(first_seed)

    print(f"1..{len(cases)}")
    describe(args, first_seed)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for number, case in enumerate(cases, 1):
            proof = proof_fault(args, case, first_seed)
            failures = run_case(args, case, list(itertools.islice(seeds, args.runs)), pool)
            failed += not report_case(args, number, case, failures, proof)
    print(f"# {len(cases) - failed} of {len(cases)} cases without a failure, {args.runs * len(cases)} process runs")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
