#!/usr/bin/env python3
"""orders_test.py - docs/MEMORY-ORDER.md names every atomic variable of src/ with the operations that it is used with.

A variable is named by its last word: heap->class[i].arrived is `arrived`. In the document, a row of a table begins with
variables in `code`, and its second column has their operations in `code`, as src/base/atomics.h calls them. A variable may
have several rows. What is used and not named, or named and not used, is a failure. TAP on standard output.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DOCUMENT = "docs/MEMORY-ORDER.md"
DEFINED_IN = "src/base/atomics.h"
OPERATION = re.compile(r"\b((?:load|store|exchange|swap_if|add|sub|and|or)_(?:relaxed|acquire|release|acq_rel|seq)"
                       r"|counter_add|__atomic_\w+)\(")


def without_comments(text):
    return re.sub(r"/\*.*?\*/", lambda match: re.sub(r"[^\n]", " ", match.group()), text, flags=re.S)


def first_argument(text, start):
    depth = 0
    for end in range(start, len(text)):
        if text[end] in "([":
            depth += 1
        elif text[end] in ")]":
            depth -= 1
        if depth < 0 or (depth == 0 and text[end] == ","):
            return text[start:end]
    return text[start:]


def variable_of(argument):
    """The last word of what is pointed to, without casts, indices and calls' arguments."""
    argument = re.sub(r"^(\s*\([^()]*\*\))+", "", argument.strip())
    while True:
        shorter = re.sub(r"\[[^\[\]]*\]|\([^()]*\)", "", argument)
        if shorter == argument:
            return re.findall(r"\w+", argument)[-1] if re.search(r"\w", argument) else ""
        argument = shorter


def used(files):
    """{variable: {operation: where}}"""
    found = {}
    for path, text in sorted(files.items()):
        if path == DEFINED_IN:
            continue
        text = without_comments(text)
        for match in OPERATION.finditer(text):
            if match[1] == "__atomic_signal_fence":
                continue        # orders nothing between processors
            variable = variable_of(first_argument(text, match.end()))
            where = "%s:%d" % (path, text.count("\n", 0, match.start()) + 1)
            found.setdefault(variable, {}).setdefault(match[1], where)
    return found


def named(document):
    """{variable: {operation}}"""
    found = {}
    for line in document.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("| `") or len(cells) < 2:
            continue
        for variable in re.findall(r"`(\w+)`", cells[0]):
            found.setdefault(variable, set()).update(re.findall(r"`(\w+)`", cells[1]))
    return found


def differences(files, document):
    there, told = used(files), named(document)
    for variable, operations in sorted(there.items()):
        for operation, where in sorted(operations.items()):
            if operation not in told.get(variable, ()):
                yield "%s: %s(%s) is not in %s" % (where, operation, variable, DOCUMENT)
    for variable, operations in sorted(told.items()):
        for operation in sorted(operations - set(there.get(variable, ()))):
            yield "%s: there is no %s(%s)" % (DOCUMENT, operation, variable)
        if not operations:
            yield "%s: %s has no operations" % (DOCUMENT, variable)


SAMPLE = {"src/a.c": "x = load_acquire(&h->class[f(i)].count); /* load_seq(&no) */\nstore_release((long *)&t[i & m], g(1, 2));\n"}
RIGHT = "| `count` | `load_acquire` | why |\n| `t` | `store_release` | why |\n"
WRONG = [RIGHT.replace("load_acquire", "load_relaxed"), RIGHT.replace("`t`", "`u`"), RIGHT + "| `v` | `load_seq` | why |\n",
         RIGHT.replace("`load_acquire`", "`load_acquire`, `store_release`"), RIGHT.replace("| `count`", "`count`"), ""]


def main():
    files = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in ROOT.glob("src/*/*.[ch]")}
    document = (ROOT / DOCUMENT).read_text(encoding="utf-8")
    missed = [text for text in WRONG if not list(differences(SAMPLE, text))]
    false = list(differences(SAMPLE, RIGHT))
    found = list(differences(files, document))
    results = [("a_changed_order_can_be_told", not missed and not false, missed + false),
               ("atomic_variables_are_found", len(used(files)) > 40, sorted(used(files))),
               ("every_atomic_variable_is_documented_with_its_operations", not found, found)]
    for number, (name, good, details) in enumerate(results, 1):
        print("%s %d - %s" % ("ok" if good else "not ok", number, name))
        for line in details if not good else ():
            print("#   %s" % line)
    print("1..%d" % len(results))
    return 0 if all(good for _, good, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
