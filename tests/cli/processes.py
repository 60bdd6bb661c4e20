"""processes.py - programs on hakmem, and the command-line tool looking at them, for the tests of the tool.

Callers: the scripts of this folder: their first argument may be BUILD, their last line is sys.exit(processes.main())
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "bench"))
import tap  # noqa: E402

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build").resolve()
PROGRAMS = BUILD / "tests" / "cli"
TOOL = BUILD / "hakmem"
LIBRARY = BUILD / "libhakmem.so"
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("HAKMEM_") and key != "LD_PRELOAD"}
REAL_PYTHON = os.path.realpath(shutil.which("/usr/bin/python3") or sys.executable)
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
    return Process(TOOL, "run", *run, "--", REAL_PYTHON, "-c", script, **more)


SLEEPER = "import time; x = [str(i) for i in range(100000)]; del x[::2]; print('ready', flush=True); time.sleep(1000)"


def until_it_sleeps(pid):
    while pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "S":
        time.sleep(0.01)


def may_read_others():
    """Some systems let only debuggers' children be read, unless by who has the right. Asked as the tool will ask: by one
    of our children, of another one."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        try:
            reader = ["sh", "-c", ": <\"$0\"", f"/proc/{process.pid}/mem"]
            return subprocess.run(reader, stderr=subprocess.DEVNULL, check=False).returncode == 0
        finally:
            process.kill()


def main():
    """Runs every test case of the script that was started."""
    if not may_read_others():
        print("1..0 # SKIP the system forbids to read other processes")
        return 0
    return tap.main()
