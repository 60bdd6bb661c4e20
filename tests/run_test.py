#!/usr/bin/env python3
"""run_test.py - feeds fake test programs to run.py and checks its sums. Prints TAP."""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time

DEATH_S = 20    # the processes that shall die would live for 50
RUNNER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run.py")


class Run:
    """One call of run.py on fake programs: {name: shell script}."""

    def __init__(self, scripts, *options):
        self.folder = tempfile.TemporaryDirectory(prefix="hakmem-run-")
        paths = [shlex.quote(self.write(name, body)) for name, body in scripts.items()]
        command = [sys.executable, RUNNER, "--log", os.path.join(self.folder.name, "logs"), *options, *paths]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              cwd=self.folder.name, timeout=60)
        self.lines = done.stdout.splitlines()
        self.last = self.lines[-1] if self.lines else ""
        self.status = done.returncode
        self.text = done.stdout

    def write(self, name, body):
        path = os.path.join(self.folder.name, name)
        with open(path, "w") as file:
            file.write("#!/bin/sh\n" + body)
        os.chmod(path, 0o755)
        return path

    def read(self, name):
        with open(os.path.join(self.folder.name, name)) as file:
            return file.read()


def last_line(body, expected, status, *options, says=""):
    """A check: this script makes the runner end with that line and that status."""
    def check():
        run = Run({"fake": body}, *options)
        return (run.last, run.status, says in run.text) == (expected, status, True), run.text
    return check


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def survives(pid):
    """A killed process is there until the system has given it a processor once more."""
    end = time.monotonic() + DEATH_S
    while alive(pid):
        if time.monotonic() > end:
            return True
        time.sleep(0.01)
    return False


def group_dies(body, *options):
    """A check: the process whose number the script writes to `child` is killed when the runner is done."""
    def check():
        run = Run({"fake": body}, *options)
        pid = int(run.read("child"))
        survived = survives(pid)
        if survived:
            os.kill(pid, signal.SIGKILL)
        return not survived, run.text
    return check


def sums_several_programs():
    run = Run({"a": "echo 1..2; echo ok 1; echo ok 2", "b": "echo ok 1 - x; echo ok 2 '# SKIP y'; echo 1..2",
               "c": "echo 1..2; echo not ok 1 - z; echo '# why'; echo ok 2; exit 1"}, "--jobs", "2")
    told = "not ok 1 - z" in run.text and "# why" in run.text
    return (run.last, run.status, told) == ("4 passed, 1 failed, 1 skipped", 1, True), run.text


def takes_command_lines():
    run = Run({"args": 'echo 1..1; test "$1" = "a b" && echo ok 1 || echo not ok 1'})
    path = os.path.join(run.folder.name, "args")
    done = subprocess.run([sys.executable, RUNNER, "--log", os.path.join(run.folder.name, "logs"), shlex.quote(path) + " 'a b'"],
                          stdout=subprocess.PIPE, text=True, cwd=run.folder.name, timeout=60)
    return run.status == 1 and done.returncode == 0, run.text + done.stdout


def keeps_logs_apart():
    run = Run({"fake": "echo 1..1; echo ok 1; echo noise >&2"})
    folder = os.path.join(run.folder.name, "logs")
    logs = sorted(os.listdir(folder))
    with open(os.path.join(folder, logs[0])) as err, open(os.path.join(folder, logs[1])) as out:
        kept = (err.read(), out.read())
    return kept == ("noise\n", "1..1\nok 1\n"), repr(logs) + repr(kept)


def runs_jobs_at_once():
    """Two tests that wait for each other pass only side by side."""
    meet = "mkfifo f g 2>/dev/null; echo go >%s & read x <%s; wait; echo 1..1; echo ok 1"
    run = Run({"a": meet % ("f", "g"), "b": meet % ("g", "f")}, "--jobs", "2", "--timeout", "20")
    return run.last == "2 passed, 0 failed", run.text


def time_limit_is_kept():
    began = time.monotonic()
    run = Run({"fake": "echo 1..1; echo ok 1; exec sleep 50"}, "--timeout", "3")
    took = time.monotonic() - began
    return run.last == "1 passed, 1 failed" and "timed out" in run.text and took < 20, run.text


