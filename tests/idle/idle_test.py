#!/usr/bin/python3
"""idle_test.py - freed memory goes back to the system while nobody calls, and not while it is soon needed again.

    tests/idle/idle_test.py [--whole] [--lib PATH]      from the repository root

Idle: ten seconds after the last free, 97 % of the bytes freed are no longer resident; with one thread, which has
nobody beside it, what is left is at most 3 % of the peak, or 8 MiB where that is more. Rows in which the program keeps
blocks on purpose are for the tables only.

Thrash: a program that frees and takes the same memory in rounds meets page faults in at most 5 % of its pages. That
stands for at most 1.05 of the time: a fault, with the clearing of the page, takes half to two thirds of the time that
thrash.c works on a page, so 5 % of the pages are about 3 % of the time. Faults are counted exactly; times, which are
shown beside them, waver by more than that on a machine that does other things. "Soon" is by the clock: a row whose
rounds lasted STRETCH_MOST times as long as they ran, on a machine that has too much else to do, is no measurement. It is
taken again, TRIES times at most, and skipped if it never was one.

A few rows take 60 seconds and are part of `make check`; --whole, `make idle`, takes all of them. Programs sleep side
by side, as many as fit into memory. Prints TAP.
"""

import argparse
import os
import pathlib
import sys

sys.dont_write_bytecode = True  # keeps the source folders clean
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import memory_tables  # noqa: E402

RETURNED_PERCENT = 97
REST_SHARE = 0.03   # of the peak, with one thread
REST_MIB = 8        # with one thread, if this is more
FAULT_PERCENT = 5
THRASH_AT_ONCE = 2
STRETCH_MOST = 2.5
TRIES = 5

IDLE_FEW = ("64-T1", "mixed-T1", "medium-T1-random", "200-T8", "102400-T8", "4096-T64", "mixed-T8-remote",
            "102400-T2-held", "200-T2-remote-held")
THRASH_FEW = ("1MiB-1024-pause-0ms", "10MiB-65536-pause-1ms", "100MiB-whole-pause-10ms", "100MiB-1024-pause-100ms")


def judge_idle(row, figures):
    """What is wrong, or ""."""
    if figures["status"] != "ok":
        return figures["status"]
    if figures["threads"] > 1:
        return "" if figures["returned_percent"] >= RETURNED_PERCENT else f"{figures['returned_percent']:.1f} % went back"
    bound = max(REST_SHARE * figures["peak_mib"], REST_MIB)
    return "" if figures["rest_mib"] <= bound else f"{figures['rest_mib']:.1f} MiB are left, more than {bound:.1f}"


def judge_thrash(row, figures):
    if figures["status"] != "ok":
        return figures["status"]
    percent = figures["frees_fault_percent"]
    return "" if percent <= FAULT_PERCENT else f"{percent:.1f} % of the pages fault in each round"


def shown_idle(figures):
    times = ", ".join(f"{s['mib']:.0f} MiB after {s['ms'] / 1000:g} s" for s in figures["samples"])
    return f"peak {figures['peak_mib']:.0f} MiB, {times}; {figures['returned_percent']:.1f} % of the bytes freed went back"


def is_starved(figures):
    return figures["status"] == "ok" and figures.get("stretch", 1) > STRETCH_MOST


def shown_thrash(figures):
    return (f"{figures['frees_faults']:.1f} page faults a round; {figures['frees_ms']:.3f} ms of processor time, "
            f"{figures['keeps_ms']:.3f} where memory is kept: ratio {figures['ratio']:.3f}; "
            f"a round lasted {figures['stretch']:.1f} times as long as it ran")


class Claims:
    def __init__(self):
        self.good = self.count = 0  # what was skipped is no failure

    def skip(self, name, reason):
        self.count += 1
        self.good += 1
        print(f"ok {self.count} - {name} # SKIP {reason}", flush=True)

    def judge(self, name, wrong, shown):
        self.count += 1
        self.good += not wrong
        print(f"{'not ok' if wrong else 'ok'} {self.count} - {name}{': ' if wrong else ''}{wrong}")
        print(f"# {shown}", flush=True)


def run_rows(claims, what, rows, library, at_once):
    judge, shown = (judge_idle, shown_idle) if what == "idle" else (judge_thrash, shown_thrash)
    found = {row.name: figures for row, _, figures in
             memory_tables.run_all("build", [(row, ("hakmem", library)) for row in rows], at_once)}
    for row in rows:
        figures = found[row.name]
        for _ in range(TRIES - 1):
            if is_starved(figures):
                figures = memory_tables.run("build", row, library)
        if is_starved(figures):
            claims.skip(f"{what}_{row.name}", f"rounds lasted {figures['stretch']:.1f} times as long as they ran")
            continue
        text = shown(figures) if figures["status"] == "ok" else figures.get("stderr", "").strip().replace("\n", "; ")
        claims.judge(f"{what}_{row.name}", judge(row, figures), text)


def parse_arguments():
    parser = argparse.ArgumentParser(description="Shows that idle memory goes back, and that busy memory does not.")
    parser.add_argument("--whole", action="store_true", help="all rows")
    parser.add_argument("--lib", default=os.environ.get("HAKMEM_LIB", "build/libhakmem.so"),
                        help="what is preloaded (default: what HAKMEM_LIB says, or build/libhakmem.so)")
    return parser.parse_args()


def chosen(rows, few, whole):
    rows = [row for row in rows if whole or row.name in few]
    if not whole and len(rows) != len(few):
        raise SystemExit("idle_test.py: a row is gone")
    return rows


def main():
    args = parse_arguments()
    claims = Claims()
    library = "-" if args.lib == "-" else str(pathlib.Path(args.lib).resolve())
    idle = chosen([row for row in memory_tables.idle_rows() if "left" not in row.name], IDLE_FEW, args.whole)
    thrash = chosen(memory_tables.thrash_rows(seconds=3, pairs=1), THRASH_FEW, args.whole)
    run_rows(claims, "idle", idle, library, memory_tables.places(idle))
    run_rows(claims, "thrash", thrash, library, THRASH_AT_ONCE)
    print(f"1..{claims.count}")
    return 0 if claims.good == claims.count else 1


if __name__ == "__main__":
    sys.exit(main())
