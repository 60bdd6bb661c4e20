#!/usr/bin/env python3
"""calls_test.py - filters_test refuses every system call and advice that the sources name; README.md lists the needed.

Run from the root of the repository; HAKMEM_EXHAUST_BUILD=DIR names the build (default build). TAP on standard output.
"""
import glob
import os
import re
import subprocess
import sys

PROGRAM = os.path.join(os.environ.get("HAKMEM_EXHAUST_BUILD", "build"), "tests", "exhaust", "static", "filters_test")


def calls_of_sources():
    found = set()
    for path in glob.glob("src/**/*.[ch]", recursive=True):
        with open(path, encoding="utf-8") as file:
            found.update(re.findall(r"\b(?:SYS|MADV)_(\w+)", file.read()))
    return found


def calls_of_the_test():
    """{name: "needed" or "optional"}"""
    lines = subprocess.run([PROGRAM, "calls"], capture_output=True, text=True, timeout=60, check=True).stdout.split()
    return dict(line.split(":") for line in lines)


def words_of_the_readme():
    """What the README says a sandbox must allow: calls in `code`, and the advices of madvise."""
    with open("README.md", encoding="utf-8") as file:
        text = re.search(r"^- \*\*Sandboxes\*\*(.*?);", file.read(), re.MULTILINE | re.DOTALL).group(1)
    calls, advices = text.split("with the advice")
    return set(re.findall(r"`([a-z_0-9]+)`", calls)) | set(re.findall(r"\b[A-Z_]+\b", advices))


def main():
    calls = calls_of_the_test()
    needed = {name for name, use in calls.items() if use == "needed"}
    results = [
        ("every_call_of_the_sources_is_refused_in_turn", calls_of_sources() ^ set(calls)),
        ("the_readme_lists_the_calls_that_are_needed", needed ^ words_of_the_readme()),
    ]
    for number, (name, difference) in enumerate(results, 1):
        print("%s %d - %s" % ("not ok" if difference else "ok", number, name))
        for call in sorted(difference):
            print("# %s" % call)
    print("1..%d" % len(results))
    return 1 if any(difference for _, difference in results) else 0


if __name__ == "__main__":
    sys.exit(main())
