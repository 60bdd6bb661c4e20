/* program.h - an ELF file or script, as far as it matters to who wants to preload a library into it.
 *
 * Uses: nothing of the library. Files are only read.
 */
#ifndef HAK_CLI_PROGRAM_H
#define HAK_CLI_PROGRAM_H

#include <elf.h>

#include "cli.h"

/* An ELF file of this machine, read whole. */
struct elf {
    unsigned char *data;
    size_t size;
    const Elf64_Phdr *headers;
    unsigned header_count;
    const Elf64_Dyn *dynamic;
    size_t dynamic_count;
};

/* A file, as a program. */
struct program {
    char path[4096];        /* where it was found; of a script: its interpreter */
    char script[4096];      /* the script, or "" */
    bool takes_preload;
    char why[2 * 4096 + 512]; /* not, or "" */
    char warning[512];      /* it does, but */
    struct elf elf;
};

/* NULL = good; else what is wrong with the file. */
const char *elf_open(struct elf *elf, const char *path);
void elf_close(struct elf *elf);

/* A value of the dynamic section; 0 = it has no such entry. */
uint64_t elf_dynamic(const struct elf *elf, int64_t tag);

/* The n-th library that it needs, or NULL. */
const char *elf_needed(const struct elf *elf, unsigned n);

/* true = it defines a function of that name for others, or (defined = false) wants one. */
bool elf_has_symbol(const struct elf *elf, const char *name, bool defined);

/* Where, relative to the file's base, the address of a wanted function is kept once it is known; 0 = it wants none. */
uint64_t elf_slot(const struct elf *elf, const char *name);

const char *elf_interpreter(const struct elf *elf);

/* true = hakmem is in the file itself. */
bool elf_has_note(const struct elf *elf);

/* Looks at the command as execvp would find it, through interpreters of scripts. */
void program_look(struct program *program, const char *command);

/* The name of an allocator that a library's file name tells of, or NULL. */
const char *allocator_of_file(const char *path);

#endif
