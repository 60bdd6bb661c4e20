#!/usr/bin/env python3
"""inject_test.py - real programs on hakmem, while strace makes one memory call of theirs fail, once or for good.

usage: inject_test.py [--whole] [--build DIR]

A first run under strace counts the calls of each kind, from the one with which the library begins on. Then the Nth
fails, for some N (with --whole: more), once, for good, or every third one from there on. The program may go on: then
its output is what it is without a failure. It may end with a status, and in its own words. It may not die of a signal,
unless it has said before that memory is out and falls in its own code; and the library may not say anything. TAP on
standard output.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

CALLS = {"mmap": ["ENOMEM", "EAGAIN"], "munmap": ["ENOMEM"], "mprotect": ["ENOMEM", "EACCES"],
         "mremap": ["ENOMEM", "EPERM"], "madvise": ["EAGAIN", "EINVAL", "ENOSYS"]}
FORMS = ["", "+", "+3"]                 # once, for good, every third
START = "/proc/sys/vm/overcommit_memory"  # the library opens it when it is loaded
SECONDS = 120
SAID = re.compile("out of memory|Fatal Python error|MemoryError", re.IGNORECASE)

PYTHON = """
import hashlib
rows = [{"key": i, "text": str(i) * 9} for i in range(20000)]
text = bytearray()
for row in rows: text += (row["text"] + "\\n").encode()
large = [bytes(3 << 20) for _ in range(6)]
del rows[::2]
words = sorted(text.split())
buffer = bytearray()
for _ in range(40): buffer += b"x" * (1 << 20)
print(hashlib.md5(b"".join(words)).hexdigest(), len(buffer), sum(len(x) for x in large))
"""
SQL = """create table t(a integer primary key, b text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
insert into t select i, printf('%060d', i * 7919 % 20011) from n;
create index x on t(b);
select count(*), min(b), max(length(b)) from t;
select length(group_concat(b)) from t;
select sum(a) from (select a from t order by b desc limit 1000);
"""
PERL = """my %h; $h{$_ * 7919 % 100003} = "x" x ($_ % 300) for 1 .. 20000;
my $s = join ",", sort { $a <=> $b } keys %h; my $t = "y" x (1 << 20); $t .= $t for 1 .. 4;
print length($s), " ", length($t), "\\n";"""

results = []


def ok(good, name, detail=""):
    results.append(good)
    print("%s %d - %s%s" % ("ok" if good else "not ok", len(results), name, "" if good else " # " + detail), flush=True)


def skip(name, reason):
    results.append(True)
    print("ok %d - %s # SKIP %s" % (len(results), name, reason), flush=True)


def skip_all(reason):
    print("1..0 # SKIP " + reason)
    return 0


def fell_in_library(log):
    """Of strace -i: whether a signal came at an address of the library, or where is unknown."""
    mapped = re.search(r"libhakmem\.so\", O_RDONLY.*\n.*mmap\(NULL, (\d+),.*= (0x[0-9a-f]+)", log)
    at = re.search(r"\[([0-9a-f]+)\] --- SIG(?:SEGV|BUS|ABRT|ILL)", log)
    if not mapped or not at:
        return True
    return 0 <= int(at.group(1), 16) - int(mapped.group(2), 16) < int(mapped.group(1))


class Program:
    """A command, and what it says when nothing fails."""

    def __init__(self, name, command, text, library):
        self.name, self.command, self.text, self.library = name, command, text, library
        self.output = None
        self.calls = {}             # of each kind: (before the library began, afterwards)

    def run(self, options):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HAKMEM_")}
        command = ["strace", "-f", "-E", "LD_PRELOAD=" + self.library, *options, *self.command]
        return subprocess.run(command, input=self.text, env=environment, text=True, capture_output=True,
                              timeout=SECONDS, check=False)

    def count(self):
        with tempfile.NamedTemporaryFile("r", prefix="hakmem-inject-") as log:
            done = self.run(["-o", log.name, "-e", "trace=openat," + ",".join(CALLS)])
            lines = log.read().split("\n")
        begin = next((i for i, line in enumerate(lines) if START in line), None)
        if done.returncode != 0 or begin is None:
            return False
        self.output = done.stdout
        for call in CALLS:
            calls = [i for i, line in enumerate(lines) if re.match(r"(\d+ +)?%s\(" % call, line)]
            before = sum(1 for i in calls if i < begin)
            self.calls[call] = (before, len(calls) - before)
        return True

    def fail(self, call, error, number, form):
        """What is wrong with a run in which the call of that number fails, or ''."""
        inject = "inject=%s:error=%s:when=%d%s" % (call, error, self.calls[call][0] + number, form)
        with tempfile.NamedTemporaryFile("r", prefix="hakmem-inject-") as log:
            try:
                done = self.run(["-i", "-o", log.name, "-e", "trace=openat,mmap," + call, "-e", inject])
            except subprocess.TimeoutExpired:
                return "hangs"
            trace = log.read()
        said = done.stderr[-300:]
        if done.returncode < 0 and (not SAID.search(said) or fell_in_library(trace)):
            return "signal %d: %r" % (-done.returncode, said)
        if "hakmem" in done.stderr.replace(self.library, ""):
            return "the library says %r" % said
        if done.returncode == 0 and done.stdout != self.output:
            return "other output: %r, %r" % (done.stdout[-200:], said)
        return ""


def numbers(count, whole):
    """Which calls fail: the first ones, and some of the rest."""
    if count <= 0:
        return []
    few, step = (24, 1.25) if whole else (1, 4)
    chosen, at = set(range(1, min(few, count) + 1)), float(few)
    while at < count:
        at = max(at + 1, at * step)
        chosen.add(min(int(at), count))
    return sorted(chosen)


def test_program(program, whole):
    if not program.count():
        ok(False, "%s_runs_under_strace" % program.name)
        return
    print("# %s: %s" % (program.name, ", ".join("%d %s" % (n, call) for call, (_, n) in program.calls.items())))
    for call, errors in CALLS.items():
        wrong, runs = [], 0
        for index, number in enumerate(numbers(program.calls[call][1], whole)):
            for form in FORMS if whole else [FORMS[index % len(FORMS)]]:
                for error in errors if whole else [errors[index % len(errors)]]:
                    runs += 1
                    fault = program.fail(call, error, number, form)
                    if fault:
                        wrong.append("%s of call %d%s: %s" % (error, number, form, fault))
        if runs == 0:
            continue
        for line in wrong[:10]:
            print("# " + line)
        ok(not wrong, "%s_survives_%d_failures_of_%s" % (program.name, runs, call), "%d are wrong" % len(wrong))


def main():
    parser = argparse.ArgumentParser(description="Real programs on hakmem, with failing memory calls.")
    parser.add_argument("--whole", action="store_true", default="HAKMEM_EXHAUST_WHOLE" in os.environ,
                        help="all programs, more failures of each call")
    parser.add_argument("--build", default=os.environ.get("HAKMEM_EXHAUST_BUILD", "build"), help="default build")
    options = parser.parse_args()
    library = os.path.realpath(os.path.join(options.build, "libhakmem.so"))
    traced = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False)
    if traced.returncode != 0:
        return skip_all("strace cannot trace here")
    programs = [Program("sqlite3", ["sqlite3", ":memory:"], SQL, library),
                Program("python3", ["/usr/bin/python3", "-I", "-c", PYTHON], None, library),
                Program("perl", ["perl", "-e", PERL], None, library)]
    for program in programs if options.whole else programs[:2]:
        if shutil.which(program.command[0]):
            test_program(program, options.whole)
        else:
            skip(program.name, "not installed")
    print("1..%d" % len(results))
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
