#!/usr/bin/env python3
"""soak.py - everything at once for hours: one long-lived process, and as many short ones as fit beside it.

    tests/soak/soak.py [--hours H] [--processes N] [--jobs N] [--lib PATH] [--seed N] [--build DIR]

Run from the repository root. The long-lived process (resident.c) runs for H hours. Meanwhile N short ones (brief.c) run,
--jobs at a time; those that are left when the hours are over still run, unless H was all that was asked for (--processes 0
= until the hours are over). Prints TAP, and the bound on the crash rate that the runs allow.
"""
import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

ENDLESS = 10**9


def start(args):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HAKMEM_")}
    programs = pathlib.Path(args.build, "tests", "soak")
    resident = subprocess.Popen([programs / "resident", str(int(args.hours * 3600)), str(args.seed)],
                                env=dict(environment, LD_PRELOAD=args.lib), stdout=subprocess.PIPE, text=True)
    launch = subprocess.Popen([programs / "launch", str(args.processes or ENDLESS), str(args.seed), str(args.jobs),
                               programs / "brief"], env=dict(environment, HAKMEM_SOAK_LIB=args.lib),
                              stdout=subprocess.PIPE, text=True)
    return resident, launch


def end(args, resident, launch):
    """Waits for both; their outputs."""
    told = []
    for line in resident.stdout:
        told.append(line)
        print("#  ", line.rstrip(), flush=True)
    resident.wait()
    if args.processes == 0:
        launch.send_signal(signal.SIGTERM)
    return "".join(told), launch.communicate()[0]


def judge(resident, told, launch, output):
    last = re.search(r"^(\d+) processes, (\d+) failed$", output, re.MULTILINE)
    for line in re.findall(r"^failed .*$", output, re.MULTILINE)[:20]:
        print("#  ", line)
    runs, failed = (int(last.group(1)), int(last.group(2))) if last else (0, 0)
    results = [
        (resident.returncode == 0 and "not ok" not in told, f"the_long_lived_process_is_sound # status {resident.returncode}"),
        (launch.returncode == 0 and runs > 0 and failed == 0,
         f"short_processes_end_well # {runs} processes, {failed} failed; "
         + (f"crash rate below {3 / runs:.3g} with 95 % confidence" if runs and not failed else f"status {launch.returncode}")),
    ]
    for number, (good, name) in enumerate(results, 1):
        print(f"{'ok' if good else 'not ok'} {number} - {name}")
    print(f"1..{len(results)}")
    return 0 if all(good for good, _ in results) else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--processes", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--build", default="build")
    parser.add_argument("--lib", default=None)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    args.lib = os.path.abspath(args.lib or os.path.join(args.build, "libhakmem.so"))
    if not os.path.exists(args.lib):
        parser.error(f"{args.lib} does not exist: build it with make")
    print(f"# seed {args.seed}", flush=True)
    resident, launch = start(args)
    told, output = end(args, resident, launch)
    return judge(resident, told, launch, output)


if __name__ == "__main__":
    sys.exit(main())
