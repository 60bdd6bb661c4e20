#!/usr/bin/env python3
"""abuse_test.py - runs every misuse of this folder and compares what happens with the head of its file.

Each is run as it is (one line on standard error, then SIGABRT) and with HAKMEM_ON_ERROR=report (the same
line, and the program goes on to exit status 0), preloaded and linked statically. TAP on standard output.
"""
import glob
import os
import re
import resource
import signal
import subprocess
import sys

SOURCES = os.path.join("tests", "abuse")              # tests run from the root of the repository
PROGRAMS = os.path.dirname(os.path.abspath(__file__))  # the build puts a copy of this script beside them
WAYS = ["preload", "static"]

results = []


def ok(good, name, detail=""):
    results.append(good)
    print(f"{'ok' if good else 'not ok'} {len(results)} - {name}{'' if good else f' # {detail}'}")


def read_head(path):
    with open(path, encoding="ascii") as file:
        head = file.read().split("*/", 1)[0]
    return dict(re.findall(r"^ \* (expect|env|outcome): (.*)$", head, re.MULTILINE))


def differs(run, head, aborts):
    """What is wrong with a run, or ''."""
    lines = run.stderr.splitlines()
    if len(lines) != 1:
        return f"{len(lines)} lines on standard error: {run.stderr[:300]!r}, status {run.returncode}"
    told = re.findall(r"^p=(0x[0-9a-f]+)$", run.stdout, re.MULTILINE)
    if "{p}" in head["expect"] and len(told) != 1:
        return f"standard output is {run.stdout!r}"
    expected = head["expect"].replace("{p}", told[0] if told else "")
    if not re.fullmatch(expected, lines[0]):
        return f"{lines[0]!r} is not {expected!r}"
    wanted = -signal.SIGABRT if aborts else 0
    return "" if run.returncode == wanted else f"status {run.returncode}, wanted {wanted}"


def run_one(name, way, head, on_error):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HAKMEM_")}
    if on_error:
        environment["HAKMEM_ON_ERROR"] = on_error
    if "env" in head:
        key, _, value = head["env"].partition("=")
        environment[key] = value
    aborts = on_error != "report" and head.get("outcome") != "goes on"
    try:
        run = subprocess.run([os.path.join(PROGRAMS, way, name)], env=environment, capture_output=True, text=True, timeout=60)
    except (subprocess.TimeoutExpired, OSError) as error:
        return str(error)
    return differs(run, head, aborts)


def main():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    files = sorted(path for path in glob.glob(os.path.join(SOURCES, "*.c")) if not path.endswith("_test.c"))
    ok(len(files) > 0, "there_are_misuses")
    for path in files:
        name = os.path.basename(path)[:-2]
        head = read_head(path)
        if not ok_head(name, head):
            continue
        goes_on = head.get("outcome") == "goes on"
        for way in WAYS:
            for on_error in [None] if goes_on else [None, "report"]:
                detail = run_one(name, way, head, on_error)
                verb = "goes_on" if goes_on or on_error else "aborts"
                ok(not detail, f"{name}_is_told_and_{verb}_{way}", detail)
    print(f"1..{len(results)}")
    return 0 if all(results) else 1


def ok_head(name, head):
    if "expect" in head:
        return True
    ok(False, f"{name}_says_what_it_expects", "no expect: line in its head")
    return False


if __name__ == "__main__":
    sys.exit(main())
