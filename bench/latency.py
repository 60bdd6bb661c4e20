#!/usr/bin/python3
"""latency.py - how long single calls of malloc and free take under each allocator.

    bench/latency.py [--lib NAME=PATH ...] [--rounds N] [--background N] [--seed N] [--json FILE] [--build DIR]

latency.c, which says what is measured, runs under every allocator, interleaved, N rounds. A figure is the median of
the rounds; "worst" is the greatest of all. A table for each phase and call, sorted by p99.99.

The first table is of empty windows: what interrupts and the machine's host add to any call. A maximum no greater
than theirs says nothing about an allocator. "quiet max" leaves out batches of calls in which the kernel ran
somebody else on the core; the host of a virtual machine may have done so unseen.

Exit status: 0; 1 when hakmem is missing or failed; 2 for a wrong command line.

Uses:    allocators.py finds the libraries, runner.py runs the program.
Callers: `make bench-latency`.
"""

import json
import pathlib
import statistics
import sys
import tempfile

sys.dont_write_bytecode = True  # keeps the source folders clean
import allocators
import arguments
import runner
from aggregate import HAKMEM
from workloads import Workload

PHASES = {"timer": "empty windows", "steady": "steady state", "growth": "while the heap grows",
          "purge": "while memory is given back"}
COLUMNS = {"p50": "p50", "p99": "p99", "p999": "p99.9", "p9999": "p99.99", "quiet_max": "quiet max", "max": "max",
           "worst": "worst"}
NAME_WIDTH = 14
CELL_WIDTH = 13


def line_of(cell, phase, call):
    return next((line for line in cell["lines"] if (line["phase"], line["call"]) == (phase, call)), None)


def resident_mib(cell, phase):
    """Median over the rounds of the process's memory at the end of a phase."""
    found = [line["resident_kib"] for sample in cell["samples"] for line in sample["lines"] if line["phase"] == phase]
    return statistics.median(found) / 1024


def nanoseconds(value):
    return "-" if value is None else f"{value:,.0f}"


def print_table(cells, phase, call):
    """Those that finished, the best p99.99 first; memory at the end of the phase beside them."""
    print(f"\n{PHASES[phase]}: {call}, ns\n")
    print(f"{'':{NAME_WIDTH}}" + "".join(f"{text:>{CELL_WIDTH}}" for text in COLUMNS.values()) + f"{'memory, MiB':>{CELL_WIDTH}}")
    found = {name: line_of(cell, phase, call) for name, cell in cells.items()}
    for name, line in sorted(found.items(), key=lambda item: item[1]["p9999"]):
        values = "".join(f"{nanoseconds(line[figure]):>{CELL_WIDTH}}" for figure in COLUMNS)
        print(f"{name:<{NAME_WIDTH}}{values}{resident_mib(cells[name], phase):>{CELL_WIDTH}.1f}")


def print_failures(cells):
    for name, cell in cells.items():
        if cell["status"] != "ok":
            words = next((s["stderr"].strip().splitlines() for s in cell["samples"] if s["status"] != "ok"), [])
            print(f"{name}: {cell['status']} in {cell['bad']} of {cell['runs']} rounds" + (f": {words[-1]}" if words else ""))


def print_row(row):
    good = {name: cell for name, cell in row["cells"].items() if cell["status"] == "ok"}
    pairs = dict.fromkeys((line["phase"], line["call"]) for cell in good.values() for line in cell["lines"])
    for phase, call in pairs:
        print_table(good, phase, call)
    print_failures(row["cells"])


def parse_arguments():
    parser = arguments.parser("Measure single calls of malloc and free under hakmem and its peers.")
    parser.add_argument("--rounds", metavar="N", type=arguments.number(1, 1000), default=5, help="rounds (default 5)")
    parser.add_argument("--background", metavar="N", type=arguments.number(0, 256), default=0,
                        help="threads that allocate and free meanwhile (default 0)")
    parser.add_argument("--seed", metavar="N", type=arguments.number(0, 2**63), default=12345,
                        help="of the random numbers, the same for all (default 12345)")
    return parser.parse_args()


def measure(args, chosen, where):
    """The row of all allocators, as runner.py makes it."""
    print(f"{where['cpu']}, {where['cores']} cores, Linux {where['kernel']}; load before: {where['load_before']}; "
          f"medians of {args.rounds} interleaved rounds; {args.background} threads in the background")
    workload = Workload("latency", ("latency", str(args.background), str(args.seed)), score="latency")
    progress = runner.Progress(args.rounds * len(chosen))
    row = runner.Runner(args.build, args.rounds, None, chosen, progress).row(workload)
    progress.clear()
    return row


def main():
    args = parse_arguments()
    where = allocators.machine()
    with tempfile.TemporaryDirectory(prefix="hakmem-bench-") as folder:
        chosen, complaints = allocators.choose(args.build, args.lib, folder)
        print(*complaints, sep="\n", end="\n" if complaints else "", file=sys.stderr)
        row = measure(args, chosen, where)
    print_row(row)
    if args.json:
        document = {"machine": where, "background": args.background, "seed": args.seed, "allocators": chosen, **row}
        pathlib.Path(args.json).write_text(json.dumps(document, indent=1) + "\n")
    own = row["cells"].get(HAKMEM)
    return 0 if own is not None and own["status"] == "ok" else 1


if __name__ == "__main__":
    sys.exit(main())
