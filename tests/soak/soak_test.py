#!/usr/bin/env python3
"""soak_test.py - the soak for half a minute, and that it sees a library which damages blocks or dies. TAP."""
import os
import subprocess
import sys

BUILD = os.environ.get("HAKMEM_SOAK_BUILD", "build")
SECONDS = 20


def soak(*arguments):
    command = [os.path.join("tests", "soak", "soak.py"), "--build", BUILD, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)


def faulty(kind):
    return os.path.abspath(os.path.join("build", "tests", "matrix", f"libfaulty_{kind}.so"))


def launch(lib):
    programs = os.path.join(BUILD, "tests", "soak")
    return subprocess.run([os.path.join(programs, "launch"), "16", "0", "2", os.path.join(programs, "brief")],
                          env=dict(os.environ, HAKMEM_SOAK_LIB=lib), capture_output=True, text=True, check=False)


def ok(number, good, name, run):
    print(f"{'ok' if good else 'not ok'} {number} - {name}")
    if not good:
        print("\n".join(f"# {line}" for line in (run.stdout + run.stderr).splitlines()[-30:]))
    return good


def main():
    good = True
    run = soak("--hours", str(SECONDS / 3600))
    good &= ok(1, run.returncode == 0, "a_short_soak_finds_nothing", run)
    run = soak("--hours", "0", "--processes", "64", "--lib", faulty("twice"))
    good &= ok(2, run.returncode == 1 and run.stdout.count("not ok") == 2, "a_library_that_is_not_hakmem_is_found", run)
    run = launch(f"{faulty('twice')}:{os.path.abspath(os.path.join(BUILD, 'libhakmem.so'))}")
    good &= ok(3, run.returncode == 1 and "failed 0: " in run.stdout, "a_block_given_twice_is_found", run)
    run = launch(f"{faulty('crash')}:{os.path.abspath(os.path.join(BUILD, 'libhakmem.so'))}")
    good &= ok(4, run.returncode == 1 and "failed 0: signal 11" in run.stdout, "a_crash_is_found", run)
    print("1..4")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
