#!/usr/bin/env python3
"""run.py - runs TAP test programs and sums them up.

usage: tests/run.py [--jobs N] [--timeout S] [--log DIR] FILE...

Each FILE is an executable, or one quoted command line ("python3 tests/x.py --quick"). It runs in the
current folder, in a process group of its own, which is killed whole when the test ends. Its output
goes to DIR/NAME.out and DIR/NAME.err.

What is counted is TAP lines. "ok" passed, "not ok" failed, a SKIP directive skipped (neither). One
more failure is counted for a test that as a whole went wrong: no TAP, a plan that does not match
(several plans one after another are taken as they come, as cmocka prints them), death by a signal,
time-out, "Bail out!", or a bad exit status without a "not ok" to explain it. TODO excuses nothing.

The last line is "N passed, N failed", followed by ", N skipped" when something was. The exit status
is 1 when anything failed or nothing ran.
"""

import argparse
import concurrent.futures
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import threading
import time

PLAN = re.compile(r"^1\.\.(\d+)\s*(?:#\s*skip\S*\s*(.*))?$", re.IGNORECASE)
RESULT = re.compile(r"^(not )?ok\b\s*(\d+)?\s*(.*)$")
SKIP = re.compile(r"(?:^|\s)#\s*skip", re.IGNORECASE)
BAIL = re.compile(r"^Bail out!\s*(.*)$")

GRACE_S = 2         # between SIGTERM and SIGKILL, for a test's own cleaning up
TAIL_LINES = 20     # of a failed test's log


class Tap:
    """One TAP stream: counts, the lines that tell of failures, and what is wrong with the stream."""

    def __init__(self, text):
        self.passed = self.failed = self.skipped = 0
        self.failing = []       # "not ok" lines, each followed by its "#" lines
        self.wrong = []         # faults of the stream as a whole
        self.plan = None        # of the section that is being read
        self.seen = 0           # result lines in this section
        self.has_plan = False
        in_failure = False
        for line in text.splitlines():
            line = line.rstrip()
            if in_failure and line.startswith("#"):
                self.failing.append(line)
                continue
            in_failure = self.take(line)
        self.close_section()
        if not self.has_plan:
            self.wrong.append("no TAP plan")

    def take(self, line):
        """Reads one line; true when it is a failure, whose comment lines may follow."""
        plan, result, bail = PLAN.match(line), RESULT.match(line), BAIL.match(line)
        if bail:
            self.wrong.append("bailed out: " + (bail.group(1) or "no reason given"))
        elif plan:
            self.take_plan(int(plan.group(1)), plan.group(2) is not None)
        elif result:
            return self.take_result(line, *result.groups())
        return False

    def take_plan(self, count, skip_all):
        if self.plan is not None:
            self.close_section()            # a second stream behind the first
        self.plan, self.has_plan = count, True
        if count == 0 and skip_all:
            self.skipped += 1               # the whole test counts as one
        elif count == 0:
            self.wrong.append("planned nothing and gave no reason")

    def take_result(self, line, is_not, number, rest):
        if self.plan is not None and self.seen == self.plan and number == "1":
            self.close_section()            # a second stream that puts its plan at its end
        self.seen += 1
        if number is not None and int(number) != self.seen:
            self.wrong.append("test %s comes as number %d" % (number, self.seen))
        if SKIP.search(rest):
            self.skipped += 1
        elif is_not:
            self.failed += 1
            self.failing.append(line)
            return True
        else:
            self.passed += 1
        return False

    def close_section(self):
        if self.plan is not None and self.plan != self.seen:
            self.wrong.append("planned %d, ran %d" % (self.plan, self.seen))
        elif self.plan is None and self.seen > 0 and self.has_plan:
            self.wrong.append("%d results behind the last plan" % self.seen)
        self.plan, self.seen = None, 0


