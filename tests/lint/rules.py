"""rules.py - what lint_test.py looks for: each rule reads texts and yields one line for each violation.

A rule takes {path: text}, paths relative to the root with forward slashes, and knows no file system: so the test
can show each rule a sample that breaks it. What needs a compiler or git is in lint_test.py.
"""

import posixpath
import re

# The layer rule: an include points to the same or a lower layer, never up. Lowest first.
LAYERS = ["base", "os", "diag", "space", "slab", "cache", "service", "front", "api"]

# Files above the layers, or outside of them.
WHOLE = "src/hakmem.c"                          # includes every layer's .c files, in order, except
OWN_OBJECTS = {
    "src/api/cxx.c": "C++ operators: a static program in C must not pull them in",
}
PUBLIC_HEADER = "include/hakmem/hakmem.h"
PUBLIC_HEADER_READERS = {
    "api": "defines what the header promises",
    "service": "struct hak_stats is what statistics are collected into",
}

LINES_MAX = 500             # of a file
FUNCTION_LINES_MAX = 60     # from the signature to the closing brace
COLUMNS_MAX = 120           # of a line of C, and of a line of comment anywhere

# Where the preprocessor may choose, and why. Everywhere else an `if` on a constant does.
CONDITIONALS = {
    "src/os/": "the only folder that knows the platform",
    "src/base/compiler.h": "compilers and instruction sets",
    "src/base/config.h": "defaults of build options",
    "src/api/api.h": "default of HAK_REPLACE_LIBC, and which C library there is",
    "src/api/libc.c": "HAK_REPLACE_LIBC=0 must leave no definition of malloc: an `if` cannot remove a symbol",
    "src/api/glibc.c": "likewise; and other C libraries lack the types",
    "src/api/rlimit.c": "likewise",
    "src/api/cxx.c": "the archive holds fewer forms than the shared library, and refers to libstdc++ strongly",
    WHOLE: "the tests put a fake system in the place of os/linux.c",
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)


def without_comments(text):
    """The text with every character of a comment, but not its line breaks, made a blank."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.DOTALL)


def sources(files, *endings):
    return {path: text for path, text in files.items() if path.startswith("src/") and path.endswith(endings)}


# ---- layers ----------------------------------------------------------------------------------------

def layer_of(path):
    """The folder below src/, or None."""
    parts = path.split("/")
    return parts[1] if len(parts) == 3 and parts[0] == "src" else None


def includes_of(path, text):
    return [posixpath.normpath(posixpath.join(posixpath.dirname(path), name)) for name in INCLUDE.findall(text)]


def check_layers(files):
    for path, text in sources(files, ".c", ".h").items():
        if path == WHOLE:
            continue
        layer = layer_of(path)
        if layer not in LAYERS:
            yield "%s: is in no layer" % path
            continue
        for target in includes_of(path, text):
            other = layer_of(target)
            if target == PUBLIC_HEADER:
                if layer not in PUBLIC_HEADER_READERS:
                    yield "%s: includes the public header from layer %s" % (path, layer)
            elif target not in files:
                yield "%s: includes %s, which does not exist" % (path, target)
            elif other not in LAYERS or LAYERS.index(other) > LAYERS.index(layer):
                yield "%s: includes upward: %s" % (path, target)


def check_whole(files):
    """hakmem.c includes every .c file once, lower layers first; the rest are objects of the Makefile's."""
    included = [path for path in includes_of(WHOLE, files[WHOLE]) if path.endswith(".c")]
    for path in sorted(set(sources(files, ".c")) - {WHOLE} - set(OWN_OBJECTS) - set(included)):
        yield "%s: does not include %s" % (WHOLE, path)
    for path in OWN_OBJECTS:
        if path in files and (path in included or "-c %s " % path not in files.get("Makefile", "")):
            yield "%s: is no object of its own" % path
    for path in sorted({path for path in included if included.count(path) > 1}):
        yield "%s: includes %s twice" % (WHOLE, path)
    layers = [LAYERS.index(layer_of(path)) for path in included if layer_of(path) in LAYERS]
    for before, after, path in zip(layers, layers[1:], included[1:]):
        if after < before:
            yield "%s: %s comes after a higher layer" % (WHOLE, path)


# ---- sizes -----------------------------------------------------------------------------------------

def check_file_length(files):
    for path, text in sources(files, ".c", ".h", ".def").items():
        if text.count("\n") > LINES_MAX:
            yield "%s: %d lines, at most %d" % (path, text.count("\n"), LINES_MAX)


def functions(text):
    """(first line number, length, signature) of each function: a `{` in column 0, up to the next `}` there."""
    lines = without_comments(text).split("\n")
    start = None
    for number, line in enumerate(lines):
        if line.rstrip() == "{" and start is None:
            start = number
            while start > 0 and lines[start - 1].strip() and lines[start - 1][0] not in "#};":
                start -= 1
        elif line.startswith("}") and start is not None:
            yield start + 1, number - start + 1, lines[start].strip()
            start = None


