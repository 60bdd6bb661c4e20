/* target.c - see target.h. */
#include "target.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { HEADERS_MAX = 64, NOTES_MAX = 4096, SETTLE_MS = 50, FORMAT_HEAD = offsetof(struct block, heap_count) };

/* ---- memory ---- */

bool target_read(const struct target *target, const void *from, void *to, size_t size)
{
    if (size == 0) return true;
    if (target->memory >= 0) return pread(target->memory, to, size, (off_t)(uintptr_t)from) == (ssize_t)size;
    struct iovec here = {to, size};
    struct iovec there = {(void *)(uintptr_t)from, size};
    return process_vm_readv(target->task, &here, 1, &there, 1, 0) == (ssize_t)size;
}

/* Sandboxes forbid the call sometimes, and the file not; and the other way round. */
bool target_write(const struct target *target, void *at, const void *from, size_t size)
{
    struct iovec here = {(void *)(uintptr_t)from, size};
    struct iovec there = {at, size};
    if (process_vm_writev(target->task, &here, 1, &there, 1, 0) == (ssize_t)size) return true;
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)target->task);
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return false;
    bool done = pwrite(file, from, size, (off_t)(uintptr_t)at) == (ssize_t)size;
    close(file);
    return done;
}

/* Chooses how memory is read. false = no way. */
static bool choose_way(struct target *target, const void *readable)
{
    char byte;
    target->memory = -1;
    if (target_read(target, readable, &byte, 1)) return true;
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/mem", (int)target->task);
    target->memory = open(path, O_RDONLY | O_CLOEXEC);
    if (target->memory >= 0 && target_read(target, readable, &byte, 1)) return true;
    target_close(target);
    return false;
}

/* ---- finding the block ---- */

/* The block that a note of ours in `size` bytes of notes points to, or NULL. */
static const struct block *block_in_notes(const char *notes, size_t size, uintptr_t address)
{
    for (size_t at = 0; at + sizeof(Elf64_Nhdr) <= size;) {
        Elf64_Nhdr note;
        memcpy(&note, notes + at, sizeof(note));
        size_t name = at + sizeof(note);
        size_t content = name + ((size_t)note.n_namesz + 3) / 4 * 4;
        size_t end = content + ((size_t)note.n_descsz + 3) / 4 * 4;
        if (content > size || end > size || end <= at) return NULL;
        if (note.n_namesz == 7 && note.n_descsz == 8 && memcmp(notes + name, "hakmem", 7) == 0) {
            int64_t distance;
            memcpy(&distance, notes + content, sizeof(distance));
            return (const struct block *)(address + content + (uintptr_t)distance);
        }
        at = end;
    }
    return NULL;
}

/* Of the ELF file whose beginning is mapped at `base`. */
static const struct block *block_of_image(const struct target *target, uintptr_t base)
{
    Elf64_Ehdr head;
    Elf64_Phdr headers[HEADERS_MAX];
    char notes[NOTES_MAX];
    if (!target_read(target, (void *)base, &head, sizeof(head))) return NULL;
    if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64) return NULL;
    unsigned count = head.e_phnum < HEADERS_MAX ? head.e_phnum : HEADERS_MAX;
    if (!target_read(target, (void *)(base + head.e_phoff), headers, count * sizeof(*headers))) return NULL;
    uintptr_t bias = base;
    for (unsigned i = 0; i < count; i++)
        if (headers[i].p_type == PT_LOAD && headers[i].p_offset == 0) bias = base - headers[i].p_vaddr;
    for (unsigned i = 0; i < count; i++) {
        size_t size = headers[i].p_memsz < NOTES_MAX ? headers[i].p_memsz : NOTES_MAX;
        uintptr_t address = bias + headers[i].p_vaddr;
        if (headers[i].p_type != PT_NOTE || !target_read(target, (void *)address, notes, size)) continue;
        const struct block *found = block_in_notes(notes, size, address);
        if (found) return found;
    }
    return NULL;
}

/* true = the head of a block of ours is there. A block of another build may be shorter or longer. */
static bool read_block(struct target *target, const struct block *at)
{
    memset(&target->block, 0, sizeof(target->block));
    if (!target_read(target, at, &target->block, FORMAT_HEAD)) return false;
    if (memcmp(target->block.magic, BLOCK_MAGIC, sizeof(target->block.magic)) != 0) return false;
    target->block.version[sizeof(target->block.version) - 1] = 0;
    target->block.build_id[sizeof(target->block.build_id) - 1] = 0;
    size_t size = target->block.size < sizeof(struct block) ? target->block.size : sizeof(struct block);
    return size <= FORMAT_HEAD || target_read(target, at, &target->block, size);
}

static bool is_same_build(const struct block *block)
{
    return block->format == BLOCK_FORMAT && block->size == sizeof(struct block) &&
           strcmp(block->build_id, HAK_BUILD_ID) == 0;
}

/* true = some thread has called this copy of the library. */
static bool is_in_use(const struct target *target)
{
    uint32_t heaps = 0;
    return is_same_build(&target->block) && target_read(target, target->block.heap_count, &heaps, sizeof(heaps)) &&
           heaps > 0;
}

/* Looks through all ELF files of the process; where the library is there twice, for the one in use. */
static bool find_block(struct target *target, FILE *maps, bool *older)
{
    struct mapping_line line;
    struct target found = {.pid = 0};
    *older = false;
    while (mapping_next(maps, &line)) {
        if (line.offset != 0 || line.rights[0] != 'r' || line.path[0] != '/') continue;
        const struct block *at = block_of_image(target, line.start);
        if (!at && strstr(line.path, "/libhakmem.so")) *older = true;
        if (!at || !read_block(target, at)) continue;
        snprintf(target->file, sizeof(target->file), "%s", line.path);
        if (found.pid == 0 || is_in_use(target)) found = *target;
        if (is_in_use(target)) break;
    }
    if (found.pid != 0) *target = found;
    return found.pid != 0;
}

