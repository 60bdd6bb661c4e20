#!/usr/bin/python3
"""build_is_whole.py - what is built is what the sources say, all of it and nothing else.

What went wrong once: the compile flags and the list of objects came from different variables. Objects were
missing from a link, and an old binary was run in place of the one that should have been built.

Shown: every file that the library is compiled from counts in its identity; the shared library, and a program
linked with the archive, answer hak_build_id() with the hash of sources and flags, computed here once more;
touching a source, the list of symbols, a flag or how it is linked changes the identity and rebuilds, touching
nothing rebuilds nothing; and a library with a symbol missing, or one too many, is refused.

usage: tests/regress/build_is_whole.py      from the repository root, after make. A variant is named by the
environment: CC, DEBUG, CHECKED.
"""

import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

CHEAP = "CFLAGS=-std=gnu17 -g -O0"                       # where many builds are made
TOUCHED = ["src/slab/class.h", "src/diag/option.def", "src/api/hakmem.map", "src/api/cxx.c", "src/api/start.S",
           "include/hakmem/hakmem.h"]
COPIED = ["Makefile", "src", "include", "scripts"]      # what the library needs

VARIANT = ["CC", "DEBUG", "CHECKED", "SANITIZE", "TRAP"] # of the make that runs this test

ASK = """
import ctypes, sys
ask = ctypes.CDLL(sys.argv[1]).hak_build_id
ask.restype = ctypes.c_char_p
print(ask().decode())
"""
SAY = """
#include <stdio.h>
#include "hakmem/hakmem.h"
int main(void) { return puts(hak_build_id()) < 0; }
"""

results = []


def ok(good, name, detail=""):
    results.append(bool(good))
    print("%sok %d - %s%s" % ("" if good else "not ", len(results), name, "" if good else " # " + detail), flush=True)
    return good


def run(*command, **keywords):
    """Runs a command outside of any make that runs this test; returns status and all output."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in VARIANT and not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
                          **keywords)
    return done.returncode, done.stdout


def make(folder, *arguments):
    return run("make", "-s", "--no-print-directory", "-C", folder, *arguments)


def variable(folder, name, *arguments):
    status, text = make(folder, "--eval", "say: ; @printf '%%s\\n' '$(subst ','\\'',$(%s))'" % name, "say", *arguments)
    if status != 0:
        raise RuntimeError("make cannot say %s: %s" % (name, text))
    return text.rstrip("\n")


def hash_of(folder):
    """The identity, from the Makefile's lists but without its shell line."""
    digest = hashlib.sha256()
    for path in variable(folder, "SOURCES").split() + ["src/api/hakmem.map", "Makefile"]:
        with open(os.path.join(folder, path), "rb") as file:
            digest.update(file.read())
    digest.update(run(variable(folder, "CC"), "--version")[1].splitlines(keepends=True)[0].encode())
    words = [variable(folder, name) for name in ("CC", "CPPFLAGS", "LIB_CFLAGS", "LIB_DEFINES", "LIB_LINK")]
    status, text = run("sh", "-c", "echo '%s'" % " ".join(words))       # as the shell of the Makefile sees it
    assert status == 0, text
    digest.update(text.encode())
    return digest.hexdigest()[:16]


def id_of_shared(path):
    """Asked in a process of its own: a library that is loaded stays loaded."""
    status, text = run(sys.executable, "-c", ASK, path)
    return text.strip() if status == 0 else "none (%s)" % text.strip()


def id_of_archive(folder, scratch, *flags):
    source, program = os.path.join(scratch, "say.c"), os.path.join(scratch, "say")
    with open(source, "w") as file:
        file.write(SAY)
    command = [variable(folder, "CC"), "-I", os.path.join(folder, "include"), source,
               os.path.join(folder, "build/libhakmem.a"), "-o", program, "-pthread", *flags]
    status, text = run(*command)
    return run(program)[1].strip() if status == 0 else "none (%s)" % text.strip()


# ---- sources --------------------------------------------------------------------------------------

def needed_by(folder, unit):
    flags = variable(folder, "CPPFLAGS").split()
    status, text = run(variable(folder, "CC"), "-MM", *flags, unit, cwd=folder)
    if status != 0:
        return set()
    return {os.path.normpath(word) for word in text.replace("\\\n", " ").split(":", 1)[1].split()}


