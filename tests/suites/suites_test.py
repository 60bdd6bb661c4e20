#!/usr/bin/env python3
"""suites_test.py - the comparison of suites: each way in which it must be red makes it red. TAP.

The suites here are shells that wait until the watch has seen them, so that nothing depends on how quick the machine is.
"""
import contextlib
import io
import os
import pathlib
import sys
import tempfile

sys.dont_write_bytecode = True
import suite  # noqa: E402 (nothing is written beside the sources)
import suites  # noqa: E402
import watch  # noqa: E402

LIBRARY = os.environ.get("HAKMEM_SUITES_LIB", os.path.abspath("build/libhakmem.so"))
SHELL = os.path.basename(os.path.realpath("/bin/sh"))
WAIT = "until grep -qs '^{how} {name}$' ../seen; do sleep 0.05; done; "
PRELOADED = '[ -n "$LD_PRELOAD" ]'
# What every test does first: it waits until its shell was seen as it should be.
SEEN = f'how=without; {PRELOADED} && how=with; until grep -qs "^$how {SHELL}$" ../seen; do sleep 0.05; done; '
FIRST_TIME_ON = "[ -n \"$LD_PRELOAD\" ] && side=hakmem || side=system; echo >>../../$side.count; " \
    "[ $side = {side} ] && [ $(wc -l <../../$side.count) = 1 ] && "

results = []


class Fake(suite.Suite):
    name = "fake"
    seconds = 120

    def __init__(self, place, script, loaded):
        super().__init__(place)
        self.script = script
        self.loaded = (loaded,)

    def steps(self):
        return [suite.Step("a/step", ["sh", "-c", self.script])]

    def verdicts(self, folder, output):
        return suite.tap_verdicts(output)


def told_of(script, loaded):
    """What the comparison says of a suite: complaints and remarks."""
    output = io.StringIO()
    with tempfile.TemporaryDirectory() as place, contextlib.redirect_stdout(output):
        told = suites.judge(Fake(pathlib.Path(place), script, loaded), LIBRARY)
    return told, output.getvalue()


def ok(name, good, shown):
    results.append(good)
    print(f"{'ok' if good else 'not ok'} {len(results)} - {name}")
    if not good:
        print("\n".join(f"# {line}" for line in str(shown).splitlines()))
    sys.stdout.flush()


def green(name, script, remark=""):
    told = told_of(SEEN + script, SHELL)
    ok(name, told[0] == [] and remark in told[1], told)


def red(name, script, complaint, remark="", loaded=SHELL):
    told = told_of(SEEN + script, loaded)
    ok(name, len(told[0]) == 1 and complaint in told[0][0] and remark in told[1], told)


def main():
    watch.adopt_orphans()
    watch.INTERVAL_S = 0.01
    suites.TRIES = 1
    worse = "1 tests pass on the system's allocator and not"
    green("equal_verdicts_are_green", "echo ok 1; echo not ok 2; exit 3")
    green("a_test_that_fails_only_without_hakmem_is_told", f"{PRELOADED} || printf 'not '; echo ok 1",
          "never passes on the system's: a/step: 1: system fail, fail; hakmem pass, pass")
    green("a_test_that_flips_without_hakmem_is_flaky", FIRST_TIME_ON.format(side="system") + "printf 'not '; echo ok 1",
          "flaky: a/step: 1: system fail, pass; hakmem pass, pass")
    red("a_failure_on_hakmem_is_red", f"echo ok 1; {PRELOADED} && printf 'not '; echo ok 2", worse,
        "WORSE: a/step: 2: system pass, pass; hakmem fail, fail")
    red("a_test_that_flips_on_hakmem_only_is_red", FIRST_TIME_ON.format(side="hakmem") + "printf 'not '; echo ok 1",
        worse,
        "WORSE: a/step: 1: system pass, pass; hakmem fail, pass")
    red("a_test_that_hakmem_never_reaches_is_red", f"echo ok 1; {PRELOADED} || echo ok 2", worse, "hakmem absent")
    red("a_crash_on_hakmem_is_red", f"{PRELOADED} && kill -9 $$; exit 0", worse, "hakmem status -9")
    red("a_suite_that_passes_nothing_is_red", "echo not ok 1; exit 1", "no test passes")
    red("a_suite_without_hakmem_is_red", "env -u LD_PRELOAD tail -f /dev/null & "
        + WAIT.format(how="without", name="tail") + "kill $!", "hakmem was not loaded in tail", loaded="tail")
    red("a_reference_run_with_hakmem_is_red", f"LD_PRELOAD={LIBRARY} tail -f /dev/null & "
        + WAIT.format(how="with", name="tail") + "kill $!", "hakmem was loaded in the system's run: tail")
    print(f"1..{len(results)}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
