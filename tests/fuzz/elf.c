/* elf.c - fuzz target: the command-line tool reads any file as a program.
 *
 *   input: the file
 *
 * Uses:  cli/elf.c as an include. Each part of the file is in memory of exactly its size, so that sanitizers see a look
 *        behind its end.
 */
#include "fuzz.h"

#include <stdio.h>
#include <sys/mman.h>

#include "../../cli/elf.c"

enum { LIBRARIES_MAX = 1 << 16 };

static void demand_text(const char *text, size_t size)
{
    demand(!text || strlen(text) < size, "a text of %zu bytes", strlen(text));
}

static void look_at(struct elf *elf, size_t size)
{
    size_t at = 0;
    unsigned n = 0;
    for (const char *name; (name = elf_needed(elf, &at)); n++) {
        demand_text(name, size);
        demand(n < LIBRARIES_MAX, "%u libraries", n);
    }
    demand_text(elf_interpreter(elf), size);
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
    demand(memory >= 0 && ftruncate(memory, (off_t)size) == 0 && pwrite(memory, data, size, 0) == (ssize_t)size,
           "no file of %zu bytes", size);
    const char *wrong = elf_open(&elf, path);
    if (!wrong) look_at(&elf, size);
    demand(!wrong || wrong[0], "no message");
    if (!wrong) elf_close(&elf);
    demand(parts_size == 0, "%zu bytes are held", parts_size);
    fuzz_count(1, wrong != NULL, 0, 0);
    return 0;
}
