"""runner.py - runs workloads: one process, a row of all allocators in interleaved rounds, the latency program.

Uses:    build/bench/measure, which starts the programs and says what they cost.
Callers: compare.py.

A program that crashes, hangs, is not there or runs without the library gives a sample whose "status" says so.
Nothing that a program does ends the comparison; only a broken launcher does.
"""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from aggregate import FLOOR

RATE = re.compile(r"(\d+) operations per second")
FIGURES = ("score", "wall", "user", "sys", "peak_kib", "minor_faults", "major_faults", "waits", "preemptions")
PERCENTILES = ("p50", "p99", "p999", "p9999", "max", "quiet_max")
NOT_FOUND = 127  # exit status of a shell, and of rows' scripts, without a program that they need
MEASURE_INTERRUPTED = 3  # exit status of measure.c
STDERR_KEPT = 2000  # characters of a failed program's complaints


class LauncherError(Exception):
    """build/bench/measure does not work: no figure could be trusted."""


class Progress:
    """How far it is and how long it will take, on standard error: one line that is written over on a terminal,
    elsewhere a line a minute."""

    def __init__(self, runs, stream=sys.stderr):
        self.left, self.done, self.stream = runs, 0, stream
        self.live = stream.isatty()
        self.began = self.told = time.monotonic()

    def step(self, what):
        now = time.monotonic()
        if not self.live and now - self.told < 60:
            return
        self.told = now
        share = self.done + self.left
        text = f"{100 * self.done // max(share, 1)} %, {self.time_left(now)} left: {what}"
        if self.live:
            columns = shutil.get_terminal_size().columns
            self.stream.write("\r\033[K" + text[:columns - 1])
        else:
            self.stream.write(text + "\n")
        self.stream.flush()

    def time_left(self, now):
        if self.done == 0:
            return "unknown time"
        seconds = (now - self.began) / self.done * self.left
        return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"

    def count(self, runs=1):
        self.done += runs
        self.left -= runs

    def skip(self, runs):
        """Runs that will not take place after all."""
        self.left -= runs

    def clear(self):
        if self.live:
            self.stream.write("\r\033[K")
            self.stream.flush()


class Runner:
    """How programs are run: where they are, how often, how long at most."""

    def __init__(self, build, rounds, timeout, allocators, progress):
        self.build, self.rounds, self.timeout = build, rounds, timeout
        self.paths = {name: a["path"] for name, a in allocators.items()}
        self.progress = progress

    def program(self, workload):
        """Path of the program, or None: one of build/bench, or one found through PATH."""
        own = pathlib.Path(self.build, "bench", workload.command[0])
        return str(own.resolve()) if own.is_file() else shutil.which(workload.command[0])

    # ---- one process

    def launch(self, workload, library, wants_output):
        """(report of the launcher, standard output, standard error). Files, not pipes: a program's child that lives
        on would keep a pipe open."""
        measure = str(pathlib.Path(self.build, "bench", "measure"))
        with tempfile.TemporaryDirectory(prefix="hakmem-bench-") as folder:
            report, out, err = (pathlib.Path(folder, name) for name in ("report", "out", "err"))
            command = [measure, str(report), str(self.timeout or workload.timeout), library, self.program(workload)]
            with open(out if wants_output else os.devnull, "wb") as out_file, open(err, "wb") as err_file:
                status = wait_for(subprocess.Popen([*command, *workload.command[1:]], stdin=subprocess.DEVNULL,
                                                   stdout=out_file, stderr=err_file))
            complaints = err.read_text(errors="replace")[-STDERR_KEPT:]
            if status == MEASURE_INTERRUPTED:
                raise KeyboardInterrupt
            if status != 0 or not report.exists():
                raise LauncherError(f"{measure}: exit {status}: {complaints.strip()}")
            output = out.read_text(errors="replace") if wants_output else ""
            return json.loads(report.read_text()), output, complaints

    def run_once(self, workload, library):
        """One process. A dict of figures; "status" is "ok" when they count."""
        if self.program(workload) is None:
            return {"status": "missing", "stderr": f"there is no program {workload.command[0]}"}
        report, output, complaints = self.launch(workload, library, workload.score != "time")
        report["status"] = verdict(report, library)
        report["score"] = report["wall"]
        if report["status"] == "ok" and workload.score == "rate":
            rate = RATE.search(output)
            if rate is None or int(rate.group(1)) == 0:
                report["status"] = "no rate"
            else:
                report["score"] = 1e9 / int(rate.group(1))
        if report["status"] == "ok" and workload.score == "latency":
            report["lines"] = latency_lines(output)
            report["status"] = "ok" if report["lines"] else "no lines"
        if report["status"] != "ok":
            report["stderr"] = complaints
        return report

    # ---- a row

    def interleave(self, workload, samples):
        """Fills samples, a list for each allocator, round by round.

        Each round has an order of its own, the same each time the row is run: who runs behind an allocator finds the
        system's memory as that one left it, and a fixed order would give some always the better place."""
        names = list(samples)
        order = random.Random(workload.name)
        for turn in range(self.rounds):
            for name in order.sample(names, len(names)):
                if given_up(name, samples[name]):
                    self.progress.skip(1)
                    continue
                self.progress.step(f"{workload.name}, round {turn + 1} of {self.rounds}, {name}")
                samples[name].append(self.run_once(workload, self.paths[name]))
                self.progress.count()

    def row(self, workload):
        """The row of a workload; on an interrupt a row of the rounds that are whole, as the exception's `row`."""
        samples = {name: [] for name in self.paths}
        try:
            self.interleave(workload, samples)
        except KeyboardInterrupt as interrupt:
            whole = min(len(s) for name, s in samples.items() if not given_up(name, s))
            interrupt.row = self.finish_row(workload, {n: s[:whole] for n, s in samples.items()}) if whole else None
            raise
        return self.finish_row(workload, samples)

    def finish_row(self, workload, samples):
        summarise = summarise_latency if workload.score == "latency" else summarise_figures
        cells = {name: summarise(s) for name, s in samples.items()}
        return {"name": workload.name, "command": list(workload.command), "score": workload.score, "per_thread": workload.per_thread,
                "rounds": max(len(s) for s in samples.values()), "cells": cells}


