#!/usr/bin/env python3
"""lint_test.py - holds the sources against the rules of the project: layers, sizes, names, warnings, documents.

The rules are in rules.py. Each is shown a sample that breaks it before it judges the sources, since a rule that
finds nothing proves nothing. Compilers are called with the flags of the Makefile. TAP on standard output.
"""

import itertools
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import rules  # noqa: E402 (nothing is written beside the sources)

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LEVELS = ["-O0", "-O2", "-O3"]
UNITS = [("the_library", [rules.WHOLE]), ("the_operators", ["src/api/cxx.c"]),
         ("the_operators_of_the_archive", ["-DHAK_FOR_ARCHIVE=1", "src/api/cxx.c"])]
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wundef", "-Werror"]
ALONE = ["-fsyntax-only", *WARNINGS, "-std=gnu17", "-D_GNU_SOURCE", "-Iinclude"]

results = []


def ok(good, name, details=()):
    results.append(good)
    print("%s %d - %s" % ("ok" if good else "not ok", len(results), name))
    for line in details if not good else ():
        print("#   %s" % line)
    sys.stdout.flush()


def run(*command, text=None):
    return subprocess.run(command, cwd=ROOT, input=text, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)


# ---- what there is -----------------------------------------------------------------------------------

def paths():
    """What git tracks or would; in a tree without git, all but build/."""
    listed = run("git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if (ROOT / ".git").exists() and listed.returncode == 0:
        return [path for path in listed.stdout.split("\0") if path and (ROOT / path).is_file()]
    found = (path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file())
    return [path for path in found if not path.startswith(("build/", ".git/")) and "__pycache__" not in path]


def read_files():
    files = {}
    for path in sorted(paths()):
        try:
            files[path] = (ROOT / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue        # not a text
    return files


# ---- rules on texts ----------------------------------------------------------------------------------

def layered(path, *includes):
    return {path: "".join('#include "%s"\n' % name for name in includes)}


def function(lines):
    return "static int f(void)\n{\n" + "    ;\n" * (lines - 3) + "}\n"


WHOLE = {"src/os/a.c": "", "src/api/b.c": ""}
HEADER, MAP = rules.PUBLIC_HEADER, "src/api/hakmem.map"
CALL = "HAK_API int hak_a(int x)"
DEFS = {"src/diag/option.def": "OPTION(drain, 1)\n", "src/x/y.c": "void f(void)\n{\n}\n"}

# rule, claim, samples that break it, samples that do not
RULES = [
    (rules.check_layers, "includes_point_downward",
     [{**layered("src/slab/a.c", "../front/b.h"), "src/front/b.h": ""}, layered("src/slab/a.c", "gone.h"),
      layered("src/else/a.c"), layered("src/space/a.c", "../../" + HEADER)],
     [{**layered("src/front/a.c", "../service/b.h", "../base/c.h", "d.h"), "src/service/b.h": "", "src/base/c.h": "",
       "src/front/d.h": ""}, layered("src/api/a.c", "../../" + HEADER)]),
    (rules.check_whole, "one_unit_includes_each_file_once_in_layer_order",
     [{**WHOLE, **layered(rules.WHOLE, "os/a.c")}, {**WHOLE, **layered(rules.WHOLE, "api/b.c", "os/a.c")},
      {**WHOLE, **layered(rules.WHOLE, "os/a.c", "api/b.c", "api/b.c")},
      {**layered(rules.WHOLE), "src/api/cxx.c": "", "Makefile": ""},
      {**layered(rules.WHOLE, "api/cxx.c"), "src/api/cxx.c": "", "Makefile": "cc -c src/api/cxx.c -o x"}],
     [{**WHOLE, **layered(rules.WHOLE, "os/a.c", "api/b.c")},
      {**layered(rules.WHOLE), "src/api/cxx.c": "", "Makefile": "cc -c src/api/cxx.c -o x"}]),
    (rules.check_file_length, "no_file_exceeds_%d_lines" % rules.LINES_MAX,
     [{"src/os/a.c": "\n" * (rules.LINES_MAX + 1)}], [{"src/os/a.c": "\n" * rules.LINES_MAX}]),
    (rules.check_function_length, "no_function_exceeds_%d_lines" % rules.FUNCTION_LINES_MAX,
     [{"src/os/a.c": "int x;\n\n" + function(rules.FUNCTION_LINES_MAX + 1)}],
     [{"src/os/a.c": function(rules.FUNCTION_LINES_MAX) + "\n" + function(rules.FUNCTION_LINES_MAX)}]),
    (rules.check_columns, "no_line_exceeds_%d_columns" % rules.COLUMNS_MAX,
     [{"src/os/a.c": "x" * (rules.COLUMNS_MAX + 1)}, {"tests/a/b.c": "/*" + "x" * rules.COLUMNS_MAX + "*/"}],
     [{"src/os/a.c": "x" * rules.COLUMNS_MAX}, {"tests/a/b.c": "x" * (rules.COLUMNS_MAX + 1)}]),
    (rules.check_conditionals, "the_preprocessor_chooses_only_where_it_may",
     [{"src/slab/a.c": "#if X\n#endif\n"}, {"src/slab/a.h": "#ifndef HAK_SLAB_A_H\n#ifdef X\n#endif\n#endif\n"},
      {"src/slab/a.h": "#ifndef HAK_SLAB_A_H\n#else\n#endif\n"}, {"src/base/list.h": " # if X\n#endif\n"}],
     [{"src/os/a.c": "#if X\n#endif\n"}, {"src/slab/a.h": "#ifndef HAK_SLAB_A_H\n#endif\n"},
      {"src/slab/a.c": "/*\n#if X\n*/\n"}]),
    (rules.check_guards, "include_guards_are_named_after_their_file",
     [{"src/slab/a.h": "#ifndef HAK_A_H\n#define HAK_A_H\n#endif\n"}, {"src/slab/a.h": "int x;\n"}],
     [{"src/slab/a.h": "/* a.h */\n#ifndef HAK_SLAB_A_H\n#define HAK_SLAB_A_H\nint x;\n#endif\n"}]),
    (rules.check_public_names, "header_map_and_definitions_name_the_same_calls",
     [{HEADER: CALL + ";\n", MAP: "{ global: hak_b; local: *; };", "src/api/a.c": CALL + "\n{\n}\n"},
      {HEADER: CALL + ";\n", MAP: "{ global: hak_a; local: *; };", "src/api/a.c": ""},
      {HEADER: "", MAP: "{ global: hak_a; };", "src/api/a.c": CALL + "\n{\n}\n"},
      {HEADER: CALL + ";\n", MAP: "{ global: hak_a; };", "src/os/a.c": CALL + "\n{\n}\n"}],
     [{HEADER: CALL + ";\n", MAP: "{ global: hak_a; malloc; local: *; };", "src/api/a.c": CALL + "\n{\n}\n"}]),
    (rules.check_machine_paths, "no_file_names_a_place_on_a_machine",
     [{"a": "see /%s/x" % name} for name in ("root", "home/me", "work", "tmp/bash_jobs.0")],
     [{"a": "tests/programs/scripts/x, $dir/home/me/x, https://a.b/root"}]),
    (rules.check_document_names, "documents_name_files_functions_and_options_that_exist",
     [{**DEFS, "docs/A.md": text} for text in ("`src/x/z.c`", "`src/z/`", "`g()`", "HAKMEM_DRAINS=1")],
     [{**DEFS, "docs/A.md": "`src/x/y.c` `src/x/` `src/` `f()` HAKMEM_DRAIN=1 HAKMEM_NAME"}]),
    (rules.check_links, "links_between_documents_lead_somewhere",
     [{"docs/A.md": "[b](B.md)"}, {"README.md": "[a](A.md)", "docs/A.md": ""}],
     [{"docs/A.md": "[b](../README.md#x) [c](https://a.b) [d](d)", "README.md": "[a](docs/A.md)", "docs/d/e.md": ""}]),
]


def test_rules(files):
    for rule, claim, broken, whole in RULES:
        missed = [sample for sample in broken if not list(rule(sample))]
        false = [found for sample in whole for found in rule(sample)]
        ok(not missed and not false, "%s_can_tell" % rule.__name__,
           ["not found: %s" % str(sample)[:100] for sample in missed] + ["false alarm: %s" % text for text in false])
        found = list(rule(files))
        ok(not found, claim, found)


def test_files(files):
    """The rules had something to judge: names that must be there are."""
    count = sum(1 for path in rules.sources(files, ".c") for _ in rules.functions(files[path]))
    ok(rules.WHOLE in files and len(rules.header_names(files[rules.PUBLIC_HEADER])) > 10 and count > 100,
       "sources_are_found", ["%d files, %d functions" % (len(files), count)])


# ---- compilers ---------------------------------------------------------------------------------------

def compiles(*command, text=None):
    """The first complaints of a compiler; none = it is content."""
    done = run(*command, text=text)
    return done.stdout.splitlines()[:5] or (["status %d" % done.returncode] if done.returncode else [])


def test_alone(files):
    bad = {"src/os/gone.h": '#include "gone.h"\n', "a warning": "int f(int a)\n{\n    { int a = 1; return a; }\n}\n"}
    missed = [name for name, text in bad.items() if not compiles("gcc", *ALONE, "-xc", "-", text=text)]
    ok(not missed, "compiling_alone_can_tell", missed)
    for path in rules.sources(files, ".c"):
        found = compiles("gcc", *ALONE, path)
        ok(not found, "%s_compiles_alone" % path, found)
    for path in rules.sources(files, ".h"):
        found = compiles("gcc", *ALONE, "-I.", "-xc", "-", text='#include "%s"\n' % path)
        ok(not found, "%s_compiles_alone" % path, found)


def make_flags():
    """The library's flags as the Makefile has them, whatever variables our caller's make was given."""
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CC", "DEBUG", "CHECKED", "SANITIZE", "TRAP")}
    rule = "lint-flags: ; @echo '$(CPPFLAGS) $(LIB_CFLAGS) $(LIB_DEFINES)'"
    # LIB_DEFINES quotes its texts for the shell: the quotes around the rule's text open and close there.
    told = subprocess.run(["make", "-s", "--no-print-directory", "--eval", rule, "lint-flags"], cwd=ROOT, text=True,
                          env=environment, capture_output=True, check=True).stdout
    return [flag for flag in shlex.split(told) if not flag.startswith(("-O", "-DHAK_VERSION"))]


def test_compilers():
    flags = make_flags()
    ok(set(WARNINGS) <= set(flags), "the_makefile_asks_for_all_warnings", sorted(set(WARNINGS) - set(flags)))
    with tempfile.TemporaryDirectory(prefix="hakmem-lint-") as folder:
        for compiler in "gcc", "clang":
            if not shutil.which(compiler):
                ok(False, "%s_is_installed" % compiler, ["scripts/install-packages check"])
                continue
            for level, (name, unit) in itertools.product(LEVELS, UNITS):
                found = compiles(compiler, *flags, level, "-c", *unit, "-o", os.path.join(folder, "unit.o"))
                ok(not found, "%s_compiles_%s_at_%s_without_warnings" % (compiler, name, level[1:]), found)
        test_header(folder)
        test_embedding(folder)


HEADER_LANGUAGES = {"gcc": ["c99", "c17"], "clang": ["c99", "c17"], "g++": ["c++98", "c++11", "c++20"],
                    "clang++": ["c++98", "c++11", "c++20"]}


def test_header(folder):
    """In programs that ask for more warnings than we do."""
    for compiler, standards in HEADER_LANGUAGES.items():
        for standard in standards:
            language = "-xc++" if "++" in standard else "-xc"
            found = compiles(compiler, "-std=" + standard, "-Iinclude", *WARNINGS, "-Wdeprecated", "-pedantic", language, "-c",
                             "-", "-o", os.path.join(folder, "header.o"), text="#include <hakmem/hakmem.h>\n")
            ok(not found, "%s_takes_the_header_as_%s" % (compiler, standard), found)


EMBEDDING = """
#include <hakmem/hakmem.h>
#include <string.h>
int main(void)
{
    char *p = hak_malloc(100);
    return p && hak_owns(p) && memset(p, 1, 100) && (hak_free(p), 1) ? 0 : 1;
}
"""


def test_embedding(folder):
    """As the README tells it: the one source file beside the program's own; only hak_* are defined."""
    program = os.path.join(folder, "embedding")
    found = compiles("gcc", "-std=gnu17", "-D_GNU_SOURCE", "-Iinclude", "-O2", "-Wall", "-Wextra", "-DHAK_REPLACE_LIBC=0",
                     "-xc", "-", "src/hakmem.c", "-o", program, "-pthread", text=EMBEDDING)
    ok(not found and run(program).returncode == 0, "the_library_embeds_with_one_source_file", found)
    names = run("nm", "--defined-only", "-g", program).stdout if not found else ""
    # The program's, and what every C program has.
    own = {"main", "data_start", "etext", "edata", "end"} | set(re.findall(r"\b_\w+", names))
    taken = sorted(set(re.findall(r" [A-Z] (\w+)$", names, re.M)) - own - set(re.findall(r"\bhak\w+", names)))
    ok("T hak_malloc\n" in names and not taken, "an_embedded_library_defines_only_names_with_hak", taken)


# ---- documents that are made -------------------------------------------------------------------------

DOC_SOURCES = ["src/diag/option.def", "src/diag/error.def", rules.PUBLIC_HEADER, "docs/ERRORS.md"]
SPOILED = [
    ("an_option", "src/diag/option.def", '\nOPTION(zzz, 0, 0, 1, "", ANYTIME, "nothing")\n'),
    ("an_error_without_advice", "src/diag/error.def", '\nERROR(zzz, "zzz", "nothing")\n'),
    ("advice", "docs/ERRORS.md", "\nAnd more.\n"),
]


def copy_of_documents(folder, files):
    for path in [*DOC_SOURCES, "scripts/make-docs", *(path for path in files if path.startswith("docs/"))]:
        to = pathlib.Path(folder, path)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, to)


def test_documents(files):
    done = run("scripts/make-docs", "--check")
    ok(done.returncode == 0, "generated_documents_are_up_to_date", done.stdout.splitlines())
    for name, path, more in SPOILED:
        with tempfile.TemporaryDirectory(prefix="hakmem-lint-") as folder:
            copy_of_documents(folder, files)
            make_docs = os.path.join(folder, "scripts/make-docs")
            before = [run(make_docs).returncode, run(make_docs, "--check").returncode]
            with open(os.path.join(folder, path), "a", encoding="utf-8") as file:
                file.write(more)
            after = run(make_docs, "--check").returncode
            ok(before == [0, 0] and after == 1, "%s_more_makes_documents_out_of_date" % name, [str(before), str(after)])


def main():
    files = read_files()
    test_files(files)
    test_rules(files)
    test_alone(files)
    test_compilers()
    test_documents(files)
    print("1..%d" % len(results))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
