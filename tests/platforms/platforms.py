#!/usr/bin/env python3
"""platforms.py - builds the library for other compilers, C libraries and processors, and runs the tests there.

    tests/platforms/platforms.py [--full] [--list] [--jobs N] [ROW...]

Run from the repository root. A row of rows.py says what is built and how it is run; here all of a row's tests are
built by make, below build/platforms/ROW, and run by tests/run.py. A row whose compiler or emulator is missing is
skipped: scripts/install-packages platforms. Without --full, each row that is marked for it is built without
optimisation, and two tests are run. Prints TAP, one result for a row, and at last a table.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
import rows  # noqa: E402 (nothing is written beside the sources)

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.MULTILINE)

results = []


def result(good, name, skip=""):
    results.append(good)
    print("%s %d - %s%s" % ("ok" if good else "not ok", len(results), name, " # SKIP " + skip if skip else ""))
    sys.stdout.flush()


def remark(text):
    for line in text.splitlines():
        print("# " + line)
    sys.stdout.flush()


def run(*command, **more):
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    environment |= more
    return subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          env=environment)


# ---- one row ------------------------------------------------------------------------------------------

def missing_tool(row):
    tools = [row.compiler.split()[0], *row.needs, *row.runner.split()[:1]]
    return next((tool for tool in tools if not shutil.which(tool)), None)


def build_folder(row, quick):
    return "build/platforms/" + row.build + ("-quick" if quick else "")


def make(row, quick, jobs, targets):
    flags = "-O0" if quick else row.flags
    return run("make", "-s", "-j%d" % jobs, "BUILD=" + build_folder(row, quick), "CC=" + row.compiler,
               "CXX=" + row.cxx, "AR=" + row.ar, "OPTIMIZE=" + flags, *row.variables, *targets)


def path_of(row, quick, test):
    return "%s/tests/%s" % (build_folder(row, quick), test)


def command_of(row, quick, test, arguments):
    """How a test program is called: a preloaded one without the shell script, which an emulator cannot run."""
    path = path_of(row, quick, test)
    runner = row.runner
    if "/preload/" in path and runner:
        runner += " -E LD_PRELOAD=%s/libhakmem.so" % (ROOT / build_folder(row, quick))
        path = path.replace("/preload/", "/plain/")
    return " ".join(word for word in (runner, path, arguments) if word)


def tests_of(row, quick):
    """(program below tests/, arguments) of each test of the row."""
    if quick:
        return [("api/static/limit_test", ""), ("model/model_threads_test", "operations=5000")]
    tests = [("%s/%s/%s" % (folder, way, name), "") for folder, names in row.in_ways.items() for way in row.ways
             for name in names if rows.exists_in(name, way)]
    tests += [("regress/" + name, "") for name in row.regress]
    tests += [("model/" + name, "operations=%d" % row.operations) for name in rows.MODEL]
    return tests


def build_and_run(row, quick, jobs):
    """(good, what came of it)."""
    tests = tests_of(row, quick)
    built = make(row, quick, jobs, [path_of(row, quick, test) for test, _ in tests])
    if built.returncode != 0:
        remark(built.stdout[-3000:])
        return False, "does not build"
    done = run("/usr/bin/python3", "tests/run.py", "--jobs", str(jobs), "--timeout", "900", "--log",
               build_folder(row, quick) + "/logs", *(command_of(row, quick, *test) for test in tests), **({"TEST_EMULATED": "1"} if row.runner else {}))
    summary = SUMMARY.search(done.stdout)
    if done.returncode != 0 or not summary:
        remark("\n".join(line for line in done.stdout.splitlines() if not line.startswith("ok ")))
    if not summary:
        return False, "did not end"
    passed, failed, skipped = (int(count or 0) for count in summary.groups())
    return done.returncode == 0, "%d programs: %d ok, %d failed, %d skipped" % (len(tests), passed, failed, skipped)


def refuse(row):
    """(good, what came of it) of a machine that the library does not support: it must say so."""
    done = run(*row.compiler.split(), *row.flags.split(), "-fsyntax-only", "-Iinclude", "-D_GNU_SOURCE", "src/hakmem.c")
    said = row.refusal in done.stdout
    return done.returncode != 0 and said, "refused at build" if said else "not refused"


# ---- all rows -----------------------------------------------------------------------------------------

def judge(row, quick, jobs):
    tool = missing_tool(row)
    if tool:
        result(True, row.name, "%s is not installed" % tool)
        return "skipped: no " + tool
    good, verdict = refuse(row) if row.refusal else build_and_run(row, quick, jobs)
    result(good, "%s (%s)" % (row.name, verdict))
    return verdict if good else "FAILED: " + verdict


def print_table(judged, quick):
    lines = [("row", "compiler and flags", "target", "how it was run", "verdict")]
    for row, verdict in judged:
        flags = "-O0" if quick and not row.refusal else row.flags
        how = row.how.rpartition(":")[0] + ": static" if quick and not row.refusal else row.how
        lines.append((row.name, "%s %s" % (row.compiler, flags), row.target, how, verdict))
    widths = [max(len(line[i]) for line in lines) for i in range(5)]
    for line in lines:
        remark("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
    for row, _ in judged:
        for left_out in row.left_out:
            remark("%s: not run: %s" % (row.name, left_out))


def main(arguments):
    parser = argparse.ArgumentParser(description="Builds and tests the library on other platforms.")
    parser.add_argument("--full", action="store_true", help="all rows, with all their tests")
    parser.add_argument("--list", action="store_true", help="names the rows")
    parser.add_argument("--jobs", type=int, default=2, help="at a time (default 2)")
    parser.add_argument("rows", nargs="*", metavar="ROW")
    options = parser.parse_args(arguments)
    table = [row for row in rows.ROWS if row.name in options.rows or not options.rows]
    if len(table) < len(set(options.rows)):
        parser.error("no such row; --list names them")
    if options.list:
        print("\n".join(row.name for row in table))
        return 0
    quick = not options.full and not options.rows
    judged = [(row, judge(row, quick, options.jobs)) for row in table if row.is_quick or not quick]
    print("1..%d" % len(results))
    print_table(judged, quick)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