CHECKS = {
    "passes_are_summed": last_line("echo 1..2; echo ok 1 - a; echo ok 2 - b", "2 passed, 0 failed", 0),
    "failures_are_summed": last_line("echo 1..2; echo not ok 1 - a; echo ok 2; exit 1", "1 passed, 1 failed", 1),
    "several_programs_are_summed": sums_several_programs,
    "skips_are_no_passes": last_line("echo 1..2; echo ok 1 a '# SKIP no gpu'; echo ok 2", "1 passed, 0 failed, 1 skipped", 0),
    "a_skipped_plan_counts_once": last_line("echo '1..0 # SKIP not here'", "0 passed, 0 failed, 1 skipped", 0),
    "a_skip_in_cmocka_style_is_a_skip": last_line("echo 1..1; echo 'not ok 1 # SKIP c'", "0 passed, 0 failed, 1 skipped", 0),
    "a_hash_in_a_name_is_no_skip": last_line("echo 1..1; echo 'not ok 1 - a#skip'; exit 1", "0 passed, 1 failed", 1),
    "todo_excuses_nothing": last_line("echo 1..1; echo 'not ok 1 - a # TODO later'; exit 1", "0 passed, 1 failed", 1),
    "plans_of_groups_add_up": last_line("echo 1..2; echo ok 1; echo ok 2; echo 1..1; echo ok 1", "3 passed, 0 failed", 0),
    "a_plan_may_come_last": last_line("echo ok 1; echo ok 2; echo 1..2", "2 passed, 0 failed", 0),
    "no_tap_fails": last_line("echo all is well", "0 passed, 1 failed", 1, says="no TAP plan"),
    "no_output_fails": last_line("exit 0", "0 passed, 1 failed", 1, says="no TAP plan"),
    "a_missing_plan_fails": last_line("echo ok 1", "1 passed, 1 failed", 1, says="no TAP plan"),
    "too_few_results_fail": last_line("echo 1..3; echo ok 1; echo ok 2", "2 passed, 1 failed", 1, says="planned 3, ran 2"),
    "too_many_results_fail": last_line("echo 1..1; echo ok 1; echo ok 2", "2 passed, 1 failed", 1, says="planned 1, ran 2"),
    "too_few_in_an_early_group_fail": last_line("echo 1..2; echo ok 1; echo 1..1; echo ok 1", "2 passed, 1 failed", 1, says="planned 2, ran 1"),
    "results_behind_the_last_plan_fail": last_line("echo 1..1; echo ok 1; echo ok 1", "2 passed, 1 failed", 1),
    "a_number_out_of_order_fails": last_line("echo 1..2; echo ok 1; echo ok 3", "2 passed, 1 failed", 1, says="test 3 comes as number 2"),
    "an_empty_plan_without_reason_fails": last_line("echo 1..0", "0 passed, 1 failed", 1, says="planned nothing"),
    "bail_out_fails": last_line("echo 1..1; echo ok 1; echo 'Bail out! no disk'", "1 passed, 1 failed", 1, says="no disk"),
    "a_signal_fails": last_line("echo 1..1; echo ok 1; kill -SEGV $$", "1 passed, 1 failed", 1, says="SIGSEGV"),
    "an_unexplained_exit_status_fails": last_line("echo 1..1; echo ok 1; exit 3", "1 passed, 1 failed", 1, says="exit status 3"),
    "an_explained_exit_status_counts_once": last_line("echo 1..1; echo not ok 1; exit 1", "0 passed, 1 failed", 1),
    "a_failure_with_exit_status_0_is_told": last_line("echo 1..1; echo not ok 1", "0 passed, 2 failed", 1, says="in spite of"),
    "a_program_that_cannot_start_fails": last_line("", "0 passed, 2 failed", 1, "no-such-program", says="cannot start"),
    "failing_lines_are_shown_with_comments": last_line("echo 1..1; echo 'not ok 1 - sum'; echo '# got 3'; exit 1", "0 passed, 1 failed", 1, says="    not ok 1 - sum\n    # got 3\n"),
    "the_tail_of_the_log_is_shown": last_line("echo 1..1; echo not ok 1; echo because >&2; exit 1", "0 passed, 1 failed", 1, says="      | because"),
    "bytes_that_are_not_text_do_no_harm": last_line(r"printf '\377\376\n1..1\nok 1\n'", "1 passed, 0 failed", 0),
    "the_time_limit_is_kept": time_limit_is_kept,
    "logs_are_kept_apart": keeps_logs_apart,
    "quoted_command_lines_are_split": takes_command_lines,
    "jobs_run_side_by_side": runs_jobs_at_once,
    "children_left_behind_are_killed": group_dies("sleep 50 & echo $! >child; echo 1..1; echo ok 1"),
    "children_of_a_timed_out_test_are_killed": group_dies(
        "trap '' TERM; (trap '' TERM; exec sleep 50) & echo $! >child; wait; sleep 50", "--timeout", "3"),
}


def main():
    print("1..%d" % len(CHECKS), flush=True)
    failed = 0
    for number, (name, check) in enumerate(CHECKS.items(), 1):
        good, output = check()
        failed += not good
        print("%sok %d - %s" % ("" if good else "not ", number, name))
        if not good:
            print("".join("# %s\n" % line for line in output.splitlines()), end="")
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
