#!/usr/bin/env python3
"""matrix_test.py - the matrix and the comparison see every kind of failure, shown with allocators that fail on
purpose (faulty.c). Run from the repository root. Prints TAP."""

import math
import re
import subprocess
import sys

sys.dont_write_bytecode = True  # keeps the source folders clean
import matrix

FAULTY = "build/tests/matrix/libfaulty_{}.so"

# fault: what the matrix must say about it
MATRIX_SAYS = {
    "crash": "killed by SIGSEGV",
    "hang": "hung: still running after",
    "null": "returned NULL",
    "twice": "was changed: wrote",
    "chatter": "message on standard error",
    "exit": "unexpected output ''",
}

# fault: what the comparison's cell must say
CELL_SAYS = {"crash": " SEGV ", "hang": " hung ", "null": " exit 1 ", "twice": " exit 1 "}

results = []


def claim(good, name, detail=""):
    results.append(good)
    print(f"{'ok' if good else 'not ok'} {len(results)} - {name}")
    for line in [] if good else detail.splitlines():  # TAP of the matrix itself, which must not count here
        print(f"#   {line}")


def run_matrix(library):
    command = ["tests/matrix/matrix.py", "--runs", "2", "--timeout", "2", "--only", "fixed_128", "--seed", "7",
               "--lib", library]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def run_compare(library, timeout=5):
    command = ["bench/compare.py", "--rounds", "1", "--timeout", str(timeout), "--only", "fixed-16-ws128$",
               "--lib", f"hakmem={library}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = [line for line in done.stdout.splitlines() if line.startswith("fixed-16-ws128")]
    return done.returncode, rows[0] if len(rows) == 1 else done.stdout + done.stderr


def check_matrix():
    code, text = run_matrix(FAULTY.format("none"))
    claim(code == 0 and "\nok 1 - fixed_128" in text, "matrix_passes_an_allocator_without_fault", text)
    for fault, words in MATRIX_SAYS.items():
        code, text = run_matrix(FAULTY.format(fault))
        expected = ("not ok 1 - fixed_128", "2 of 2 runs failed", "run 2, seed 8: ", words)
        claim(code == 1 and all(e in text for e in expected), f"matrix_sees_fault_{fault}", text)
    code, text = run_matrix("tests/matrix/matrix.py")
    claim(code == 1 and "not in the process" in text, "matrix_sees_that_nothing_was_preloaded", text)


def check_compare():
    code, row = run_compare(FAULTY.format("none"), timeout=60)      # nothing hangs but for a busy machine
    claim(code == 0 and "FAILED" not in row, "comparison_shows_figures_of_an_allocator_without_fault", row)
    for fault, words in CELL_SAYS.items():
        code, row = run_compare(FAULTY.format(fault))
        others = re.search(r" 1\.00 ", row)  # the best of the row is another allocator
        good = code == 1 and words in row and "FAILED" in row and others
        claim(good, f"comparison_sees_fault_{fault}_and_goes_on", row)
    code, row = run_compare("tests/matrix/matrix.py")
    claim(code == 1 and "noload" in row, "comparison_sees_that_nothing_was_preloaded", row)


def check_bound():
    none = all(math.isclose(matrix.rate_bound(0, n), 1 - 0.05 ** (1 / n), rel_tol=1e-9) for n in (1, 200, 3000))
    claim(none and matrix.rate_bound(0, 3000) < 0.001, "bound_of_no_failure_is_exact_and_below_1_in_1000_at_3000_runs")
    # One failure of 20: 21.6 % in the tables of Clopper and Pearson.
    claim(math.isclose(matrix.rate_bound(1, 20), 0.2161, abs_tol=1e-4), "bound_with_failures_is_the_tables'", str(matrix.rate_bound(1, 20)))


def main():
    check_bound()
    check_matrix()
    check_compare()
    print(f"1..{len(results)}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
