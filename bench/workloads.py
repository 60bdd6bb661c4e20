"""workloads.py - the table of workloads that compare.py runs.

A row names the workload, the command (its first word is a program of build/bench, or one found through PATH),
and how it is scored:

    time  the wall time of the process, in seconds; the work is fixed
    rate  the program runs for a fixed time and prints "N operations per second"; the score is the
          time of one operation, in nanoseconds

Iterations are set so that a row takes about half a second on the machine of docs' figures: long
against the 1 ms of a process start, short enough for many rounds.
"""

import os
import shutil
from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    name: str
    command: tuple
    score: str = "time"  # or "rate"
    timeout: float = 60  # seconds; past it the row says that the program hung
    per_thread: bool = False  # each thread has the same work, not all together


def fixed(size, slots, iterations):
    return Workload(f"fixed-{size}-ws{slots}", ("bench_fixed_size", str(iterations), str(size), str(slots)))


def mixed(slots, iterations):
    return Workload(f"mixed-ws{slots}", ("bench_random_mixed", str(iterations), str(slots), "12345"))


def larson(low, high, threads, seconds=2):
    """Four rounds a thread. With one, a thread lives for 30 us, and whether the system starts its successor on the
    same processor decides: one allocator's runs then differ by a factor of two."""
    command = ("larson", str(seconds), str(low), str(high), "1024", "4", "12345", str(threads))
    return Workload(f"larson-{low}-{high}-T{threads}", command, score="rate")


# ---- one thread ---------------------------------------------------------------------------------


def batches(order, low, high, batch, rounds):
    sizes = str(low) if low == high else "mixed"
    return Workload(f"batches-{order}-{sizes}", ("batches", order, str(low), str(high), str(batch), str(rounds)))


def heap_scale(mib, operations=4_000_000, timeout=60):
    return Workload(f"heap-{mib}M", ("heap_scale", str(mib), str(operations)), score="rate", timeout=timeout)


def single_workloads():
    """One thread, one idea each; what a program does is told in its head."""
    rows = [Workload("one-pair-64", ("one_pair", "60000000", "64", "64")),
            Workload("one-pair-16-1024", ("one_pair", "50000000", "16", "1024"))]
    for order in ("lifo", "fifo", "random"):
        rows += [batches(order, 64, 64, 1000, 40_000), batches(order, 16, 1024, 10_000, 2_000)]
    return rows + [
        Workload("pareto", ("pareto", "20000000", "20000")),
        Workload("large-1-30M-ends", ("large_blocks", "20000", "20", "1", "30", "0")),
        Workload("large-1-30M-pages", ("large_blocks", "400", "20", "1", "30", "25")),
        Workload("vectors-x2-256M", ("vectors", "x2", "1", "262144", "2")),
        Workload("vectors-x1.5-8x32M", ("vectors", "x1.5", "8", "32768", "2")),
        Workload("vectors-add64K-4x16M", ("vectors", "+65536", "4", "16384", "6")),
        Workload("vectors-x2-10000x1K", ("vectors", "x2", "10000", "1", "50")),
        Workload("calloc-16-16M", ("calloc_sizes", "3000000", "64")),
        Workload("aligned-16-4096", ("aligned_blocks", "4000000", "1000")),
        Workload("tree-4000", ("tree", "4000", "4000", "600")),
        Workload("tree-200000", ("tree", "200000", "200000", "2")),
        Workload("hash-table-20000", ("hash_table", "20000", "12")),
        Workload("graph-20000", ("graph", "20000", "100000", "40")),
        Workload("leak-16-256", ("leak", "3000000", "16", "256")),
        Workload("buffers-2K-32K", ("buffers", "200", "2048", "32768", "4")),
        heap_scale(10), heap_scale(100), heap_scale(1000, 2_000_000),
    ]


def rare_workloads():
    """For machines with more than 16 GiB free: compare.py --rare."""
    return [heap_scale(10_000, timeout=300)]


# ---- several threads ----------------------------------------------------------------------------


def producer_consumer(producers, consumers, blocks):
    command = ("producer_consumer", str(producers), str(consumers), str(blocks), "16", "512")
    return Workload(f"producer-consumer-{producers}-{consumers}", command)


def server_phases(threads, phases):
    return Workload(f"server-phases-T{threads}", ("server_phases", str(threads), str(phases), "4096"))


def linear_cross_thread(threads, slots, blocks):
    command = ("linear_cross_thread", str(threads), str(slots), str(blocks))
    return Workload(f"linear-cross-thread-T{threads}", command)


