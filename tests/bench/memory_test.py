#!/usr/bin/env python3
"""memory_test.py - the programs about memory that goes back: they refuse what they cannot do, and see both an allocator
that gives memory back and one that keeps it. Run from the repository root. Prints TAP."""

import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True  # keeps the source folders clean
sys.path[:0] = ["bench", "tests/idle"]
import idle_test  # noqa: E402
import memory_tables  # noqa: E402
import tap  # noqa: E402

FLOOR = str(pathlib.Path("build/bench/libfloor.so").resolve())  # never frees
# glibc's allocator as one that gives back at once, and as one that never does
HASTY = {"MALLOC_MMAP_THRESHOLD_": "65536"}
SLOW = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "1000000000", "MALLOC_ARENA_MAX": "1"}

USAGE = {
    "idle": "THREADS SIZE TOTAL_MIB SECONDS [ORDER] [LEAVE] [HOLD]",
    "thrash": "MIB SIZE PAUSE_MS SECONDS [PAIRS]",
    "server_sim": "SECONDS SEED [THREADS]",
}
REFUSED = {
    "idle": {"0 64 1 1": "THREADS", "257 64 1 1": "THREADS", "1 7 1 1": "SIZE", "1 many 1 1": "SIZE", "1 64 0 1": "TOTAL_MIB",
             "1 64 1 0": "SECONDS", "1 64 1 1 up": "ORDER", "1 64 1 1 remote": "ORDER", "1 64 1 1 lifo 1000001": "LEAVE",
             "1 64 1 1 lifo 0 3601": "HOLD"},
    "thrash": {"0 whole 0 1": "MIB", "1 15 0 1": "SIZE", "1 1048577 0 1": "SIZE", "1 all 0 1": "SIZE", "1 whole -1 1": "PAUSE_MS",
               "1 whole 0 0": "SECONDS", "1 whole 0 1 0": "PAIRS", "1 whole 0 1 100": "PAIRS"},
    "server_sim": {"0 1": "SECONDS", "60 x": "SEED", "60 1 0": "THREADS", "60 1 257": "THREADS"},
}


def program(name):
    return str(pathlib.Path("build/bench", name).resolve())


