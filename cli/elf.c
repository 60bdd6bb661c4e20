/* elf.c - reads ELF files, believing nothing in them. See program.h. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

static const void *at_offset(const struct elf *elf, uint64_t offset, uint64_t size)
{
    return offset <= elf->size && size <= elf->size - offset ? elf->data + offset : NULL;
}

/* What will be at an address, relative to the base; as aligned as its type must be. */
static const void *at_address(const struct elf *elf, uint64_t address, uint64_t size, uint64_t alignment)
{
    for (unsigned i = 0; i < elf->header_count; i++) {
        const Elf64_Phdr *p = &elf->headers[i];
        uint64_t offset = p->p_offset + (address - p->p_vaddr);
        if (p->p_type == PT_LOAD && address - p->p_vaddr < p->p_filesz && size <= p->p_filesz - (address - p->p_vaddr))
            return offset % alignment == 0 ? at_offset(elf, offset, size) : NULL;
    }
    return NULL;
}

static const char *check_head(struct elf *elf)
{
    const Elf64_Ehdr *head = at_offset(elf, 0, sizeof(*head));
    if (elf->size < SELFMAG || memcmp(elf->data, ELFMAG, SELFMAG) != 0) return "is neither an ELF file nor a script";
    if (elf->size > EI_CLASS && elf->data[EI_CLASS] == ELFCLASS32) return "is a 32-bit program";
    if (!head || head->e_machine != MACHINE) return "is a program for another machine";
    elf->headers = at_offset(elf, head->e_phoff, head->e_phnum * sizeof(Elf64_Phdr));
    if (!elf->headers || head->e_phoff % _Alignof(Elf64_Phdr) != 0) return "is a broken ELF file";
    elf->header_count = head->e_phnum;
    for (unsigned i = 0; i < elf->header_count; i++) {
        const Elf64_Phdr *p = &elf->headers[i];
        if (p->p_type != PT_DYNAMIC || p->p_offset % _Alignof(Elf64_Dyn) != 0) continue;
        elf->dynamic = at_offset(elf, p->p_offset, p->p_filesz);
        elf->dynamic_count = elf->dynamic ? p->p_filesz / sizeof(Elf64_Dyn) : 0;
    }
    return NULL;
}

const char *elf_open(struct elf *elf, const char *path)
{
    struct stat info;
    *elf = (struct elf){.data = NULL};
    /* Who named the file may have made it a pipe: one is not waited for. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) return "cannot be read";
    if (fstat(file, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
        elf->size = (size_t)info.st_size;
        elf->data = mmap(NULL, elf->size, PROT_READ, MAP_PRIVATE, file, 0);
        if (elf->data == MAP_FAILED) elf->data = NULL;
    }
    close(file);
    if (!elf->data) return "cannot be read";
    const char *wrong = check_head(elf);
    if (wrong) elf_close(elf);
    return wrong;
}

void elf_close(struct elf *elf)
{
    if (elf->data) munmap(elf->data, elf->size);
    *elf = (struct elf){.data = NULL};
}

uint64_t elf_dynamic(const struct elf *elf, int64_t tag)
{
    for (size_t i = 0; i < elf->dynamic_count && elf->dynamic[i].d_tag != DT_NULL; i++)
        if (elf->dynamic[i].d_tag == tag) return elf->dynamic[i].d_un.d_val;
    return 0;
}

/* A text of the table of names; "" = there is none. */
static const char *text_at(const struct elf *elf, uint64_t offset)
{
    uint64_t size = elf_dynamic(elf, DT_STRSZ);
    const char *texts = at_address(elf, elf_dynamic(elf, DT_STRTAB), size, 1);
    if (!texts || offset >= size || !memchr(texts + offset, 0, size - offset)) return "";
    return texts + offset;
}

const char *elf_needed(const struct elf *elf, unsigned n)
{
    for (size_t i = 0; i < elf->dynamic_count && elf->dynamic[i].d_tag != DT_NULL; i++)
        if (elf->dynamic[i].d_tag == DT_NEEDED && n-- == 0) return text_at(elf, elf->dynamic[i].d_un.d_val);
    return NULL;
}

static const Elf64_Sym *symbol_at(const struct elf *elf, uint64_t index)
{
    uint64_t address = elf_dynamic(elf, DT_SYMTAB) + index * sizeof(Elf64_Sym);
    return at_address(elf, address, sizeof(Elf64_Sym), _Alignof(Elf64_Sym));
}

/* The table of names follows the symbols in every file that is made: that bounds them where no count is given. */
static uint64_t symbol_count(const struct elf *elf)
{
    uint64_t table = elf_dynamic(elf, DT_HASH);
    const uint32_t *hash = table ? at_address(elf, table, 2 * sizeof(uint32_t), _Alignof(uint32_t)) : NULL;
    if (hash) return hash[1];
    uint64_t symbols = elf_dynamic(elf, DT_SYMTAB);
    uint64_t texts = elf_dynamic(elf, DT_STRTAB);
    return symbols && texts > symbols ? (texts - symbols) / sizeof(Elf64_Sym) : 0;
}

bool elf_has_symbol(const struct elf *elf, const char *name, bool defined)
{
    uint64_t count = symbol_count(elf);
    for (uint64_t i = 1; i < count; i++) {
        const Elf64_Sym *s = symbol_at(elf, i);
        if (!s) return false;
        if ((s->st_shndx != SHN_UNDEF) != defined || (defined && s->st_value == 0)) continue;
        if (strcmp(text_at(elf, s->st_name), name) == 0) return true;
    }
    return false;
}

static uint64_t slot_in(const struct elf *elf, uint64_t table, uint64_t size, const char *name)
{
    for (uint64_t at = 0; at + sizeof(Elf64_Rela) <= size; at += sizeof(Elf64_Rela)) {
        const Elf64_Rela *r = at_address(elf, table + at, sizeof(*r), _Alignof(Elf64_Rela));
        if (!r) return 0;
        uint32_t type = (uint32_t)ELF64_R_TYPE(r->r_info);
        if (type != SLOT_JUMP && type != SLOT_DATA) continue;
        const Elf64_Sym *s = symbol_at(elf, ELF64_R_SYM(r->r_info));
        if (s && strcmp(text_at(elf, s->st_name), name) == 0) return r->r_offset;
    }
    return 0;
}

uint64_t elf_slot(const struct elf *elf, const char *name)
{
    uint64_t slot = slot_in(elf, elf_dynamic(elf, DT_JMPREL), elf_dynamic(elf, DT_PLTRELSZ), name);
    return slot ? slot : slot_in(elf, elf_dynamic(elf, DT_RELA), elf_dynamic(elf, DT_RELASZ), name);
}

const char *elf_interpreter(const struct elf *elf)
{
    for (unsigned i = 0; i < elf->header_count; i++) {
        const Elf64_Phdr *p = &elf->headers[i];
        if (p->p_type != PT_INTERP) continue;
        const char *text = at_offset(elf, p->p_offset, p->p_filesz);
        return text && memchr(text, 0, p->p_filesz) ? text : NULL;
    }
    return NULL;
}

bool elf_has_note(const struct elf *elf)
{
    static const char name[] = "hakmem";
    for (unsigned i = 0; i < elf->header_count; i++) {
        const Elf64_Phdr *p = &elf->headers[i];
        const char *notes = p->p_type == PT_NOTE ? at_offset(elf, p->p_offset, p->p_filesz) : NULL;
        if (notes && memmem(notes, p->p_filesz, name, sizeof(name))) return true;
    }
    return false;
}
