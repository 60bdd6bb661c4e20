#!/usr/bin/python3
"""oracle_test.py - shows that the fuzz targets can find something: with a mutant of tests/mutants built in, the replay of
a corpus turns red.

usage: tests/fuzz/oracle_test.py [MUTANT...]      from the repository root; default: the ones of MUTANTS

Prints TAP. A target whose replay is red without any mutant proves nothing: the replays are tests of their own.
"""

import os
import shutil
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "mutants"))
import run_mutants  # noqa: E402

MUTANTS = ["calloc_trusts_dirty_units", "splice_forgets_to_count"]
TARGETS = ["heap", "threads"]
OUT = "build/tests/fuzz/mutants"
LIMIT_S = 120


def redden(mutant, folder):
    """How a replay turned red, or None."""
    for target in TARGETS:
        program = "build/tests/fuzz/replay_%s_test" % target
        run_mutants.build(folder, program)
        red = run_mutants.judge(folder, program, LIMIT_S)
        if red:
            return "%s: %s" % (target, red.replace("#", ":"))
    return None


def main(names):
    failed = 0
    for number, name in enumerate(names, 1):
        folder = os.path.join(OUT, name)
        try:
            mutant = run_mutants.Mutant(name)
            run_mutants.copy_tree(".", folder)
            mutant.apply(folder)
            how = redden(mutant, folder)
        except run_mutants.Unfit as fault:
            how = None
            print("# %s" % fault)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        failed += how is None
        print("%sok %d - a_corpus_finds_%s # %s" % ("" if how else "not ", number, name, how or "all replays are green"),
              flush=True)
    print("1..%d" % len(names))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or MUTANTS))
