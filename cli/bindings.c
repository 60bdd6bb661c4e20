/* bindings.c - which malloc the files of a running process call: the slots that the dynamic linker has filled in are
 * read from its memory. See doctor.h. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "program.h"
#include "target.h"

enum { FILES_NAMED = 4 };

/* An ELF file of the process. */
struct image {
    struct mapping_line line; /* where its beginning is mapped */
    struct elf elf;
    uintptr_t bias;
};

struct images {
    struct image *image;
    size_t count;
    struct mapping_line *lines; /* all of the process */
    size_t line_count;
};

static void add_image(struct images *all, pid_t pid, const struct mapping_line *line)
{
    char path[512];
    struct image image = {.line = *line};
    snprintf(path, sizeof(path), "/proc/%d/root%s", (int)process_task(pid), line->path);
    if (elf_open(&image.elf, path) != NULL) return;
    image.bias = line->start;
    const Elf64_Phdr *headers = elf_headers(&image.elf);
    for (size_t i = 0; i < elf_header_count(&image.elf); i++)
        if (headers[i].p_type == PT_LOAD && headers[i].p_offset == 0) image.bias = line->start - headers[i].p_vaddr;
    all->image = grow_memory(all->image, (all->count + 1) * sizeof(*all->image));
    all->image[all->count++] = image;
}

static void load_images(struct images *all, pid_t pid)
{
    struct mapping_line line;
    FILE *maps = process_file(pid, "maps");
    *all = (struct images){.count = 0};
    while (maps && mapping_next(maps, &line)) {
        all->lines = grow_memory(all->lines, (all->line_count + 1) * sizeof(line));
        all->lines[all->line_count++] = line;
        if (line.offset == 0 && line.path[0] == '/') add_image(all, pid, &line);
    }
    if (maps) fclose(maps);
}

static void free_images(struct images *all)
{
    for (size_t i = 0; i < all->count; i++) elf_close(&all->image[i].elf);
    free(all->image);
    free(all->lines);
}

/* The file at an address; "" = none. */
static const char *file_at(const struct images *all, uintptr_t address)
{
    for (size_t i = 0; i < all->line_count; i++)
        if (address - all->lines[i].start < all->lines[i].end - all->lines[i].start) return all->lines[i].path;
    return "";
}

static const struct image *image_of(const struct images *all, const char *path)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->image[i].line.path, path) == 0) return &all->image[i];
    return NULL;
}

/* The file whose function an image calls by `name`; NULL = it does not, or has not yet. A program that is not
 * position-independent may lend its own jump to all others: then its slot tells. */
static const char *bound_to(const struct images *all, const struct target *target, const struct image *image,
                            const char *name)
{
    for (unsigned jumps = 0; jumps < 2 && image; jumps++) {
        uintptr_t address = 0;
        uint64_t slot = elf_slot(&image->elf, name);
        if (slot == 0 || !target_read(target, (void *)(image->bias + slot), &address, sizeof(address))) return NULL;
        const char *file = file_at(all, address);
        const struct image *next = image_of(all, file);
        if (!next || elf_has_symbol(&next->elf, name, true)) return *file ? file : NULL;
        if (next == image) return NULL; /* not yet */
        image = next;
    }
    return NULL;
}

static bool is_the_system(const char *path)
{
    const char *file = strrchr(path, '/');
    return file && (strncmp(file, "/ld-", 4) == 0 || strncmp(file, "/libc.so", 8) == 0 ||
                    strncmp(file, "/libc-", 6) == 0);
}

/* ---- the program's own ---- */

/* The file that the process runs; NULL = it is not to be had, or the dynamic linker was given the program. */
static const struct image *program_of(const struct images *all, pid_t pid)
{
    char link[64], file[sizeof(all->lines->path)] = "";
    snprintf(link, sizeof(link), "/proc/%d/exe", (int)process_task(pid));
    if (readlink(link, file, sizeof(file) - 1) <= 0 || is_the_system(file)) return NULL;
    return image_of(all, file);
}

/* The file whose malloc the program calls. Where it has called none yet, libc's own calls tell, which are bound at
 * the start. NULL = nothing tells: as in a static program. */
static const char *malloc_of_program(const struct images *all, const struct target *target)
{
    const char *file = NULL;
    const struct image *program = program_of(all, target->pid);
    if (program && elf_has_symbol(&program->elf, "malloc", true)) return program->line.path;
    if (program) file = bound_to(all, target, program, "malloc");
    if (program && !file) file = bound_to(all, target, program, "free");
    for (size_t i = 0; !file && i < all->count; i++)
        if (is_the_system(all->image[i].line.path)) file = bound_to(all, target, &all->image[i], "malloc");
    return file;
}

enum verdict { HAKMEMS, OWN_NAMES, OTHERS };

/* Of a process with hakmem in it: whether its malloc, that of `file`, is hakmem's. */
static enum verdict judge(const struct images *all, const struct target *target, const char *file)
{
    if (!file || strcmp(file, target->file) == 0) return HAKMEMS;
    const struct image *image = image_of(all, file);
    if (image && image->elf.has_note) return HAKMEMS;
    const struct image *holder = image_of(all, target->file);
    return holder && !elf_has_symbol(&holder->elf, "malloc", true) ? OWN_NAMES : OTHERS;
}

