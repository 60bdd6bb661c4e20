#!/usr/bin/env python3
"""hitpath.py - counts the instructions of a malloc hit and a free hit, and checks what they consist of.

    tests/hitpath/hitpath.py [--lib PATH] [--malloc N] [--free N] [--new N] [--delete N] [--windows N]

Run from the repository root, on x86-64. callgrind runs hitpath.c with the library preloaded and counts each window
of 100 mallocs and 100 frees by itself. A window in which no instruction of the library outside of
malloc and free was executed had hits only: the hit counts come from these windows, exact, and the
dearest of them is compared with the budget. The average over all windows, visits included, is told beside it.
(Constant parts, warm-up and start, lie outside of the windows; so one run tells all.) A second run counts C++'s new and
its delete with a size, which looks first whether the program has replaced the delete behind it.

Prints TAP.
"""

import argparse
import collections
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import tempfile

CALLS = 100  # of malloc and of free in a window; as in hitpath.c
PATTERNS = {
    "single": "64 B one at a time",
    "mixed": "16 to 1024 B one at a time",
    "burst": "100 mallocs of 64 B, then 100 frees",
    "burst_mixed": "100 mallocs of 16 to 1024 B, then 100 frees",
}
PAIRS = {"malloc free": [], "_Znwm _ZdlPvm": ["operators"]}  # what is counted -> further arguments of hitpath
TLS_LIMIT = 64  # bytes of static TLS

Symbol = collections.namedtuple("Symbol", "start end")