class Test:
    """One program: how it is called, where its log is, how it went."""

    def __init__(self, command, log_stem):
        self.command = command
        self.argv = shlex.split(command)
        self.out_path = log_stem + ".out"
        self.err_path = log_stem + ".err"
        self.tap = None
        self.status = 0         # as Popen gives it: negative for a signal
        self.wrong = []         # what went wrong as a whole, in one line
        self.seconds = 0.0

    @property
    def failed(self):
        return self.tap.failed + len(self.wrong)

    def run(self, timeout, groups):
        began = time.monotonic()
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            fault = self.execute(out, err, timeout, groups)
        self.seconds = time.monotonic() - began
        self.judge(fault)
        return self

    def execute(self, out, err, timeout, groups):
        """Runs it to its end and sets status; returns why it could not be started or ended, or None."""
        try:
            process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                       start_new_session=True)
        except OSError as error:
            return "cannot start: %s" % error
        groups.add(process.pid)
        try:
            if ended_within(process.pid, timeout):
                return None
            signal_group(process.pid, signal.SIGTERM)
            ended_within(process.pid, GRACE_S)
            return "timed out after %g s" % timeout
        finally:
            signal_group(process.pid, signal.SIGKILL)   # whatever the test left running
            self.status = process.wait()
            groups.discard(process.pid)

    def judge(self, fault):
        self.tap = Tap(self.text(self.out_path))
        wrong = list(self.tap.wrong)
        if fault:
            wrong.insert(0, fault)
        elif self.status < 0:
            wrong.insert(0, "killed by %s" % signal_name(-self.status))
        elif self.status > 0 and self.tap.failed == 0:
            wrong.insert(0, "exit status %d" % self.status)
        elif self.status == 0 and self.tap.failed > 0:
            wrong.insert(0, "exit status 0 in spite of failures")
        self.wrong = ["; ".join(wrong)] if wrong else []    # one test goes wrong once

    def text(self, path):
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "replace")

    def report(self):
        counts = "%d ok, %d failed" % (self.tap.passed, self.failed)
        if self.tap.skipped:
            counts += ", %d skipped" % self.tap.skipped
        yield "%-6s %s: %s, %.1f s" % ("FAILED" if self.failed else "ok", self.command, counts, self.seconds)
        if not self.failed:
            return
        yield from ("    " + line for line in self.wrong)
        yield from ("    " + line for line in self.tap.failing)
        for path in self.out_path, self.err_path:
            lines = [line for line in self.text(path).splitlines() if not self.is_told(line)]
            if lines:
                yield "    tail of %s:" % path
                yield from ("      | " + line for line in lines[-TAIL_LINES:])

    def is_told(self, line):
        """True for what need not be shown again in the tail of the log."""
        return line.startswith("ok ") or line.rstrip() in self.tap.failing


class Groups:
    """The process groups alive now, so that an interrupt takes them along."""

    def __init__(self):
        self.lock = threading.Lock()
        self.leaders = set()

    def add(self, pid):
        with self.lock:
            self.leaders.add(pid)

    def discard(self, pid):
        with self.lock:
            self.leaders.discard(pid)

    def kill(self):
        with self.lock:
            for pid in self.leaders:
                signal_group(pid, signal.SIGKILL)


def ended_within(pid, seconds):
    """Waits for a child without reaping it: until then no other group can get its number."""
    descriptor = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(descriptor)


def signal_group(pid, number):
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass                                # the group is gone already


def signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %d" % number


def log_stems(commands, folder):
    """A log name for each command; equal commands get different ones."""
    taken = {}
    for command in commands:
        name = re.sub(r"[^\w.+-]+", "_", command.replace("/", ".")).strip("._")[:120] or "test"
        taken[name] = taken.get(name, 0) + 1
        suffix = "" if taken[name] == 1 else "-%d" % taken[name]
        yield os.path.join(folder, name + suffix)


def run_all(tests, jobs, timeout):
    """Runs every test; yields each when it is done."""
    groups = Groups()
    pool = concurrent.futures.ThreadPoolExecutor(jobs)
    futures = [pool.submit(test.run, timeout, groups) for test in tests]
    try:
        for future in concurrent.futures.as_completed(futures):
            yield future.result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        groups.kill()
        raise
    pool.shutdown()


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description="Runs TAP test programs and sums them up.")
    parser.add_argument("--jobs", type=int, default=1, help="tests at a time (default 1)")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for each test (default 600)")
    parser.add_argument("--log", default="build/test-logs", help="folder for the output of the tests")
    parser.add_argument("files", nargs="+", metavar="FILE", help="executable, or a quoted command line")
    options = parser.parse_args(arguments)
    if options.jobs < 1 or options.timeout <= 0:
        parser.error("--jobs and --timeout must be positive")
    return options


def main(arguments):
    options = parse_arguments(arguments)
    os.makedirs(options.log, exist_ok=True)
    tests = [Test(*pair) for pair in zip(options.files, log_stems(options.files, options.log))]
    done = []
    for test in run_all(tests, options.jobs, options.timeout):
        print("\n".join(test.report()), flush=True)
        done.append(test)
    passed = sum(test.tap.passed for test in done)
    failed = sum(test.failed for test in done)
    skipped = sum(test.tap.skipped for test in done)
    bad = [test.command for test in done if test.failed]
    if bad:
        print("failed: " + "; ".join(bad))
    print("%d passed, %d failed" % (passed, failed) + (", %d skipped" % skipped if skipped else ""))
    return 1 if failed or passed + skipped == 0 else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
