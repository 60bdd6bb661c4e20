#!/usr/bin/python3
"""run_mutants.py - breaks the library on purpose, and sees that a test finds each break.

usage: tests/mutants/run_mutants.py [--jobs N] [NAME...]      from the repository root

Each file in tests/mutants/broken/ is one break, a mutant:

    breaks: what is broken, for the reader
    test: build/tests/regress/x     the test that must turn red (a target of make, or a script in tests/)
    limit: 60                       seconds that it may take (default 60); longer counts as red. A test that takes
                                    long without a break gets ten times as long as that
    file: src/slab/slab.c           one or more replacements in files of the tree
    <<<<
    text that is there exactly once; any white space stands for any other
    ====
    text in its place
    >>>>

The tree is copied to build/mutants/NAME, the copy broken and built, and the test run there. Before that,
each test is run in an unbroken copy, where it must be green: else a red one would prove nothing.
A mutant whose text is not there exactly once, or that does not build, is an error, not a success.

Prints TAP, one line a mutant, and exits with 1 when one survived or could not be judged.
"""

import argparse
import concurrent.futures
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

BROKEN = "tests/mutants/broken"
OUT = "build/mutants"
UNBROKEN = os.path.join(OUT, "unbroken")        # what all others are copied from, so that one state is tested
COPIED = ["Makefile", "src", "include", "cli", "scripts", "tests", "bench", "packaging"]
LIMIT_S = 60
BUILD_LIMIT_S = 300
GREEN_LIMIT_S = 300
REPLACEMENT = re.compile(r"^file: (?P<file>\S+)\n<<<<\n(?P<old>.*?)\n====\n(?P<new>.*?)>>>>$", re.S | re.M)


class Unfit(Exception):
    """The mutant cannot be judged."""


class Mutant:
    def __init__(self, name):
        self.name = name
        with open(os.path.join(BROKEN, name)) as file:
            text = file.read()
        head = dict(re.findall(r"^(breaks|test|limit): (.*)$", text, re.M))
        self.edits = [match.groupdict() for match in REPLACEMENT.finditer(text)]
        if "breaks" not in head or "test" not in head or not self.edits:
            raise Unfit("its file lacks breaks, test or file")
        self.test, self.limit = head["test"], float(head.get("limit", LIMIT_S))

    def apply(self, folder):
        for edit in self.edits:
            path = os.path.join(folder, edit["file"])
            with open(path) as file:
                text = file.read()
            pattern = re.compile(r"\s+".join(re.escape(word) for word in edit["old"].split()))
            found = pattern.findall(text)
            if len(found) != 1:
                raise Unfit("%s: the text to replace is there %d times" % (edit["file"], len(found)))
            with open(path, "w") as file:
                file.write(pattern.sub(lambda match: edit["new"].rstrip("\n"), text))


def run(command, folder, limit):
    """Returns status (None = out of time) and output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True,
                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
    try:
        output, _ = process.communicate(timeout=limit)
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        status = None
    return status, output.decode("utf-8", "replace")


def copy_tree(source, folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for name in COPIED:
        path = os.path.join(source, name)
        if os.path.isdir(path):
            shutil.copytree(path, os.path.join(folder, name), symlinks=True)
        elif os.path.exists(path):
            shutil.copy(path, folder)


def build(folder, test):
    """Broken code may leave a function unused. A script in tests/ is about the build as it is."""
    goal = ["WARNINGS=-w", test] if test.startswith("build/") else ["all"]
    status, text = run(["make", "-s", *goal], folder, BUILD_LIMIT_S)
    if status != 0:
        raise Unfit("it does not build: %s" % (text.strip().splitlines() or ["no output"])[-1])


def judge(folder, test, limit):
    """Returns how the test turned red, or None when it is green."""
    status, text = run([os.path.join(".", test)], folder, limit)
    results = re.findall(r"^(?:not )?ok\b.*$", text, re.M)
    failures = [line for line in results if line.startswith("not ok")]
    messages = [line for line in text.splitlines() if line.startswith("hakmem: ") and line != "hakmem: counters ok"]
    if status == 0 and results and not failures:
        return None
    if status is None:
        return "out of time after %g s" % limit
    if failures:
        return failures[0]
    if messages:
        return messages[0]
    return "killed by %s" % signal.Signals(-status).name if status < 0 else "exit status %d" % status


def try_unbroken(test):
    """Builds and runs the test in the unbroken copy; returns what is wrong, or None, and the seconds it took."""
    try:
        build(UNBROKEN, test)
        began = time.monotonic()
        red = judge(UNBROKEN, test, GREEN_LIMIT_S)
    except Unfit as fault:
        return str(fault), 0
    return red and "is red without any break: %s" % red, time.monotonic() - began


def try_mutant(mutant):
    """Returns (found, how)."""
    folder = os.path.join(OUT, mutant.name)
    try:
        copy_tree(UNBROKEN, folder)
        mutant.apply(folder)
        build(folder, mutant.test)
        red = judge(folder, mutant.test, mutant.limit)
    except Unfit as fault:
        return False, str(fault)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return red is not None, red or "SURVIVED: %s stays green" % mutant.test


def load(names):
    """Returns mutants, and {name: fault} of those whose file is wrong."""
    mutants, faults = [], {}
    for name in names:
        try:
            mutants.append(Mutant(name))
        except (Unfit, OSError) as fault:
            faults[name] = str(fault)
    return mutants, faults


def check_tests(mutants):
    """The unbroken runs, one after the other; gives mutants of slow tests more time. Returns {test: fault}."""
    copy_tree(".", UNBROKEN)
    faults = {}
    for test in sorted({mutant.test for mutant in mutants}):
        fault, seconds = try_unbroken(test)
        print("# %s: %s" % (test, fault or "green without a break, %.1f s" % seconds), flush=True)
        if fault:
            faults[test] = fault
        for mutant in mutants:
            if mutant.test == test:
                mutant.limit = max(mutant.limit, 10 * seconds)
    return faults


def report(number, name, found, how):
    print("%sok %d - %s # %s" % ("" if found else "not ", number, name, how.replace("#", ":")), flush=True)


def main(arguments):
    parser = argparse.ArgumentParser(description="Runs the mutants.")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("names", nargs="*", help="mutants (default: all)")
    options = parser.parse_args(arguments)
    names = options.names or sorted(os.listdir(BROKEN))
    mutants, faults = load(names)
    red_tests = check_tests(mutants)
    number = missed = 0
    for name, fault in faults.items():
        number, missed = number + 1, missed + 1
        report(number, name, False, fault)
    fit = [mutant for mutant in mutants if mutant.test not in red_tests]
    for mutant in mutants:
        if mutant.test in red_tests:
            number, missed = number + 1, missed + 1
            report(number, mutant.name, False, "%s %s" % (mutant.test, red_tests[mutant.test]))
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        futures = {pool.submit(try_mutant, mutant): mutant for mutant in fit}
        for future in concurrent.futures.as_completed(futures):
            found, how = future.result()
            number, missed = number + 1, missed + (not found)
            report(number, futures[future].name, found, how)
    print("1..%d" % number)
    print("# %d mutants found, %d missed" % (number - missed, missed))
    return 1 if missed or not number else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
