#!/usr/bin/env python3
"""compare.py - hakmem beside the system allocator and its peers, each preloaded into the same programs.

    bench/compare.py [--only REGEX] [--rounds N] [--lib NAME=PATH ...] [--json FILE] [--page FILE] [--details]
    bench/compare.py --from FILE [--from FILE ...] [--page FILE]        prints again what was measured

Every workload of workloads.py runs under every allocator, interleaved: one run of each, then the next round, which
has another order. A figure is the median of the rounds. bench/measure.c starts the programs, and proves
that the library was in the process when it ended. A program that crashes, hangs or runs without the library gets a
cell that says so; the comparison goes on. build/bench/latency, if it is there, runs last, as the row "latency".

JSON is written after every row: what an interrupted run has measured is kept, shown, and continued by --resume.
Several --from are put together row by row; of a row that is in two of them the later one counts, whole, since only
figures that were taken in the same rounds can be compared.

Exit status: 0; 1 when hakmem is missing or failed in a row, with --strict also when a row is flagged or a bound is
missed; 2 for a wrong command line; 130 after an interrupt.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import sys
import tempfile

sys.dont_write_bytecode = True  # keeps the source folders clean
import aggregate
import allocators
import arguments
import page
import report
import runner
import workloads
from aggregate import HAKMEM

LATENCY = workloads.Workload("latency", ("latency",), score="latency", timeout=120)
FORMAT = 1  # of the JSON


class BadFile(Exception):
    """A file of results that cannot be used; the text says why."""


# ---- documents ---------------------------------------------------------------------------------


def load(path):
    try:
        document = json.loads(pathlib.Path(path).read_text())
    except (OSError, ValueError) as error:
        raise BadFile(f"{path}: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BadFile(f"{path} is no result of compare.py, or one of another format")
    return document


def save(document, path):
    """Whole or not at all: the file that is there stays until the other is written."""
    if path:
        beside = pathlib.Path(f"{path}.part")
        beside.write_text(json.dumps(document, indent=1) + "\n")
        beside.replace(path)


def merge(documents):
    """One document of several: allocators of all, each row as the last that has it. The head is the last one's."""
    merged = {**documents[-1], "allocators": {}, "rows": []}
    rows = {}
    for document in documents:
        merged["allocators"].update(document["allocators"])
        rows.update({row["name"]: row for row in document["rows"]})
    merged["rows"] = list(rows.values())
    merged["rounds"] = min(d["rounds"] for d in documents)
    return merged


def describe_difference(documents):
    """A warning when figures of different machines, settings or versions are about to stand side by side; else None."""
    for key in ("cpu", "cores", "kernel", "libc", "huge_pages", "compiler", "environment"):
        if len({json.dumps(d["machine"][key]) for d in documents}) > 1:
            return f"the files come from different machines or settings ({key}): their rows do not belong together"
    for name in {n for d in documents for n in d["allocators"]}:
        if len({d["allocators"][name]["version"] for d in documents if name in d["allocators"]}) > 1:
            return f"the files were taken with different versions of {name}"
    return None


def resumable(document, workload, names, rounds):
    """True when the document has this very row, in all rounds, under all these allocators."""
    for row in document["rows"]:
        if row["name"] == workload.name:
            return (row["command"] == list(workload.command) and row["rounds"] >= rounds
                    and set(row["cells"]) >= set(names) and not aggregate.is_missing(row))
    return False


def put_row(document, row):
    document["rows"] = [r for r in document["rows"] if r["name"] != row["name"]] + [row]


def split_latency(document):
    """(ordinary rows, the latency row or None)."""
    latency = [r for r in document["rows"] if r["score"] == "latency"]
    return [r for r in document["rows"] if r["score"] != "latency"], latency[0] if latency else None


# ---- measuring ---------------------------------------------------------------------------------


