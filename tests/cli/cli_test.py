#!/usr/bin/env python3
"""cli_test.py - the command-line tool on real processes. usage: tests/cli/cli_test.py BUILD

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
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "bench"))
import tap  # noqa: E402

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build").resolve()
PROGRAMS = BUILD / "tests" / "cli"
TOOL = BUILD / "hakmem"
LIBRARY = BUILD / "libhakmem.so"
PARTS = ["live", "rounding", "cached", "mail", "free_in_slabs", "dirty", "purged", "records", "not_heap"]
STATS = ["live", "cached", "free_in_slabs", "dirty", "purged", "mapped", "records", "mallocs", "frees", "threads"]
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("HAKMEM_") and key != "LD_PRELOAD"}
ENVIRONMENT["HAKMEM_BACKGROUND"] = "off"     # nothing changes between two looks


def hakmem(*arguments, **more):
    return subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          env={**ENVIRONMENT, **more.pop("env", {})}, check=False, **more)


def said(*arguments, **more):
    """Status and what stands on standard error."""
    done = hakmem(*arguments, **more)
    return done.returncode, done.stderr.strip()


def figures(pid):
    done = hakmem("stat", "--json", pid)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Process:
    """A program that says "ready", and then answers lines with lines."""

    def __init__(self, *command, **more):
        self.popen = subprocess.Popen([*map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      env={**ENVIRONMENT, **more.pop("env", {})}, **more)
        self.pid = self.popen.pid
        assert self.popen.stdout.readline() == "ready\n"

    def ask(self, line):
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()
        return self.popen.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.popen.kill()
        self.popen.wait()
        self.popen.stdin.close()
        self.popen.stdout.close()


def python(script, *run, **more):
    """python3 on hakmem: the script is to print "ready"."""
    real = os.path.realpath(shutil.which("/usr/bin/python3") or sys.executable)
    return Process(TOOL, "run", *run, "--", real, "-c", script, **more)


SLEEPER = "import time; x = [str(i) for i in range(100000)]; del x[::2]; print('ready', flush=True); time.sleep(1000)"


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


def until_it_sleeps(pid):
    while pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "S":
        time.sleep(0.01)


def kernel_rss(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return int(re.search(r"^Rss: +(\d+) kB", text, re.MULTILINE).group(1)) * 1024


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

    def test_parts_add_up_in_python(self):
        with python(SLEEPER) as process:
            self.adds_up(process.pid)

    def test_parts_add_up_with_huge_pages(self):
        with Process(PROGRAMS / "known", 2, env={"HAKMEM_THP": "always"}) as process:
            self.adds_up(process.pid)

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

    def test_the_map_has_a_character_for_each_unit(self):
        with Process(PROGRAMS / "known") as process:
            text = hakmem("map", process.pid).stdout
            rows = re.findall(r"[0-9a-f]{12} ([0-9Lrd. ?]{32}) +\d+%", text)
            self.assertEqual(len(rows), int(re.search(r": (\d+) SuperSlabs", text).group(1)))
            self.assertGreaterEqual("".join(rows).count("L"), 20 * 16)   # the block of 20 MiB
            self.assertRegex(text, r"mapping of 200\.0 MiB, live")
            self.assertNotIn("\033", text)
            self.assertIn("\033", hakmem("map", "--colour", "always", process.pid).stdout)

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

    def test_top_has_a_screen(self):
        with Process(PROGRAMS / "known") as process:
            master, slave = pty.openpty()
            top = subprocess.Popen([TOOL, "top", "--delay", "0.2"], stdin=slave, stdout=slave, stderr=slave,
                                   env={**ENVIRONMENT, "TERM": "xterm"})
            os.close(slave)
            shown = b""
            try:
                while b"known" not in shown and select.select([master], [], [], 10)[0]:
                    shown += os.read(master, 4096)
                os.write(master, b"lq")
                while select.select([master], [], [], 10)[0] and os.read(master, 4096):
                    pass
            except OSError:
                pass        # the other end is closed
            finally:
                if top.poll() is None and not shown:
                    top.kill()
            self.assertEqual(top.wait(10), 0)
            os.close(master)
            self.assertIn(b"hakmem top:", shown)
            self.assertIn(b"%d" % process.pid, shown)

    def test_top_shows_rates(self):
        with Process(PROGRAMS / "busy") as busy, Process(PROGRAMS / "known") as known:
            done = hakmem("top", "--once", "--delay", "0.5", "--sort", "m")
            rows = {int(line.split()[0]): line.split() for line in done.stdout.splitlines()[1:]}
            self.assertEqual(rows[busy.pid][1], "busy")
            self.assertGreater(int(rows[busy.pid][-2]), 1000)
            self.assertEqual(int(rows[known.pid][-2]), 0)
            order = [int(line.split()[0]) for line in done.stdout.splitlines()[1:]]
            self.assertLess(order.index(busy.pid), order.index(known.pid))


class Changes(unittest.TestCase):
    def test_set_takes_effect(self):
        with Process(PROGRAMS / "known") as process:
            done = hakmem("set", process.pid, "purge_delay=17", "on_error=report")
            self.assertEqual(done.stdout, "purge_delay was 1000 ms, is 17 ms\non_error was abort, is report\n")
            self.assertEqual((process.ask("option purge_delay"), process.ask("option on_error")), ("17", "1"))

    def test_set_refuses_what_cannot_be(self):
        with Process(PROGRAMS / "known") as process:
            pid = process.pid
            self.assertEqual(said("set", pid, "purge_delay=600001"),
                             (2, "hakmem: purge_delay=600001 is not a number from 0 to 600000 ms"))
            self.assertEqual(said("set", pid, "purge_delay=x"), (2, "hakmem: purge_delay=x is not a number from 0 to 600000 ms"))
            self.assertEqual(said("set", pid, "on_error=2"), (2, "hakmem: on_error=2 is not one of abort|report"))
            self.assertEqual(said("set", pid, "nothing=2"), (2, "hakmem: no option 'nothing'; hakmem-options(7) lists them"))
            self.assertEqual(said("set", pid, "purge_delay"), (2, "hakmem: 'purge_delay' is not NAME=VALUE"))
            self.assertEqual(said("set", pid, "thp=never"),
                             (2, "hakmem: thp can only be set at start, by 'hakmem run --option thp=never'"))
            self.assertEqual(process.ask("option purge_delay"), "1000")

    def test_purge_waits_for_the_next_calls(self):
        with Process(PROGRAMS / "known", env={"HAKMEM_PURGE_DELAY": "600000"}) as process:
            process.ask("free")
            until_it_sleeps(process.pid)
            before = figures(process.pid)["resident"]
            done = hakmem("purge", "--wait", "50", process.pid)
            self.assertEqual(done.stdout, f"process {process.pid} (known) has not followed yet: it does at one of its next calls\n")
            self.assertEqual(figures(process.pid)["resident"], before)
            process.ask("work")
            after = figures(process.pid)["resident"]
            self.assertGreater(before["dirty"], 20 << 20)
            self.assertLess(after["dirty"], 4 << 20)
            self.assertLess(after["rss"], before["rss"] - (20 << 20))

    def test_a_sleeping_process_purges_by_its_background_thread(self):
        with Process(PROGRAMS / "known", 2, env={"HAKMEM_PURGE_DELAY": "2000", "HAKMEM_BACKGROUND": "on"}) as process:
            process.ask("free")
            before = figures(process.pid)["resident"]
            done = hakmem("purge", "--wait", "20000", process.pid)
            self.assertRegex(done.stdout, r"^process %d \(known\): RSS was \d+ KiB, is \d+ KiB\n$" % process.pid)
            self.assertLess(figures(process.pid)["resident"]["rss"], before["rss"])

    def test_a_busy_process_purges_at_once(self):
        with Process(PROGRAMS / "busy") as process:
            done = hakmem("purge", process.pid)
            self.assertRegex(done.stdout, r"^process %d \(busy\): RSS was \d+ KiB, is \d+ KiB\n$" % process.pid)


class Refusals(unittest.TestCase):
    def test_no_such_process(self):
        gone = subprocess.Popen(["true"])
        until_ended = pathlib.Path(f"/proc/{gone.pid}/stat")
        while until_ended.read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)
        self.assertEqual(said("stat", gone.pid), (3, f"hakmem: process {gone.pid} has ended"))
        gone.wait()
        self.assertEqual(said("stat", gone.pid), (3, f"hakmem: there is no process {gone.pid}"))

    def test_a_process_without_hakmem(self):
        with subprocess.Popen(["sleep", "1000"], env=ENVIRONMENT) as process:
            time.sleep(0.1)
            self.assertEqual(said("stat", process.pid), (5, f"hakmem: process {process.pid} (sleep) does not run on hakmem; "
                                                         "start it by 'hakmem run'"))
            process.kill()

    def test_another_build(self):
        tool = hakmem("--version").stdout.split()[-1]
        with Process(PROGRAMS / "other_build") as process:
            for command in ["stat"], ["map"], ["explain"], ["purge"]:
                self.assertEqual(said(*command, process.pid), (
                    6, f"hakmem: process {process.pid} (other_build) runs on hakmem 9.8.7 of build 0123456789abcdef; this tool "
                    f"is of build {tool}: use the one of that build"))

    def test_another_user(self):
        if os.geteuid() != 0:
            self.assertEqual(said("stat", 1), (4, "hakmem: not permitted to read process 1 of user root: try as root or as that user"))
            return
        with Process(PROGRAMS / "known") as process:
            try:
                answer = said("stat", process.pid, user=65534, group=65534, extra_groups=[])
            except PermissionError:
                self.skipTest("another user cannot reach the build folder")
            self.assertEqual(answer, (4, f"hakmem: not permitted to read process {process.pid} of user root: try as root or "
                                      "as that user"))

    def test_a_32_bit_process(self):
        source = ".globl _start\n_start: mov $29, %eax\nint $0x80\njmp _start\n"
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "small")
            made = subprocess.run(["gcc", "-m32", "-nostdlib", "-static", "-x", "assembler", "-", "-o", path], input=source,
                                  text=True, capture_output=True, check=False)
            if made.returncode != 0:
                self.skipTest("no compiler for 32 bits")
            self.assertEqual(said("run", "--", path), (8, f"hakmem: {path} is a 32-bit program"))
            try:
                process = subprocess.Popen([path])
            except OSError:
                self.skipTest("this kernel runs no 32-bit programs")
            with process:
                time.sleep(0.1)
                self.assertEqual(said("stat", process.pid), (7, f"hakmem: process {process.pid} (small) is a 32-bit program; "
                                                             "hakmem is for 64-bit ones"))
                process.kill()

    def test_bad_arguments(self):
        self.assertEqual(said("stat", "x"), (2, "hakmem: 'x' is not a process id"))
        self.assertEqual(said("stat", "-1")[0], 2)
        self.assertEqual(said("nothing"), (2, "hakmem: no command 'nothing'; hakmem --help lists them"))
        self.assertEqual(said("stat")[1].splitlines()[0], "hakmem stat: whose memory? PID is missing")
        self.assertEqual(hakmem().returncode, 2)
        for command in "run", "stat", "top", "map", "explain", "purge", "set", "doctor":
            self.assertEqual(hakmem(command, "--help").returncode, 0)


class Documents(unittest.TestCase):
    page = (ROOT / "docs" / "man" / "hakmem.1").read_text(encoding="ascii").replace("\\-", "-")

    def test_the_manual_names_every_command_and_option(self):
        commands = re.findall(r"(?m)^  (\w+) ", hakmem("--help").stdout)
        self.assertGreater(len(commands), 7)
        for command in commands:
            self.assertIn(f".SS {command}\n", self.page)
            section = self.page.partition(f".SS {command}\n")[2].partition("\n.S")[0]
            for option in re.findall(r"  -\w, (--\w+)", hakmem(command, "--help").stdout):
                self.assertIn(option, section)

    def test_the_manual_names_every_part(self):
        for title in re.findall(r"(?m)^  ([a-z ]+): ", hakmem("stat", "--help").stdout):
            self.assertIn(f".B {title}\n", self.page)

    def test_the_dashboard_asks_for_metrics_that_are_there(self):
        dashboard = (ROOT / "packaging" / "grafana.json").read_text(encoding="ascii")
        json.loads(dashboard)
        with Process(PROGRAMS / "known") as process:
            names = set(re.findall(r"(?m)^# TYPE (\w+)", hakmem("stat", "--prometheus", process.pid).stdout))
        asked = set(re.findall(r"\bhakmem_\w+", dashboard))
        self.assertEqual(asked - names, set())
        self.assertGreater(len(asked), 5)


class Run(unittest.TestCase):
    def test_the_command_runs_on_hakmem(self):
        with python(SLEEPER) as process:
            self.assertEqual(figures(process.pid)["library"], str(LIBRARY))

    def test_the_status_is_the_commands(self):
        self.assertEqual(hakmem("run", "--", "sh", "-c", "exit 7").returncode, 7)

    def test_preloaded_libraries_stay(self):
        other = PROGRAMS / "calls_malloc.so"
        done = hakmem("run", "--", "sh", "-c", "echo $LD_PRELOAD", env={"LD_PRELOAD": str(other)})
        self.assertEqual(done.stdout, f"{LIBRARY}:{other}\n")

    def test_options_and_statistics_reach_the_command(self):
        done = hakmem("run", "--stats", "--option", "purge_delay=5", "--option", "on_error=report", "--", "sh", "-c",
                      "echo $HAKMEM_PURGE_DELAY $HAKMEM_ON_ERROR; exec true")
        self.assertEqual(done.stdout, "5 report\n")
        self.assertRegex(done.stderr, r"(?m)^hakmem \S+ statistics: ")

    def test_what_cannot_be_preloaded_is_named(self):
        static = PROGRAMS / "plain_static"
        self.assertEqual(said("run", "--", static), (8, f"hakmem: {static} is linked statically: link it with libhakmem.a instead"))
        linked = PROGRAMS / "known_static"
        self.assertEqual(said("run", "--", linked), (8, f"hakmem: {linked} has hakmem linked in: run it as it is"))
        self.assertEqual(said("run", "--", "no-such-command"), (8, "hakmem: no-such-command: not found"))
        self.assertEqual(said("run", "--", ROOT / "README.md"), (8, f"hakmem: {ROOT / 'README.md'}: not executable"))

    def test_interpreters_of_scripts_are_looked_at(self):
        with tempfile.TemporaryDirectory() as folder:
            script = pathlib.Path(folder, "script")
            static = PROGRAMS / "plain_static"
            script.write_text(f"#!{static}\n", encoding="ascii")
            script.chmod(0o755)
            self.assertEqual(said("run", "--", script), (8, f"hakmem: {static}, which runs {script} is linked statically: "
                                                         "link it with libhakmem.a instead"))
            script.write_text("#!/usr/bin/env sh\necho $LD_PRELOAD\n", encoding="ascii")
            self.assertEqual(hakmem("run", "--", script).stdout, f"{LIBRARY}\n")

    def test_programs_that_gain_rights_are_refused(self):
        if os.geteuid() == 0:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "true")
                shutil.copy(os.path.realpath(shutil.which("true")), path)
                os.chown(path, 65534, 0)
                os.chmod(path, 0o4755)
                answer = said("run", "--", path)
        else:
            path = "/usr/bin/passwd"
            answer = said("run", "--", path)
        self.assertEqual(answer, (8, f"hakmem: {path} is set-user-ID, set-group-ID or has capabilities: Linux preloads nothing "
                                  "into such programs; link it with libhakmem"))


class Doctor(unittest.TestCase):
    def lines(self, *arguments, **more):
        done = hakmem("doctor", *arguments, **more)
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.returncode, int(bool(re.search(r"(?m)^problem ", done.stdout))))
        return done.stdout

    def test_a_healthy_process_has_no_problem(self):
        with python(SLEEPER) as process:
            text = self.lines(process.pid)
            self.assertNotIn("problem", text)
            self.assertRegex(text, r"(?m)^ok +\d+ of its files call hakmem's malloc$")

    def test_a_second_allocator_is_found(self):
        libraries = [path for name in ("libjemalloc.so.2", "libmimalloc.so.2.0", "libtcmalloc_minimal.so.4")
                     for path in pathlib.Path("/usr/lib").glob("*/" + name)]
        if not libraries:
            self.skipTest("no other allocator is installed")
        with python(SLEEPER, env={"LD_PRELOAD": str(libraries[0])}) as process:
            self.assertRegex(self.lines(process.pid), r"(?m)^problem  a second allocator is in the process: \w+malloc \(")

    def test_deep_binding_is_found(self):
        library = PROGRAMS / "calls_malloc.so"
        with Process(TOOL, "run", "--", PROGRAMS / "deepbind", library) as process:
            self.assertRegex(self.lines(process.pid), r"(?m)^problem  %s calls the malloc of \S*libc\S*: it was loaded with "
                             "RTLD_DEEPBIND" % re.escape(str(library)))

    def test_an_address_limit_is_found(self):
        limit = 8 << 30
        with Process(PROGRAMS / "known", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))) as process:
            self.assertIn("problem  addresses are limited to 8.0 GiB (ulimit -v)", self.lines(process.pid))

    def test_commands_are_looked_at(self):
        self.assertRegex(self.lines("sh"), r"(?m)^ok +\S+ can be preloaded: hakmem run -- sh$")
        self.assertIn("is linked statically", self.lines(PROGRAMS / "plain_static"))
        self.assertRegex(self.lines(PROGRAMS / "known_static"), r"(?m)^ok +\S+ has hakmem linked in$")


def may_read_others():
    """Some systems let only debuggers' children be read, unless by root."""
    scope = pathlib.Path("/proc/sys/kernel/yama/ptrace_scope")
    return os.geteuid() == 0 or not scope.exists() or scope.read_text(encoding="ascii").strip() == "0"


if __name__ == "__main__":
    if not may_read_others():
        print("1..0 # SKIP kernel.yama.ptrace_scope forbids to read other processes")
        sys.exit(0)
    sys.exit(tap.main())