def all_files_count(folder):
    status, text = make(folder, "-Bn")
    units = set(re.findall(r" -c (src/\S+\.c)", text))
    needed = set().union(*(needed_by(folder, unit) for unit in units))
    counted = {os.path.normpath(path) for path in variable(folder, "SOURCES").split()}
    ok(len(needed) > 30 and needed <= counted, "every_file_that_is_compiled_counts_in_the_identity",
       "%d needed by %s, not counted: %s" % (len(needed), sorted(units), sorted(needed - counted)))
    paths = glob.glob(os.path.join(folder, "src/**/*.c"), recursive=True)
    left_out = {os.path.normpath(os.path.relpath(path, folder)) for path in paths} - needed
    ok(paths and not left_out, "every_source_is_compiled_into_the_library", "left out: %s" % sorted(left_out))


# ---- identity -------------------------------------------------------------------------------------

def identity_is_the_sources(folder, scratch):
    wanted = variable(folder, "BUILD_ID")
    computed = hash_of(folder)
    ok(re.fullmatch("[0-9a-f]{16}", wanted) and wanted == computed, "the_identity_is_the_hash_of_sources_and_flags",
       "%s, computed %s" % (wanted, computed))
    shared = id_of_shared(os.path.join(folder, "build/libhakmem.so"))
    ok(shared == wanted, "the_shared_library_says_what_it_was_built_from", "%s, not %s" % (shared, wanted))
    for flags in [], ["-static"]:
        linked = id_of_archive(folder, scratch, *flags)
        ok(linked == wanted, "a_program_linked_with_the_archive%s_says_it_too" % "".join(flags).replace("-", "_"),
           "%s, not %s" % (linked, wanted))


def what_is_here_is_built_from_here():
    """The library that the other tests run."""
    arguments = ["%s=%s" % (name, os.environ[name]) for name in VARIANT if name in os.environ]
    library, wanted = variable(".", "LIB_SO", *arguments), variable(".", "BUILD_ID", *arguments)
    found = id_of_shared(os.path.abspath(library))
    ok(found == wanted, "the_library_that_is_tested_was_built_from_these_sources",
       "%s: %s, not %s" % (library, found, wanted))


def stamp(folder):
    return os.stat(os.path.join(folder, "build/libhakmem.so")).st_mtime_ns


def append(path, text):
    with open(path, "a") as file:
        file.write(text)


def is_refreshed(folder, seen):
    """Builds; true when the library has an identity that was not seen before, the one that make says."""
    status, text = make(folder, CHEAP)
    now = id_of_shared(os.path.join(folder, "build/libhakmem.so"))
    good = status == 0 and now not in seen and now == variable(folder, "BUILD_ID", CHEAP)
    seen.add(now)
    return good, "%s %s" % (now, text)


LINKED = ("-Wl,-z,initfirst", "-Wl,-z,initfirst -Wl,-z,combreloc") # what is linked otherwise


def changes_rebuild(folder):
    path = os.path.join(folder, "build/libhakmem.so")
    before, seen = stamp(folder), {id_of_shared(path)}
    status, text = make(folder)
    ok(status == 0 and stamp(folder) == before, "nothing_touched_nothing_rebuilt", text)
    ok(*with_name("another_flag_rebuilds_under_another_identity", is_refreshed(folder, seen)))
    cheap = id_of_shared(path)
    for source in TOUCHED:
        original = open(os.path.join(folder, source)).read()
        append(os.path.join(folder, source), "/* touched */\n")
        ok(*with_name("touching %s rebuilds under another identity" % source, is_refreshed(folder, seen)))
        with open(os.path.join(folder, source), "w") as file:
            file.write(original)
    makefile = os.path.join(folder, "Makefile")
    original = open(makefile).read()
    with open(makefile, "w") as file:
        file.write(original.replace(*LINKED))
    ok(*with_name("linking otherwise rebuilds under another identity", is_refreshed(folder, seen)))
    with open(makefile, "w") as file:
        file.write(original)
    status, text = make(folder, CHEAP)
    ok(status == 0 and id_of_shared(path) == cheap, "the_same_sources_and_flags_have_the_same_identity", text)


def with_name(name, verdict):
    return verdict[0], name, verdict[1]