def run(name, *arguments, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    return subprocess.run([program(name), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=100,
                          env={**clean, **environment})


def figures(name, *arguments, **environment):
    done = run(name, *arguments, **environment)
    if done.returncode != 0:
        raise AssertionError(f"{name} {arguments}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


class Arguments(unittest.TestCase):
    def test_without_arguments_they_print_their_usage(self):
        for name, usage in USAGE.items():
            done = run(name)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (1, "", f"error: usage: {name} {usage}\n"))

    def test_a_bad_argument_is_named(self):
        for name, refused in REFUSED.items():
            for words, culprit in refused.items():
                done = run(name, *words.split())
                self.assertEqual((done.returncode, done.stdout), (1, ""), f"{name} {words}")
                self.assertRegex(done.stderr, rf"^error: {culprit} is '.*\n$", f"{name} {words}")


class Idle(unittest.TestCase):
    def test_memory_that_goes_back_is_seen(self):
        found = figures("idle", 2, 1 << 20, 32, 1, **HASTY)
        self.assertGreater(found["returned_percent"], 99)
        self.assertLess(abs(found["rest_mib"]), 1)

    def test_memory_that_stays_is_seen(self):
        found = figures("idle", 2, "mixed", 32, 1, LD_PRELOAD=FLOOR)
        self.assertLess(found["returned_percent"], 1)
        self.assertAlmostEqual(found["rest_mib"], found["peak_mib"], delta=1)
        self.assertAlmostEqual(found["freed_mib"], 32, delta=0.5)
        self.assertGreaterEqual(found["peak_mib"], 31.5)

    def test_blocks_that_are_left_are_counted(self):
        found = figures("idle", 1, 1 << 20, 32, 1, "random", 500000, **HASTY)
        self.assertAlmostEqual(found["freed_mib"] + found["left_mib"], 32, delta=0.01)
        self.assertGreater(found["left_mib"], 4)
        self.assertAlmostEqual(found["rest_mib"], found["left_mib"], delta=1)

    def test_samples_are_read_while_it_is_idle_and_at_the_end(self):
        self.assertEqual([s["ms"] for s in figures("idle", 1, 64, 1, 3)["samples"]], [100, 500, 1000, 2000, 3000])

    def test_every_order_frees_all(self):
        for order in "lifo", "fifo", "random", "remote":
            found = figures("idle", 2, 200, 8, 1, order)
            self.assertAlmostEqual(found["freed_mib"], 8, delta=0.01)
            self.assertEqual(found["left_mib"], 0)

    def test_one_thread_is_the_main_thread_alone(self):
        self.assertEqual(self.threads_of(1), 1)
        self.assertEqual(self.threads_of(3), 3)

    def threads_of(self, count):
        """The most that the process that works has while it lives."""
        process = subprocess.Popen([program("idle"), str(count), "64", "1", "1"], stdout=subprocess.DEVNULL)
        most = 0
        while process.poll() is None:
            for task in pathlib.Path(f"/proc/{process.pid}/task").glob("*/children"):
                most = max(most, *(threads_in(child) for child in children_in(task)), 0)
        self.assertEqual(process.returncode, 0)
        return most


def children_in(task):
    try:
        return task.read_text().split()
    except OSError:
        return []  # it has ended


def threads_in(process):
    try:
        return len(os.listdir(f"/proc/{process}/task"))
    except OSError:
        return 0


def huge_pages_are_everywhere():
    setting = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return setting.exists() and "[always]" in setting.read_text()


class Thrash(unittest.TestCase):
    @unittest.skipIf(huge_pages_are_everywhere(), "one fault brings 512 pages here")
    def test_memory_that_is_given_back_at_once_costs_faults_and_time(self):
        found = figures("thrash", 8, "whole", 0, 1, 1, **HASTY)
        self.assertGreater(found["frees_fault_percent"], 95)
        self.assertLess(found["keeps_faults"], 5)
        self.assertGreater(found["ratio"], 1.05)

    def test_memory_that_is_kept_costs_no_faults(self):
        for size in "whole", 65536, 1024:
            self.assertLess(figures("thrash", 8, size, 1, 1, 1, **SLOW)["frees_fault_percent"], 1)


class Server(unittest.TestCase):
    def test_every_allocator_gets_the_same_calls(self):
        first, second = (subprocess.Popen([program("server_sim"), "9", "3", "2"], stdout=subprocess.PIPE, text=True,
                                          env={**os.environ, **environment}) for environment in ({}, {"LD_PRELOAD": FLOOR}))
        texts = [process.communicate(timeout=100)[0] for process in (first, second)]
        live = [re.findall(r"live +([\d.]+) MiB", text) for text in texts]
        self.assertEqual((first.returncode, second.returncode, len(live[0])), (0, 0, 1))
        self.assertEqual(*live)
        ratios = [json.loads(text.splitlines()[-1])["worst_ratio"] for text in texts]
        self.assertGreater(ratios[1], ratios[0])  # who never frees has more


class Judges(unittest.TestCase):
    ROW = memory_tables.idle_rows()[0]

    def idle(self, **changes):
        good = {"status": "ok", "threads": 8, "peak_mib": 400, "rest_mib": 11.9, "returned_percent": 97}
        return idle_test.judge_idle(self.ROW, {**good, **changes})

    def test_97_percent_must_go_back(self):
        self.assertEqual(self.idle(), "")
        self.assertNotEqual(self.idle(returned_percent=96.9), "")

    def test_one_thread_may_keep_3_percent_or_8_mib(self):
        self.assertEqual(self.idle(threads=1), "")
        self.assertNotEqual(self.idle(threads=1, rest_mib=12.1), "")
        self.assertEqual(self.idle(threads=1, peak_mib=100, rest_mib=7.9), "")
        self.assertNotEqual(self.idle(threads=1, peak_mib=100, rest_mib=8.1), "")

    def test_a_run_that_failed_is_no_success(self):
        self.assertEqual(idle_test.judge_idle(self.ROW, {"status": "hung"}), "hung")
        self.assertEqual(idle_test.judge_thrash(self.ROW, {"status": "SIGSEGV"}), "SIGSEGV")

    def test_5_percent_of_the_pages_may_fault(self):
        self.assertEqual(idle_test.judge_thrash(self.ROW, {"status": "ok", "frees_fault_percent": 5}), "")
        self.assertNotEqual(idle_test.judge_thrash(self.ROW, {"status": "ok", "frees_fault_percent": 5.1}), "")


class Tables(unittest.TestCase):
    def test_a_failure_is_a_cell_and_the_others_have_figures(self):
        crash = str(pathlib.Path("build/tests/matrix/libfaulty_crash.so").resolve())
        command = ["bench/memory_tables.py", "idle", "--only", "^4096-T1$|^64-T1$", "--total", "8", "--seconds", "1",
                   "--allocators", "glibc|broken", "--lib", f"broken={crash}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertRegex(done.stdout, r"(?m)^\|  \| glibc \| broken \|$", done.stderr)
        self.assertRegex(done.stdout, r"(?m)^\| 4096-T1 \| [\d.]+ / -?\d+ \| exit 1 \|$")
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    sys.exit(tap.main())
