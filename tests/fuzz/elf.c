/* elf.c - fuzz target: the command-line tool reads any file as a program.
 *
 *   input: the file
 *
 * Uses:  cli/elf.c as an include. The file is not mapped but copied into memory of exactly its size, so that sanitizers
 *        see a look behind its end.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    const uint8_t *data;
    size_t size;
} given;

static void *copy_of_file(size_t size)
{
    demand(size == given.size, "%zu bytes of %zu", size, given.size);
    void *copy = malloc(size);
    return copy ? memcpy(copy, given.data, size) : MAP_FAILED;
}

#define mmap(at, size, rights, kind, number, offset) copy_of_file(size)
#define munmap(at, size) free(at)
#include "../../cli/elf.c"

enum { LIBRARIES_MAX = 1 << 16 };

static void demand_text(const char *text)
{
    demand(!text || strlen(text) < given.size, "a text of %zu bytes", strlen(text));
}

static void look_at(struct elf *elf)
{
    unsigned n = 0;
    for (const char *name; (name = elf_needed(elf, n)); n++) {
        demand_text(name);
        demand(n < LIBRARIES_MAX, "%u libraries", n);
    }
    demand_text(elf_interpreter(elf));
    (void)elf_has_note(elf);
    (void)elf_has_symbol(elf, "malloc", true);
    (void)elf_has_symbol(elf, "free", false);
    (void)elf_slot(elf, "malloc");
    (void)elf_dynamic(elf, DT_FLAGS_1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int memory = -1;
    static char path[64];
    struct elf elf;
    if (memory < 0) {
        memory = memfd_create("program", MFD_CLOEXEC);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
    }
    given.data = data;
    given.size = size;
    /* Its content is in the copy. */
    demand(memory >= 0 && ftruncate(memory, (off_t)size) == 0, "no file of %zu bytes", size);
    const char *wrong = elf_open(&elf, path);
    if (!wrong) look_at(&elf);
    demand(!wrong || wrong[0], "no message");
    if (!wrong) elf_close(&elf);
    fuzz_count(1, wrong != NULL, 0, 0);
    return 0;
}