def wait_for(launcher):
    """Its exit status. On an interrupt it is asked to end, since it alone knows what it has started."""
    try:
        return launcher.wait()
    except KeyboardInterrupt:
        launcher.terminate()
        launcher.wait()
        raise


def given_up(name, samples):
    """True when more rounds would only cost time: the program hangs, is missing, or frees more than the floor holds."""
    if not samples or samples[-1]["status"] == "ok":
        return False
    return samples[-1]["status"] in ("hung", "missing") or name == FLOOR


def verdict(report, library):
    """"ok", or the few words that stand in the cell instead of a figure."""
    if report["timed_out"]:
        return "hung"
    if report["signal"]:
        return signal_name(report["signal"])
    if report["exit"] == NOT_FOUND:
        return "missing"
    if report["exit"]:
        return f"exit {report['exit']}"
    if library != "-" and report["loaded"] is not True:
        return "not loaded" if report["loaded"] is False else "unproven"
    return "ok"


def signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


# ---- a cell ------------------------------------------------------------------------------------


def failure_of(samples):
    """None when every run is good; else the first bad run's words, kept apart from how many were bad."""
    bad = [s["status"] for s in samples if s["status"] != "ok"]
    return {"status": bad[0], "bad": len(bad), "runs": len(samples)} if bad else None


def summarise_figures(samples):
    """Medians over the rounds, or what went wrong. One bad run spoils the cell: a fast crash is no good time."""
    cell = failure_of(samples) or {"status": "ok", **{f: statistics.median(s[f] for s in samples) for f in FIGURES}}
    return {**cell, "samples": samples}


def latency_lines(output):
    """The lines of JSON that the latency program prints; a line that is none is a mistake of the program."""
    try:
        return [json.loads(line) for line in output.splitlines() if line.strip()]
    except ValueError:
        return []


def summarise_latency(samples):
    """For each phase and call the median of each percentile; and of the two maxima the worst as well."""
    failure = failure_of(samples)
    if failure:
        return {**failure, "samples": samples}
    grouped = {}
    for sample in samples:
        for line in sample["lines"]:
            grouped.setdefault((line["phase"], line["call"]), []).append(line)
    lines = []
    for (phase, call), members in grouped.items():
        quiet = [m["quiet_max"] for m in members if m["quiet_max"] is not None]
        line = {"phase": phase, "call": call, "worst": max(m["max"] for m in members), "quiet_worst": max(quiet, default=None)}
        for figure in PERCENTILES:
            known = [m[figure] for m in members if m.get(figure) is not None]
            line[figure] = statistics.median(known) if known else None
        lines.append(line)
    return {"status": "ok", "lines": lines, "peak_kib": statistics.median(s["peak_kib"] for s in samples), "samples": samples}
