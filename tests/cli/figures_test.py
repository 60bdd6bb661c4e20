#!/usr/bin/env python3
"""figures_test.py - what the command-line tool shows of real processes: figures, and the screens made of them.
usage: tests/cli/figures_test.py BUILD

Where a figure is claimed, somebody else says what it must be: hak_stats() called inside of the process, or the kernel.
TAP on standard output.
"""

import ctypes
import errno
import json
import os
import pathlib
import pty
import re
import resource
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
import processes  # noqa: E402
from processes import (  # noqa: E402
    ENVIRONMENT, LIBRARY, PROGRAMS, REAL_PYTHON, SLEEPER, TOOL, Process, figures, hakmem, python, said,
    until_it_sleeps)

PARTS = ["live", "rounding", "cached", "mail", "free_in_slabs", "dirty", "purged", "records", "not_heap"]
STATS = ["live", "cached", "free_in_slabs", "dirty", "purged", "mapped", "records", "mallocs", "frees", "threads"]


def forbid_process_vm():
    """A filter under which process_vm_readv and process_vm_writev fail with ENOSYS."""
    def step(code, jump_true, jump_false, value):
        return struct.pack("HBBI", code, jump_true, jump_false, value)
    program = step(0x20, 0, 0, 0) + step(0x15, 2, 0, 310) + step(0x15, 1, 0, 311) + step(0x06, 0, 0, 0x7FFF0000)
    program += step(0x06, 0, 0, 0x00050000 | errno.ENOSYS)
    text = ctypes.create_string_buffer(program)
    filter_of = struct.pack("HxxxxxxP", 5, ctypes.addressof(text))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, filter_of, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no filter")


