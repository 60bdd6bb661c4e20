#!/usr/bin/env python3
"""compare.py - hakmem beside the system allocator and its peers, each preloaded into the same programs.

    bench/compare.py [--only REGEX] [--rounds N] [--lib NAME=PATH ...] [--json FILE] [--details]

Every workload of workloads.py runs under every allocator, interleaved: one run of each, then the next
round, which starts with another allocator. A figure is the median of the rounds. bench/measure.c starts the
programs, and proves that the library was in the process when it ended. A program that crashes, hangs or
runs without the library gets a cell that says so; the comparison goes on.

Exit status: 0; 1 when hakmem is missing or failed in a row, with --strict also when a row is flagged;
2 for a wrong command line.
"""

import argparse
import json
import math
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # keeps the source folders clean
import workloads

HAKMEM = "hakmem"
LIMIT = 1.1  # hakmem's time and peak memory, at most this often the best peer's

# Whom hakmem is judged against. name: (Debian package, file name that ldconfig knows)
PEERS = {
    "jemalloc": ("libjemalloc2", "libjemalloc.so.2"),
    "mimalloc": ("libmimalloc2.0", "libmimalloc.so.2"),
    "tcmalloc": ("libtcmalloc-minimal4", "libtcmalloc_minimal.so.4"),
}
JUDGES = ("system", *PEERS)

RATE = re.compile(r"(\d+) operations per second")


# ---- finding the allocators -------------------------------------------------------------------


