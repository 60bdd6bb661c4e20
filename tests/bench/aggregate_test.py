#!/usr/bin/env python3
"""aggregate_test.py - the arithmetic of the benchmark, on figures whose results are known by hand. Prints TAP."""

import math
import pathlib
import re
import sys
import unittest

sys.dont_write_bytecode = True  # keeps the source folders clean
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import aggregate  # noqa: E402
import tap  # noqa: E402

NAMES = ["hakmem", "glibc", "lean", "quick", "floor"]


def cell(figures):
    """A cell of (score, peak) or of a status."""
    if isinstance(figures, str):
        return {"status": figures, "bad": 1, "runs": 1, "samples": []}
    return {"status": "ok", "score": figures[0], "peak_kib": figures[1], "samples": []}


def row(name, score="time", command=(), **cells):
    return {"name": name, "score": score, "command": list(command), "cells": {n: cell(c) for n, c in cells.items()}}


# Best peers: 2 (quick), 1 (glibc). The floor is faster and leaner than all and must never be counted.
FIRST = row("first", hakmem=(1, 200), glibc=(4, 50), lean=(8, 100), quick=(2, 400), floor=(0.1, 10))
SECOND = row("second", hakmem=(3, 200), glibc=(1, 50), lean=(2, 100), quick=(4, 100), floor=(0.1, 10))
ROWS = [FIRST, SECOND]


class Means(unittest.TestCase):
    def test_geometric_mean_of_2_and_8_is_4(self):
        self.assertAlmostEqual(aggregate.geometric_mean([2, 8]), 4)

    def test_there_is_no_mean_of_nothing(self):
        self.assertIsNone(aggregate.geometric_mean([]))

    def test_imaginary_peer_takes_the_best_of_every_row(self):
        means = aggregate.time_means(ROWS, NAMES)
        self.assertAlmostEqual(means["hakmem"]["mean"], math.sqrt(1 / 2 * 3 / 1))
        self.assertAlmostEqual(means["glibc"]["mean"], math.sqrt(4 / 2 * 1 / 1))
        self.assertAlmostEqual(means["quick"]["mean"], math.sqrt(2 / 2 * 4 / 1))

    def test_failed_rows_are_left_out_and_hakmem_is_shown_on_the_same_rows(self):
        broken = row("second", hakmem=(3, 200), glibc=(1, 50), lean=(2, 100), quick="SIGSEGV")
        means = aggregate.time_means([FIRST, broken], NAMES)
        self.assertEqual(means["quick"]["rows"], 1)
        self.assertAlmostEqual(means["quick"]["mean"], 1)
        self.assertAlmostEqual(means["quick"]["hakmem"], 1 / 2)
        self.assertEqual(means["hakmem"]["rows"], 2)

    def test_a_row_that_no_peer_finished_counts_for_nobody(self):
        alone = row("alone", hakmem=(1, 1), glibc="hung", floor=(0.1, 1))
        self.assertEqual(aggregate.time_means([alone], NAMES)["hakmem"], {"mean": None, "rows": 0, "hakmem": None})

    def test_an_allocator_that_did_not_run_in_a_row_is_no_error(self):
        self.assertEqual(aggregate.time_means([row("few", hakmem=(1, 1), glibc=(2, 2))], NAMES)["lean"]["rows"], 0)


class Memory(unittest.TestCase):
    def test_leanest_peer_is_found_by_its_mean_and_is_not_glibc(self):
        self.assertEqual(aggregate.leanest_of(ROWS, NAMES), "lean")

    def test_peak_memory_is_relative_to_the_leanest_peer(self):
        leanest, means = aggregate.memory_means(ROWS, NAMES)
        self.assertEqual(leanest, "lean")
        self.assertAlmostEqual(means["hakmem"]["mean"], 2)
        self.assertAlmostEqual(means["glibc"]["mean"], 0.5)
        self.assertAlmostEqual(means["quick"]["mean"], 2)

    def test_peak_memory_is_compared_on_rows_that_both_finished(self):
        broken = row("third", hakmem=(1, 9999), glibc=(1, 1), lean="hung", quick=(1, 1))
        leanest, means = aggregate.memory_means([*ROWS, broken], NAMES)
        self.assertEqual((leanest, means["hakmem"]["rows"]), ("lean", 2))
        self.assertAlmostEqual(means["hakmem"]["mean"], 2)

    def test_with_glibc_alone_there_is_no_leanest_peer(self):
        self.assertIsNone(aggregate.leanest_of(ROWS, ["hakmem", "glibc", "floor"]))


