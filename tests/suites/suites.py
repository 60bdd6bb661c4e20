#!/usr/bin/env python3
"""suites.py - test suites of real programs, on the system's allocator and on hakmem: the verdicts must be the same.

    tests/suites/suites.py [--full] [--count N] [--jobs N] [--only PATTERN] [--lib PATH] [--build DIR] [--list]
                           [SUITE...]

Run from the repository root. Each suite is prepared below DIR/suites/SUITE and run twice. A test that passes on the
system's allocator must pass on hakmem. The steps of tests whose verdicts differ run three more times on both sides: a
test is called flaky when its verdict changes on the system's allocator as well, and only then. The library must have
been mapped in the suite's programs in the second run, and nowhere in the first (watch.py). Prints TAP, one result for
each suite; every difference is a remark. Without --full, a choice of each suite's steps runs.
"""
import argparse
import concurrent.futures
import importlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
import watch  # noqa: E402 (nothing is written beside the sources)

NAMES = ["stress_ng", "compiler", "lua", "perl", "python", "sqlite", "redis", "git"]     # by cost
SIDES = ("system", "hakmem")
TRIES = 3               # more runs of a step whose verdicts differ
SHOWN = 40              # differences that are printed


def remark(text):
    for line in text.splitlines():
        print("# " + line, flush=True)


# ---- one run ------------------------------------------------------------------------------------------

def environment(home, preload):
    """Nothing of the caller's: Debian's programs, one language, one time zone."""
    return {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "TZ": "UTC", "TERM": "dumb", "USER": "root",
            "HOME": home, "TMPDIR": home, **({"LD_PRELOAD": preload} if preload else {})}


def run_step(suite, step, folder, preload, look):
    """{test: verdict} of one step."""
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="suite-", ignore_cleanup_errors=True) as home, \
            open(folder / "output", "wb") as output:
        with look.lock:
            child = subprocess.Popen(step.command, cwd=step.cwd or folder, env=environment(home, preload),
                                     stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                     start_new_session=True)
            look.keep.add(child.pid)
        try:
            end = {0: "pass"}.get(child.wait(suite.seconds), f"status {child.returncode}")
        except subprocess.TimeoutExpired:
            end = "time limit"
            watch.kill_below(child.pid)
            child.kill()
            child.wait()
        look.keep.discard(child.pid)
    text = (folder / "output").read_text(encoding="utf-8", errors="replace")
    found = {"ends": end, **suite.verdicts(folder, text)}
    return {f"{step.name}: {test}": verdict for test, verdict in found.items()}


def run_side(suite, steps, side, preload, library, jobs):
    """The verdicts of all steps on one side, and what the watch saw."""
    place = suite.place / side
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    found = {}
    with watch.Watch(library, place / "seen") as look, \
            concurrent.futures.ThreadPoolExecutor(1 if suite.serial else jobs) as pool:
        runs = [pool.submit(run_step, suite, step, place / step.name.replace("/", "_"), preload, look)
                for step in steps]
        for run in runs:
            found |= run.result()
        watch.kill_below(os.getpid())
    return found, look


# ---- comparing ----------------------------------------------------------------------------------------

def differing(system, hakmem):
    tests = sorted(system.keys() | hakmem.keys())
    return [test for test in tests if system.get(test, "absent") != hakmem.get(test, "absent")]


def kind_of(history):
    """What a difference is, by the verdicts of all runs: {side: [verdict]}."""
    if len(set(history["system"])) > 1:
        return "flaky"
    if not history["system"][0].startswith("pass"):
        return "never passes on the system's"
    return "WORSE"


def examine(suite, steps, results, run_again):
    """{test: (kind, history)} of the tests that differ, after the runs that tell flaky ones."""
    tests = differing(results["system"], results["hakmem"])
    history = {test: {side: [results[side].get(test, "absent")] for side in SIDES} for test in tests}
    suspects = [step for step in steps if any(test.startswith(step.name + ": ") for test in tests)]
    for _ in range(TRIES if tests else 0):
        for side in SIDES:
            found = run_again(side, suspects)
            for test in tests:
                history[test][side].append(found.get(test, "absent"))
    return {test: (kind_of(history[test]), history[test]) for test in tests}