def choose_workloads(args):
    table = workloads.all_workloads() + (workloads.rare_workloads() if args.rare else [])
    names = [w.name for w in table]
    twice = {n for n in names if names.count(n) > 1}
    if twice:
        sys.exit("compare.py: workloads.py names a row twice: " + ", ".join(sorted(twice)))
    if pathlib.Path(args.build, "bench", LATENCY.command[0]).exists():
        table.append(LATENCY)
    chosen = [w for w in table if args.only.search(w.name)]
    if not chosen:
        sys.exit(f"compare.py: no workload matches '{args.only.pattern}'")
    return chosen


def start_document(args, chosen):
    document = {"format": FORMAT, "machine": allocators.machine(args.build), "rounds": args.rounds, "allocators": chosen,
                "finished": False, "rows": []}
    if args.resume:
        old = load(args.resume)
        warning = describe_difference([old, document])
        if warning:
            raise BadFile(f"{args.resume} cannot be resumed: {warning}")
        document["rows"] = old["rows"]
    return document


def measure(args, document, chosen, table):
    """Measures what the document lacks, row by row, into it. Raises KeyboardInterrupt when it is interrupted."""
    names = list(document["allocators"])
    to_run = [w for w in chosen if not resumable(document, w, names, args.rounds)]
    progress = runner.Progress(len(to_run) * args.rounds * len(names))
    run = runner.Runner(args.build, args.rounds, args.timeout, document["allocators"], progress)
    try:
        for workload in chosen:
            if workload in to_run:
                keep_row(args, document, run.row(workload))
            progress.clear()
            show_row(args, table, next(r for r in document["rows"] if r["name"] == workload.name))
    except KeyboardInterrupt as interrupt:
        progress.clear()
        row = getattr(interrupt, "row", None)
        if row is not None:
            keep_row(args, document, row)
            show_row(args, table, row)
        raise


def keep_row(args, document, row):
    put_row(document, row)
    save(document, args.json)


def show_row(args, table, row):
    if row["score"] == "latency":
        return
    print(table.row(row), flush=True)
    if args.details:
        print("\n".join(report.detail_lines(row)), flush=True)


def run_all(args, chosen, folder):
    """(document, whether it was interrupted). `folder` takes copies of what a build could replace meanwhile."""
    libraries, complaints = allocators.choose(args.build, args.lib, folder)
    for complaint in complaints:
        print(f"compare.py: {complaint}", file=sys.stderr)
    document = start_document(args, libraries)
    show_head(document)
    if document["machine"]["load_before"] > 0.3:
        print("compare.py: the machine is busy: figures will be poor", file=sys.stderr)
    table = report.Table(list(libraries), [w.name for w in chosen])
    print(table.head(), flush=True)
    interrupted = False
    try:
        measure(args, document, chosen, table)
        document["finished"] = True
    except KeyboardInterrupt:
        interrupted = True
    save(document, args.json)
    return document, interrupted


# ---- showing -----------------------------------------------------------------------------------


def show_head(document):
    machine = document["machine"]
    print(report.machine_text(machine))
    print(f"{machine['date']}; load before: {machine['load_before']}; medians of {document['rounds']} interleaved rounds"
          + ("" if document["rounds"] >= 5 else " (five are needed for a figure)"))
    for name, allocator in document["allocators"].items():
        print(f"    {name:<12}{allocator['version']}")
    if machine["environment"]:
        print("set in the environment: " + " ".join(f"{k}={v}" for k, v in machine["environment"].items()))


def show_measured(args, document):
    """The head and the rows of a document that was read from a file."""
    show_head(document)
    table = report.Table(list(document["allocators"]), [r["name"] for r in document["rows"]])
    print(table.head())
    for row in document["rows"]:
        show_row(args, table, row)


def show_end(document):
    names = list(document["allocators"])
    rows, latency = split_latency(document)
    table = report.Table(names, [r["name"] for r in rows])
    lines = [*report.latency_text(latency)]
    if rows:
        lines = [*table.memory(rows), *lines, *report.summary_text(rows, names)]
    for line in [*lines, *report.bound_lines(rows, names, latency), *(report.flag_lines(rows, names) if rows else ())]:
        print(line)
    if not document["finished"]:
        print(f"\nThis run was interrupted: {len(document['rows'])} rows are there.")


