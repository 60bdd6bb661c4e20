/* program.c - finds a command, and whether a library can be preloaded into it. See program.h. */
#include "program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { INTERPRETERS_MAX = 4, LINE_MAX_BYTES = 256 };

const char *allocator_of_file(const char *path)
{
    static const char *const names[] = {"jemalloc", "mimalloc", "tcmalloc", "snmalloc", "rpmalloc", "tbbmalloc",
                                        "hoard",    "scudo",    "hardened_malloc", "libmesh.so", "libasan", "libtsan"};
    const char *file = strrchr(path, '/');
    file = file ? file + 1 : path;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strstr(file, names[i])) return names[i];
    return NULL;
}

/* ---- finding it ---- */

static bool is_executable(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

static bool search_path(char *out, size_t size, const char *command)
{
    const char *path = getenv("PATH");
    for (path = path ? path : "/bin:/usr/bin"; *path;) {
        size_t length = strcspn(path, ":");
        int written = snprintf(out, size, "%.*s/%s", length ? (int)length : 1, length ? path : ".", command);
        if (written > 0 && (size_t)written < size && is_executable(out)) return true;
        path += length + (path[length] == ':');
    }
    return false;
}

static bool find_command(struct program *p, const char *command)
{
    if (strchr(command, '/')) {
        snprintf(p->path, sizeof(p->path), "%s", command);
        if (is_executable(p->path)) return true;
        snprintf(p->why, sizeof(p->why), "%s: %s", command,
                 access(command, F_OK) == 0 ? "not executable" : "not found");
        return false;
    }
    if (search_path(p->path, sizeof(p->path), command)) return true;
    snprintf(p->why, sizeof(p->why), "%s: not found", command);
    return false;
}

/* ---- scripts ---- */

/* The interpreter of a script; env's is the command that env would run. The system takes no text that names none:
 * execvp() gives it to the shell. false = no script. */
static bool interpreter_of(const char *path, char *out, size_t size)
{
    char line[LINE_MAX_BYTES + 1] = "";
    FILE *file = fopen(path, "re");
    if (!file) return false;
    size_t length = fread(line, 1, LINE_MAX_BYTES, file);
    fclose(file);
    bool is_named = length >= 2 && memcmp(line, "#!", 2) == 0;
    bool is_text = !memchr(line, 0, length) && (length < SELFMAG || memcmp(line, ELFMAG, SELFMAG) != 0);
    if (!is_named && !is_text) return false;
    line[strcspn(line, "\n")] = 0;
    char *rest = NULL;
    char *word = is_named ? strtok_r(line + 2, " \t", &rest) : NULL;
    const char *base = word ? strrchr(word, '/') : NULL;
    if (word && base && strcmp(base, "/env") == 0) {
        char *next = strtok_r(NULL, " \t", &rest);
        while (next && (next[0] == '-' || strchr(next, '='))) next = strtok_r(NULL, " \t", &rest);
        if (next) word = next;
    }
    snprintf(out, size, "%s", word ? word : "/bin/sh");
    return true;
}

/* ---- what it takes ---- */

static void refuse(struct program *p, const char *what)
{
    snprintf(p->why, sizeof(p->why), "%s%s%s %s", p->path, *p->script ? ", which runs " : "", p->script, what);
}

/* The kernel makes the dynamic linker ignore LD_PRELOAD when a program gains rights by being run. */
static bool gains_rights(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) return false;
    if ((info.st_mode & S_ISUID) && info.st_uid != geteuid()) return true;
    if ((info.st_mode & S_ISGID) && (info.st_mode & S_IXGRP) && info.st_gid != getegid()) return true;
    return getxattr(path, "security.capability", NULL, 0) > 0 && geteuid() != 0;
}

static void warn_of_others(struct program *p)
{
    const char *needed;
    for (size_t at = 0; (needed = elf_needed(&p->elf, &at));)
        if (allocator_of_file(needed)) {
            snprintf(p->warning, sizeof(p->warning), "it is linked with %s; hakmem comes first and serves malloc, but "
                     "calls of that allocator's own names still go there", needed);
            return;
        }
    if (elf_has_symbol(&p->elf, "malloc", true))
        snprintf(p->warning, sizeof(p->warning), "the program defines malloc itself and may use its own: link it "
                 "without");
}

static void judge(struct program *p)
{
    const char *wrong = elf_open(&p->elf, p->path);
    const char *interpreter = wrong ? NULL : elf_interpreter(&p->elf);
    /* With another malloc it has the names hak_* only. What is static does not show its names. */
    p->has_hakmem = p->elf.has_note && (!interpreter || elf_has_symbol(&p->elf, "malloc", true));
    if (wrong)
        refuse(p, wrong);
    else if (p->has_hakmem)
        refuse(p, "has hakmem linked in: run it as it is");
    else if (!interpreter)
        refuse(p, "is linked statically: link it with libhakmem.a instead");
    else if (gains_rights(p->path))
        refuse(p, "is set-user-ID, set-group-ID or has capabilities: Linux preloads nothing into such programs; link "
                  "it with libhakmem");
    else if (strstr(interpreter, "ld-musl"))
        refuse(p, "is linked with musl: hakmem is built for glibc");
    else
        p->takes_preload = true;
    if (p->takes_preload) warn_of_others(p);
}

void program_look(struct program *p, const char *command)
{
    char next[LINE_MAX_BYTES + 1];
    memset(p, 0, sizeof(*p));
    if (!find_command(p, command)) return;
    for (unsigned i = 0; i < INTERPRETERS_MAX && interpreter_of(p->path, next, sizeof(next)); i++) {
        if (!*p->script) snprintf(p->script, sizeof(p->script), "%s", p->path);
        if (!find_command(p, next)) return;
    }
    judge(p);
}
