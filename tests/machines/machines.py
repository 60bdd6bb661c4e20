#!/usr/bin/env python3
"""machines.py - machines of their own, emulated by qemu, for what a test cannot change on the machine it runs on.

    tests/machines/machines.py [--build DIR] [--build-arm64 DIR] [--accel NAME] [--list] [SCENE...]

Run from the repository root. A scene is a kernel of Debian's with some memory, a script of scenes/ that sets it up and
runs programs, and a time limit. The files that it needs are taken from the build folder and written into an initramfs
together with busybox and the script "init", which says how a scene is written and what it prints. Prints TAP: each
result of each program, one more for whatever went wrong with a program as a whole, and one for the end of each scene.
The console of each machine is kept as DIR/machines/SCENE.log.
"""
import argparse
import dataclasses
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import image     # noqa: E402 (nothing is written beside the sources)
import packages  # noqa: E402
import run       # noqa: E402 (the runner of all tests: it reads TAP)

HERE = pathlib.Path(__file__).resolve().parent
CONSOLE = (5, 1)          # its device number
TAIL_LINES = 25         # of the console of a machine that did not end
CHARACTER_DEVICE = stat.S_IFCHR | 0o600


@dataclasses.dataclass(frozen=True)
class Processor:
    debian: str
    machine: tuple              # qemu and its arguments
    console: str
    strip: str
    libraries: tuple = ()       # for its dynamic programs, where ldd cannot tell


AMD64 = Processor("amd64", ("qemu-system-x86_64", "-machine", "pc", "-cpu", "max"), "ttyS0", "strip")
ARM64 = Processor("arm64", ("qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a72"), "ttyAMA0",
                  "aarch64-linux-gnu-strip",
                  tuple(f"/usr/aarch64-linux-gnu/lib/{name}" for name in ("ld-linux-aarch64.so.1", "libc.so.6")))


@dataclasses.dataclass(frozen=True)
class Scene:
    name: str
    memory_mib: int
    seconds: int                # the time limit; several times what it takes
    files: tuple                # patterns below the build folder
    processor: Processor = AMD64


LIBRARY = ("libhakmem.so",)
API = ("tests/api/static/*_test", *(f"tests/api/{way}/{name}_test" for way in ("preload", "plain")
                                    for name in ("alloc", "limit", "realloc")))
LIMITS = ("tests/exhaust/*/limits_test",)
BOOTSTRAP = tuple(f"tests/bootstrap/static/{name}_test" for name in ("threads", "atfork", "fork"))
BOOTSTRAP_ARM64 = tuple(f"tests/bootstrap/static/{name}_test"
                        for name in ("threads", "atfork", "background", "spawn"))
MODEL = ("tests/model/model_threads_test",)
EDGE = ("tests/machines/static/edge",)
IN_GROUP = ("tests/machines/plain/in_group", "tests/machines/plain/edge", "tests/limit/at_limit")

SCENES = [
    Scene("strict", 768, 1800, LIBRARY + API + LIMITS + BOOTSTRAP + MODEL + EDGE),
    Scene("group", 384, 1800, LIBRARY + IN_GROUP),
    Scene("huge", 1024, 1800, LIBRARY + ("tests/machines/plain/heap_pages",)),
    Scene("edge", 128, 1800, EDGE),
    Scene("mappings", 512, 1800, ("tests/exhaust/static/mappings_test",)),
    Scene("arm64", 512, 1800, ("tests/api/static/*_test", "tests/machines/static/addresses_test")
          + BOOTSTRAP_ARM64 + MODEL + EDGE, ARM64),
]


def remark(text):
    for line in text.splitlines():
        print("# " + line, flush=True)


# ---- a machine ----------------------------------------------------------------------------------------

def kernel_here(processor):
    """A kernel of this machine's that may be read, if it is one of Debian's for this processor."""
    found = sorted(pathlib.Path("/boot").glob(f"vmlinuz-*-{processor.debian}"))
    return next((path for path in reversed(found) if os.access(path, os.R_OK)), None)


def busybox_of(processor, unpacked):
    return "/bin/busybox" if processor is AMD64 else unpacked().unpacked("busybox-static") / "bin/busybox"


def write_image(scene, build, busybox, path):
    contents = image.Image()
    for folder in ("proc", "sys", "dev", "tmp", "scenes"):
        contents.folder(folder)
    contents.add("dev/console", CHARACTER_DEVICE, device=CONSOLE)
    contents.file("bin/busybox", busybox)
    contents.link("bin/sh", "busybox")
    contents.file("init", HERE / "init")
    for library in scene.processor.libraries:
        contents.file(f"lib/{os.path.basename(library)}", library)
    contents.file(f"scenes/{scene.name}", HERE / "scenes" / scene.name)
    for pattern in scene.files:
        found = sorted(build.glob(pattern))
        if not found:
            raise FileNotFoundError(f"{build}/{pattern} is not built")
        for file in found:
            contents.file(f"hakmem/{file.relative_to(build)}", file, scene.processor.strip)
            if scene.processor is AMD64:
                contents.libraries(file)
    contents.save(path)


def command_of(scene, kernel, initramfs, accelerator):
    words = ["quiet", "loglevel=1", "panic=-1", "psi=1", "mitigations=off", f"console={scene.processor.console}",
             f"scene={scene.name}"]
    return [*scene.processor.machine, "-accel", accelerator, "-smp", "2", "-m", str(scene.memory_mib),
            "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio",
            "-kernel", str(kernel), "-initrd", str(initramfs), "-append", " ".join(words)]


