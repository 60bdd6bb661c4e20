#!/usr/bin/env python3
"""abuse_test.py - runs every misuse of this folder and compares what happens with the head of its file.

Each is run as it is, preloaded and linked statically, and with HAKMEM_FAILFAST=1. What the library reports is one
line on standard error, then SIGABRT; with HAKMEM_ON_ERROR=report it is the same line, and the program goes on to exit
status 0. What is not caught is what docs/ERRORS.md says is not. TAP on standard output.
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
ERRORS = os.path.join("docs", "ERRORS.md")
WAYS = ["preload", "static"]
REPORT = "HAKMEM_ON_ERROR=report"
FAILFAST = "HAKMEM_FAILFAST=1"
QUIET = {"not caught": 0, "defined": 0, "SIGSEGV": -signal.SIGSEGV}  # nothing is said; the exit status

results = []


def ok(good, name, detail=""):
    results.append(good)
    print(f"{'ok' if good else 'not ok'} {len(results)} - {name}{'' if good else f' # {detail}'}")


def read_head(path):
    with open(path, encoding="ascii") as file:
        head = file.read().split("*/", 1)[0]
    return dict(re.findall(r"^ \* (expect|failfast|env|outcome): (.*)$", head, re.MULTILINE))


def differs(run, expect, aborts):
    """What is wrong with a run, or ''."""
    lines = run.stderr.splitlines()
    if expect in QUIET:
        good = not lines and run.returncode == QUIET[expect]
        return "" if good else f"{expect}, but status {run.returncode}, standard error {run.stderr[:300]!r}"
    if len(lines) != 1:
        return f"{len(lines)} lines on standard error: {run.stderr[:300]!r}, status {run.returncode}"
    told = re.findall(r"^p=(0x[0-9a-f]+)$", run.stdout, re.MULTILINE)
    if "{p}" in expect and len(told) != 1:
        return f"standard output is {run.stdout!r}"
    expected = expect.replace("{p}", told[0] if told else "")
    if not re.fullmatch(expected, lines[0]):
        return f"{lines[0]!r} is not {expected!r}"
    wanted = -signal.SIGABRT if aborts else 0
    return "" if run.returncode == wanted else f"status {run.returncode}, wanted {wanted}"


def run_one(name, way, head, setting):
    """setting is NAME=value, or None. Returns what is wrong, or ''."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HAKMEM_")}
    for text in filter(None, (setting, head.get("env"))):
        key, _, value = text.partition("=")
        environment[key] = value
    expect = head.get("failfast", head["expect"]) if setting == FAILFAST else head["expect"]
    aborts = setting != REPORT and head.get("outcome") != "goes on"
    try:
        run = subprocess.run([os.path.join(PROGRAMS, way, name)], env=environment, capture_output=True, text=True,
                             timeout=120)
    except (subprocess.TimeoutExpired, OSError) as error:
        return str(error)
    return differs(run, expect, aborts)


def check_program(name, head):
    ways = WAYS if os.path.exists(os.path.join(PROGRAMS, "static", name)) else ["preload"]
    goes_on = head.get("outcome") == "goes on"
    quiet = head["expect"] in QUIET
    for way in ways:
        for setting in [None] if goes_on or quiet else [None, REPORT]:
            detail = run_one(name, way, head, setting)
            if quiet:
                verb = "is_" + head["expect"].replace(" ", "_")
            else:
                verb = "is_told_and_" + ("goes_on" if goes_on or setting else "aborts")
            ok(not detail, f"{name}_{verb}_{way}", detail)
    if not goes_on:
        detail = run_one(name, "preload", head, FAILFAST)
        ok(not detail, f"{name}_does_with_failfast_what_its_head_says", detail)


def check_list(heads):
    """The section of docs/ERRORS.md on what is not caught: items that begin with the name of a program."""
    with open(ERRORS, encoding="ascii") as file:
        section = file.read().partition("## what is not caught\n")[2].partition("\n## ")[0]
    listed = re.findall(r"^- `(\w+)`", section, re.MULTILINE)
    missed = [name for name, head in heads.items() if head["expect"] == "not caught"]
    ok(sorted(listed) == sorted(missed) and missed, "what_is_not_caught_is_listed",
       f"only in {ERRORS}: {sorted(set(listed) - set(missed))}, only here: {sorted(set(missed) - set(listed))}")


def main():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    files = sorted(path for path in glob.glob(os.path.join(SOURCES, "*.c")) if not path.endswith(("_test.c", "_plugin.c")))
    heads = {os.path.basename(path)[:-2]: read_head(path) for path in files}
    heads = {name: head for name, head in heads.items() if ok_head(name, head)}
    ok(len(heads) > 0, "there_are_misuses")
    for name, head in heads.items():
        check_program(name, head)
    check_list(heads)
    print(f"1..{len(results)}")
    return 0 if all(results) else 1


def ok_head(name, head):
    if "expect" in head:
        return True
    ok(False, f"{name}_says_what_it_expects", "no expect: line in its head")
    return False


if __name__ == "__main__":
    sys.exit(main())