def tool(*command, env=None):
    """Standard output of a program that must succeed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    except OSError as error:
        raise RuntimeError(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} exit status {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout


# ---- the library's symbols and code -------------------------------------------------------------


def find_symbol(lib, name):
    for line in tool("readelf", "-W", "--dyn-syms", lib).splitlines():
        fields = line.split()
        if len(fields) == 8 and fields[3] == "FUNC" and fields[7].partition("@")[0] == name:
            start = int(fields[1], 16)
            return Symbol(start, start + int(fields[2], 0))
    raise RuntimeError(f"{lib} does not export {name}")


def disassemble(lib, symbol):
    """Address -> instruction, in order."""
    text = tool("objdump", "-d", "--no-show-raw-insn", f"--start-address={symbol.start:#x}", f"--stop-address={symbol.end:#x}", lib)
    lines = re.findall(r"^ *([0-9a-f]+):\t(.*)$", text, re.MULTILINE)
    return {int(address, 16): instruction.strip() for address, instruction in lines}


def is_forbidden(instruction):
    """A call, or an instruction that locks the bus (xchg with memory does so without a prefix)."""
    words = instruction.split()
    if words[0] in ("bnd", "notrack"):
        words = words[1:]
    return words[0].startswith("call") or words[0] == "lock" or (words[0].startswith("xchg") and "(" in instruction)


def straight_path(code):
    """The instructions from the entry to the first return, in order of address."""
    path = []
    for instruction in code.values():
        path.append(instruction)
        if instruction.split()[-1].startswith("ret") or instruction.split()[0].startswith("ret"):
            return path
    return None


def static_tls(lib):
    sizes = [int(fields[5], 16) for fields in map(str.split, tool("readelf", "-lW", lib).splitlines()) if fields[:1] == ["TLS"]]
    return sum(sizes)


# ---- what callgrind counted ---------------------------------------------------------------------


@dataclasses.dataclass
class Window:
    pattern: str
    cost: dict      # of the two functions: instructions, everything that they called included
    calls: dict     # how many of each were counted
    executed: set   # addresses in the library of what ran
    objects: set    # the files of the functions that the window called


def run_callgrind(program, arguments, lib, windows, folder):
    """One file for each window, in order."""
    out = os.path.join(folder, "out")
    functions = [f"window_{p}" for p in PATTERNS]
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--dump-instr=yes", "--compress-strings=no",
               "--compress-pos=no", *(f"--zero-before={f}" for f in functions),
               *(f"--dump-after={f}" for f in functions), program, str(windows), *arguments]
    tool(*command, env={**os.environ, "LD_PRELOAD": lib})
    count = windows * len(PATTERNS)
    files = [pathlib.Path(f"{out}.{n}") for n in range(1, count + 1)]
    if not all(f.exists() for f in files):
        raise RuntimeError(f"callgrind wrote {sum(f.exists() for f in files)} of {count} windows")
    return files


def add_call(window, file, name, count, cost):
    window.objects.add(file)
    if name is not None:
        window.cost[name] += cost
        window.calls[name] += count


def read_window(path, lib, entries):
    """Parses one file of callgrind's format: blocks of "ob=", "fn=", costs "address line count", and calls, whose
    cost with everything below stands on the line that follows "calls="."""
    window = Window("", dict.fromkeys(entries, 0), dict.fromkeys(entries, 0), set(), set())
    by_address = {symbol.start: name for name, symbol in entries.items()}
    ob = fn = cob = None
    callee = None  # (file, name or None, how many calls), once "calls=" was read
    for line in path.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and key in ("ob", "fn"):
            ob, fn = (value, fn) if key == "ob" else (ob, value)
            cob = ob
        elif equals and key == "cob":
            cob = value
        elif equals and key == "calls":
            count, address = value.split()[:2]
            callee = (cob, by_address.get(int(address, 16)) if cob == lib else None, int(count))
            cob = ob
        elif line.startswith("0x"):
            address, _, cost = line.split()
            if callee is None and ob == lib:
                window.executed.add(int(address, 16))
            if callee is not None and fn.startswith("window_"):
                add_call(window, *callee, int(cost))
            callee = None
        elif line.startswith("desc: Trigger: --dump-after="):
            window.pattern = line.rpartition("=window_")[2]
    return window


def has_hits_only(window, entries):
    return all(any(s.start <= address < s.end for s in entries.values()) for address in window.executed)


# ---- results ------------------------------------------------------------------------------------


class Tap:
    def __init__(self):
        self.count = 0
        self.failed = 0

    def result(self, good, name, detail=""):
        self.count += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {name}" + (f" # {detail}" if detail else ""))

    def finish(self):
        print(f"1..{self.count}")
        return 1 if self.failed else 0


def number(value):
    return f"{value:.2f}".rstrip("0").rstrip(".")


def check_pattern(tap, pattern, windows, pure, budgets):
    for name, budget in budgets.items():
        average = sum(w.cost[name] for w in windows) / (CALLS * len(windows))
        told = f"{number(average)} on average with visits; {PATTERNS[pattern]}"
        title = f"{name}_hit_{pattern}_takes_at_most_{budget}_instructions"
        if not pure:
            tap.result(False, title, f"none of {len(windows)} windows was without a visit; {told}")
            continue
        dearest = max(w.cost[name] for w in pure) / CALLS
        tap.result(dearest <= budget, title,
                   f"{number(dearest)} in {len(pure)} of {len(windows)} windows, which had hits only; {told}")


def check_code(tap, name, code, executed):
    straight = straight_path(code)
    bad = [i for i in straight or [] if is_forbidden(i)]
    detail = "no return was found" if straight is None else "; ".join(bad) or f"{len(straight)} instructions to the first return"
    tap.result(straight is not None and not bad, f"{name}_has_no_call_and_no_lock_before_its_first_return", detail)

    ran = [i for address, i in code.items() if address in executed]
    bad = [i for i in ran if is_forbidden(i)]
    tap.result(bool(ran) and not bad, f"{name}_executes_no_call_and_no_lock_in_a_hit",
               "; ".join(bad) or f"{len(ran)} instructions ran in windows that had hits only")


def check_pair(args, tap, budgets, arguments):
    """Budgets: what each of the two functions may take, the one that gives a block first."""
    lib = os.path.realpath(args.lib)
    entries = {name: find_symbol(lib, name) for name in budgets}
    with tempfile.TemporaryDirectory() as folder:
        files = run_callgrind(args.program, arguments, lib, args.windows, folder)
        windows = [read_window(f, lib, entries) for f in files]

    counted = all(count == CALLS for w in windows for count in w.calls.values())
    objects = sorted({os.path.basename(o) for w in windows for o in w.objects})  # "???": valgrind knows no file there
    tap.result(counted, f"every_call_of_{'_and_'.join(entries)}_reaches_the_library",
               f"{len(windows)} windows of {CALLS} calls of each, answered by {', '.join(objects)}")
    if not counted:
        return
    pure = [w for w in windows if has_hits_only(w, entries)]
    for pattern in PATTERNS:
        of_pattern = [w for w in windows if w.pattern == pattern]
        check_pattern(tap, pattern, of_pattern, [w for w in pure if w.pattern == pattern], budgets)
    executed = set().union(*(w.executed for w in pure))
    for name, symbol in entries.items():
        check_code(tap, name, disassemble(lib, symbol), executed)


def check(args, tap):
    budgets = {"malloc": args.malloc, "free": args.free, "_Znwm": args.new, "_ZdlPvm": args.delete}
    for pair, arguments in PAIRS.items():
        check_pair(args, tap, {name: budgets[name] for name in pair.split()}, arguments)
    lib = os.path.realpath(args.lib)
    tls = static_tls(lib)
    tap.result(tls <= TLS_LIMIT, f"static_tls_takes_at_most_{TLS_LIMIT}_bytes", f"{tls} bytes")


def parse_arguments():
    parser = argparse.ArgumentParser(description="Count the instructions of malloc and free hits.")
    parser.add_argument("--lib", default=os.environ.get("HAKMEM_LIB", "build/libhakmem.so"),
                        help="library to count in (default: what HAKMEM_LIB says, or build/libhakmem.so)")
    parser.add_argument("--program", default="build/tests/hitpath/hitpath", help="the program that makes the hits")
    parser.add_argument("--malloc", type=int, default=16, help="budget of a malloc hit (default 16)")
    parser.add_argument("--free", type=int, default=17, help="budget of a free hit (default 17)")
    parser.add_argument("--new", type=int, default=17, help="budget of a hit of operator new (default 17)")
    parser.add_argument("--delete", type=int, default=21, help="budget of a hit of sized operator delete (default 21)")
    parser.add_argument("--windows", type=int, default=100, help="windows of each pattern (default 100)")
    return parser.parse_args()


def main():
    tap = Tap()
    try:
        check(parse_arguments(), tap)
    except RuntimeError as error:
        tap.result(False, "hits_can_be_counted", str(error))
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