def write_files(args, document):
    rows, latency = split_latency(document)
    names = list(document["allocators"])
    if args.markdown:
        pathlib.Path(args.markdown).write_text("\n".join(report.markdown(document, rows, names, latency)))
    if args.charts:
        complaint = page.write_charts(document, rows, names, latency, args.charts)
        if complaint:
            print(f"compare.py: no charts: {complaint}", file=sys.stderr)
    if args.page:
        complaint = page.write(document, rows, names, latency, args.page)
        if complaint:
            print(f"compare.py: the page has no charts: {complaint}", file=sys.stderr)


def exit_status(args, document):
    rows, latency = split_latency(document)
    names = list(document["allocators"])
    failed = HAKMEM not in names or any("FAILED" in aggregate.judge(r, names)["flags"] for r in document["rows"])
    flagged = any(aggregate.judge(r, names)["flags"] for r in rows)
    missed = any(held is False for _, _, held in report.all_bounds(rows, names, latency))
    return 1 if failed or (args.strict and (flagged or missed)) else 0


# ---- the command line --------------------------------------------------------------------------


def rounds_argument(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of rounds")
    return int(text)


def timeout_argument(text):
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0.001 <= seconds < 1e7:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds, at least 0.001")
    return seconds


def parse_arguments(words):
    parser = argparse.ArgumentParser(description="Compare hakmem with the system allocator and its peers.")
    add = parser.add_argument
    add("--only", metavar="REGEX", type=arguments.pattern, default=re.compile(""), help="rows whose name matches")
    add("--rare", action="store_true", help="rows that take minutes and 16 GiB of memory, too")
    add("--rounds", metavar="N", type=rounds_argument, default=5, help="rounds; medians need five (default 5)")
    add("--lib", metavar="NAME=PATH", type=arguments.library, action="append", default=[],
        help="one more peer, or another library for a name")
    add("--json", metavar="FILE", help="write every sample to FILE, after each row")
    add("--resume", metavar="FILE", help="take over the rows of FILE that are complete, measure the others")
    add("--from", metavar="FILE", dest="sources", action="append", default=[], help="measure nothing, show FILE again")
    add("--page", metavar="FILE", help="write the results as one HTML page")
    add("--markdown", metavar="FILE", help="write the tables as Markdown")
    add("--charts", metavar="DIR", help="write each chart to DIR as SVG")
    add("--timeout", metavar="S", type=timeout_argument, help="seconds after which a program hangs (default: the row's own)")
    add("--details", action="store_true", help="user and system time, spread and faults under each row")
    add("--strict", action="store_true", help="fail when a row is flagged or a bound is missed")
    add("--build", metavar="DIR", default="build", help="where libhakmem.so and bench/ are (default build)")
    add("--list", action="store_true", help="print the rows and stop")
    args = parser.parse_args(words)
    if args.sources and (args.resume or args.lib):
        parser.error("--from measures nothing: it goes with neither --resume nor --lib")
    return args


def read_documents(args):
    """The document of --from, with the rows that --only names."""
    documents = [load(path) for path in args.sources]
    warning = describe_difference(documents)
    if warning:
        print(f"compare.py: {warning}", file=sys.stderr)
    document = merge(documents)
    document["rows"] = [r for r in document["rows"] if args.only.search(r["name"])]
    if not document["rows"]:
        raise BadFile(f"no row matches '{args.only.pattern}'")
    return document


def interrupt(number, frame):
    raise KeyboardInterrupt


def main(words):
    args = parse_arguments(words)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        if args.sources:
            document, interrupted = read_documents(args), False
            show_measured(args, document)
            save(document, args.json)
        else:
            chosen = choose_workloads(args)
            if args.list:
                for workload in chosen:
                    print(f"{workload.name:<28}{' '.join(workload.command)}")
                return 0
            with tempfile.TemporaryDirectory(prefix="hakmem-bench-") as folder:
                document, interrupted = run_all(args, chosen, folder)
    except (BadFile, runner.LauncherError) as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 1
    if document["rows"]:
        show_end(document)
        write_files(args, document)
    return 130 if interrupted else exit_status(args, document)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