/* ---- opening ---- */

#define REFUSE(target, status, ...) (snprintf((target)->why, sizeof((target)->why), __VA_ARGS__), (status))

static const char *user_of(pid_t pid)
{
    char path[64];
    struct stat info;
    static char name[64];
    snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    if (stat(path, &info) != 0) return "?";
    const struct passwd *user = getpwuid(info.st_uid);
    if (user)
        snprintf(name, sizeof(name), "%s", user->pw_name);
    else
        snprintf(name, sizeof(name), "%u", (unsigned)info.st_uid);
    return name;
}

static bool owner_is_me(pid_t pid)
{
    char path[64];
    struct stat info;
    snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    return stat(path, &info) == 0 && info.st_uid == geteuid();
}

static enum status not_permitted(struct target *target)
{
    if (owner_is_me(target->pid))
        return REFUSE(target, STATUS_NOT_PERMITTED, "not permitted to read process %d: the system forbids it "
                      "(/proc/sys/kernel/yama/ptrace_scope, or a sandbox); try as root", (int)target->pid);
    return REFUSE(target, STATUS_NOT_PERMITTED, "not permitted to read process %d of user %s: try as root "
                  "or as that user", (int)target->pid, user_of(target->pid));
}

static bool is_32_bit(pid_t pid)
{
    unsigned char head[EI_NIDENT];
    FILE *file = process_file(pid, "exe");
    bool is = file && fread(head, sizeof(head), 1, file) == 1 && memcmp(head, ELFMAG, SELFMAG) == 0 &&
              head[EI_CLASS] == ELFCLASS32;
    if (file) fclose(file);
    return is;
}

/* A mapping of the program that can be read, or NULL: a process of the kernel has none. */
static const void *something_readable(FILE *maps)
{
    struct mapping_line line;
    while (mapping_next(maps, &line))
        if (line.rights[0] == 'r' && line.path[0] == '/') return (void *)line.start;
    return NULL;
}

static enum status look_for_block(struct target *target, FILE *maps)
{
    bool older;
    const void *readable = something_readable(maps);
    if (!readable) return REFUSE(target, STATUS_NO_HAKMEM, "process %d is the kernel's", (int)target->pid);
    if (!choose_way(target, readable)) return not_permitted(target);
    rewind(maps);
    if (find_block(target, maps, &older)) return STATUS_DONE;
    if (older)
        return REFUSE(target, STATUS_OTHER_BUILD, "process %d (%s) runs on a hakmem that cannot be read from outside",
                      (int)target->pid, target->name);
    return REFUSE(target, STATUS_NO_HAKMEM, "process %d (%s) does not run on hakmem; start it by 'hakmem run'",
                  (int)target->pid, target->name);
}

enum status target_try(struct target *target, pid_t pid)
{
    *target = (struct target){.pid = pid, .task = process_task(pid), .memory = -1};
    if (target->task == 0 && !procfs_is_mounted()) return REFUSE(target, STATUS_FAILED, PROCFS_MISSING);
    if (target->task == 0) {
        FILE *there = process_file(pid, "stat"); /* what is left of it */
        if (there) fclose(there);
        return REFUSE(target, STATUS_NO_PROCESS, there ? "process %d has ended" : "there is no process %d", (int)pid);
    }
    process_name(pid, target->name, sizeof(target->name));
    FILE *maps = process_file(pid, "maps");
    if (!maps && (errno == ENOENT || errno == ESRCH))
        return REFUSE(target, STATUS_NO_PROCESS, "there is no process %d", (int)pid);
    if (!maps) return not_permitted(target);
    if (is_32_bit(pid)) {
        fclose(maps);
        return REFUSE(target, STATUS_32_BIT, "process %d (%s) is a 32-bit program; hakmem is for 64-bit ones", (int)pid,
                      target->name);
    }
    enum status status = look_for_block(target, maps);
    fclose(maps);
    if (status == STATUS_DONE && !is_same_build(&target->block))
        status = REFUSE(target, STATUS_OTHER_BUILD,
                        "process %d (%s) runs on hakmem %s of build %s; this tool is of build %s: use the "
                        "one of that build",
                        (int)pid, target->name, target->block.version, target->block.build_id, HAK_BUILD_ID);
    if (status == STATUS_DONE) return status;
    target_close(target);
    if (!process_has_ended(pid)) return status;
    return REFUSE(target, STATUS_NO_PROCESS, "process %d has ended", (int)pid); /* so what was found says nothing */
}

void target_reopen(struct target *target)
{
    target_close(target);
    nanosleep(&(struct timespec){.tv_nsec = SETTLE_MS * 1000000L}, NULL);
    enum status status = target_try(target, target->pid);
    if (status != STATUS_DONE) fail(status, "%s", target->why);
}

/* A process that begins, ends, or runs another program looks like one without hakmem for a while, or a foreign one. */
void target_open(struct target *target, pid_t pid)
{
    enum status status = target_try(target, pid);
    if (status == STATUS_NO_PROCESS) fail(status, "%s", target->why);
    if (status != STATUS_DONE) target_reopen(target);
}

bool target_is_there(const struct target *target)
{
    uint32_t heaps;
    return target_read(target, target->block.heap_count, &heaps, sizeof(heaps));
}

void target_close(struct target *target)
{
    if (target->memory >= 0) close(target->memory);
    target->memory = -1;
}