# ---- symbols --------------------------------------------------------------------------------------

def exported(library):
    status, text = run("nm", "-D", "--defined-only", library)
    return sorted({line.split()[2].split("@")[0] for line in text.splitlines()}) if status == 0 else []


def stub(scratch, names, not_asked=None):
    """A library for glibc that exports just these names, and asks the linker for all of them but one."""
    source, library = os.path.join(scratch, "stub.c"), os.path.join(scratch, "stub.so")
    with open(source, "w") as file:
        for number, name in enumerate(names):
            file.write("char stub_%d __asm__(\"%s\") = 1;\n" % (number, name))
            if name != not_asked:
                file.write("static __attribute__((used)) char *ask_%d(void) { return &stub_%d; }\n" % (number, number))
    status, text = run("gcc", "-shared", "-fPIC", "-nostdlib", source, "-Wl,--no-as-needed", "-lc", "-o", library)
    if status != 0:
        raise RuntimeError(text)
    return library


def symbols_are_held(folder, scratch):
    check = os.path.join(folder, "scripts/check-symbols")
    library = os.path.join(folder, "build/libhakmem.so")
    names = exported(library)
    status, text = run(check, library)
    ok(status == 0 and "malloc" in names and "hak_build_id" in names, "the_library_exports_what_it_should", text)
    status, text = run(check, stub(scratch, names))
    ok(status == 0, "a_library_with_just_these_names_passes", text)
    for missing in "hak_owns", "free", "_ZdlPvm":
        status, text = run(check, stub(scratch, [name for name in names if name != missing]))
        ok(status != 0 and re.search("^< %s$" % missing, text, re.M), "a library without %s is refused" % missing, text)
    status, text = run(check, stub(scratch, names + ["front_malloc_miss"]))
    extra = re.search("^> front_malloc_miss$", text, re.M)
    ok(status != 0 and extra, "a_library_with_a_name_too_many_is_refused", text)
    status, text = run(check, stub(scratch, names, not_asked="_ZdaPvSt11align_val_t"))
    ok(status != 0 and " its own _ZdaPvSt11align_val_t " in text, "a_library_that_passes_a_program's_operator_by_is_refused", text)
    archive = os.path.join(folder, "build/libhakmem.a")
    status, text = run(check, archive)
    ok(status == 0, "the_archive_defines_no_name_that_a_program_may_have", text)
    spoiled = os.path.join(scratch, "spoiled.a")
    shutil.copy(archive, spoiled)
    status, text = run("sh", "-c", "cd '%s' && echo 'int arena;' | gcc -xc -c - -o arena.o && ar rs spoiled.a arena.o" % scratch)
    status, text = run(check, spoiled)
    ok(status != 0 and re.search("^arena$", text, re.M), "an_archive_with_such_a_name_is_refused", text)


def the_build_fails_without_a_symbol(folder):
    path = os.path.join(folder, "src/api/hak.c")
    with open(path) as file:
        text = file.read()
    other = '#include "api.h"\nHAK_API bool hak_owned(const void *p);'
    with open(path, "w") as file:
        file.write(text.replace("hak_owns(", "hak_owned(").replace('#include "api.h"', other))
    status, text = make(folder, CHEAP)
    gone = not os.path.exists(os.path.join(folder, "build/libhakmem.so"))
    ok(status != 0 and "hak_owns" in text and gone,
       "the_build_fails_and_leaves_nothing_when_a_symbol_is_missing", "status %d, %s" % (status, text))


def main():
    if not os.path.exists("Makefile"):
        print("Bail out! not the repository root")
        return 1
    what_is_here_is_built_from_here()
    with tempfile.TemporaryDirectory() as scratch:
        folder = os.path.join(scratch, "tree")
        os.mkdir(folder)
        for name in COPIED:
            copy = shutil.copytree if os.path.isdir(name) else shutil.copy
            copy(name, os.path.join(folder, name))
        status, text = make(folder)
        if not ok(status == 0, "the_library_builds_from_its_sources_alone", text):
            print("1..%d" % len(results))
            return 1
        all_files_count(folder)
        identity_is_the_sources(folder, scratch)
        symbols_are_held(folder, scratch)
        changes_rebuild(folder)
        the_build_fails_without_a_symbol(folder)
    print("1..%d" % len(results))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
