#!/usr/bin/env python3
"""compare_test.py - how the benchmark runs programs, and the files that it writes. Run from the repository root.
Prints TAP."""

import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock

sys.dont_write_bytecode = True  # keeps the source folders clean
sys.path.insert(0, "bench")
import callgrind  # noqa: E402
import compare  # noqa: E402
import memory_tables  # noqa: E402
import report  # noqa: E402
import runner  # noqa: E402
import tap  # noqa: E402
from workloads import Workload  # noqa: E402

PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's matplotlib
FAULTY = {name: {"path": str(pathlib.Path(f"build/tests/matrix/libfaulty_{name}.so").resolve())} for name in ("none", "crash", "hang")}
SHORT = Workload("short", ("bench_fixed_size", "1000000", "64", "16"))
ONE_ROW = ["--only", "^fixed-16-ws128$", "--rounds", "1", "--timeout", "20"]


class Silent:
    """A progress that says nothing, for code that wants one."""

    def step(self, what): pass
    def count(self, runs=1): pass
    def skip(self, runs): pass


def row_of(workload, allocators, rounds=2, timeout=10):
    return runner.Runner("build", rounds, timeout, allocators, Silent()).row(workload)


def compare_py(*arguments):
    return subprocess.run([PYTHON, "bench/compare.py", *arguments], capture_output=True, text=True, check=False)


class Cells(unittest.TestCase):
    def test_a_crash_and_a_hang_are_cells_and_the_others_have_figures(self):
        cells = row_of(SHORT, {"glibc": {"path": "-"}, **FAULTY})["cells"]
        self.assertEqual({n: c["status"] for n, c in cells.items()}, {"glibc": "ok", "none": "ok", "crash": "SIGSEGV", "hang": "hung"})
        self.assertEqual((cells["crash"]["bad"], cells["crash"]["runs"]), (2, 2))
        self.assertGreater(cells["none"]["wall"], 0)
        self.assertGreater(cells["none"]["peak_kib"], 0)

    def test_a_program_that_hangs_is_not_started_again(self):
        self.assertEqual(len(row_of(SHORT, {"hang": FAULTY["hang"]})["cells"]["hang"]["samples"]), 1)

    def test_a_missing_program_is_a_row(self):
        row = row_of(Workload("absent", ("no-such-program-anywhere",)), {"glibc": {"path": "-"}, "none": FAULTY["none"]})
        self.assertEqual({c["status"] for c in row["cells"].values()}, {"missing"})
        text = report.Table(["glibc", "none"], ["absent"]).row(row)
        self.assertIn("MISSING", text)
        self.assertIn("there is no program no-such-program-anywhere", text)

    def test_a_library_that_is_not_in_the_process_has_no_figure(self):
        cells = row_of(SHORT, {"text": {"path": str(pathlib.Path("README.md").resolve())}})["cells"]
        self.assertEqual(cells["text"]["status"], "not loaded")

    def test_a_rate_that_is_not_printed_is_a_failure(self):
        cells = row_of(Workload("silent", ("true",), score="rate"), {"glibc": {"path": "-"}})["cells"]
        self.assertEqual(cells["glibc"]["status"], "no rate")

    def test_a_rate_becomes_the_time_of_an_operation(self):
        command = ("echo", "it did 4000000 operations per second")
        cells = row_of(Workload("fixed_rate", command, score="rate"), {"glibc": {"path": "-"}})["cells"]
        self.assertEqual((cells["glibc"]["status"], cells["glibc"]["score"]), ("ok", 250))

    def test_one_bad_run_of_several_spoils_the_cell(self):
        good = {"status": "ok", **dict.fromkeys(runner.FIGURES, 1)}
        cell = runner.summarise_figures([good, {"status": "exit 3"}, good])
        self.assertEqual((cell["status"], cell["bad"], cell["runs"]), ("exit 3", 1, 3))

    def test_figures_are_medians(self):
        cell = runner.summarise_figures([{"status": "ok", **dict.fromkeys(runner.FIGURES, x)} for x in (9, 1, 2)])
        self.assertEqual(cell["score"], 2)

    def test_latency_is_the_median_of_each_percentile_and_the_worst_of_max(self):
        def sample(p50, worst):
            return {"status": "ok", "peak_kib": 1, "lines": [{"phase": "steady", "call": "free", "p50": p50, "max": worst, "quiet_max": None},
                                                             {"phase": "steady", "call": "malloc", "max": 1, "quiet_max": worst}]}
        cell = runner.summarise_latency([sample(5, 30), sample(7, 20), sample(6, 10)])
        line, quiet = cell["lines"]
        self.assertEqual((line["p50"], line["max"], line["worst"]), (6, 20, 30))
        self.assertEqual((line["quiet_max"], line["quiet_worst"]), (None, None))
        self.assertEqual((quiet["quiet_max"], quiet["quiet_worst"]), (20, 30))

    def test_a_row_whose_tools_are_missing_is_no_failure_of_hakmem(self):
        cells = row_of(Workload("fixed", ("sh", "-c", "echo no such tool >&2; exit 127")), {"glibc": {"path": "-"}})["cells"]
        self.assertEqual((cells["glibc"]["status"], cells["glibc"]["samples"][0]["stderr"].strip()), ("missing", "no such tool"))

    def test_a_program_that_prints_no_figures_is_a_cell(self):
        for script in ("exit 0", "echo no figures"):
            row = memory_tables.Row("silent", ("sh", "-c", script), 1, 1)
            self.assertEqual(memory_tables.run("build", row, "-")["status"], "no figures")

    def test_a_tool_that_hangs_is_told(self):
        with unittest.mock.patch("callgrind.TIMEOUT_S", 0.1), self.assertRaisesRegex(RuntimeError, "did not end within 0.1 s"):
            callgrind.tool(["sleep", "100"])

    def orders(self, rounds):
        started = []
        run = runner.Runner("build", rounds, 1, {n: {"path": "-"} for n in "abc"}, Silent())
        run.paths = {n: n for n in "abc"}
        run.run_once = lambda workload, library: started.append(library) or {"status": "ok"}
        run.interleave(SHORT, {n: [] for n in "abc"})
        return ["".join(started[i:i + 3]) for i in range(0, len(started), 3)]

    def test_each_round_runs_all_in_an_order_of_its_own(self):
        orders = self.orders(60)
        self.assertEqual({"".join(sorted(o)) for o in orders}, {"abc"})
        self.assertEqual(len(set(orders)), 6)
        self.assertEqual(orders, self.orders(60))


