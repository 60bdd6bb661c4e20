"""rows.py - the table of platforms.py: compilers, flags, targets, how programs run there, and which tests do."""

import dataclasses
import pathlib
import re

TESTS = pathlib.Path(__file__).resolve().parent.parent


def names(folder, pattern):
    return sorted(path.stem for path in (TESTS / folder).glob(pattern))


API = names("api", "*_test.c") + names("api", "*_test.cc")
BOOTSTRAP = names("bootstrap", "*_test.c") + names("bootstrap", "*_test.cc")
REGRESS = names("regress", "*.c")
MODEL = ["model_single_test", "model_threads_test"]

ALL_WAYS = ["preload", "shared", "static", "static-pie"]


def listed(variable):
    """The tests of bootstrap.mk that are not built in every way."""
    text = (TESTS / "bootstrap/bootstrap.mk").read_text()
    return re.search(r"^%s := (.*)$" % variable, text, re.MULTILINE).group(1).split()


PLAIN = listed("BOOTSTRAP_PLAIN")
ONLY_IN = {name: ["preload", "shared"] for name in listed("BOOTSTRAP_DYNAMIC")}
ONLY_IN.update({name: ["preload", "static"] for name in listed("BOOTSTRAP_SLOW")})
PRELOADED = ["pointer_from_other_allocator"]    # of REGRESS


def exists_in(name, way):
    return name not in PLAIN and way in ONLY_IN.get(name, ALL_WAYS)


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    target: str                     # processor, C library, pages, addresses
    compiler: str
    flags: str = "-O2"
    cxx: str = "g++"
    ar: str = "ar"
    build: str = ""                 # folder; rows that only run differently share one
    how: str = "natively"
    runner: str = ""                # in front of each program
    needs: tuple = ()               # tools besides
    variables: tuple = ()           # for make
    ways: tuple = tuple(ALL_WAYS)
    in_ways: dict = dataclasses.field(default_factory=dict)
    regress: tuple = ()
    operations: int = 1000000       # of the model test
    is_quick: bool = False
    refusal: str = ""               # the library is to be refused with these words
    left_out: tuple = ()            # tests, and why


def without(tests, *left_out):
    return [test for test in tests if test not in left_out]


# ---- this machine ---------------------------------------------------------------------------------------

LLD = " -fuse-ld=lld -Wno-unused-command-line-argument" # the linker that knows clang's objects


def native(compiler, cxx, flags, **more):
    name = "-".join(["x86-64", compiler.split()[0], *(flag.lstrip("-") for flag in flags.split())])
    return Row(name=name, build=name, target="x86-64, glibc", compiler=compiler, cxx=cxx, flags=flags,
               how="natively: preloaded, shared, static, static-pie", in_ways={"api": API, "bootstrap": BOOTSTRAP},
               regress=tuple(without(REGRESS, *PRELOADED)), **more)


NATIVE = [
    native("gcc", "g++", "-O0"), native("gcc", "g++", "-O2"), native("gcc", "g++", "-O3"),
    native("gcc", "g++", "-O2 -flto", ar="gcc-ar"),
    native("clang", "clang++", "-O0"), native("clang", "clang++", "-O2"), native("clang", "clang++", "-O3"),
    native("clang" + LLD, "clang++" + LLD, "-O2 -flto", ar="llvm-ar-14", needs=("ld.lld",)),
]

# ---- musl -----------------------------------------------------------------------------------------------

# What is about names and structures that only glibc has, or needs C++, the kernel's headers, .preinit_array or
# unloading, which musl does not have.
GLIBC_ONLY = ["names_test", "inspect_test", "stats_test", "new_test", "exit_test", "first_call_test", "background_test",
              "atfork_test", "stream_fork_test", "keys_test", "plugin_test", "loading_test",
              "local_cxx_test", "raw_clone_test"]