def false_sharing(kind, threads, iterations=8_000_000):
    command = (f"false_sharing_{kind}", str(threads), str(iterations), "100", "8")
    return Workload(f"false-sharing-{kind}-T{threads}", command, per_thread=True)


def thread_birth(alive, births):
    return Workload(f"thread-birth-{alive}", ("thread_birth", str(births), str(alive), "32"))


def many_threads(threads):
    """The same work in each row: the time should fall until all processors are busy, and then be flat."""
    return Workload(f"many-threads-T{threads}", ("many_threads", str(threads), "40000000", "8192", "16", "1024"))


def small_pairs(threads, operations):
    """malloc and free in turn, one block per thread."""
    return Workload(f"small-pairs-T{threads}", ("many_threads", str(threads), str(operations), str(threads), "16", "64"))


def threaded_workloads():
    """Two threads and more, or two processes; what a program does is told in its head."""
    rows = [producer_consumer(1, 1, 8_000_000), producer_consumer(2, 2, 6_000_000),
            producer_consumer(1, 3, 6_000_000), producer_consumer(3, 1, 6_000_000),
            server_phases(2, 600), server_phases(8, 120),
            linear_cross_thread(2, 1024, 15_000_000), linear_cross_thread(8, 512, 6_000_000)]
    rows += [false_sharing(kind, threads) for kind in ("active", "passive") for threads in (1, 2)]
    rows += [thread_birth(1, 20_000), thread_birth(8, 10_000)]
    rows += [many_threads(threads) for threads in (1, 2, 4, 8, 16, 32, 64)]
    return rows + [small_pairs(1, 120_000_000), small_pairs(2, 200_000_000),
                   Workload("fork-heap-128M", ("fork_heap", "128", "40", "50000"))]


# ---- real programs ------------------------------------------------------------------------------

HERE = os.path.relpath(os.path.dirname(os.path.abspath(__file__)))


def of_system(name):
    """The system's own program, before any wrapper that the user's PATH may have for it."""
    return shutil.which(name, path="/usr/bin:/bin") or name


def of_inputs(name):
    return os.path.join(HERE, "inputs", name)


def real_programs():
    """Programs as Debian ships them, on inputs of ours. Hash seeds are fixed where a program would choose its own."""
    python = (of_system("python3"), of_inputs("objects.py"))
    page = ("-q", "-dBATCH", "-dNOPAUSE", "-dSAFER", "-sDEVICE=png16m", "-r72", "-sOutputFile=/dev/null")
    return [
        Workload("python3", ("env", "PYTHONHASHSEED=0", *python)),
        # Python keeps blocks up to 512 bytes to itself; told to use malloc for all, it is another program.
        Workload("python3-malloc", ("env", "PYTHONHASHSEED=0", "PYTHONMALLOC=malloc", *python)),
        Workload("perl", ("env", "PERL_HASH_SEED=0", "PERL_PERTURB_KEYS=0", of_system("perl"), of_inputs("hashes.pl"))),
        Workload("sqlite3", (of_system("sqlite3"), ":memory:", f'.read "{of_inputs("tables.sql")}"')),
        Workload("lua", (of_system("lua5.4"), of_inputs("closures.lua"))),
        Workload("gcc", (of_system("gcc"), "-O2", "-S", "-o", "/dev/null", of_inputs("functions.c"))),
        Workload("z3", (of_system("z3"), of_inputs("problems.smt2"))),
        Workload("ghostscript", (of_system("gs"), *page, of_inputs("page.ps"))),
        Workload("redis", (os.path.join(HERE, "redis_run.sh"), "60000"), score="rate"),
    ]


def all_workloads():
    rows = []
    for size in (16, 64, 128, 256, 512, 1024):
        rows += [fixed(size, 128, 40_000_000), fixed(size, 8192, 30_000_000)]
    for size in (8192, 32768, 53248):
        rows += [fixed(size, 128, 10_000_000), fixed(size, 8192, 6_000_000)]
    rows.append(fixed(131_072, 128, 10_000_000))
    rows += [mixed(128, 30_000_000), mixed(512, 25_000_000), mixed(8192, 20_000_000), mixed(100_000, 7_000_000)]
    for low, high in ((8, 128), (8, 1024)):
        rows += [larson(low, high, threads) for threads in (1, 2, 4, 8)]
    return rows + single_workloads() + threaded_workloads() + real_programs()
