#!/usr/bin/python3
"""counts.py - what allocators cost in counts, which are exact where times are not.

    bench/counts.py [--lib NAME=PATH ...] [--only REGEX] [--json FILE] [--build DIR]

1. Instructions of a malloc and free pair in four patterns, visits to the slow side included: callgrind runs pairs.c,
   which says how the loop is taken off.
2. For each row of WORKLOADS, per million calls of malloc and free: page faults (rusage), system calls (strace), and
   instructions executed that lock the bus, on x86 (callgrind). What a process costs that does next to nothing is
   taken off.

The allocator's own locked instructions are those in files that a process on libc's allocator does not run; so libc's
own are among the rest's. Under valgrind threads run one at a time: nobody waits for a lock or tries again. Rows with
threads vary a little from run to run.

Exit status: 0; 1 when hakmem is missing or a count of it failed; 2 for a wrong command line.

Callers: `make bench-counts`.
"""

import argparse
import json
import os
import pathlib
import re
import sys
import tempfile
from dataclasses import dataclass

sys.dont_write_bytecode = True  # keeps the source folders clean
import allocators
import arguments
import callgrind
import runner
from aggregate import HAKMEM

PATTERNS = {"single": "64 B, one by one", "mixed": "16-1024 B, one by one",
            "burst": "64 B, 100 and 100", "burst_mixed": "16-1024 B, 100 and 100"}
WINDOWS = ("window_single", "window_burst")
FEW, MANY = 10, 110  # rounds of a window
CALLS = 100          # pairs of a round, as in pairs.c

FIGURES = {"faults": "page faults", "system_calls": "system calls",
           "own_locks": "locked instructions of the allocator", "other_locks": "locked instructions of the rest"}


@dataclass(frozen=True)
class Row:
    name: str
    command: tuple
    calls: int = 0            # of malloc and free together; 0: CALLS_IN_OPERATION for each operation that it prints
    calls_in_operation: int = 2


START = Row("start", ("bench_fixed_size", "1", "16", "1"), 2)
WORKLOADS = (
    Row("fixed-64-ws128", ("bench_fixed_size", "1000000", "64", "128"), 1_000_000),
    Row("mixed-ws8192", ("bench_random_mixed", "1000000", "8192", "12345"), 1_000_000),
    Row("larson-8-128-T2", ("larson", "0.5", "8", "128", "1024", "1", "12345", "2")),
    Row("producer-consumer-1-1", ("producer_consumer", "1", "1", "500000", "16", "1024"), 1_000_000),
    Row("large-1-30MiB", ("large_blocks", "2000", "16", "1", "30", "0"), 4_000),
)


# ---- instructions of a pair ------------------------------------------------------------------------


def count_pairs(args, library):
    """Pattern -> instructions of a pair."""
    program = str(pathlib.Path(args.build, "bench", "pairs"))
    with tempfile.TemporaryDirectory() as folder:
        windows, _ = callgrind.run([program, str(FEW), str(MANY)], library, folder, WINDOWS)
    # of each pattern: the warm-up, few and many rounds of the loop alone, few and many with the allocator
    if len(windows) < 5 * len(PATTERNS):
        raise RuntimeError(f"callgrind wrote {len(windows)} of {5 * len(PATTERNS)} windows")
    result = {}
    for i, pattern in enumerate(PATTERNS):
        _, few_nothing, many_nothing, few, many = windows[5 * i:5 * i + 5]
        loop = without_nothing(many_nothing) - without_nothing(few_nothing)
        result[pattern] = (many.total() - few.total() - loop) / (CALLS * (MANY - FEW))
    return result


def without_nothing(counts):
    return sum(n for name, n in counts.of_function.items() if not name.startswith("nothing_"))


# ---- faults, system calls and locks of a workload ----------------------------------------------------


def command_of(args, row):
    program = pathlib.Path(args.build, "bench", row.command[0])
    if not program.exists():
        raise RuntimeError(f"{row.command[0]} is not built")
    return [str(program), *row.command[1:]]


def calls_of(row, output):
    if row.calls:
        return row.calls
    found = re.search(r"(\d+) operations(?! per second)", output)
    if found is None or int(found.group(1)) == 0:
        raise RuntimeError("no number of operations was printed")
    return int(found.group(1)) * row.calls_in_operation


def count_faults(args, row, library, folder):
    """Started by measure, which also proves that the library is in the process."""
    report = os.path.join(folder, "report")
    measure = str(pathlib.Path(args.build, "bench", "measure"))
    done = callgrind.tool([measure, report, "60", library, *command_of(args, row)])
    found = json.loads(pathlib.Path(report).read_text())
    status = runner.verdict(found, library)
    if status != "ok":
        raise RuntimeError(status)
    return {"faults": found["minor_faults"] + found["major_faults"]}, calls_of(row, done.stdout)


def count_system_calls(args, row, library, folder):
    """strace itself runs without the library."""
    summary = os.path.join(folder, "strace")
    preload = [] if library == "-" else ["-E", f"LD_PRELOAD={library}"]
    done = callgrind.tool(["strace", "-f", "-c", "-U", "name,calls", "-o", summary, *preload, *command_of(args, row)],
                          callgrind.preload("-"))
    lines = [line.split() for line in pathlib.Path(summary).read_text().splitlines()]
    names = {fields[0]: int(fields[1]) for fields in lines if len(fields) == 2 and fields[1].isdigit() and fields[0] != "total"}
    return {"system_calls": sum(names.values()), "names": names}, calls_of(row, done.stdout)