MUSL = Row(name="musl", build="musl", target="x86-64, musl", compiler="musl-gcc",
           how="natively: preloaded, shared, static", ways=("preload", "shared", "static"),
           variables=("STATIC_WITH_CXX=$(LIB_A)",), is_quick=True,
           in_ways={"api": without(API, *GLIBC_ONLY), "bootstrap": without(BOOTSTRAP, *GLIBC_ONLY)},
           regress=tuple(without(REGRESS, *PRELOADED)),
           left_out=("%s: they are about glibc, C++, kernel headers, .preinit_array or dlclose" % ", ".join(GLIBC_ONLY),))

# ---- other processors -------------------------------------------------------------------------------------

# Programs that start programs, which qemu cannot do where the system does not know it.
STARTERS = ["exit_test", "first_call_test", "inherited_test", "keys_test", "plugin_test", "end_fork_test", "spawn_test", "thread_storage_test",
            "background_test", "recall_test", "counters_test"]
# qemu 7.2 itself falls in a child of a program with threads that starts threads.
FORKERS = ["fork_test", "atfork_test"]
# Threads and children by clone() alone, in namespaces of their own.
CLONERS = ["raw_clone_test"]
# What relies on RLIMIT_AS, which qemu does not keep; what takes hours there.
LIMITED = ["new_test", "full_is_not_empty"]
LONG = ["emptied_slab_initialised_once", "random_mixed_survives", "expansion_race"]


# Where addresses are few, qemu 7.2 on a busy machine may repeat one page fault of a memcpy for ever.
FAULTING = ["realloc_test"]


def emulated(name, triple, target, options="", ways=("static",), **more):
    machine = triple.split("-")[0]
    faulting = FAULTING if "-R" in options else []
    return Row(name=name, build=machine, target=target, compiler=triple + "-gcc", cxx=triple + "-g++", ar=triple + "-ar",
               ways=ways, how="%s: %s" % (" ".join(["qemu-" + machine, options]).strip(), ", ".join(ways)),
               runner=("qemu-%s -L /usr/%s %s" % (machine, triple, options)).strip(),
               in_ways={"api": without(API, *LIMITED, *faulting), "bootstrap": without(BOOTSTRAP, *STARTERS, *FORKERS, *CLONERS)},
               regress=tuple(without(REGRESS, *PRELOADED, *LIMITED, *LONG)), operations=100000,
               left_out=("%s: they start programs" % ", ".join(STARTERS),
                         "%s: qemu falls in children that start threads" % ", ".join(FORKERS),
                         "%s: qemu does not make threads of a bare clone" % ", ".join(CLONERS),
                         "%s: they need RLIMIT_AS" % ", ".join(LIMITED),
                         *("%s: qemu may repeat a page fault for ever" % test for test in faulting),
                         "%s: they take hours" % ", ".join(LONG)), **more)


EMULATED = [
    emulated("aarch64", "aarch64-linux-gnu", "aarch64, glibc, 4 KiB pages, 47-bit addresses",
             ways=("preload", "shared", "static", "static-pie"), is_quick=True),
    emulated("aarch64-64k", "aarch64-linux-gnu", "aarch64, glibc, 64 KiB pages", "-p 65536", is_quick=True),
    emulated("aarch64-39-bit", "aarch64-linux-gnu", "aarch64, glibc, 39-bit addresses", "-R 0x8000000000"),
    emulated("aarch64-64k-39-bit", "aarch64-linux-gnu", "aarch64, glibc, 64 KiB pages, 39-bit addresses",
             "-p 65536 -R 0x8000000000"),
    emulated("riscv64", "riscv64-linux-gnu", "riscv64, glibc, 4 KiB pages", is_quick=True),
    emulated("riscv64-38-bit", "riscv64-linux-gnu", "riscv64, glibc, 38-bit addresses (Sv39)", "-R 0x4000000000"),
]

# ---- machines that are refused --------------------------------------------------------------------------

REFUSED = [Row(name=name, target=target, compiler="gcc", flags=flag, how="not", is_quick=True,
               refusal="hakmem needs a 64-bit machine")
           for name, target, flag in (("i386", "i386", "-m32"), ("x32", "x86-64 with 32-bit addresses", "-mx32"))]

ROWS = [*NATIVE, MUSL, *EMULATED, *REFUSED]
