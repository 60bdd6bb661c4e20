"""callgrind.py - runs a program under callgrind with an allocator preloaded, and reads what it wrote.

    counts, output = callgrind.run(command, library, folder)      # everything that the program executed
    windows, _ = callgrind.run(command, library, folder, ["f"])   # one Counts for each call of the function f
    callgrind.locked_instructions(path)                           # addresses in a file of ELF that lock the bus

Counts are exact and the same in each run of a program with one thread. Threads run one at a time under valgrind: a
lock is never contended there, and a loop that retries never does.
"""

import collections
import functools
import os
import pathlib
import re
import subprocess

LOCKED = re.compile(r"^\s*([0-9a-f]+):\t(?:(?:bnd|repz|repnz|notrack|xacquire|xrelease|rex\S*)\s+)*(lock|xchg)\b\s*(.*)$")
TIMEOUT_S = 1800
REGISTERS = re.compile(r"^%\w+,%\w+\s*(?:#.*)?$")


class Counts:
    """Executions of each instruction: .of_object[path][address]; and of each function: .of_function[name]."""

    def __init__(self):
        self.of_object = collections.defaultdict(collections.Counter)
        self.of_function = collections.Counter()

    def total(self):
        return sum(self.of_function.values())


def failure(done):
    words = done.stderr.strip().splitlines()
    return f"{os.path.basename(done.args[0])} exit status {done.returncode}" + (f": {words[-1]}" if words else "")


def tool(command, env=None):
    """A program that must succeed, within TIMEOUT_S seconds."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                              env=env, check=False, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{command[0]} did not end within {TIMEOUT_S} s") from error
    except OSError as error:
        raise RuntimeError(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise RuntimeError(failure(done))
    return done


def preload(library):
    env = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    return env if library == "-" else {**env, "LD_PRELOAD": library}


def read(path):
    """Callgrind's format: "ob=" and "fn=" name what follows, "address line count" are counts, and the line after
    "calls=" is the cost of the callee, which stands at its own place too."""
    counts = Counts()
    ob = fn = None
    is_callee = False
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("0x"):
                if not is_callee:
                    address, _, count = line.split()
                    counts.of_object[ob][int(address, 16)] += int(count)
                    counts.of_function[fn] += int(count)
                is_callee = False
            elif line.startswith("ob="):
                ob = line[3:].rstrip("\n")
            elif line.startswith("fn="):
                fn = line[3:].rstrip("\n")
            elif line.startswith("calls="):
                is_callee = True
    return counts


def run(command, library, folder, windows=()):
    """Counts of the whole program and its standard output; with names of functions, a list of Counts, in order."""
    out = os.path.join(folder, "callgrind.out")
    options = [f"--callgrind-out-file={out}", "--dump-instr=yes", "--compress-strings=no", "--compress-pos=no",
               *(f"--zero-before={f}" for f in windows), *(f"--dump-after={f}" for f in windows)]
    done = tool(["valgrind", "--tool=callgrind", "--quiet", *options, *command], preload(library))
    if not windows:
        counts = read(out)
        check_loaded(library, [counts])
        return counts, done.stdout
    parts = sorted(pathlib.Path(folder).glob("callgrind.out.*"), key=lambda p: int(p.suffix[1:]))
    found = [read(p) for p in parts]
    check_loaded(library, found)
    return found, done.stdout


def check_loaded(library, found):
    if library != "-" and not any(os.path.realpath(library) == os.path.realpath(ob) for c in found for ob in c.of_object):
        raise RuntimeError("nothing of the library was executed")


@functools.cache
def locked_instructions(path):
    """The addresses of instructions with a lock prefix, and of xchg with memory, which needs none."""
    if not os.path.isfile(path):
        return frozenset()
    text = tool(["objdump", "-d", "--no-show-raw-insn", path]).stdout
    found = map(LOCKED.match, text.splitlines())
    return frozenset(int(m.group(1), 16) for m in found if m and not (m.group(2) == "xchg" and REGISTERS.match(m.group(3))))