def count_locks(args, row, library, folder, plain_objects):
    """The files that ran are kept in plain_objects when there is no library."""
    counts, output = callgrind.run(command_of(args, row), library, folder)
    if library == "-":
        plain_objects.update(counts.of_object)
    own = other = 0
    for path, executed in counts.of_object.items():
        locks = sum(executed[address] for address in callgrind.locked_instructions(path) if address in executed)
        if path in plain_objects:
            other += locks
        else:
            own += locks
    return {"own_locks": own, "other_locks": other}, calls_of(row, output)


def count_row(args, row, library, plain_objects):
    """Figure -> (count, calls of malloc and free), each from its own run."""
    found = {}
    for counter in (count_faults, count_system_calls):
        with tempfile.TemporaryDirectory() as folder:
            counts, calls = counter(args, row, library, folder)
        found.update({figure: (count, calls) for figure, count in counts.items()})
    with tempfile.TemporaryDirectory() as folder:
        counts, calls = count_locks(args, row, library, folder, plain_objects)
    return {**found, **{figure: (count, calls) for figure, count in counts.items()}}


def per_million(figure, found, start):
    count, calls = found[figure]
    return max(0, count - start[figure][0]) / calls * 1e6


# ---- tables -----------------------------------------------------------------------------------------

NAME_WIDTH = 14
CELL_WIDTH = 24


def print_pairs(cells):
    print("\ninstructions of a malloc and free pair (callgrind, loop taken off)\n")
    print(f"{'':{NAME_WIDTH}}" + "".join(f"{text:>{CELL_WIDTH}}" for text in PATTERNS.values()))
    for name, cell in sorted(cells.items(), key=lambda item: sum(item[1].get(p, 1e9) for p in PATTERNS)):
        if "failed" in cell:
            print(f"{name:<{NAME_WIDTH}}  {cell['failed']}")
        else:
            print(f"{name:<{NAME_WIDTH}}" + "".join(f"{cell[p]:>{CELL_WIDTH}.1f}" for p in PATTERNS))


def most_frequent(cell, start):
    names = {name: count - start["names"][0].get(name, 0) for name, count in cell["names"][0].items()}
    top = sorted(names.items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{name} {count / cell['names'][1] * 1e6:,.0f}" for name, count in top if count > 0)


def print_row(row, cells, starts):
    print(f"\n{row.name}: per million calls of malloc and free\n")
    print(f"{'':{NAME_WIDTH}}{'page faults':>12}{'system calls':>14}{'own locks':>12}{'other locks':>12}   most frequent system calls")
    for name, cell in cells.items():
        if "failed" in cell:
            print(f"{name:<{NAME_WIDTH}}  {cell['failed']}")
            continue
        figures = [per_million(figure, cell, starts[name]) for figure in FIGURES]
        print(f"{name:<{NAME_WIDTH}}{figures[0]:>12,.0f}{figures[1]:>14,.0f}{figures[2]:>12,.0f}{figures[3]:>12,.0f}   "
              f"{most_frequent(cell, starts[name])}", flush=True)


def counted(work):
    """What the work finds, or {"failed": why}."""
    try:
        return work()
    except RuntimeError as error:
        return {"failed": str(error)}


# ---- the command line ---------------------------------------------------------------------------------


def parse_arguments():
    parser = argparse.ArgumentParser(description="Count instructions, page faults, system calls and locks of allocators.")
    parser.add_argument("--lib", metavar="NAME=PATH", type=arguments.library, action="append", default=[],
                        help="one more allocator, or another library for a name")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--build", metavar="DIR", default="build", help="where libhakmem.so and bench/ are (default build)")
    parser.add_argument("--only", metavar="REGEX", type=arguments.pattern, default=re.compile(""),
                        help="rows whose name matches; the table of instructions is the row 'pairs'")
    return parser.parse_args()


def count_workloads(args, paths, rows):
    """Row -> allocator -> its counts, printed row by row. Row START comes first: it is taken off the others."""
    plain_objects = set()
    # libc's own allocator first: its run tells which files are nobody's
    names = sorted(paths, key=lambda name: paths[name] != "-")
    starts = {name: counted(lambda: count_row(args, START, paths[name], plain_objects)) for name in names}
    document = {START.name: starts}
    for row in rows:
        cells = {}
        for name in names:
            failed = "failed" in starts[name]
            cells[name] = starts[name] if failed else counted(lambda: count_row(args, row, paths[name], plain_objects))
        print_row(row, {name: cells[name] for name in paths}, starts)
        document[row.name] = cells
    return document


def main():
    args = parse_arguments()
    rows = [row for row in WORKLOADS if args.only.search(row.name)]
    has_pairs = args.only.search("pairs") is not None
    if not rows and not has_pairs:
        sys.exit(f"counts.py: no row matches '{args.only.pattern}'")
    with tempfile.TemporaryDirectory(prefix="hakmem-bench-") as folder:
        chosen, complaints = allocators.choose(args.build, args.lib, folder)
        print(*complaints, sep="\n", end="\n" if complaints else "", file=sys.stderr)
        paths = {name: allocator["path"] for name, allocator in chosen.items()}
        pairs = {name: counted(lambda: count_pairs(args, path)) for name, path in paths.items()} if has_pairs else {}
        if has_pairs:
            print_pairs(pairs)
        counts = count_workloads(args, paths, rows) if rows else {}
    if args.json:
        document = {"machine": allocators.machine(args.build), "allocators": chosen, "pairs": pairs, "rows": counts}
        pathlib.Path(args.json).write_text(json.dumps(document, indent=1) + "\n")
    cells = [pairs, *counts.values()]
    return 1 if HAKMEM not in paths or any("failed" in cell[HAKMEM] for cell in cells if cell) else 0


if __name__ == "__main__":
    sys.exit(main())
