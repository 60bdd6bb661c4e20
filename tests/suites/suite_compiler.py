"""suite_compiler.py - csmith generates C programs, gcc compiles them: programs and objects are equal bit by bit."""
import hashlib

import suite

COMPILE = "csmith --seed {seed} -o program.c && gcc -O2 -w -I/usr/include/csmith -c program.c -o program.o"


class Suite(suite.Suite):
    name = "compiler"
    loaded = ("csmith", "cc1")

    def steps(self):
        count = 1000 if self.full else self.count
        return [suite.Step(f"seed-{seed}", ["sh", "-c", COMPILE.format(seed=seed)]) for seed in range(1, count + 1)]

    def verdicts(self, folder, output):
        return {name: self.content(folder / f"program.{end}") for name, end in (("program", "c"), ("object", "o"))}

    @staticmethod
    def content(path):
        return "pass " + hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.exists() else "absent"