class Flags(unittest.TestCase):
    def flags(self, **cells):
        return aggregate.judge(row("r", **cells), NAMES)["flags"]

    def test_slow_above_1_05_of_the_best_peer(self):
        self.assertEqual(self.flags(hakmem=(1.05, 1), quick=(1, 1)), [])
        self.assertEqual(self.flags(hakmem=(1.06, 1), quick=(1, 1), glibc=(2, 1)), ["SLOW"])

    def test_fat_above_1_1_of_the_leanest_peer_glibc_included(self):
        self.assertEqual(self.flags(hakmem=(1, 110), quick=(1, 100)), [])
        self.assertEqual(self.flags(hakmem=(1, 112), quick=(1, 200), glibc=(1, 100)), ["FAT"])

    def test_every_peer_counts_whatever_its_name(self):
        self.assertEqual(aggregate.judge(row("r", hakmem=(2, 1), other=(1, 1)), ["hakmem", "other"])["flags"], ["SLOW"])

    def test_floor_judges_nobody(self):
        self.assertEqual(self.flags(hakmem=(5, 5), quick=(5, 5), floor=(1, 1)), [])

    def test_failed_when_hakmem_has_no_figure(self):
        self.assertEqual(self.flags(hakmem="SIGSEGV", quick=(1, 1)), ["FAILED"])

    def test_a_program_that_is_not_there_is_no_failure_of_hakmem(self):
        self.assertEqual(self.flags(hakmem="missing", quick="missing"), ["MISSING"])


class Wins(unittest.TestCase):
    def test_rows_won_and_within_5_percent_are_counted_among_all_but_the_floor(self):
        near = row("near", hakmem=(1, 1), glibc=(1.04, 1), lean=(1.06, 1), quick="hung", floor=(0.5, 1))
        self.assertEqual(aggregate.wins([*ROWS, near], NAMES),
                         {"hakmem": (2, 2), "glibc": (1, 2), "lean": (0, 0), "quick": (0, 0)})


class Bounds(unittest.TestCase):
    def held(self, rows, names=NAMES):
        return [held for _, _, held in aggregate.bounds(rows, names)]

    def test_all_hold_for_an_allocator_that_leads(self):
        self.assertEqual(self.held([row("r", hakmem=(1, 1), quick=(2, 2), glibc=(3, 1))]), [True, True, True, True])

    def test_each_is_missed_by_its_own_cause(self):
        self.assertEqual(self.held([row("a", hakmem=(3, 1), quick=(2, 2))]), [False, False, True, True])
        self.assertEqual(self.held([row("a", hakmem=(1.2, 1), quick=(1, 2)), row("b", hakmem=(1, 1), quick=(2, 2))]),
                         [True, False, True, True])
        self.assertEqual(self.held([row("a", hakmem=(1, 3), quick=(1, 2))]), [True, True, False, True])
        self.assertEqual(self.held([row("a", hakmem=(1, 1), quick=(1, 1)), row("b", hakmem="hung", quick=(1, 1))]),
                         [True, True, True, False])

    def test_nothing_holds_where_nothing_was_measured(self):
        self.assertEqual(self.held([row("r", hakmem="hung", quick=(1, 1))]), [None, None, None, False])
        self.assertEqual(self.held([]), [None, None, None, None])