class Files(unittest.TestCase):
    """One real comparison, shown again from its JSON."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.json = f"{cls.folder.name}/a.json"
        cls.page = f"{cls.folder.name}/a.html"
        cls.done = compare_py(*ONE_ROW, "--lib", f"extra={FAULTY['none']['path']}", "--json", cls.json, "--page", cls.page)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_a_library_named_on_the_command_line_is_a_peer(self):
        document = json.loads(pathlib.Path(self.json).read_text())
        self.assertEqual(document["rows"][0]["cells"]["extra"]["status"], "ok", self.done.stderr)
        self.assertRegex(self.done.stdout, r"(?m)^extra +\d\.\d+ +1 ")

    def test_results_print_the_same_from_their_file(self):
        self.assertEqual(compare_py("--from", self.json).stdout, self.done.stdout)

    def test_a_resumed_run_measures_nothing_again(self):
        began = time.monotonic()
        again = compare_py(*ONE_ROW, "--lib", f"extra={FAULTY['none']['path']}", "--resume", self.json)
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual([x for x in again.stdout.splitlines() if x.startswith("fixed")],
                         [x for x in self.done.stdout.splitlines() if x.startswith("fixed")])

    def test_the_page_needs_no_other_file(self):
        page = pathlib.Path(self.page).read_text()
        self.assertIn("fixed-16-ws128", page)
        outside = [x for x in re.findall(r'(?:src|href|url\()\s*=?\s*"?([^">)]*)', page) if not x.startswith("#")]
        self.assertEqual(outside, [])

    def test_the_page_has_charts_where_matplotlib_is(self):
        if subprocess.run([PYTHON, "-c", "import matplotlib"], capture_output=True, check=False).returncode:
            self.skipTest("python3-matplotlib is missing")
        page = pathlib.Path(self.page).read_text()
        identities = re.findall(r'\bid="([^"]*)"', page)
        self.assertGreaterEqual(page.count("<figure>"), 3)
        self.assertEqual(len(identities), len(set(identities)))

    def test_a_file_of_something_else_is_refused(self):
        other = pathlib.Path(self.folder.name, "other.json")
        other.write_text("[]")
        refused = compare_py("--from", str(other))
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
        self.assertIn("is no result of compare.py", refused.stderr)

    def test_a_run_with_other_settings_is_not_resumed(self):
        for changed in ({"environment": {"HAKMEM_THP": "never"}}, {"huge_pages": "never"}, {"compiler": "another"}):
            document = json.loads(pathlib.Path(self.json).read_text())
            document["machine"].update(changed)
            other = pathlib.Path(self.folder.name, "settings.json")
            other.write_text(json.dumps(document))
            refused = compare_py(*ONE_ROW, "--lib", f"extra={FAULTY['none']['path']}", "--resume", str(other))
            self.assertEqual(refused.returncode, 1)
            self.assertIn(f"cannot be resumed: the files come from different machines or settings ({list(changed)[0]})",
                          refused.stderr)

    def test_the_compiler_is_the_one_that_built_the_programs(self):
        document = json.loads(pathlib.Path(self.json).read_text())
        self.assertEqual(document["machine"]["compiler"], pathlib.Path("build/bench/compiler").read_text().strip())
        self.assertNotEqual(document["machine"]["compiler"], "")

    def test_of_a_row_in_two_files_the_later_one_counts_whole(self):
        def document(name, score):
            cells = {n: {"status": "ok", "score": score} for n in (name, "glibc")}
            return {"allocators": {name: {}, "glibc": {}}, "rounds": 5, "rows": [{"name": "r", "cells": cells}]}
        merged = compare.merge([document("first", 1), document("second", 2)])
        self.assertEqual(list(merged["allocators"]), ["first", "glibc", "second"])
        self.assertEqual([list(r["cells"]) for r in merged["rows"]], [["second", "glibc"]])


class Interrupts(unittest.TestCase):
    def test_an_interrupted_run_prints_and_keeps_its_rows(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "a.json")
            command = [PYTHON, "bench/compare.py", "--only", "^fixed-16-ws(128|8192)$", "--rounds", "1", "--timeout", "60",
                       "--lib", f"last={FAULTY['hang']['path']}", "--json", str(path)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)
            said = []
            while not said or not said[-1].startswith("workload"):  # the head of the table: the first row is being measured
                said.append(process.stdout.readline())
                self.assertTrue(said[-1], "it ended before the table began")
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            rest = process.communicate(timeout=20)[0]
            self.assertEqual(process.returncode, 130, "".join(said) + rest)
            self.assertFalse(json.loads(path.read_text())["finished"])
            self.assertEqual(left_running(process.pid), "")


def left_running(session):
    return subprocess.run(["pgrep", "-s", str(session), "-f", "measure .*libfaulty_hang"], capture_output=True, text=True, check=False).stdout


if __name__ == "__main__":
    sys.exit(tap.main())