static void tell_verdict(const struct images *all, const struct target *target, const char *file, enum verdict verdict)
{
    int pid = (int)target->pid;
    const struct image *program = program_of(all, target->pid);
    if (verdict == OWN_NAMES)
        found(NOTE, "process %d (%s): hakmem is in it under its own names (hak_malloc ...): %s; malloc is another one: %s",
              pid, target->name, target->file, file);
    else if (verdict == OTHERS && program && strcmp(file, program->line.path) == 0)
        found(PROBLEM, "process %d (%s) has hakmem in it (%s), but the program defines malloc itself: link it without",
              pid, target->name, target->file);
    else if (verdict == OTHERS)
        found(PROBLEM, "process %d (%s) has hakmem in it (%s), but its malloc is that of %s: start it by 'hakmem run', "
              "which puts hakmem first", pid, target->name, target->file, file);
    else if (!file || strcmp(file, target->file) == 0)
        found(FINE, "process %d (%s) runs on hakmem %s: %s", pid, target->name, target->block.version, target->file);
    else
        found(FINE, "process %d (%s) runs on the hakmem of %s", pid, target->name, file);
}

/* ---- the others ---- */

/* In a process whose malloc is that of `ours`. */
static void examine_bindings(const struct images *all, const struct target *target, const char *ours)
{
    unsigned good = 0;
    unsigned others = 0;
    for (size_t i = 0; i < all->count; i++) {
        const struct image *image = &all->image[i];
        const char *file = bound_to(all, target, image, "malloc");
        if (!file) file = bound_to(all, target, image, "free");
        if (!file || strcmp(image->line.path, file) == 0 || is_the_system(image->line.path)) continue;
        if (strcmp(file, ours) == 0) {
            good++;
        } else if (++others <= FILES_NAMED) {
            found(PROBLEM, "%s calls the malloc of %s: it was loaded with RTLD_DEEPBIND, or is linked so; blocks that "
                  "it passes on are freed by the right allocator, but one of the program's that it frees ends the "
                  "process (\"free(): invalid pointer\"), and its memory is not hakmem's",
                  image->line.path, file);
        }
    }
    if (good > 0) found(FINE, "%u of its files call hakmem's malloc", good);
    if (others > FILES_NAMED) found(NOTE, "%u more call another malloc", others - FILES_NAMED);
}

/* `told`: a file of which it is known that its malloc is the program's, or NULL. */
static void examine_allocators(const struct images *all, const char *told)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct image *image = &all->image[i];
        const char *name = allocator_of_file(image->line.path);
        if (name) {
            found(PROBLEM, "a second allocator is in the process: %s (%s); start the program "
                  "without it", name, image->line.path);
        } else if (!image->elf.has_note && !is_the_system(image->line.path) &&
                   (!told || strcmp(told, image->line.path) != 0) && elf_has_symbol(&image->elf, "malloc", true)) {
            found(NOTE, "%s defines malloc, too", image->line.path);
        }
    }
}

static void examine_copies(const struct images *all)
{
    unsigned copies = 0;
    unsigned mallocs = 0;
    for (size_t i = 0; i < all->count; i++) {
        const struct elf *elf = &all->image[i].elf;
        copies += elf->has_note;
        mallocs += elf->has_note && elf_has_symbol(elf, "malloc", true);
    }
    if (mallocs > 1)
        found(PROBLEM, "%u copies of hakmem are in the process; each has a heap of its own: use one", copies);
    else if (copies > 1)
        found(NOTE, "%u copies of hakmem are in the process, %s under its own names (hak_malloc ...); each has a heap of "
              "its own", copies, mallocs + 1 < copies ? "some" : "one");
}

static void explain_absence(pid_t pid)
{
    char path[64];
    struct elf elf;
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    if (elf_open(&elf, path) != NULL) return;
    if (!elf_interpreter(&elf)) found(PROBLEM, "the program is linked statically: link it with libhakmem.a");
    elf_close(&elf);
}

/* A process that hakmem is in, of this build or, of which less can be told, of another. */
static void examine_malloc(const struct images *all, const struct target *target, bool is_readable)
{
    const char *file = malloc_of_program(all, target);
    enum verdict verdict = judge(all, target, file);
    if (is_readable || verdict != HAKMEMS) tell_verdict(all, target, file, verdict);
    if (verdict != OWN_NAMES) examine_allocators(all, file);
    examine_copies(all);
    if (is_readable && verdict == HAKMEMS) examine_bindings(all, target, file ? file : target->file);
}

void examine_process(pid_t pid)
{
    struct target target;
    struct images all;
    enum status status = target_try(&target, pid);
    if (status != STATUS_DONE && status != STATUS_NO_HAKMEM && status != STATUS_OTHER_BUILD)
        fail(status, "%s", target.why);
    load_images(&all, pid);
    if (status != STATUS_DONE) found(PROBLEM, "%s", target.why);
    if (status == STATUS_NO_HAKMEM) explain_absence(pid);
    if (*target.file) {
        examine_malloc(&all, &target, status == STATUS_DONE);
    } else {
        examine_allocators(&all, NULL);
        examine_copies(&all);
    }
    if (status == STATUS_DONE) target_close(&target);
    free_images(&all);
}
