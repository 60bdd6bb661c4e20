"""workloads.py - the table of workloads that compare.py runs.

A row names the workload, the command (its first word is a program of build/bench, or one found through PATH),
and how it is scored:

    time  the wall time of the process, in seconds; the work is fixed
    rate  the program runs for a fixed time and prints "N operations per second"; the score is the
          time of one operation, in nanoseconds

Iterations are set so that a row takes about half a second on the machine of docs' figures: long
against the 1 ms of a process start, short enough for many rounds.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    name: str
    command: tuple
    score: str = "time"  # or "rate"
    timeout: float = 60  # seconds; past it the row says that the program hung


def fixed(size, slots, iterations):
    return Workload(f"fixed-{size}-ws{slots}", ("bench_fixed_size", str(iterations), str(size), str(slots)))


def mixed(slots, iterations):
    return Workload(f"mixed-ws{slots}", ("bench_random_mixed", str(iterations), str(slots), "12345"))


def larson(low, high, threads, seconds=2):
    command = ("larson", str(seconds), str(low), str(high), "1024", "1", "12345", str(threads))
    return Workload(f"larson-{low}-{high}-T{threads}", command, score="rate")


def all_workloads():
    rows = []
    for size in (16, 64, 128, 256, 512, 1024):
        rows += [fixed(size, 128, 40_000_000), fixed(size, 8192, 30_000_000)]
    for size in (8192, 32768, 53248):
        rows += [fixed(size, 128, 10_000_000), fixed(size, 8192, 6_000_000)]
    rows += [mixed(128, 30_000_000), mixed(512, 25_000_000), mixed(8192, 20_000_000), mixed(100_000, 7_000_000)]
    for low, high in ((8, 128), (8, 1024)):
        rows += [larson(low, high, threads) for threads in (1, 2, 4, 8)]
    return rows