def complaints(suite, results, looks, differences):
    """Why the suite is red; nothing when it is green."""
    if not any(verdict.startswith("pass") for verdict in results["system"].values()):
        yield "no test passes on the system's allocator"
    for name in suite.loaded:
        if name not in looks["hakmem"].loaded:
            yield f"hakmem was not loaded in {name}"
    if looks["system"].loaded:
        yield f"hakmem was loaded in the system's run: {' '.join(sorted(looks['system'].loaded))}"
    worse = sum(kind == "WORSE" for kind, _ in differences.values())
    if worse:
        yield f"{worse} tests pass on the system's allocator and not, or not always, on hakmem"


def tally(verdicts):
    counts = {"passed": 0, "skipped": 0, "other": 0}
    for verdict in verdicts.values():
        counts["passed" if verdict.startswith("pass") else "skipped" if verdict == "skip" else "other"] += 1
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def judge(suite, library, jobs=2, only=""):
    """Runs the suite on both sides; prints remarks; the list of complaints."""
    steps = [step for step in suite.steps() if re.search(only, step.name)]
    preloads = {"system": "", "hakmem": library}
    results, looks = {}, {}
    for side in SIDES:
        begin = time.monotonic()
        results[side], looks[side] = run_side(suite, steps, side, preloads[side], library, jobs)
        remark(f"{suite.name} on {side}: {len(steps)} steps, {len(results[side])} tests: {tally(results[side])}; "
               f"{time.monotonic() - begin:.0f} s; hakmem in {' '.join(sorted(looks[side].loaded)) or 'nothing'}")

    def run_again(side, suspects):
        return run_side(suite, suspects, f"{side}-again", preloads[side], library, 1)[0]

    differences = examine(suite, steps, results, run_again)
    for test, (kind, history) in list(differences.items())[:SHOWN]:
        remark(f"{kind}: {test}: " + "; ".join(f"{side} {', '.join(history[side])}" for side in SIDES))
    if len(differences) > SHOWN:
        remark(f"and {len(differences) - SHOWN} more")
    return list(complaints(suite, results, looks, differences))


# ---- the command --------------------------------------------------------------------------------------

def suite_of(name, args):
    module = importlib.import_module("suite_" + name)
    return module.Suite(pathlib.Path(args.build, "suites", name).absolute(), args.full, args.count)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("suites", nargs="*", metavar="SUITE")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--count", type=int, default=100, help="generated programs of the suite compiler")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="only steps whose name has a match of this")
    parser.add_argument("--build", default="build")
    parser.add_argument("--lib", default=None)
    parser.add_argument("--list", action="store_true", help="names the suites and their steps")
    args = parser.parse_args()
    args.suites = [name.replace("-", "_") for name in args.suites] or NAMES
    args.lib = os.path.abspath(args.lib or os.path.join(args.build, "libhakmem.so"))
    for name in set(args.suites) - set(NAMES):
        parser.error(f"no suite {name}; there are {' '.join(NAMES)}")
    if not os.path.exists(args.lib):
        parser.error(f"{args.lib} does not exist: build it with make")
    return args


def stop(*_):
    watch.kill_below(os.getpid())
    os._exit(1)


def main():
    args = arguments()
    watch.adopt_orphans()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    red = 0
    for number, name in enumerate(args.suites, 1):
        suite = suite_of(name, args)
        suite.prepare()
        if args.list:
            print(name, *(step.name for step in suite.steps()))
            continue
        told = judge(suite, args.lib, args.jobs, args.only)
        remark("\n".join(told))
        red += bool(told)
        print(f"{'not ok' if told else 'ok'} {number} - {name}_passes_on_hakmem_what_it_passes_elsewhere", flush=True)
    if not args.list:
        print(f"1..{len(args.suites)}")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
