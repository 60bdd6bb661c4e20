#!/usr/bin/env python3
"""cli_test.py - the command-line tool's commands on real processes: what they change, what they refuse, how they start
programs, what the doctor finds, and that the manual names them all. usage: tests/cli/cli_test.py BUILD

What the tool shows of a process: figures_test.py. TAP on standard output.
"""

import json
import os
import pathlib
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
import processes  # noqa: E402
from processes import (  # noqa: E402
    ENVIRONMENT, LIBRARY, PROGRAMS, REAL_PYTHON, ROOT, SLEEPER, TOOL, Process, figures, hakmem, python, said, until_it_sleeps)


def is_filtered():
    return not re.search(r"^Seccomp:\s*0$", pathlib.Path("/proc/self/status").read_text(), re.M)


def endless_elf(like):
    """A program that needs 400,000 libraries, and has as many symbols and slots; all names are one of 8 MiB."""
    count = 400000
    names = b"x" * (8 << 20) + b"\0"
    interpreter = b"/lib/ld.so\0"
    at = {}
    content = bytearray(4096)
    needed = struct.pack("<qQ", 1, 0) * count
    for name, part in (("interpreter", interpreter), ("symbols", struct.pack("<IBBHQQ", 0, 18, 0, 1, 1, 1) * count),
                       ("slots", struct.pack("<QQq", 0, 1 << 32 | 7, 0) * count), ("names", names)):
        content += bytes(-len(content) % 16)
        at[name] = len(content)
        content += part
    content += bytes(-len(content) % 16)
    tables = ((5, at["names"]), (10, len(names)), (6, at["symbols"]), (7, at["slots"]), (8, 24 * count))
    dynamic = needed + b"".join(struct.pack("<qQ", *entry) for entry in tables)
    headers = [(1, 0, len(content) + len(dynamic)), (3, at["interpreter"], len(interpreter)),
               (2, len(content), len(dynamic))]
    content += dynamic
    content[:56] = like[:56]
    content[32:40] = struct.pack("<Q", 64)
    content[56:58] = struct.pack("<H", len(headers))
    for i, (kind, offset, size) in enumerate(headers):
        content[64 + 56 * i:120 + 56 * i] = struct.pack("<IIQQQQQQ", kind, 4, offset, offset, offset, size, size, 1)
    return content


