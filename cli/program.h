/* program.h - an ELF file or script, as far as it matters to who wants to preload a library into it.
 *
 * Uses: nothing of the library. Files are only read.
 */
#ifndef HAK_CLI_PROGRAM_H
#define HAK_CLI_PROGRAM_H

#include <elf.h>

#include "cli.h"

/* A part of a file, in memory of its own; the size is 0 where the file has it not, or not as a whole. */
struct elf_part {
    unsigned char *data;
    size_t size;
};

/* An ELF file of this machine. All zero = none is open. */
struct elf {
    struct elf_part headers;
    struct elf_part dynamic;
    struct elf_part interpreter;
    struct elf_part texts;   /* names; the last one ends */
    struct elf_part symbols;
    struct elf_part slots[2]; /* relocations: of functions, and all others */
    bool has_note;            /* hakmem is in the file itself */
};

/* A file, as a program. */
struct program {
    char path[4096];        /* where it was found; of a script: its interpreter */
    char script[4096];      /* the script, or "" */
    bool takes_preload;
    bool has_hakmem;        /* linked in, as its malloc */
    char why[2 * 4096 + 512]; /* not, or "" */
    char warning[512];      /* it does, but */
    struct elf elf;
};

/* NULL = good; else what is wrong with the file. */
const char *elf_open(struct elf *elf, const char *path);
void elf_close(struct elf *elf);

size_t elf_header_count(const struct elf *elf);
const Elf64_Phdr *elf_headers(const struct elf *elf);

/* A value of the dynamic section; 0 = it has no such entry. */
uint64_t elf_dynamic(const struct elf *elf, int64_t tag);

/* A library that it needs, or NULL at the end. *at, 0 at first, is where the next call goes on. */
const char *elf_needed(const struct elf *elf, size_t *at);

/* true = it defines a function of that name for others, or (defined = false) wants one. */
bool elf_has_symbol(const struct elf *elf, const char *name, bool defined);

/* Where, relative to the file's base, the address of a wanted function is kept once it is known; 0 = it wants none. */
uint64_t elf_slot(const struct elf *elf, const char *name);

const char *elf_interpreter(const struct elf *elf);

/* Looks at the command as execvp would find it, through interpreters of scripts. */
void program_look(struct program *program, const char *command);

/* The name of an allocator that a library's file name tells of, or NULL. */
const char *allocator_of_file(const char *path);

#endif
