#!/usr/bin/env python3
"""memory_tables.py - memory that goes back to the system by itself, for all allocators side by side.

    bench/memory_tables.py idle [--seconds N] [--total MIB]    what is resident after N seconds without a call (idle.c)
    bench/memory_tables.py thrash [--seconds N] [--pairs N]    what it costs to free memory and take it again (thrash.c)
    bench/memory_tables.py server [--seconds N] [--seed N]     a simulated server over N seconds (server_sim.c)

Options of all: --lib NAME=PATH ..., --only REGEX of rows, --allocators REGEX, --at-once N, --json FILE, --build DIR.

The programs mostly sleep, so many of them run at a time, as many as fit into memory; thrash runs alone, since its
times count. Each allocator has its defaults, or what the environment says. bench/measure.c starts the programs and
proves that the library was in the process. A run that fails has a cell that says so.

Exit status: 0; 1 when hakmem is missing or failed in a row; 2 for a wrong command line.

Callers: `make idle-table`, `make thrash-table`, `make server-sim`; tests/idle/idle_test.py runs rows through it.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import sys
import tempfile
from dataclasses import dataclass, replace

sys.dont_write_bytecode = True  # keeps the source folders clean
import allocators
import arguments
import runner
from aggregate import FLOOR, HAKMEM
from workloads import Workload

MARGIN_S = 60           # for what a program does before and after its sleep, on a busy machine
MEMORY_SHARE = 0.6      # of the memory that is available, for all programs together
OVERHEAD = 1.6          # resident at most for each byte asked for
SERVER_MIB = 600        # resident at most

SIZES = ("64", "200", "4096", "102400", "mixed")
THREADS = (1, 8, 64)
HOLD_S = 9              # before blocks are freed: longer than hakmem's own thread waits for work,
HELD_MIB = 64           # of which so few blocks give it little


@dataclass(frozen=True)
class Row:
    name: str
    command: tuple  # without the path of the program
    seconds: float  # that it takes
    mib: float      # that it needs


# ---- rows ------------------------------------------------------------------------------------------


def idle_row(name, threads, size, total, seconds, *rest):
    return Row(name, ("idle", str(threads), size, str(total), str(seconds), *rest), seconds, total * OVERHEAD + 64)


def held_row(name, threads, size, seconds, order):
    row = idle_row(name, threads, size, HELD_MIB, seconds, order, "0", str(HOLD_S))
    return replace(row, seconds=row.seconds + HOLD_S)


def idle_rows(total=400, seconds=10):
    rows = [idle_row(f"{size}-T{threads}", threads, size, total, seconds) for threads in THREADS for size in SIZES]
    return rows + [idle_row("200-T1-random", 1, "200", total, seconds, "random"),
                   idle_row("medium-T1-random", 1, "medium", total, seconds, "random"),
                   idle_row("200-T8-random", 8, "200", total, seconds, "random"),
                   idle_row("200-T8-remote", 8, "200", total, seconds, "remote"),
                   idle_row("4096-T64-random", 64, "4096", total, seconds, "random"),
                   idle_row("mixed-T64-random", 64, "mixed", total, seconds, "random"),
                   idle_row("mixed-T8-remote", 8, "mixed", total, seconds, "remote"),
                   idle_row("mixed-T64-remote", 64, "mixed", total, seconds, "remote"),
                   idle_row("200-T8-left-100", 8, "200", total, seconds, "random", "100"),
                   held_row("102400-T2-held", 2, "102400", seconds, "random"),
                   held_row("200-T2-remote-held", 2, "200", seconds, "remote")]


def thrash_row(mib, size, pause, seconds, pairs):
    command = ("thrash", str(mib), size, str(pause), str(seconds), str(pairs))
    return Row(f"{mib}MiB-{size}-pause-{pause}ms", command, 2 * pairs * (seconds + 1), 2 * mib)


def thrash_rows(seconds=3, pairs=3):
    return [thrash_row(mib, size, pause, seconds, pairs)
            for mib in (1, 10, 100) for size in ("whole", "65536", "1024") for pause in (0, 1, 10, 100)]


def server_rows(seconds=60, seed=1):
    return [Row("server", ("server_sim", str(seconds), str(seed)), seconds, SERVER_MIB)]


# ---- running ---------------------------------------------------------------------------------------


def run(build, row, library):
    """The figures that a program prints as JSON in its last line, with "status": "ok", or what went wrong."""
    workload = Workload(row.name, row.command)
    launcher = runner.Runner(build, 1, row.seconds + MARGIN_S, {}, None)
    if launcher.program(workload) is None:
        return {"status": "missing"}
    report, output, complaints = launcher.launch(workload, library, True)
    status = runner.verdict(report, library)
    if status != "ok":
        return {"status": status, "stderr": complaints}
    try:
        return {**json.loads((output.splitlines() or [""])[-1]), "status": "ok"}
    except ValueError:
        return {"status": "no figures", "stderr": complaints}


def places(rows):
    """How many of the programs fit into memory at a time."""
    available = int(allocators.first_line_of("/proc/meminfo", r"MemAvailable:\s*(\d+)") or 0) / 1024
    return max(1, int(available * MEMORY_SHARE / max(row.mib for row in rows)))


def run_all(build, pairs, at_once):
    """Yields (row, name, figures) for each of the pairs (row, (name, path)), in whatever order they end."""
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        futures = {pool.submit(run, build, row, path): (row, name) for row, (name, path) in pairs}
        try:
            for future in concurrent.futures.as_completed(futures):
                yield *futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


# ---- tables ----------------------------------------------------------------------------------------

# command: (what a cell says, its text)
CELLS = {
    "idle": ("percent of the freed bytes that went back, and MiB above the baseline that did not",
             lambda f: f"{round(f['returned_percent'], 1) + 0:.1f} / {f['rest_mib']:.0f}"),
    "thrash": ("time ÷ that of the program that keeps its memory, and page faults of a round in percent of its pages",
               lambda f: f"{f['ratio']:.2f} / {f['frees_fault_percent']:.1f}"),
    "server": ("worst and mean of resident ÷ live at the end of a quiet part, mean MiB resident",
               lambda f: f"{f['worst_ratio']:.2f} / {f['mean_ratio']:.2f} / {f['mean_resident_mib']:.0f}"),
}


def cell_text(command, figures):
    return CELLS[command][1](figures) if figures["status"] == "ok" else figures["status"]


def print_table(command, rows, names, cells):
    """Markdown: a column for each allocator; for one row a line for each."""
    print(f"\n{command}: {CELLS[command][0]}\n")
    if len(rows) == 1:
        lines = [[name, cell_text(command, cells[rows[0].name, name])] for name in names]
        header = ["", rows[0].name]
    else:
        lines = [[row.name, *(cell_text(command, cells[row.name, name]) for name in names)] for row in rows]
        header = ["", *names]
    print("| " + " | ".join(header) + " |")
    print("|---" * len(header) + "|")
    for line in lines:
        print("| " + " | ".join(line) + " |")


# ---- the command line --------------------------------------------------------------------------------


def number(text):
    value = int(text) if text.isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive number")
    return value


def parse_arguments():
    parser = argparse.ArgumentParser(description="Memory that goes back to the system, for all allocators side by side.")
    parser.add_argument("command", choices=CELLS)
    parser.add_argument("--seconds", type=number, help="default: 10 (idle), 3 (thrash), 60 (server)")
    parser.add_argument("--total", metavar="MIB", type=number, default=400, help="idle: memory of a program (default 400)")
    parser.add_argument("--pairs", type=number, default=3, help="thrash: runs of each way (default 3)")
    parser.add_argument("--seed", type=number, default=1, help="server: what happens (default 1)")
    parser.add_argument("--at-once", metavar="N", type=number, help="programs at a time (default: what memory holds)")
    parser.add_argument("--lib", metavar="NAME=PATH", type=arguments.library, action="append", default=[],
                        help="one more allocator, or another library for a name")
    parser.add_argument("--only", metavar="REGEX", type=arguments.pattern, default=re.compile(""), help="rows by name")
    parser.add_argument("--allocators", metavar="REGEX", type=arguments.pattern, default=re.compile(""),
                        help="allocators by name")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--build", metavar="DIR", default="build", help="where libhakmem.so and bench/ are (default build)")
    return parser.parse_args()


def rows_of(args):
    if args.command == "idle":
        rows = idle_rows(args.total, args.seconds or 10)
    elif args.command == "thrash":
        rows = thrash_rows(args.seconds or 3, args.pairs)
    else:
        rows = server_rows(args.seconds or 60, args.seed)
    rows = [row for row in rows if args.only.search(row.name)]
    if not rows:
        sys.exit(f"memory_tables.py: no row matches '{args.only.pattern}'")
    return rows


def main():
    args = parse_arguments()
    rows = rows_of(args)
    at_once = args.at_once or (1 if args.command == "thrash" else places(rows))
    cells = {}
    with tempfile.TemporaryDirectory(prefix="hakmem-bench-") as folder:
        chosen, complaints = allocators.choose(args.build, args.lib, folder)
        print(*complaints, sep="\n", end="\n" if complaints else "", file=sys.stderr)
        paths = {n: a["path"] for n, a in chosen.items() if n != FLOOR and args.allocators.search(n)}
        pairs = [(row, allocator) for row in rows for allocator in paths.items()]
        for row, name, figures in run_all(args.build, pairs, at_once):
            cells[row.name, name] = figures
            print(f"{len(cells)} of {len(pairs)}: {row.name}, {name}: {cell_text(args.command, figures)}", file=sys.stderr)
    print_table(args.command, rows, list(paths), cells)
    if args.json:
        document = {"machine": allocators.machine(args.build), "allocators": chosen, "command": args.command,
                    "rows": {row.name: {name: cells[row.name, name] for name in paths} for row in rows}}
        pathlib.Path(args.json).write_text(json.dumps(document, indent=1) + "\n")
    failed = [row.name for row in rows if cells.get((row.name, HAKMEM), {"status": "missing"})["status"] != "ok"]
    return 1 if failed and args.allocators.search(HAKMEM) else 0


if __name__ == "__main__":
    sys.exit(main())