def output_of(*command):
    """Standard output of a tool, or "" when it is missing or fails."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    program = shutil.which(command[0], path=path)
    if program is None:
        return ""
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def find_peer(package, file_name):
    for line in output_of("ldconfig", "-p").splitlines():
        name, _, path = line.strip().partition(" => ")
        if name.split(" ")[0] == file_name and os.path.exists(path):
            return path
    for path in output_of("dpkg", "-L", package).splitlines():
        if os.path.basename(path) == file_name and os.path.exists(path):
            return path
    return None


def choose_allocators(args):
    """Name -> path to preload, "-" for none. Allocators that are missing are told and left out."""
    chosen = {"system": "-"}
    hakmem = pathlib.Path(args.build, "libhakmem.so")
    if hakmem.exists():
        chosen[HAKMEM] = str(hakmem.resolve())
    for name, (package, file_name) in PEERS.items():
        path = find_peer(package, file_name)
        if path is not None:
            chosen[name] = path
        else:
            print(f"{name} is missing: apt-get install {package}", file=sys.stderr)
    for name, path in args.lib:
        chosen[name] = path
    if HAKMEM not in chosen:
        print(f"{HAKMEM} is missing: {hakmem} does not exist", file=sys.stderr)
    return chosen


# ---- one run ----------------------------------------------------------------------------------


def command_line(args, workload):
    program = pathlib.Path(args.build, "bench", workload.command[0])
    found = str(program.resolve()) if program.exists() else workload.command[0]
    return [found, *workload.command[1:]]


def verdict(report, library):
    """"ok", or the few words that stand in the cell instead of a figure."""
    if report["timed_out"]:
        return "hung"
    if report["signal"]:
        return signal.Signals(report["signal"]).name
    if report["exit"]:
        return f"exit {report['exit']}"
    if library != "-" and report["loaded"] is not True:
        return "not loaded" if report["loaded"] is False else "unproven"
    return "ok"


def run_once(args, workload, library):
    """One process. A dict of figures; "status" is "ok" when they count."""
    measure = str(pathlib.Path(args.build, "bench", "measure"))
    with tempfile.NamedTemporaryFile() as report_file:
        launch = [measure, report_file.name, str(args.timeout or workload.timeout), library]
        done = subprocess.run([*launch, *command_line(args, workload)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace", check=False)
        if done.returncode != 0:
            sys.exit(f"compare.py: {measure} failed: {done.stderr.strip()}")
        report = json.loads(pathlib.Path(report_file.name).read_text())
    report["status"] = verdict(report, library)
    report["score"] = report["wall"]
    if report["status"] == "ok" and workload.score == "rate":
        rate = RATE.search(done.stdout)
        if rate is None or int(rate.group(1)) == 0:
            report["status"] = "no rate"
        else:
            report["score"] = 1e9 / int(rate.group(1))
    if report["status"] != "ok":
        report["stderr"] = done.stderr[-2000:]
    return report


# ---- a row: one workload under all allocators ---------------------------------------------------

FIGURES = ("score", "wall", "user", "sys", "peak_kib", "minor_faults", "major_faults")


def summarise(samples):
    """The cell: medians over the rounds, or what went wrong in how many of them."""
    bad = [s["status"] for s in samples if s["status"] != "ok"]
    if bad:
        return {"status": f"{bad[0]} {len(bad)}/{len(samples)}", "samples": samples}
    medians = {f: statistics.median(s[f] for s in samples) for f in FIGURES}
    return {"status": "ok", **medians, "samples": samples}


def measure_row(args, workload, allocators):
    names = list(allocators)
    samples = {name: [] for name in names}
    for turn in range(args.rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            samples[name].append(run_once(args, workload, allocators[name]))
    cells = {name: summarise(s) for name, s in samples.items()}
    row = {"name": workload.name, "command": workload.command, "unit": "s" if workload.score == "time" else "ns/op"}
    return {**row, "cells": cells, **judge(cells)}


def best_of(cells, names, figure):
    return min((cells[n][figure] for n in names if n in cells and cells[n]["status"] == "ok"), default=None)


def judge(cells):
    """hakmem against the best of its judges, and the flags that follow."""
    result = {"hakmem_time": None, "hakmem_memory": None, "flags": []}
    own = cells.get(HAKMEM)
    if own is None:
        return result
    if own["status"] != "ok":
        return {**result, "flags": ["FAILED"]}
    for key, figure, flag in (("hakmem_time", "score", "SLOW"), ("hakmem_memory", "peak_kib", "FAT")):
        best = best_of(cells, JUDGES, figure)
        if best is not None:
            result[key] = own[figure] / best
            result["flags"] += [flag] if result[key] > LIMIT else []
    return result


# ---- the table ----------------------------------------------------------------------------------

NAME_WIDTH = 20
CELL_WIDTH = 9
RATIO_WIDTH = 8


def print_head(names):
    wide = CELL_WIDTH * len(names)
    ratio = "hakmem÷"
    print(f"{'':{NAME_WIDTH + 10}}{'time ÷ best of the row':<{wide}}{ratio:>{RATIO_WIDTH}}  "
          f"{'peak memory, MiB':<{wide}}{ratio:>{RATIO_WIDTH}}")
    heads = "".join(f"{n:>{CELL_WIDTH}}" for n in names)
    print(f"{'workload':<{NAME_WIDTH}}{'best':>10}{heads}{'fastest':>{RATIO_WIDTH}}  {heads}{'leanest':>{RATIO_WIDTH}}")


def short(status):
    """A failure in CELL_WIDTH - 1 letters: "SIGSEGV 5/5" becomes "SEGV"; the line below the row tells the rest."""
    return status.rpartition(" ")[0].removeprefix("SIG").replace("not loaded", "noload")[: CELL_WIDTH - 1]


def ratio_text(ratio):
    return "-" if ratio is None else f"{ratio:.2f}"


def print_row(row, names):
    cells = row["cells"]
    best = best_of(cells, names, "score")
    line = f"{row['name']:<{NAME_WIDTH}}" + (f"{best:.3g} {row['unit']}" if best else "-").rjust(10)
    for name in names:
        ok = cells[name]["status"] == "ok"
        line += (f"{cells[name]['score'] / best:.2f}" if ok else short(cells[name]["status"])).rjust(CELL_WIDTH)
    line += f"{ratio_text(row['hakmem_time']):>{RATIO_WIDTH}}  "
    for name in names:
        ok = cells[name]["status"] == "ok"
        line += (f"{cells[name]['peak_kib'] / 1024:.1f}" if ok else "-").rjust(CELL_WIDTH)
    line += f"{ratio_text(row['hakmem_memory']):>{RATIO_WIDTH}}"
    print(line + "".join(f"  {flag}" for flag in row["flags"]), flush=True)


def print_failures(row, names):
    """Below the row: what the first bad run of each allocator said."""
    for name in names:
        bad = [s for s in row["cells"][name]["samples"] if s["status"] != "ok"]
        if bad:
            words = bad[0]["stderr"].strip().splitlines()
            print(f"    {name}: {row['cells'][name]['status']}" + (f": {words[-1]}" if words else ""))


def print_details(row, names):
    for name in names:
        c = row["cells"][name]
        if c["status"] != "ok":
            continue
        scores = [s["score"] for s in c["samples"]]
        print(f"    {name:<{CELL_WIDTH}} {c['score']:8.3f} {row['unit']} ({min(scores):.3f} to {max(scores):.3f})   "
              f"wall {c['wall']:.3f} s, user {c['user']:.3f} s, sys {c['sys']:.3f} s, "
              f"faults {c['minor_faults']:.0f} + {c['major_faults']:.0f}")


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def print_summary(rows, names):
    """Means over the rows in which every allocator finished, so that they are of the same rows."""
    whole = [r for r in rows if all(r["cells"][n]["status"] == "ok" for n in names)]
    print(f"\ngeometric means over {len(whole)} of {len(rows)} rows, time and peak memory ÷ best of the row:")
    for name in names:
        time = geometric_mean([r["cells"][name]["score"] / best_of(r["cells"], names, "score") for r in whole])
        memory = geometric_mean([r["cells"][name]["peak_kib"] / best_of(r["cells"], names, "peak_kib") for r in whole])
        print(f"    {name:<12}{ratio_text(time):>6}{ratio_text(memory):>8}")
    if HAKMEM not in names:
        return
    for flag, meaning in (("SLOW", f"time above {LIMIT} of the fastest"), ("FAT", f"peak memory above {LIMIT} of the leanest"),
                          ("FAILED", "crashed, hung or was not loaded")):
        hit = [r["name"] for r in rows if flag in r["flags"]]
        print(f"hakmem {flag} ({meaning}{'' if flag == 'FAILED' else ' of ' + ', '.join(j for j in JUDGES if j in names)}): "
              f"{len(hit)} of {len(rows)} rows" + (": " + ", ".join(hit) if hit else ""))


def machine():
    info = pathlib.Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""
    model = re.search(r"model name\s*:\s*(.*)", info)
    return {"cpu": model.group(1) if model else platform.machine(), "cores": len(os.sched_getaffinity(0)),
            "kernel": platform.release(), "libc": " ".join(platform.libc_ver()), "load_before": os.getloadavg()[0]}


# ---- the command line ---------------------------------------------------------------------------


def library_argument(text):
    name, equals, path = text.partition("=")
    if not name or not equals or not os.path.isfile(path):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=PATH of a library that exists")
    return name, os.path.realpath(path)


def rounds_argument(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of rounds")
    return int(text)


def parse_arguments():
    parser = argparse.ArgumentParser(description="Compare hakmem with the system allocator and its peers.")
    parser.add_argument("--only", metavar="REGEX", type=re.compile, default=re.compile(""), help="workloads whose name matches")
    parser.add_argument("--rounds", metavar="N", type=rounds_argument, default=5, help="rounds; medians need five (default 5)")
    parser.add_argument("--lib", metavar="NAME=PATH", type=library_argument, action="append", default=[],
                        help="one more allocator, or another library for a name")
    parser.add_argument("--json", metavar="FILE", help="write every sample to FILE")
    parser.add_argument("--timeout", metavar="S", type=float,
                        help="seconds after which a program hangs (default: the workload's own)")
    parser.add_argument("--details", action="store_true", help="user and system time, spread and faults under each row")
    parser.add_argument("--strict", action="store_true", help="fail when a row is flagged")
    parser.add_argument("--build", metavar="DIR", default="build", help="where libhakmem.so and bench/ are (default build)")
    parser.add_argument("--list", action="store_true", help="print the workloads and stop")
    return parser.parse_args()


def main():
    args = parse_arguments()
    chosen = [w for w in workloads.all_workloads() if args.only.search(w.name)]
    if not chosen:
        sys.exit(f"compare.py: no workload matches '{args.only.pattern}'")
    if args.list:
        for workload in chosen:
            print(f"{workload.name:<{NAME_WIDTH}} {' '.join(workload.command)}")
        return 0
    allocators = choose_allocators(args)
    names = list(allocators)
    where = machine()
    print(f"{where['cpu']}, {where['cores']} cores, Linux {where['kernel']}, {where['libc']}; load before: "
          f"{where['load_before']:.1f}; medians of {args.rounds} interleaved rounds"
          + ("" if args.rounds >= 5 else " (five are needed for a figure)"))
    print_head(names)
    rows = []
    for workload in chosen:
        row = measure_row(args, workload, allocators)
        rows.append(row)
        print_row(row, names)
        print_failures(row, names)
        if args.details:
            print_details(row, names)
    print_summary(rows, names)
    if args.json:
        document = {"machine": where, "rounds": args.rounds, "allocators": allocators, "limit": LIMIT, "rows": rows}
        pathlib.Path(args.json).write_text(json.dumps(document, indent=1) + "\n")
    failed = HAKMEM not in names or any("FAILED" in r["flags"] for r in rows)
    flagged = args.strict and any(r["flags"] for r in rows)
    return 1 if failed or flagged else 0


if __name__ == "__main__":
    sys.exit(main())
