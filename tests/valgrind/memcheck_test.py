#!/usr/bin/env python3
"""memcheck_test.py - a program on hakmem under valgrind's memcheck: no false report, and every misuse found.

    tests/valgrind/memcheck_test.py [BUILD]

Run from the repository root. Four ways to get there: memcheck's malloc in the place of ours, as it does by itself;
ours under memcheck, as it does when told so; a program that calls hak_* only, linked with the archive; and a static
program. In the last, glibc is reported for what memcheck does not know of it there, on any allocator: so it is only
looked at for the misuse that is found. Prints TAP.
"""

import os
import re
import shutil
import subprocess
import sys

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
PROGRAMS = BUILD + "/tests/valgrind/"
PRELOAD = {"LD_PRELOAD": BUILD + "/libhakmem.so"}
VALGRIND = ["valgrind", "--leak-check=full", "--error-exitcode=9", "--error-limit=no"]

# way, program, options of valgrind, environment, silent when nothing is wrong
WAYS = [
    ("in_place_of_hakmem", "plain", [], PRELOAD, True),
    ("around_hakmem", "plain", ["--soname-synonyms=somalloc=NONE"], PRELOAD, True),
    ("around_hakmems_own_names", "own", [], {}, True),
    ("around_a_static_program", "static", [], {}, False),
]

# misuse, and what the report says; each size is only there once
MISUSE = [
    ("overflow", r"0 bytes after a block of size 20 alloc'd"),
    ("overflow_of_a_large_block", r"0 bytes after a block of size 200,000 alloc'd"),
    ("overflow_of_an_aligned_block", r"0 bytes after a block of size 8,192 alloc'd"),
    ("underflow", r"1 bytes before a block of size 21 alloc'd"),
    ("underflow_of_a_large_block", r"1 bytes before a block of size 200,001 alloc'd"),
    ("use_after_free", r"51 bytes inside a block of size 102 free'd"),
    ("use_of_a_large_block_after_free", r"50,000 bytes inside a block of size 100,000 free'd"),
    ("use_after_realloc", r"0 bytes inside a block of size 105 free'd"),
    ("use_of_what_was_not_written", r"Conditional jump[^\n]*\n[^\n]*use_uninitialised"),
    ("free_twice", r"Invalid free(?:.*\n){1,7}.*0 bytes inside a block of size 107 free'd"),
    ("free_inside_a_block", r"Invalid free(?:.*\n){1,7}.*16 bytes inside a block of size 108 alloc'd"),
    ("leak", r"1,234 bytes in 1 blocks are definitely lost"),
    ("leak_of_a_large_block", r"70,000 bytes in 1 blocks are definitely lost"),
]

results = []


def result(good, name, text=""):
    results.append(good)
    print("%s %d - %s" % ("ok" if good else "not ok", len(results), name))
    for line in text.splitlines()[:60] if not good else ():
        print("#   " + line)
    sys.stdout.flush()


def run_under_memcheck(program, what, options, environment):
    command = [*VALGRIND, *options, PROGRAMS + program, what]
    return subprocess.run(command, env={**os.environ, **environment}, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, timeout=250)


def test_way(way, program, options, environment, silent):
    if silent:
        done = run_under_memcheck(program, "right", options, environment)
        good = done.returncode == 0 and "ERROR SUMMARY: 0 errors" in done.stdout
        result(good, "memcheck_%s_has_nothing_to_report" % way, done.stdout)
        result("still reachable: 2,345 bytes" in done.stdout, "memcheck_%s_sees_what_is_reachable" % way, done.stdout)
    done = run_under_memcheck(program, "wrong", options, environment)
    for misuse, report in MISUSE:
        result(re.search(report, done.stdout) is not None, "memcheck_%s_finds_%s" % (way, misuse), done.stdout)
    summary = re.search(r"from (\d+) contexts", done.stdout)
    if silent:
        result(summary is not None and int(summary.group(1)) == len(MISUSE),
               "memcheck_%s_finds_nothing_else" % way, done.stdout)


def main():
    if not shutil.which("valgrind"):
        print("1..0 # SKIP valgrind is not installed")
        return 0
    for way in WAYS:
        test_way(*way)
    print("1..%d" % len(results))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