class Groups(unittest.TestCase):
    def held(self, *rows):
        return {claim: held for claim, _, held in aggregate.group_bounds(rows, NAMES)}

    def test_each_group_is_judged_by_its_rows(self):
        first, larson, pool = (claim for claim, *_ in aggregate.GROUPS)
        self.assertEqual(self.held(row("larson-8-128-T2", hakmem=(1, 1), quick=(1, 1), glibc=(2, 1))), {first: True, larson: True})
        self.assertEqual(self.held(row("larson-8-128-T2", hakmem=(1, 1), quick=(1.1, 1), glibc=(1.9, 1))), {first: True, larson: False})
        self.assertEqual(self.held(row("fixed-32768-ws8192", hakmem=(1, 1), quick=(0.9, 1), glibc=(2, 1))), {first: False, pool: True})
        self.assertEqual(self.held(row("mixed-ws128", hakmem=(1.01, 1), quick=(1, 1))), {first: False})

    def test_one_row_behind_spoils_a_group_and_is_named(self):
        rows = [row("fixed-53248-ws128", hakmem=(1, 1), glibc=(3, 1)), row("fixed-53248-ws8192", hakmem=(1, 1), glibc=(1.5, 1))]
        found = {claim: figure for claim, figure, held in aggregate.group_bounds(rows, NAMES) if not held}
        self.assertEqual(list(found.values()), ["1 of 2 rows above 0.5: fixed-53248-ws8192 0.67"])

    def test_groups_without_rows_are_not_judged(self):
        self.assertEqual(self.held(row("tree-4000", hakmem=(9, 1), quick=(1, 1))), {})
        self.assertEqual(self.held(row("larson-8-128-T2", hakmem="hung", quick=(1, 1), glibc=(1, 1))), {})


def latency(**lines):
    """A latency row of one phase and call: allocator -> (p99.99, quiet maximum), whose median is small."""
    return {"cells": {n: {"status": "ok", "lines": [{"phase": "steady", "call": "free", "p9999": p, "quiet_max": longest and 1,
                                                     "quiet_worst": longest}]}
                      for n, (p, longest) in lines.items()}}


class Latency(unittest.TestCase):
    def held(self, row):
        return [held for _, _, held in aggregate.latency_bounds(row, NAMES)]

    def test_p9999_is_held_against_the_best_peer_and_not_the_floor(self):
        self.assertEqual(self.held(latency(hakmem=(5, 1), quick=(5, 1), glibc=(9, 1), floor=(1, 1))), [True, True])
        self.assertEqual(self.held(latency(hakmem=(6, 1), quick=(5, 1), glibc=(9, 1))), [False, True])

    def test_a_call_of_a_millisecond_is_too_long(self):
        self.assertEqual(self.held(latency(hakmem=(5, 1e6), quick=(5, 9e6))), [True, False])

    def test_a_phase_that_was_never_quiet_says_nothing_of_the_longest_call(self):
        self.assertEqual(self.held(latency(hakmem=(5, None), quick=(5, 1))), [True, None])

    def test_without_a_latency_row_nothing_is_claimed(self):
        self.assertEqual(aggregate.latency_bounds(None, NAMES), [])


class Threads(unittest.TestCase):
    PATTERN = re.compile(r"^(.*)-T(\d+)$")

    def series(self, *rows):
        return aggregate.thread_series(rows, ["hakmem"], self.PATTERN)

    def test_rows_of_the_same_work_make_a_series_in_order(self):
        found = self.series(row("w-T2", command=("p", "2", "99"), hakmem=(0.5, 1)), row("w-T1", command=("p", "1", "99"), hakmem=(1, 1)))
        self.assertEqual(found, {"w": {"hakmem": [(1, 1), (2, 2)]}})

    def test_rows_of_different_work_make_none(self):
        self.assertEqual(self.series(row("w-T1", command=("p", "1", "50"), hakmem=(1, 1)),
                                     row("w-T2", command=("p", "2", "99"), hakmem=(1, 1))), {})

    def test_another_argument_may_be_the_number_of_threads_by_chance(self):
        self.assertIn("w", self.series(row("w-T16", command=("p", "16", "16"), hakmem=(1, 1)), row("w-T2", command=("p", "2", "16"), hakmem=(1, 1))))

    def test_work_that_each_thread_has_is_that_many_times_the_row(self):
        alone, together = (row(f"w-T{t}", command=("p", str(t), "9"), hakmem=(1, 1)) for t in (1, 4))
        found = self.series({**alone, "per_thread": True}, {**together, "per_thread": True})
        self.assertEqual(found, {"w": {"hakmem": [(1, 1), (4, 4)]}})

    def test_rates_are_of_operations_whatever_the_work(self):
        self.assertIn("w", self.series(row("w-T1", "rate", ("p", "1", "50"), hakmem=(1, 1)), row("w-T2", "rate", ("p", "2", "9"), hakmem=(1, 1))))

    def test_one_row_makes_no_series(self):
        self.assertEqual(self.series(row("w-T1", command=("p", "1"), hakmem=(1, 1))), {})


if __name__ == "__main__":
    sys.exit(tap.main())