def console_of(scene, kernel, initramfs, accelerator, log):
    """(what was printed, "" or why the machine was ended)"""
    with open(log, "wb") as output:
        child = subprocess.Popen(command_of(scene, kernel, initramfs, accelerator), stdin=subprocess.DEVNULL,
                                 stdout=output, stderr=subprocess.STDOUT)
        try:
            status = child.wait(scene.seconds)
            ended = f"qemu's status {status}" if status else ""
        except subprocess.TimeoutExpired:
            ended = f"still running after {scene.seconds} s"
        finally:
            child.kill()
            child.wait()
    return log.read_text(encoding="utf-8", errors="replace").replace("\r", ""), ended


# ---- what it printed ----------------------------------------------------------------------------------

BEGIN = re.compile(r"^@begin (.+)$")
END = re.compile(r"^@end (\d+)$")
RESULT = re.compile(r"^(not )?ok\b\s*\d*\s*(?:- )?(.*)$")


@dataclasses.dataclass
class Stream:
    """What one program printed, or between programs the scene itself."""
    name: str
    status: object = None       # None = it has not ended
    lines: list = dataclasses.field(default_factory=list)

    def wrong(self):
        """Why the stream is bad as a whole, or ""."""
        tap = run.Tap("\n".join(self.lines))
        wrong = list(tap.wrong)
        if self.status is None:
            wrong.insert(0, "has not ended")
        elif self.status > 0 and tap.failed == 0:
            wrong.insert(0, f"exit status {self.status}")
        elif self.status == 0 and tap.failed > 0 and self.name:
            wrong.insert(0, "exit status 0 in spite of failures")
        return "; ".join(wrong)


def streams_of(console):
    """(the streams, the scene's own first; true = the scene came to its end)"""
    own = Stream("", 0)
    found, now, ended = [own], own, False
    for line in console.splitlines():
        begin, end = BEGIN.match(line), END.match(line)
        if begin:
            now = Stream(begin.group(1))
            found.append(now)
        elif end:
            now.status = int(end.group(1))
            now = own
        elif line == "@off":
            ended = True
        else:
            now.lines.append(line)
    if len(found) > 1 and not any(RESULT.match(line) for line in own.lines):
        own.lines.append("1..0 # skip the scene has no results of its own")
    return found, ended


class Results:
    def __init__(self):
        self.count = self.bad = 0

    def add(self, good, name):
        self.count += 1
        self.bad += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {name}", flush=True)

    def add_stream(self, scene, stream):
        place = "/".join(word for word in (scene, stream.name) if word)
        for line in stream.lines:
            result = RESULT.match(line)
            if result:
                self.add(not result.group(1), f"{place}: {result.group(2)}")
            elif not run.PLAN.match(line) and line.strip():
                remark(line.removeprefix("# "))
        wrong = stream.wrong()
        if wrong:
            self.add(False, f"{place} as a whole: {wrong}")

    def add_console(self, scene, console, ended):
        """All that a scene printed, and its end; `ended` is why the machine did not end by itself, or ""."""
        streams, off = streams_of(console)
        for stream in streams:
            self.add_stream(scene, stream)
        whole = off and not ended
        self.add(whole, f"{scene}: the scene comes to its end" + (f" # {ended}" if ended else ""))
        if not whole:
            remark("\n".join(console.splitlines()[-TAIL_LINES:]))


# ---- the command --------------------------------------------------------------------------------------

def play(scene, args, results):
    place = pathlib.Path(args.build, "machines")
    place.mkdir(parents=True, exist_ok=True)
    processor = scene.processor
    build = pathlib.Path(args.build if processor is AMD64 else args.build_arm64)
    initramfs = place / f"{scene.name}.cpio"

    def unpacked():
        return packages.Packages(place / processor.debian, processor.debian)

    try:
        kernel = kernel_here(processor) or unpacked().kernel()
        write_image(scene, build, busybox_of(processor, unpacked), initramfs)
    except (OSError, subprocess.CalledProcessError) as error:
        remark(str(getattr(error, "stdout", "") or ""))
        results.add(False, f"{scene.name}: the machine can be built # {error}")
        return
    begin = time.monotonic()
    console, ended = console_of(scene, kernel, initramfs, args.accel, place / f"{scene.name}.log")
    results.add_console(scene.name, console, ended)
    remark(f"{scene.name}: {kernel.name}, {scene.memory_mib} MiB, {time.monotonic() - begin:.0f} s")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("scenes", nargs="*", metavar="SCENE")
    parser.add_argument("--build", default="build")
    parser.add_argument("--build-arm64", default="build/platforms/aarch64")
    parser.add_argument("--accel", default="tcg,thread=multi", help="qemu's accelerator: kvm, where that works")
    parser.add_argument("--list", action="store_true", help="names the scenes")
    args = parser.parse_args()
    for name in set(args.scenes) - {scene.name for scene in SCENES}:
        parser.error(f"no scene {name}; --list names them")
    return args


def main():
    args = arguments()
    results = Results()
    for scene in SCENES:
        if args.list:
            print(scene.name)
        elif scene.name in args.scenes or not args.scenes:
            qemu = scene.processor.machine[0]
            if shutil.which(qemu):
                play(scene, args, results)
            else:
                results.add(False, f"{scene.name}: {qemu} is installed # scripts/install-packages machines")
    if not args.list:
        print(f"1..{results.count}")
    return 1 if results.bad else 0


if __name__ == "__main__":
    sys.exit(main())
