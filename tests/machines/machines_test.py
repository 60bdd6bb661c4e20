#!/usr/bin/env python3
"""machines_test.py - what a machine prints is judged as it should be, and an initramfs holds what was added. TAP.

The machines here are texts; no kernel runs.
"""
import contextlib
import io
import pathlib
import stat
import sys
import tempfile

sys.dont_write_bytecode = True
import image     # noqa: E402 (nothing is written beside the sources)
import machines  # noqa: E402

results = []

GOOD = "# Linux\n@begin api/a_test\n# hakmem\nok 1 - first\nok 2 - second # SKIP not here\n1..2\n@end 0\n" \
    "ok 1 - of_the_scene\n# figure 5\n1..1\n@off\n"


def ok(name, good, shown=""):
    results.append(good)
    print(f"{'ok' if good else 'not ok'} {len(results)} - {name}")
    for line in str(shown).splitlines() if not good else ():
        print("# " + line)


def judged(console, ended=""):
    """(results, bad ones, what is printed) of a machine's console."""
    found = machines.Results()
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        found.add_console("scene", console, ended)
    return found.count, found.bad, output.getvalue()


def red(name, console, complaint, ended=""):
    _, bad, printed = judged(console, ended)
    ok(name, bad > 0 and any(line.startswith("not ok") and complaint in line for line in printed.splitlines()), printed)


def test_consoles():
    count, bad, printed = judged(GOOD)
    ok("a_good_console_is_green", (count, bad) == (4, 0) and "ok 1 - scene: of_the_scene" in printed
       and "ok 3 - scene/api/a_test: second # SKIP not here" in printed and "# figure 5" in printed, printed)
    only_programs = GOOD.replace("ok 1 - of_the_scene\n# figure 5\n1..1\n", "")
    ok("a_scene_may_have_no_results_of_its_own", judged(only_programs)[:2] == (3, 0), judged(only_programs)[2])
    red("a_kernel_that_does_not_boot_is_red", "[ 0.5] Kernel panic\n", "comes to its end", "qemu's status 1")
    red("a_machine_at_its_time_limit_is_red", GOOD, "still running", "still running after 5 s")
    red("a_scene_that_ends_early_is_red", GOOD.replace("@off\n", ""), "comes to its end")
    red("a_failed_program_is_red", GOOD.replace("ok 1 - first", "not ok 1 - first").replace("@end 0", "@end 1"),
        "api/a_test: first")
    red("a_failed_check_of_the_scene_is_red", GOOD.replace("ok 1 - of_the", "not ok 1 - of_the"), "of_the_scene")
    red("a_program_without_a_plan_is_red", GOOD.replace("1..2\n", ""), "no TAP plan")
    red("a_program_with_fewer_results_is_red", GOOD.replace("1..2", "1..3"), "planned 3, ran 2")
    red("a_program_that_is_killed_is_red", GOOD.replace("@end 0", "@end 137"), "exit status 137")
    red("a_program_that_hides_its_failure_is_red", GOOD.replace("ok 1 - first", "not ok 1 - first")
        .replace("@end 0", "@end 1").replace("not ok", "not  ok"), "as a whole")
    red("a_scene_without_its_plan_is_red", GOOD.replace("1..1\n", ""), "scene as a whole: no TAP plan")
    red("a_scene_that_bails_out_is_red", GOOD.replace("# figure 5", "Bail out! no knob"), "no knob")
    _, bad, printed = judged(GOOD.replace("@end 0\n", "").replace("1..1\n", ""))
    ok("a_program_that_does_not_end_is_red", bad > 0 and "has not ended" in printed, printed)


def entries(archive):
    """(name, mode, data) of each entry of a cpio archive."""
    at = 0
    while at < len(archive):
        fields = [int(archive[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        size, name_size = fields[6], fields[11]
        name = at + 110
        data = (name + name_size + 3) // 4 * 4
        yield archive[name:name + name_size - 1].decode(), fields[1], archive[data:data + size]
        at = (data + size + 3) // 4 * 4


def test_image():
    with tempfile.TemporaryDirectory() as folder:
        source, saved = pathlib.Path(folder, "source"), pathlib.Path(folder, "saved")
        source.write_bytes(b"12345")
        source.chmod(0o750)
        written = image.Image()
        written.file("a/b/c", source)
        written.file("a/b/c", source)
        written.link("sh", "busybox")
        written.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
        written.save(saved)
        found = [(name, stat.filemode(mode), data) for name, mode, data in entries(saved.read_bytes())]
        ok("an_initramfs_holds_each_file_once_with_its_folders", found == [
            ("a", "drwxr-xr-x", b""), ("a/b", "drwxr-xr-x", b""), ("a/b/c", "-rwxr-x---", b"12345"),
            ("sh", "lrwxrwxrwx", b"busybox"), ("dev", "drwxr-xr-x", b""), ("dev/console", "crw-------", b""),
            ("TRAILER!!!", "?---------", b"")], found)
        written = image.Image()
        written.file("true", "/bin/true")
        written.libraries("/bin/true")
        ok("an_initramfs_holds_the_libraries_of_its_programs", any("libc.so" in name for name in written.names)
           and any("ld-linux" in name for name in written.names), written.names)


def test_scenes():
    names = [scene.name for scene in machines.SCENES]
    scripts = sorted(path.name for path in (machines.HERE / "scenes").iterdir())
    ok("each_scene_has_a_script_and_each_script_a_scene", sorted(names) == scripts, f"{names} {scripts}")


def main():
    test_consoles()
    test_image()
    test_scenes()
    print(f"1..{len(results)}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
