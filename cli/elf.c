/* elf.c - reads ELF files, believing nothing in them. See program.h.
 *
 * - A file is read, not mapped: it may shrink meanwhile, and a mapping would then kill who looks at it.
 * - Its parts are read once, when it is opened; those of all open files together are at most PARTS_SIZE_MAX bytes.
 * - Whatever a file says, a question takes time in proportion to its parts.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "program.h"

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64, SLOT_JUMP = R_X86_64_JUMP_SLOT, SLOT_DATA = R_X86_64_GLOB_DAT };
#elif defined(__aarch64__)
enum { MACHINE = EM_AARCH64, SLOT_JUMP = R_AARCH64_JUMP_SLOT, SLOT_DATA = R_AARCH64_GLOB_DAT };
#else
enum { MACHINE = EM_RISCV, SLOT_JUMP = R_RISCV_JUMP_SLOT, SLOT_DATA = R_RISCV_64 };
#endif

#define PARTS_SIZE_MAX ((size_t)1 << 30)

/* A file while it is opened. */
struct source {
    int file;
    uint64_t size;
};

static size_t parts_size; /* of all open files */

/* ---- its parts ---- */

static void drop_part(struct elf_part *part)
{
    free(part->data);
    parts_size -= part->size;
    *part = (struct elf_part){.size = 0};
}

/* A part of the file in memory of its own; an empty one if it is not there as a whole. */
static struct elf_part read_part(const struct source *from, uint64_t offset, uint64_t size)
{
    struct elf_part part = {.size = size};
    if (offset > from->size || size > from->size - offset || size > PARTS_SIZE_MAX - parts_size || size == 0)
        return (struct elf_part){.size = 0};
    parts_size += size;
    part.data = malloc(size);
    for (uint64_t done = 0; done < size;) {
        ssize_t got = part.data ? pread(from->file, part.data + done, size - done, (off_t)(offset + done)) : -1;
        if (got <= 0) {
            drop_part(&part);
            break;
        }
        done += (uint64_t)got;
    }
    return part;
}

/* What will be at an address, relative to the base, as far as it is in one segment, and at most `size` bytes. */
static struct elf_part read_address(const struct elf *elf, const struct source *from, uint64_t address, uint64_t size)
{
    const Elf64_Phdr *headers = elf_headers(elf);
    for (size_t i = 0; address && i < elf_header_count(elf); i++) {
        const Elf64_Phdr *p = &headers[i];
        uint64_t at = address - p->p_vaddr;
        if (p->p_type == PT_LOAD && at < p->p_filesz)
            return read_part(from, p->p_offset + at, size < p->p_filesz - at ? size : p->p_filesz - at);
    }
    return (struct elf_part){.size = 0};
}

/* Texts that all end. */
static struct elf_part ended(struct elf_part texts)
{
    if (texts.size && texts.data[texts.size - 1]) drop_part(&texts);
    return texts;
}

/* How many there are at most. Where no count is given, the table of names bounds them: it follows them in every file
 * that a linker made. */
static uint64_t symbols_max(const struct elf *elf, const struct source *from)
{
    struct elf_part hash = read_address(elf, from, elf_dynamic(elf, DT_HASH), 2 * sizeof(uint32_t));
    uint64_t symbols = elf_dynamic(elf, DT_SYMTAB);
    uint64_t texts = elf_dynamic(elf, DT_STRTAB);
    uint64_t count = (texts > symbols ? texts - symbols : from->size) / sizeof(Elf64_Sym);
    if (hash.size == 2 * sizeof(uint32_t)) count = ((const uint32_t *)(const void *)hash.data)[1];
    drop_part(&hash);
    return count;
}

static void read_notes(struct elf *elf, const struct source *from, const Elf64_Phdr *header)
{
    static const char name[] = "hakmem";
    struct elf_part notes = read_part(from, header->p_offset, header->p_filesz);
    elf->has_note |= notes.size && memmem(notes.data, notes.size, name, sizeof(name));
    drop_part(&notes);
}

static void read_parts(struct elf *elf, const struct source *from)
{
    const Elf64_Phdr *headers = elf_headers(elf);
    for (size_t i = 0; i < elf_header_count(elf); i++) {
        const Elf64_Phdr *p = &headers[i];
        if (p->p_type == PT_DYNAMIC && !elf->dynamic.size) elf->dynamic = read_part(from, p->p_offset, p->p_filesz);
        if (p->p_type == PT_INTERP && !elf->interpreter.size)
            elf->interpreter = ended(read_part(from, p->p_offset, p->p_filesz));
        if (p->p_type == PT_NOTE) read_notes(elf, from, p);
    }
    elf->texts = ended(read_address(elf, from, elf_dynamic(elf, DT_STRTAB), elf_dynamic(elf, DT_STRSZ)));
    uint64_t symbols_size = symbols_max(elf, from) * sizeof(Elf64_Sym);
    elf->symbols = read_address(elf, from, elf_dynamic(elf, DT_SYMTAB), symbols_size);
    elf->slots[0] = read_address(elf, from, elf_dynamic(elf, DT_JMPREL), elf_dynamic(elf, DT_PLTRELSZ));
    elf->slots[1] = read_address(elf, from, elf_dynamic(elf, DT_RELA), elf_dynamic(elf, DT_RELASZ));
}