def check_function_length(files):
    for path, text in sources(files, ".c", ".h").items():
        for number, length, signature in functions(text):
            if length > FUNCTION_LINES_MAX:
                yield "%s:%d: %d lines, at most %d: %s" % (path, number, length, FUNCTION_LINES_MAX, signature)


def check_columns(files):
    """Every line of C under src/ and include/, and comments of C files anywhere else."""
    for path, text in files.items():
        if not path.endswith((".c", ".h", ".def", ".cc")):
            continue
        whole_lines = path.startswith(("src/", "include/"))
        code = without_comments(text).split("\n")
        for number, (line, rest) in enumerate(zip(text.split("\n"), code), 1):
            if len(line) > COLUMNS_MAX and (whole_lines or len(rest.rstrip()) <= COLUMNS_MAX):
                yield "%s:%d: %d columns, at most %d" % (path, number, len(line), COLUMNS_MAX)


# ---- the preprocessor ------------------------------------------------------------------------------

def guard_of(path):
    return "HAK_" + re.sub(r"\W", "_", path[len("src/"):]).upper()


def check_conditionals(files):
    for path, text in sources(files, ".c", ".h", ".def").items():
        if path.startswith(tuple(CONDITIONALS)):
            continue
        for number, line in enumerate(without_comments(text).split("\n"), 1):
            directive = re.match(r"\s*#\s*((?:if|ifdef|ifndef|elif|else)\b.*)", line)
            is_guard = directive and path.endswith(".h") and directive.group(1).split() == ["ifndef", guard_of(path)]
            if directive and not is_guard:
                yield "%s:%d: #%s" % (path, number, directive.group(1).strip())


def check_guards(files):
    for path, text in sources(files, ".h").items():
        guard = guard_of(path)
        code = without_comments(text).strip()
        if not code.startswith("#ifndef %s\n#define %s\n" % (guard, guard)) or not code.endswith("#endif"):
            yield "%s: the include guard is not %s" % (path, guard)


# ---- names -----------------------------------------------------------------------------------------

def header_names(text):
    return set(re.findall(r"^HAK_API\b[^;]*?\b(hak_\w+)\s*\(", without_comments(text), re.MULTILINE))


def map_names(text):
    text = re.split(r"\blocal\s*:", without_comments(text))[0]
    return set(re.findall(r"([\w$]+)\s*;", text))


def check_public_names(files):
    """The header, the version script and the definitions in src/api name the same calls."""
    declared = header_names(files[PUBLIC_HEADER])
    exported = {name for name in map_names(files["src/api/hakmem.map"]) if name.startswith("hak_")}
    defined = set()
    for path, text in sources(files, ".c").items():
        found = re.findall(r"^HAK_API\b[^;{]*?\b(hak_\w+)\s*\([^;{]*\)\s*\n\{", without_comments(text), re.MULTILINE)
        if found and layer_of(path) != "api":
            yield "%s: defines public names outside of src/api: %s" % (path, ", ".join(found))
        defined.update(found)
    for name in sorted(declared | exported | defined):
        missing = [place for place, names in (("hakmem.h", declared), ("hakmem.map", exported), ("src/api", defined))
                   if name not in names]
        if missing:
            yield "%s is missing in %s" % (name, ", ".join(missing))


# ---- texts -----------------------------------------------------------------------------------------

# Places on somebody's machine. Written so that this line is none of them.
MACHINE_PATH = re.compile(r"(?<![\w.$}/%)*-])/(?:root|home/\w+|work(?=/)|Users/\w+|tmp/bash_jobs)(?![\w-])")


def check_machine_paths(files):
    for path, text in files.items():
        for number, line in enumerate(text.split("\n"), 1):
            if MACHINE_PATH.search(line):
                yield "%s:%d: %s" % (path, number, line.strip()[:100])


def documents(files):
    return {path: text for path, text in files.items() if path.endswith(".md")}


def check_document_names(files):
    """Files, functions and options that the documents name in `code` exist."""
    code = "\n".join(text for path, text in files.items() if path.startswith(("src/", "include/")))
    options = set(re.findall(r"^OPTION\((\w+)", files["src/diag/option.def"], re.MULTILINE))
    folders = {posixpath.dirname(path) for path in files}
    for path, text in documents(files).items():
        for name in set(re.findall(r"`((?:src|include|tests|bench|docs|scripts|packaging)/[\w./-]*)`", text)):
            if name not in files and name.rstrip("/") not in folders | {posixpath.dirname(f) for f in folders}:
                yield "%s: %s does not exist" % (path, name)
        for name in set(re.findall(r"`(\w+)\(\)`", text)):
            if not re.search(r"\b%s\(" % name, code):
                yield "%s: there is no %s()" % (path, name)
        for name in set(re.findall(r"\bHAKMEM_([A-Z]\w*)", text)):
            if name.lower() not in options and name != "NAME":
                yield "%s: there is no option HAKMEM_%s" % (path, name)


def check_links(files):
    """Links between documents lead to files that exist."""
    for path, text in documents(files).items():
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            found = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
            if found not in files and not any(other.startswith(found + "/") for other in files):
                yield "%s: link to %s" % (path, target)
