#!/usr/bin/env python3
"""spin_test.py - searches every state of the models in this folder, and sees that each mutant of a model is caught.

usage: tests/spin/spin_test.py [--full] [MODEL...]      MODEL: inbox, heaps, ...; all without one

The head of each model says how it is run:

    quick: -DLIVES=1           a search for `make check`; without --full only these
    full: -DLIVES=2            a larger one
    mutants: -DLIVES=2         what its mutants are searched with; without it, the first quick line
    mutant NAME: what is wrong               built with -DMUTANT_NAME
    mutant NAME (-DPROTOCOL=2): ...          searched with these

A model holds when spin has met all states, and no claim was broken in any. A mutant is caught when spin breaks a claim,
or finds that somebody waits for ever. Anything else, a search that was cut off included, is a failure. TAP.
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
DEPTH_MAX = 1000000
MEMORY_MIB = 4096
LIMIT_S = 1800
JOBS = 2
TCC = ["tcc", "-w"]                         # compiles a search in no time
GCC = ["gcc", "-w", "-O2", "-DCOLLAPSE"]    # makes long ones quicker and smaller


class Search:
    """One model with one set of parameters, mutated or not."""

    def __init__(self, model, defines, mutant=None, long=False):
        self.model, self.defines, self.mutant, self.long = model, defines.split(), mutant, long

    def name(self):
        suffix = "%s_is_caught" % self.mutant.lower() if self.mutant else "holds" if not self.long else "holds_in_full"
        values = "" if self.mutant else "_".join(re.findall(r"-D\w+=(\w+)", " ".join(self.defines)))
        return "_".join(part for part in (self.model, suffix, values) if part)

    def build(self, folder):
        """None, or what was wrong."""
        for path in (*HERE.glob("*.h"), *HERE.glob("*.pml")):
            shutil.copy(path, folder)
        mutant = ["-DMUTANT_" + self.mutant] if self.mutant else []
        generate = ["spin", *self.defines, *mutant, "-a", self.model + ".pml"]
        limits = ["-DSAFETY", "-DMEMLIM=%d" % MEMORY_MIB]
        for command in generate, [*(GCC if self.long else TCC), *limits, "-o", "search", "pan.c"]:
            done = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  check=False)
            if done.returncode != 0 or "rror:" in done.stdout:
                return done.stdout
        return None

    def run(self):
        """Whether it went as it should, and what there is to say."""
        with tempfile.TemporaryDirectory(prefix="hakmem-spin-") as folder:
            wrong = self.build(folder)
            if wrong is not None:
                return False, wrong
            start = time.monotonic()
            try:
                table = "-w%d" % (24 if self.long else 20) # of 2^n entries
                done = subprocess.run(["./search", "-m%d" % DEPTH_MAX, table], cwd=folder, text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT_S, check=False)
            except subprocess.TimeoutExpired:
                return False, "%s: longer than %d s" % (self.name(), LIMIT_S)
            return self.judge(done.stdout, time.monotonic() - start)

    def judge(self, told, seconds):
        broken = re.findall(r"pan:\s*\d+:\s*((?:assertion violated|invalid end state).*)", told)
        whole = "errors: 0" in told and "Search not completed" not in told and "search depth too small" not in told
        states = re.search(r"(\d+) states, stored", told)
        if not states:
            return False, told
        text = "%s states, %.1f s, %s" % (states[1], seconds, "; ".join([" ".join(self.defines), *broken]))
        if self.mutant:
            return len(broken) > 0, text
        return whole and not broken, text if whole else text + "\n" + told


def searches(model, full):
    head = (HERE / (model + ".pml")).read_text().split("*/")[0]
    lines = {kind: re.findall(r"^ \* %s: (.*)$" % kind, head, re.M) for kind in ("quick", "full", "mutants")}
    mutants = re.findall(r"^ \* mutant (\w+)(?: \((.*?)\))?: ", head, re.M)
    found = [Search(model, defines) for defines in lines["quick"]]
    usual = (lines["mutants"] or lines["quick"])[0]
    found += [Search(model, defines or usual, mutant=name) for name, defines in mutants]
    if full:
        found += [Search(model, defines, long=True) for defines in lines["full"]]
    return found


def main():
    models = [word for word in sys.argv[1:] if not word.startswith("-")] or sorted(p.stem for p in HERE.glob("*.pml"))
    for program in "spin", "tcc", "gcc":
        if not shutil.which(program):
            print("1..0\nBail out! %s is missing: scripts/install-packages check" % program)
            return 1
    work = [search for model in models for search in searches(model, "--full" in sys.argv)]
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for number, (search, (good, text)) in enumerate(zip(work, pool.map(Search.run, work)), 1):
            bad += not good
            print("%s %d - %s" % ("ok" if good else "not ok", number, search.name()))
            for line in text.splitlines():
                print("# " + line)
            sys.stdout.flush()
    print("1..%d" % len(work))
    return 1 if bad or not work else 0


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    os.chdir(HERE)
    sys.exit(main())