def kernel_rss(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return int(re.search(r"^Rss: +(\d+) kB", text, re.MULTILINE).group(1)) * 1024


def kernel_huge(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return int(re.search(r"^AnonHugePages: +(\d+) kB", text, re.MULTILINE).group(1)) * 1024


def human(count):
    """As the tool writes bytes."""
    units = ["KiB", "MiB", "GiB"]
    if count < 1024:
        return f"{count} B"
    while count >= 1024 * 1024:
        count /= 1024
        units.pop(0)
    return f"{count / 1024:.1f} {units[0]}"


def outside_view(pid):
    """Threads, descriptors and mappings."""
    folder = pathlib.Path(f"/proc/{pid}")
    return (sorted(os.listdir(folder / "task")), sorted(os.listdir(folder / "fd")),
            (folder / "maps").read_text(encoding="ascii"), kernel_rss(pid))


class Figures(unittest.TestCase):
    def same_as_inside(self, process):
        inside = dict(zip(STATS, map(int, process.ask("stats").split())))
        until_it_sleeps(process.pid)
        self.assertEqual(figures(process.pid)["stats"], inside)

    def adds_up(self, pid):
        until_it_sleeps(pid)
        resident = figures(pid)["resident"]
        self.assertEqual(sum(resident[part] for part in PARTS), resident["rss"])
        self.assertEqual(resident["rss"], kernel_rss(pid))
        return resident

    def test_figures_are_those_of_hak_stats(self):
        for threads in 0, 1, 8:
            with Process(PROGRAMS / "known", threads) as process:
                self.same_as_inside(process)
                process.ask("work")
                self.same_as_inside(process)
                process.ask("free")
                self.same_as_inside(process)

    def test_figures_are_those_of_hak_stats_when_threads_have_ended(self):
        with Process(PROGRAMS / "known", 1) as process:
            for _ in range(3):
                process.ask("threads")
                self.same_as_inside(process)
            process.ask("work")
            self.same_as_inside(process)
            self.adds_up(process.pid)
            self.assertGreater(len([h for h in figures(process.pid)["heaps"] if h["state"] in ("parked", "free")]), 0)

    def test_of_two_copies_the_one_in_use_is_read(self):
        with Process(PROGRAMS / "known_archive", 1, env={"LD_PRELOAD": str(LIBRARY)}) as process:
            self.same_as_inside(process)
            self.assertEqual(figures(process.pid)["library"], str(PROGRAMS / "known_archive"))
            self.assertIn("2 copies of hakmem are in the process", hakmem("doctor", process.pid).stdout)

    def test_spoiled_books_neither_hang_nor_crash_the_reader(self):
        statuses = set()
        for seed in range(60):
            with Process(PROGRAMS / "corrupt", seed, 1 + seed % 20) as process:
                for command in ["stat", "--json"], ["map"], ["explain"]:
                    done = hakmem(*command, process.pid)
                    self.assertIn(done.returncode, (0, 1), f"seed {seed}: {command} {done.stderr}")
                    statuses.add(done.returncode)
                    if done.returncode == 1:
                        self.assertEqual(done.stderr, f"hakmem: the heap of process {process.pid} (corrupt) makes no sense: "
                                         "something has written over hakmem's books\n")
        self.assertEqual(statuses, {0, 1})

    def test_memory_is_read_where_process_vm_readv_is_forbidden(self):
        if os.uname().machine != "x86_64":
            self.skipTest("the numbers of system calls are x86-64's")
        with Process(PROGRAMS / "known", 1) as process:
            wanted = figures(process.pid)
            done = hakmem("stat", "--json", process.pid, preexec_fn=forbid_process_vm)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(json.loads(done.stdout), wanted)
            done = hakmem("set", process.pid, "purge_delay=5", preexec_fn=forbid_process_vm)
            self.assertEqual((done.returncode, process.ask("option purge_delay")), (0, "5"))

    def test_a_stripped_static_program_is_read(self):
        with Process(PROGRAMS / "known_static", 2) as process:
            self.same_as_inside(process)
            self.adds_up(process.pid)

    def test_a_program_with_the_source_file_under_the_build_of_the_tool_is_read(self):
        with Process(PROGRAMS / "known_source", 2) as process:
            self.same_as_inside(process)
            self.adds_up(process.pid)

    def test_a_window_of_the_tag_map_is_read(self):
        limit = 8 << 30
        with Process(PROGRAMS / "known", 2, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))) as process:
            self.same_as_inside(process)
            self.adds_up(process.pid)

    def test_parts_add_up_to_the_rss(self):
        for threads in 0, 8:
            with Process(PROGRAMS / "known", threads) as process:
                resident = self.adds_up(process.pid)
                self.assertGreater(resident["live"], 40000 * 4 // 5 * 1000)
                self.assertGreaterEqual(resident["dirty"], 1 << 20)
                process.ask("free")
                freed = self.adds_up(process.pid)
                self.assertLess(freed["live"], resident["live"] / 4)

    def test_pages_given_back_are_not_taken_for_those_of_live_blocks(self):
        for size in 200, 1000, 2000, 8000:
            with Process(PROGRAMS / "known", 0) as process:
                before = figures(process.pid)
                left = int(process.ask(f"sparse {size}"))
                after = figures(process.pid)
                more = after["stats"]["live"] - before["stats"]["live"]
                self.assertEqual(more, left)
                self.assertGreater(after["stats"]["purged"] - before["stats"]["purged"], left)
                resident = self.adds_up(process.pid)["live"] - before["resident"]["live"]
                self.assertGreater(resident, left * 0.85, size)
                self.assertLess(resident, left * 1.15, size)
                sparse = {c["stride"]: c for c in after["classes"] if c["stride"] >= size}
                self.assertGreater(sparse[min(sparse)]["sparse"], 100 if size > 200 else 20)

    def test_parts_add_up_in_python(self):
        with python(SLEEPER) as process:
            self.adds_up(process.pid)

    def test_parts_add_up_with_huge_pages(self):
        with Process(PROGRAMS / "known", 2, env={"HAKMEM_THP": "always"}) as process:
            self.adds_up(process.pid)
            if kernel_huge(process.pid) == 0:
                self.skipTest("the system has made no huge page")

    def test_pages_shared_with_a_child_count_in_both(self):
        with Process(PROGRAMS / "known", 2) as process:
            child = int(process.ask("fork"))
            try:
                self.adds_up(process.pid)
                self.adds_up(child)
            finally:
                os.kill(child, signal.SIGKILL)

    def test_known_blocks_are_in_their_class(self):
        with Process(PROGRAMS / "known", 4) as process:
            classes = {c["stride"]: c for c in figures(process.pid)["classes"]}
            mails = sum(c["mail"] for c in classes.values())
            self.assertGreater(mails, 0)        # main has not taken in what the threads freed
            self.assertLessEqual(mails, 4 * 500)
            # main: sizes 1025 ... 1280 of 1 ... 3000, in 13 rounds and a part of the next, less each fifth
            expected = sum(1 for i in range(40000) if 1025 <= i % 3000 + 1 <= 1280 and i % 5 != 0)
            self.assertEqual(classes[1280]["live"], expected)

    def test_the_process_notices_nothing(self):
        with Process(PROGRAMS / "known", 8) as process:
            until_it_sleeps(process.pid)
            before = outside_view(process.pid)
            for command in ["stat"], ["stat", "--json"], ["map"], ["explain"], ["stat", "--prometheus"]:
                self.assertEqual(hakmem(*command, process.pid).returncode, 0)
            self.assertEqual(hakmem("top", "--once", "-d", "0.1", process.pid).returncode, 0)
            self.assertEqual(outside_view(process.pid), before)
            self.assertEqual(process.ask("option verbose"), "0")    # and its output is its own

    def test_a_process_whose_first_thread_has_ended_is_read(self):
        with Process(PROGRAMS / "known", 2) as process:
            process.ask("leave")
            while "Z" not in pathlib.Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2]:
                time.sleep(0.01)
            inside = dict(zip(STATS, map(int, process.ask("stats").split())))
            seen = figures(process.pid)
            self.assertEqual((seen["stats"], seen["name"]), (inside, "known"))
            self.assertEqual(sum(seen["resident"][part] for part in PARTS), seen["resident"]["rss"])
            for command in ["map"], ["explain"], ["doctor"], ["set", process.pid, "purge_delay=7"]:
                done = hakmem(*command, *([process.pid] if len(command) == 1 else []))
                self.assertEqual((done.returncode, done.stderr), (0, ""), command)
            self.assertEqual(process.ask("option purge_delay"), "7")
            self.assertIn(str(process.pid), hakmem("top", "--once", "-d", "0.1").stdout)

    def test_what_dies_while_it_is_read_has_no_figures(self):
        with Process(PROGRAMS / "known", 0) as process:
            whole = figures(process.pid)["resident"]["live"]
            start = time.monotonic()
            hakmem("stat", "--json", process.pid)
            usual = time.monotonic() - start
        for i in range(40):
            with Process(PROGRAMS / "known", 0) as process:
                tool = subprocess.Popen([TOOL, "stat", "--json", str(process.pid)], env=ENVIRONMENT, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                time.sleep(usual * i / 30)
                process.popen.kill()
                out, error = tool.communicate(timeout=60)
                self.assertIn(tool.returncode, (0, 3), error)
                if tool.returncode == 0:
                    self.assertGreater(json.loads(out)["resident"]["live"], whole * 0.99)

    def test_what_takes_long_to_die_has_ended(self):
        # Its memory is no longer its own while the kernel gives it back, 80 ms here: no mappings, as a kernel's thread.
        script = ("import mmap; m = mmap.mmap(-1, 1536 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS); "
                  "m.madvise(mmap.MADV_NOHUGEPAGE); m[::4096] = b'x' * (1536 << 8); print('ready', flush=True); input()")
        with Process(REAL_PYTHON, "-c", script) as process:
            process.popen.kill()
            done = hakmem("stat", process.pid)
            self.assertEqual((done.returncode, done.stderr), (3, f"hakmem: process {process.pid} has ended\n"))

    def test_what_runs_another_program_meanwhile_is_read_again(self):
        with Process(PROGRAMS / "known", 0) as process:
            whole = figures(process.pid)
            for _ in range(20):
                process.popen.stdin.write("exec\n")
                process.popen.stdin.flush()
                done = hakmem("stat", "--json", process.pid)
                self.assertEqual(process.popen.stdout.readline(), "ready\n")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                seen = json.loads(done.stdout)
                # It may still be filling. Books and pages are of one program: whose books are full, its pages are there,
                # but for the MiB of a mapping that it may be just about to touch.
                if seen["stats"]["live"] > whole["stats"]["live"] * 0.99:
                    self.assertGreater(seen["resident"]["live"], whole["resident"]["live"] * 0.95)
                self.assertGreater(figures(process.pid)["resident"]["live"], whole["resident"]["live"] * 0.99)

    def test_files_that_are_pipes_now_are_not_waited_for(self):
        script = ("import mmap, os, sys; name = sys.argv[1]; f = open(name, 'wb+'); f.write(b'x' * 4096); f.flush()\n"
                  "m = mmap.mmap(f.fileno(), 0, mmap.MAP_PRIVATE); os.unlink(name); os.mkfifo(name + ' (deleted)')\n"
                  "print('ready', flush=True); sys.stdin.read()")
        with tempfile.TemporaryDirectory() as folder:
            with Process(TOOL, "run", "--", REAL_PYTHON, "-c", script, os.path.join(folder, "file")) as process:
                self.assertIn(hakmem("doctor", process.pid).returncode, (0, 1))

    def test_names_do_not_steer_the_terminal(self):
        with python("open('/proc/self/comm', 'wb').write(b'j\\xc3\\xb6 \\x1b]0;x\\x07\\xff'); print('ready', flush=True);"
                    "import time; time.sleep(1000)") as process:
            self.assertEqual(figures(process.pid)["name"], "j\u00f6 ?]0;x??")
            for command in ["stat"], ["stat", "--prometheus"], ["map"], ["explain"]:
                text = hakmem(*command, process.pid).stdout
                self.assertIn("j\u00f6 ?]0;x??", text)
                self.assertNotIn("\033", text)

    def test_a_busy_process_is_read_200_times(self):
        with Process(PROGRAMS / "busy") as process:
            for _ in range(200):
                resident = figures(process.pid)["resident"]
                self.assertEqual(sum(resident[part] for part in PARTS), resident["rss"])
            self.assertIsNone(process.popen.poll())


class Screens(unittest.TestCase):
    def test_the_screen_shows_the_parts_and_classes(self):
        with Process(PROGRAMS / "known", 2) as process:
            until_it_sleeps(process.pid)
            resident = figures(process.pid)["resident"]
            text = hakmem("stat", process.pid).stdout
            self.assertRegex(text, r"^hakmem \S+: process %d \(known\), 3 threads on it, \d+ mallocs, \d+ frees\n" % process.pid)
            shown = [int(n) for n in re.findall(r"^  [a-zA-Z ]{10} +(\d+) B ", text, re.MULTILINE)][:10]
            self.assertEqual(shown, [resident[part] for part in PARTS] + [resident["rss"]])
            self.assertRegex(text, r"\n +1280 B +\d+")

    def test_metrics_are_prometheus_text(self):
        with Process(PROGRAMS / "known") as process:
            text = hakmem("stat", "--prometheus", process.pid).stdout
            sample = r'hakmem_\w+\{pid="%d",name="known"(,\w+="\w+")*\} \d+' % process.pid
            lines = text.splitlines()
            names = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
            self.assertEqual([line for line in lines if not re.fullmatch(sample + r"|# (HELP|TYPE) hakmem_\w+ .+", line)], [])
            self.assertEqual(len(names), len(set(names)))
            self.assertEqual({re.match(r"\w+", line).group() for line in lines if line[0] != "#"}, set(names))

    def test_metrics_are_the_figures(self):
        with Process(PROGRAMS / "known", 2, env={"HAKMEM_THP": "always"}) as process:
            until_it_sleeps(process.pid)
            seen = figures(process.pid)
            expected = {f'hakmem_resident_bytes part="{part}"': seen["resident"][part] for part in PARTS}
            expected |= {"hakmem_rss_bytes ": seen["resident"]["rss"], "hakmem_huge_bytes ": seen["huge"]}
            expected |= {f"hakmem_{name}_bytes ": seen["stats"][name] for name in ("live", "mapped")}
            expected |= {f"hakmem_{name}_total ": seen["stats"][name] for name in ("mallocs", "frees")}
            expected["hakmem_threads "] = seen["stats"]["threads"]
            for c in seen["classes"]:
                expected[f'hakmem_class_live_blocks stride="{c["stride"]}"'] = c["live"]
                expected[f'hakmem_class_resident_bytes stride="{c["stride"]}"'] = c["resident"]
            for lock, waits in seen["locks"].items():
                expected[f'hakmem_lock_waits_total lock="{lock}"'] = waits["waits"]
                expected[f'hakmem_lock_sleeps_total lock="{lock}"'] = waits["sleeps"]
            text = hakmem("stat", "--prometheus", process.pid).stdout
            samples = re.findall(r'^(hakmem_\w+)\{pid="\d+",name="\w+",?(?:class="\d+",)?(.*)\} (\d+)$', text, re.MULTILINE)
            self.assertEqual(len(samples), len(expected))
            self.assertEqual({f"{name} {label}": int(value) for name, label, value in samples}, expected)

    def test_waits_for_locks_are_shown(self):
        with Process(PROGRAMS / "known") as process:
            until_it_sleeps(process.pid)
            waits = figures(process.pid)["locks"]
            self.assertEqual(set(waits), {"registry", "sparse", "heaps", "orphans", "purge", "large", "arena", "tags", "records"})
            shown = [f"{lock} {w['waits']} ({w['sleeps']} asleep)" for lock, w in waits.items() if w["waits"] > 0]
            self.assertIn(f"\n  waits for locks: {', '.join(shown) or 'none'}\n", hakmem("stat", process.pid).stdout)
        with Process(PROGRAMS / "busy") as process:
            end = time.monotonic() + 60
            while sum(w["waits"] for w in figures(process.pid)["locks"].values()) == 0 and time.monotonic() < end:
                time.sleep(0.1)
            self.assertRegex(hakmem("stat", process.pid).stdout, r"\n  waits for locks: \w+ \d+ \(\d+ asleep\)")

    def test_top_and_explain_show_the_figures(self):
        with Process(PROGRAMS / "known", 2) as process:
            until_it_sleeps(process.pid)
            seen = figures(process.pid)
            stats, resident = seen["stats"], seen["resident"]
            row = hakmem("top", "--once", "-d", "0.1", process.pid).stdout.splitlines()[1]
            columns = rf" *{process.pid} known +([\d.]+) MiB +(\S+ \S+) +([\d.]+)% +(\S+ \S+) +(\d+) +(\d+) +(\d+)"
            rss, live, percent, cached, threads, rate, mallocs = re.fullmatch(columns, row).groups()
            # The kernel counts the RSS of statm in portions for each processor.
            self.assertAlmostEqual(float(rss), resident["rss"] / (1 << 20), delta=2)
            share = stats["live"] / (float(rss) * (1 << 20)) * 100
            self.assertEqual([live, cached, int(threads), int(rate), int(mallocs)],
                             [human(stats["live"]), human(stats["cached"]), stats["threads"], 0, stats["mallocs"]])
            self.assertAlmostEqual(float(percent), min(share, 100), delta=1)
            self.assertIn(f"Process {process.pid} (known) has {human(resident['rss'])} in RAM. The program holds blocks of "
                          f"{human(stats['live'])}, of which {human(resident['live'])} have memory: "
                          f"{100 * resident['live'] / resident['rss']:.0f}% of the RSS.\n",
                          hakmem("explain", process.pid).stdout)

    def test_the_map_has_a_character_for_each_unit(self):
        with Process(PROGRAMS / "known") as process:
            text = hakmem("map", process.pid).stdout
            rows = re.findall(r"[0-9a-f]{12} ([0-9Lrd. ?]{32}) +\d+%", text)
            self.assertEqual(len(rows), int(re.search(r": (\d+) SuperSlabs", text).group(1)))
            self.assertGreaterEqual("".join(rows).count("L"), 20 * 16)   # the block of 20 MiB
            self.assertRegex(text, r"mapping of 200\.0 MiB, live")
            self.assertNotIn("\033", text)
            self.assertIn("\033", hakmem("map", "--colour", "always", process.pid).stdout)

    def test_the_map_shows_what_heaps_keep(self):
        with Process(PROGRAMS / "known", 0, env={"HAKMEM_PURGE_DELAY": "600000"}) as process:
            process.ask("work")  # its last free is of a run of two units
            until_it_sleeps(process.pid)
            units = "".join(re.findall(r"[0-9a-f]{12} ([0-9Lrd. ?]{32}) +\d+%", hakmem("map", process.pid).stdout))
            reserve = sum(heap["reserve"] for heap in figures(process.pid)["heaps"])
            self.assertEqual(units.count("r") * 65536, reserve)
            self.assertIn("rr", units)
            self.assertGreaterEqual(reserve, 2 * 65536)

    def test_the_svg_is_well_formed(self):
        import xml.dom.minidom
        with tempfile.TemporaryDirectory() as folder, Process(PROGRAMS / "known") as process:
            path = os.path.join(folder, "map.svg")
            self.assertEqual(hakmem("map", process.pid, "--svg", path).returncode, 0)
            image = xml.dom.minidom.parse(path)
            units = len(image.getElementsByTagName("title"))
            self.assertEqual(units, 32 * len(re.findall(r"\d+%", hakmem("map", process.pid).stdout)))

    def test_explain_names_the_largest_reason_first(self):
        with Process(PROGRAMS / "known", env={"HAKMEM_PURGE_DELAY": "600000"}) as process:
            process.ask("free")
            text = hakmem("explain", process.pid).stdout
            self.assertRegex(text, r"^Process %d \(known\) has \S+ MiB in RAM\." % process.pid)
            self.assertRegex(text, r"Free memory that waits for 600000 ms \(purge_delay\)")
            scale = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
            sizes = [float(n) * scale[u] for n, u in re.findall(r"^ *([\d.]+) ([KMG]?i?B)  ", text, re.MULTILINE)]
            self.assertGreater(len(sizes), 1)
            self.assertEqual(sizes, sorted(sizes, reverse=True))

    def test_explain_counts_of_empty_slabs_what_has_memory(self):
        script = ("import ctypes, sys\nlibc = ctypes.CDLL(None)\nlibc.malloc.restype = ctypes.c_void_p\n"
                  "libc.malloc.argtypes = [ctypes.c_size_t]\nlibc.free.argtypes = [ctypes.c_void_p]\n"
                  "for size in range(5000, 65536, 1000):\n"
                  "    for block in [libc.malloc(size) for _ in range(200)]: libc.free(block)\n"
                  "print('ready', flush=True)\nsys.stdin.read()\n")
        with Process(REAL_PYTHON, "-c", script, env={"LD_PRELOAD": str(LIBRARY), "HAKMEM_PURGE_DELAY": "600000"}) as process:
            text = hakmem("explain", process.pid).stdout
            told = re.search(r"([\d.]+) MiB  Each thread keeps one empty slab", text)
            self.assertIsNotNone(told, text)
            self.assertLessEqual(float(told.group(1)) * (1 << 20), figures(process.pid)["resident"]["free_in_slabs"] + (1 << 19))

    def test_explain_tells_of_slabs_that_were_hardly_begun(self):
        for huge_pages in "never", "always":
            with Process(PROGRAMS / "begun", env={"HAKMEM_THP": huge_pages}) as process:
                text = hakmem("explain", process.pid).stdout
                told = re.search(r"([\d.]+) MiB  A slab for each thread and size, hardly begun: of (\d+) slabs", text)
                self.assertIsNotNone(told, text)
                free = figures(process.pid)["resident"]["free_in_slabs"]
                self.assertLess(abs(float(told.group(1)) * (1 << 20) - free), free * 0.05)
                self.assertGreater(int(told.group(2)), 64 * 20)
                self.assertNotIn("mostly used", text)

    def test_top_has_a_screen(self):
        with Process(PROGRAMS / "known") as process:
            master, slave = pty.openpty()
            top = subprocess.Popen([TOOL, "top", "--delay", "0.2"], stdin=slave, stdout=slave, stderr=slave,
                                   env={**ENVIRONMENT, "TERM": "xterm"})
            os.close(slave)
            shown = b""
            end = time.monotonic() + 60
            try:
                while b"%d" % process.pid not in shown and time.monotonic() < end and select.select([master], [], [], 10)[0]:
                    shown += os.read(master, 4096)
                os.write(master, b"lq")
                while time.monotonic() < end and select.select([master], [], [], 10)[0] and os.read(master, 4096):
                    pass
            except OSError:
                pass        # the other end is closed
            finally:
                if top.poll() is None and (not shown or time.monotonic() >= end):
                    top.kill()
            self.assertEqual(top.wait(10), 0)
            os.close(master)
            self.assertIn(b"hakmem top:", shown)
            self.assertIn(b"%d" % process.pid, shown)

    def test_top_ends_with_its_input(self):
        master, slave = pty.openpty()
        top = subprocess.Popen([TOOL, "top", "--delay", "0.2"], stdin=subprocess.DEVNULL, stdout=slave, stderr=slave,
                               env={**ENVIRONMENT, "TERM": "xterm"})
        os.close(slave)
        try:
            while os.read(master, 4096):
                pass
        except OSError:
            pass        # the other end is closed
        self.assertEqual(top.wait(10), 0)
        os.close(master)

    def test_top_says_that_it_cannot_draw(self):
        self.assertEqual(said("top", env={"TERM": "unknowable"}),
                         (1, "hakmem: cannot draw on a terminal of kind 'unknowable' (TERM); try --once"))

    def test_top_shows_rates(self):
        with Process(PROGRAMS / "busy") as busy, Process(PROGRAMS / "known") as known:
            done = hakmem("top", "--once", "--delay", "0.5", "--sort", "m")
            rows = {int(line.split()[0]): line.split() for line in done.stdout.splitlines()[1:]}
            self.assertEqual(rows[busy.pid][1], "busy")
            self.assertGreater(int(rows[busy.pid][-2]), 1000)
            self.assertEqual(int(rows[known.pid][-2]), 0)
            order = [int(line.split()[0]) for line in done.stdout.splitlines()[1:]]
            self.assertLess(order.index(busy.pid), order.index(known.pid))


if __name__ == "__main__":
    sys.exit(processes.main())
