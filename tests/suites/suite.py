"""suite.py - what a test suite is to suites.py: a list of steps, and how to read a step's verdicts.

A step is one command: a file of tests, a module, a stressor. It runs in a folder of its own with its output in the
file "output". Its tests are named "STEP: TEST"; the step itself is the test "STEP: ends", whose verdict is "pass"
for status 0. A verdict that starts with "pass" is good, and two verdicts are the same when their texts are.
"""
import dataclasses
import glob
import os
import pathlib
import re
import shutil
import subprocess

KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
SOURCES = f"deb-src [signed-by={KEYS}] http://deb.debian.org/debian bookworm main\n"


@dataclasses.dataclass
class Step:
    name: str
    command: list
    cwd: str = ""               # "" = the step's own folder


class Suite:
    name = ""
    loaded = ()                 # executables in which the library must have been
    package = ""                # the Debian source package, when the suite is no part of an installed one
    seconds = 900               # the time limit of a step
    serial = False              # steps disturb each other

    def __init__(self, place, full=False, count=100):
        self.place = pathlib.Path(place)        # where the suite is built
        self.source = self.place / "source"
        self.full = full                        # all steps, not the choice
        self.count = count                      # of generated programs

    def prepare(self):
        """Brings the suite to where its steps can run. Does nothing when that is so."""

    def steps(self):
        raise NotImplementedError

    def verdicts(self, folder, output):
        """{test: verdict} of the step that ran in the folder, without the step itself."""
        return {}

    def prepared(self, *commands):
        """Unpacks the source package and runs the commands in it, unless that was done."""
        done = self.place / "prepared"
        if done.exists():
            return
        self.place.mkdir(parents=True, exist_ok=True)
        fetch(self.package, self.place)
        for command in commands:
            logged(command, self.source, self.place)
        done.touch()


def logged(command, cwd, place):
    """Runs a command of the preparation; what it prints is kept in place/prepare.log."""
    with open(place / "prepare.log", "a", encoding="utf-8") as log:
        log.write(f"$ {' '.join(command)}\n")
        log.flush()
        subprocess.run(command, cwd=cwd, check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)


def fetch(package, place):
    """Unpacks a Debian source package as place/source. The machine's own lists of packages are not touched."""
    if (place / "source").exists():
        return
    lists = place.parent / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    origin = place.parent / "sources.list"
    origin.write_text(SOURCES)
    apt = ["apt-get", "-q", "-o", f"Dir::Etc::SourceList={origin}", "-o", "Dir::Etc::SourceParts=/dev/null",
           "-o", f"Dir::State::Lists={lists}"]
    if not list(lists.glob("*_Sources*")):
        logged([*apt, "update"], place, place)
    logged([*apt, "--download-only", "source", package], place, place)
    description = sorted(place.glob("*.dsc"))[-1]
    logged(["dpkg-source", "-x", description.name, "unpacked"], place, place)
    shutil.move(place / "unpacked", place / "source")


def files(folder, *patterns):
    """Names below the folder that match, sorted."""
    found = {path for pattern in patterns for path in glob.glob(os.path.join(folder, pattern))}
    return sorted(os.path.relpath(path, folder) for path in found)


TAP_LINE = re.compile(r"^(not )?ok (\d+)\b(?:.*?#\s*(skip|todo))?", re.IGNORECASE | re.MULTILINE)


def tap_verdicts(output):
    found = {}
    for bad, number, mark in TAP_LINE.findall(output):
        verdict = mark.lower() or ("fail" if bad else "pass")
        found[number] = verdict if found.get(number, "pass") == "pass" else found[number]
    return found