def without(folder, *arguments):
    """Runs the tool where nothing is mounted on the folder. Status and all that it says."""
    command = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', folder]
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        raise unittest.SkipTest("a mount namespace cannot be had here") from None
    done = subprocess.run([*command, TOOL, *map(str, arguments)], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


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

    @unittest.skipIf(is_filtered(), "system calls are filtered, so the library has no thread of its own")
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


    def test_purge_tells_what_is_left_in_the_end(self):
        script = ("blocks = [b'x' * 100000 for _ in range(4000)]\ndel blocks\nprint('ready', flush=True)\n"
                  "while True: bytearray(3000000)\n")
        environment = {"LD_PRELOAD": str(LIBRARY), "PYTHONMALLOC": "malloc", "HAKMEM_PURGE_DELAY": "600000"}
        with Process(REAL_PYTHON, "-c", script, env=environment) as process:
            self.assertGreater(figures(process.pid)["resident"]["rss"], 380 << 20)
            was, now = map(int, re.search(r"RSS was (\d+) KiB, is (\d+) KiB", hakmem("purge", process.pid).stdout).groups())
            self.assertGreater(was, 380 << 10)
            self.assertLess(now, 60 << 10)


class Limits(unittest.TestCase):
    def test_the_doctor_sees_a_limit_below_what_is_mapped(self):
        with Process(PROGRAMS / "known", 1) as process:
            self.assertNotIn("the limit came while", hakmem("doctor", process.pid).stdout)
            resource.prlimit(process.pid, resource.RLIMIT_AS, (4 << 30, resource.RLIM_INFINITY))
            done = hakmem("doctor", process.pid)
            self.assertEqual(done.returncode, 1)
            self.assertIn("addresses are limited to 4.0 GiB (RLIMIT_AS), and 17", done.stdout)


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

    def test_a_system_without_proc_is_told(self):
        missing = "/proc is not mounted: nothing tells of "
        for command in ["stat", 1], ["map", 1], ["explain", 1], ["purge", 1], ["set", 1, "purge_delay=5"], ["doctor", 1], [
                "top", "--once"], ["top"], ["top", "--once", 1]:
            self.assertEqual(without("/proc", *command), (1, f"hakmem: {missing}processes\n"), command)
        status, text = without("/proc", "doctor", "sh")
        self.assertEqual(status, 0)
        self.assertIn(f"note     {missing}limits, and of the settings of the system\n", text)
        self.assertNotIn("addresses are not limited", text)
        status, text = without("/proc", "run", "--", "true")
        self.assertEqual(status, 8)
        self.assertIn("hakmem: /proc is not mounted: it tells where this tool, and libhakmem.so beside it, is; give ", text)
        self.assertEqual(without("/proc", "run", "--library", LIBRARY, "--", "true"), (0, ""))

    def test_a_system_without_sys_is_told(self):
        status, text = without("/sys", "doctor", "sh")
        self.assertEqual(status, 0)
        self.assertIn("note     /sys is not mounted: nothing tells of transparent huge pages, and of the memory of cgroups\n", text)
        self.assertNotIn("this kernel", text)

    def test_another_build(self):
        tool = hakmem("--version").stdout.split()[-1]
        with Process(PROGRAMS / "other_build") as process:
            for command in ["stat"], ["map"], ["explain"], ["purge"]:
                self.assertEqual(said(*command, process.pid), (
                    6, f"hakmem: process {process.pid} (other_build) runs on hakmem 9.8.7 of build 0123456789abcdef; this tool "
                    f"is of build {tool}: use the one of that build"))

    def test_another_user(self):
        if os.geteuid() != 0:
            if not os.path.exists("/proc/1/status") or os.stat("/proc/1/status").st_uid != 0:
                self.skipTest("there is no process of root's to be seen")
            self.assertEqual(said("stat", 1), (4, "hakmem: not permitted to read process 1 of user root: try as root or as that user"))
            return
        with Process(PROGRAMS / "known") as process:
            try:
                answer = said("stat", process.pid, user=65534, group=65534, extra_groups=[])
            except OSError:      # EINVAL where the user namespace has only one
                self.skipTest("another user cannot be had here, or cannot reach the build folder")
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
        status, text = said("stat", "-j", "-p", "1")
        self.assertEqual((status, text.splitlines()[0]), (2, "hakmem stat: --json or --prometheus, not both"))
        self.assertEqual(hakmem().returncode, 2)
        commands = ["run", "stat", "top", "map", "explain", "purge", "set", "doctor"]
        for command in commands:
            self.assertEqual(hakmem(command, "--help").returncode, 0)
        for arguments in ["--version"], ["--help"], *([command, "--help"] for command in commands), ["stat", "--usage"]:
            with open("/dev/full", "w", encoding="ascii") as full:
                done = subprocess.run([TOOL, *arguments], stdout=full, stderr=subprocess.PIPE, text=True)
                self.assertEqual((done.returncode, done.stderr), (1, "hakmem: standard output: No space left on device\n"),
                                 arguments)


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

    def test_statistics_find_standard_error_that_the_program_has_closed(self):
        with tempfile.TemporaryDirectory() as folder:
            data = pathlib.Path(folder) / "data"
            for script in f"exec 2>{data}", "exec 2>&-", f"exec 2>&- 3>{data} 4>{data}":
                done = hakmem("run", "--stats", "--", "bash", "-c", script)
                self.assertEqual(done.returncode, 0)
                self.assertEqual(len(re.findall(r"(?m)^hakmem \S+ statistics: ", done.stderr)), 1, script)
                self.assertEqual(data.read_text(), "")
            everything = f"import os; os.closerange(2, 300); os.open('{data}', os.O_WRONLY)"
            self.assertEqual(hakmem("run", "--stats", "--", REAL_PYTHON, "-c", everything).stderr, "")
            self.assertEqual(data.read_text(), "")

    def test_what_cannot_be_preloaded_is_named(self):
        static = PROGRAMS / "plain_static"
        self.assertEqual(said("run", "--", static), (8, f"hakmem: {static} is linked statically: link it with libhakmem.a instead"))
        for linked in "known_static", "known_archive", "known_source":
            self.assertEqual(said("run", "--", PROGRAMS / linked),
                             (8, f"hakmem: {PROGRAMS / linked} has hakmem linked in: run it as it is"))
        self.assertEqual(said("run", "--", PROGRAMS / "known_own_names", stdin=subprocess.DEVNULL), (0, ""))
        self.assertEqual(said("run", "--", "no-such-command"), (8, "hakmem: no-such-command: not found"))
        self.assertEqual(said("run", "--", ROOT / "README.md"), (8, f"hakmem: {ROOT / 'README.md'}: not executable"))

    def test_only_hakmems_library_is_preloaded(self):
        self.assertEqual(said("run", "--library", LIBRARY, "--", "true"), (0, ""))
        for other in ROOT / "README.md", PROGRAMS, PROGRAMS / "calls_malloc.so", PROGRAMS / "known_archive", "/dev/null":
            self.assertEqual(said("run", "--library", other, "--", "true"), (
                8, f"hakmem: {other} cannot be preloaded: it is not hakmem's library (libhakmem.so), or not for this machine"))
        self.assertEqual(said("run", "--library", "/no/such", "--", "true"), (8, "hakmem: /no/such: No such file or directory"))
        with tempfile.TemporaryDirectory() as folder:
            blank = pathlib.Path(folder, "a b.so")
            shutil.copy(LIBRARY, blank)
            self.assertEqual(said("run", "--library", blank, "--", "true"), (
                8, f"hakmem: {blank} cannot be preloaded: its path has a blank or a colon"))

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
            script.write_text("echo $LD_PRELOAD $1\n", encoding="ascii")     # the shell's, as execvp() has it
            self.assertEqual(hakmem("run", "--", script, "text").stdout, f"{LIBRARY} text\n")
            script.write_text("", encoding="ascii")
            self.assertEqual(said("run", "--", script), (0, ""))
            script.write_bytes(b"text\0")
            self.assertEqual(said("run", "--", script), (8, f"hakmem: {script} is neither an ELF file nor a script"))

    def test_programs_that_gain_rights_are_refused(self):
        if os.geteuid() == 0:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "true")
                shutil.copy(os.path.realpath(shutil.which("true")), path)
                try:
                    os.chown(path, 65534, 0)
                except OSError:      # no such capability, or no such user in this namespace
                    self.skipTest("a file cannot be given to another user here")
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
            text = self.lines(process.pid)
            self.assertRegex(text, r"(?m)^ok +process \d+ \(\S+\) runs on hakmem")
            self.assertRegex(text, r"(?m)^problem  a second allocator is in the process: \w+malloc \(")
            self.assertNotIn("RTLD_DEEPBIND", text)
        with Process(REAL_PYTHON, "-c", SLEEPER, env={"LD_PRELOAD": f"{libraries[0]}:{LIBRARY}"}) as process:
            text = self.lines(process.pid)
            self.assertRegex(text, r"(?m)^problem  process %d \(\S+\) has hakmem in it \(%s\), but its malloc is that of %s: start it "
                             r"by 'hakmem run'" % (process.pid, re.escape(str(LIBRARY)), re.escape(os.path.realpath(libraries[0]))))
            self.assertRegex(text, r"(?m)^problem  a second allocator is in the process: \w+malloc \(")
            self.assertNotIn("RTLD_DEEPBIND", text)
            self.assertNotIn("runs on hakmem", text)

    def test_a_program_with_a_malloc_of_its_own_is_found(self):
        program = PROGRAMS / "own_malloc"
        with Process(program, env={"LD_PRELOAD": str(LIBRARY)}) as process:
            text = self.lines(process.pid)
            self.assertIn(f"problem  process {process.pid} (own_malloc) has hakmem in it ({LIBRARY}), but the program defines "
                          "malloc itself: link it without\n", text)
            self.assertNotIn("runs on hakmem", text)
            self.assertNotIn("malloc, too", text)

    def test_hakmem_under_its_own_names_is_not_taken_for_malloc(self):
        program = PROGRAMS / "known_own_names"
        words = "hakmem is in it under its own names (hak_malloc ...)"
        with Process(program) as process:
            text = self.lines(process.pid)
            self.assertRegex(text, r"(?m)^note +process %d \(known_own_names\): %s: %s; malloc is another one: \S*libc\S*$" % (
                process.pid, re.escape(words), re.escape(str(program))))
            self.assertNotIn("problem", text)
            self.assertNotIn("runs on hakmem", text)
        text = self.lines(program)
        self.assertRegex(text, r"(?m)^ok +%s can be preloaded" % re.escape(str(program)))
        self.assertIn(f"note     {program}: {words}; malloc is another one\n", text)
        with Process(TOOL, "run", "--", program) as process:
            text = self.lines(process.pid)
            self.assertRegex(text, r"(?m)^ok +process %d \(known_own_names\) runs on .*%s$" % (process.pid, re.escape(str(LIBRARY))))
            self.assertRegex(text, r"(?m)^note +2 copies of hakmem are in the process, one under its own names")

    def test_deep_binding_is_found(self):
        library = PROGRAMS / "calls_malloc.so"
        with Process(TOOL, "run", "--", PROGRAMS / "deepbind", library) as process:
            self.assertRegex(self.lines(process.pid), r"(?m)^problem  %s calls the malloc of \S*libc\S*: it was loaded with "
                             r"RTLD_DEEPBIND, .*; blocks that it passes on are freed by the right allocator, but one of the "
                             r"program's that it frees ends the process \(\"free\(\): invalid pointer\"\)" % re.escape(str(library)))

    def test_an_address_limit_is_found(self):
        limit = 8 << 30
        with Process(PROGRAMS / "known", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))) as process:
            self.assertIn("problem  addresses are limited to 8.0 GiB (ulimit -v)", self.lines(process.pid))

    def test_commands_are_looked_at(self):
        self.assertRegex(self.lines("sh"), r"(?m)^ok +\S+ can be preloaded: hakmem run -- sh$")
        self.assertIn("is linked statically", self.lines(PROGRAMS / "plain_static"))
        self.assertRegex(self.lines(PROGRAMS / "known_static"), r"(?m)^ok +\S+ has hakmem linked in$")

    def test_a_file_that_shrinks_meanwhile_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "program"
            shutil.copy(PROGRAMS / "deepbind", program)
            text = self.lines(program, env={"LD_PRELOAD": str(PROGRAMS / "shrinks.so"), "SHRINKS": str(program)})
            self.assertEqual(program.stat().st_size, 0)
            self.assertIn(f"problem  {program} is neither an ELF file nor a script\n", text)

    def test_a_file_that_lies_takes_no_longer_than_its_size(self):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "program"
            program.write_bytes(endless_elf(pathlib.Path(TOOL).read_bytes()))
            program.chmod(0o755)
            begin = time.monotonic()
            self.assertIn("can be preloaded", self.lines(program))
            self.assertLess(time.monotonic() - begin, 20)


if __name__ == "__main__":
    sys.exit(processes.main())