static const char *read_file(struct elf *elf, const struct source *from)
{
    Elf64_Ehdr head = {.e_phnum = 0};
    ssize_t got = pread(from->file, &head, sizeof(head), 0);
    if (got < SELFMAG || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0) return "is neither an ELF file nor a script";
    if (got > EI_CLASS && head.e_ident[EI_CLASS] == ELFCLASS32) return "is a 32-bit program";
    if (got < (ssize_t)sizeof(head) || head.e_machine != MACHINE) return "is a program for another machine";
    elf->headers = read_part(from, head.e_phoff, head.e_phnum * sizeof(Elf64_Phdr));
    if (!elf->headers.size) return "is a broken ELF file";
    read_parts(elf, from);
    return NULL;
}

const char *elf_open(struct elf *elf, const char *path)
{
    struct stat info;
    *elf = (struct elf){.has_note = false};
    /* Who named the file may have made it a pipe: one is not waited for. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return "cannot be read";
    const char *wrong = "cannot be read";
    if (fstat(file, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0)
        wrong = read_file(elf, &(struct source){file, (uint64_t)info.st_size});
    close(file);
    if (wrong) elf_close(elf);
    return wrong;
}

void elf_close(struct elf *elf)
{
    struct elf_part *const parts[] = {&elf->headers, &elf->dynamic, &elf->interpreter, &elf->texts,
                                      &elf->symbols, &elf->slots[0], &elf->slots[1]};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) drop_part(parts[i]);
    *elf = (struct elf){.has_note = false};
}

/* ---- what they say ---- */

size_t elf_header_count(const struct elf *elf)
{
    return elf->headers.size / sizeof(Elf64_Phdr);
}

const Elf64_Phdr *elf_headers(const struct elf *elf)
{
    return (const void *)elf->headers.data;
}

/* The next entry of the dynamic section with a tag, from *at on, which is then behind it; NULL = there is none. */
static const Elf64_Dyn *next_dynamic(const struct elf *elf, int64_t tag, size_t *at)
{
    const Elf64_Dyn *all = (const void *)elf->dynamic.data;
    for (; *at < elf->dynamic.size / sizeof(*all) && all[*at].d_tag != DT_NULL; ++*at)
        if (all[*at].d_tag == tag) return &all[(*at)++];
    return NULL;
}

uint64_t elf_dynamic(const struct elf *elf, int64_t tag)
{
    size_t at = 0;
    const Elf64_Dyn *found = next_dynamic(elf, tag, &at);
    return found ? found->d_un.d_val : 0;
}

const char *elf_needed(const struct elf *elf, size_t *at)
{
    const Elf64_Dyn *found = next_dynamic(elf, DT_NEEDED, at);
    if (!found) return NULL;
    uint64_t offset = found->d_un.d_val;
    const char *text = offset < elf->texts.size ? (const char *)elf->texts.data + offset : "";
    return strnlen(text, PATH_MAX) < PATH_MAX ? text : "";
}

static bool is_named(const struct elf *elf, const Elf64_Sym *symbol, const char *name)
{
    size_t size = strlen(name) + 1;
    return symbol->st_name < elf->texts.size && size <= elf->texts.size - symbol->st_name &&
           memcmp(elf->texts.data + symbol->st_name, name, size) == 0;
}

bool elf_has_symbol(const struct elf *elf, const char *name, bool defined)
{
    const Elf64_Sym *symbols = (const void *)elf->symbols.data;
    for (size_t i = 1; i < elf->symbols.size / sizeof(*symbols); i++) {
        const Elf64_Sym *s = &symbols[i];
        if ((s->st_shndx != SHN_UNDEF) != defined || (defined && s->st_value == 0)) continue;
        if (is_named(elf, s, name)) return true;
    }
    return false;
}

static uint64_t slot_in(const struct elf *elf, const struct elf_part *part, const char *name)
{
    const Elf64_Rela *slots = (const void *)part->data;
    const Elf64_Sym *symbols = (const void *)elf->symbols.data;
    for (size_t i = 0; i < part->size / sizeof(*slots); i++) {
        uint32_t type = (uint32_t)ELF64_R_TYPE(slots[i].r_info);
        uint64_t symbol = ELF64_R_SYM(slots[i].r_info);
        if ((type == SLOT_JUMP || type == SLOT_DATA) && symbol < elf->symbols.size / sizeof(*symbols) &&
            is_named(elf, &symbols[symbol], name))
            return slots[i].r_offset;
    }
    return 0;
}

uint64_t elf_slot(const struct elf *elf, const char *name)
{
    uint64_t slot = slot_in(elf, &elf->slots[0], name);
    return slot ? slot : slot_in(elf, &elf->slots[1], name);
}

const char *elf_interpreter(const struct elf *elf)
{
    return elf->interpreter.size ? (const char *)elf->interpreter.data : NULL;
}
