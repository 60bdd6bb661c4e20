/* inherited.c - see inherited.h, and of thread.h what is about rights.
 *
 * Uses: os. Callers: the thread itself.
 * Locks: none.
 *
 * Rights are those of the thread that made it: setuid() and friends of libc change those of libc's threads only. So a
 * thread that has any looks, before it does anything, whether the process has them still, as its first thread shows.
 * What was put aside and can be had back counts as there.
 *
 * Descriptors: it has an empty table instead of the program's.
 *
 * Folders: it has its own, for setns() and unshare() fail for a thread whose folders another has, too; and is in the
 * root folder, since one that a thread is in cannot be unmounted.
 *
 * Namespaces, and the root folder: it ends where it has not those of the process's first thread, for it would keep them
 * from going away.
 *
 * Schedule: the first thread's, or an ordinary one where that is refused. One that hardly runs would keep others
 * waiting for the lock of a heap. So would one beside a thread that runs before all ordinary ones, on the same
 * processors: where the first thread does, or the one that would make it, there is none.
 */
#include "inherited.h"

#include <fcntl.h>
#include <sched.h>

#include "../base/number.h"
#include "os.h"
#include "system_call.h"
#include "thread.h"

/* ---- folders and namespaces ---- */

/* Made without CLONE_FS, it has its own. That is made sure of: an interposed clone() may know better. */
static bool leave_folders(void)
{
    if (system_call_failed(system_call(SYS_unshare, CLONE_FS, 0, 0, 0, 0, 0))) return false;
    return !system_call_failed(system_call(SYS_chdir, (long)"/", 0, 0, 0, 0, 0));
}

enum { LINK_TEXT = 64 };

/* What a link says, as far as it fits; 0 = there is none, or it may not be read. */
static long read_link(const char *path, char text[LINK_TEXT])
{
    long length = system_call(SYS_readlinkat, AT_FDCWD, (long)path, (long)text, LINK_TEXT, 0, 0);
    return length > 0 ? length : 0;
}

/* What cannot be compared counts as the same. */
static bool differ(const char *link_of_process, const char *link_of_thread)
{
    char of_process[LINK_TEXT], of_thread[LINK_TEXT];
    long length = read_link(link_of_process, of_process), other = read_link(link_of_thread, of_thread);
    if (length == 0 || other == 0) return false;
    return length != other || __builtin_memcmp(of_process, of_thread, (size_t)length) != 0;
}

static bool is_elsewhere(void)
{
    return differ("/proc/self/ns/net", "/proc/thread-self/ns/net") ||
           differ("/proc/self/ns/mnt", "/proc/thread-self/ns/mnt") ||
           differ("/proc/self/ns/ipc", "/proc/thread-self/ns/ipc") ||
           differ("/proc/self/root", "/proc/thread-self/root");
}

/* ---- schedule ---- */

struct schedule { /* the kernel's struct sched_attr, as it was first */
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

/* true = it runs before all ordinary threads, for as long as it likes. */
static bool is_real_time(uint32_t policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

static bool has_schedule(uint32_t thread, struct schedule *s)
{
    return !system_call_failed(system_call(SYS_sched_getattr, thread, (long)s, sizeof(*s), 0, 0, 0));
}

static bool set_schedule(const struct schedule *s)
{
    return !system_call_failed(system_call(SYS_sched_setattr, 0, (long)s, 0, 0, 0, 0));
}

/* What cannot be asked stays as it is. Nobody else gets a share that was set aside for the first thread. */
static bool take_schedule(uint32_t of_thread)
{
    enum { DEADLINE = 6 }; /* SCHED_DEADLINE, which headers may not know */
    const struct schedule ordinary = {.size = sizeof(ordinary), .policy = SCHED_OTHER};
    struct schedule s;
    if (!has_schedule(of_thread, &s)) return true;
    if (is_real_time(s.policy)) return false;
    return (s.policy != DEADLINE && set_schedule(&s)) || set_schedule(&ordinary);
}

enum { MASK_WORDS = 128 };

/* Returns bytes, or what a refusal is. */
static long read_processors(uint32_t of_thread, uint64_t mask[MASK_WORDS])
{
    return system_call(SYS_sched_getaffinity, of_thread, MASK_WORDS * sizeof(*mask), (long)mask, 0, 0, 0);
}

static bool take_processors(uint32_t of_thread)
{
    uint64_t wish[MASK_WORDS], own[MASK_WORDS];
    long size = read_processors(of_thread, wish);
    if (size <= 0 || read_processors(0, own) != size) return true;
    if (__builtin_memcmp(wish, own, (size_t)size) == 0) return true;
    return !system_call_failed(system_call(SYS_sched_setaffinity, 0, size, (long)wish, 0, 0, 0));
}

/* ---- rights ---- */

enum { REAL, EFFECTIVE, SAVED, IDS };

struct rights {
    uint32_t user[IDS];
    uint32_t group[IDS];
    uint64_t capabilities; /* permitted */
};

static struct rights own_rights; /* of the thread: nobody can change them */
static bool may_outlive_rights;  /* there is something that the process could give up */

/* 0 = of the calling thread. */
static bool read_capabilities(uint32_t thread, uint64_t *permitted)
{
    enum { VERSION = 0x20080522 };
    struct {
        uint32_t version, thread;
    } whose = {VERSION, thread};
    struct {
        uint32_t effective, permitted, inheritable;
    } half[2] = {{0}};
    if (system_call_failed(system_call(SYS_capget, (long)&whose, (long)half, 0, 0, 0, 0))) return false;
    *permitted = half[0].permitted | (uint64_t)half[1].permitted << 32;
    return true;
}

static bool read_own_rights(struct rights *r)
{
    uint32_t *u = r->user, *g = r->group;
    long users = system_call(SYS_getresuid, (long)&u[REAL], (long)&u[EFFECTIVE], (long)&u[SAVED], 0, 0, 0);
    long groups = system_call(SYS_getresgid, (long)&g[REAL], (long)&g[EFFECTIVE], (long)&g[SAVED], 0, 0, 0);
    return users == 0 && groups == 0 && read_capabilities(0, &r->capabilities);
}

/* Of numbers after blanks, in a line that begins so. */
static bool read_ids(const char *text, const char *line, uint32_t id[IDS])
{
    const char *at = __builtin_strstr(text, line);
    if (!at) return false;
    at += __builtin_strlen(line);
    for (unsigned i = 0; i < IDS; i++) {
        uint64_t number;
        while (*at == '\t' || *at == ' ') at++;
        at = read_number(at, 10, &number);
        id[i] = (uint32_t)number;
    }
    return true;
}

/* false also where the first thread has ended: nothing reaches that any more. */
static bool read_ids_of_process(struct rights *r)
{
    char text[1024];
    if (!os_read_text("/proc/self/status", text, sizeof(text)) || __builtin_strstr(text, "\nState:\tZ")) return false;
    return read_ids(text, "\nUid:", r->user) && read_ids(text, "\nGid:", r->group);
}

static bool has_id(const uint32_t id[IDS], uint32_t wanted)
{
    return id[REAL] == wanted || id[EFFECTIVE] == wanted || id[SAVED] == wanted;
}

static bool has_ids(const uint32_t id[IDS], const uint32_t wanted[IDS])
{
    return has_id(id, wanted[REAL]) && has_id(id, wanted[EFFECTIVE]) && has_id(id, wanted[SAVED]);
}

static bool are_one(const uint32_t id[IDS])
{
    return id[REAL] == id[EFFECTIVE] && id[REAL] == id[SAVED];
}

static bool may_give_up(const struct rights *r)
{
    return r->capabilities != 0 || has_id(r->user, 0) || !are_one(r->user) || !are_one(r->group);
}

static bool has_rights(const struct rights *r, const struct rights *wanted)
{
    return has_ids(r->user, wanted->user) && has_ids(r->group, wanted->group) &&
           (wanted->capabilities & ~r->capabilities) == 0;
}

bool os_thread_outlives_rights(void)
{
    struct rights of_process;
    if (system_calls_are_filtered()) return true; /* there was no filter when the thread was made */
    if (!may_outlive_rights) return false; /* it takes rights to go elsewhere, too */
    if (is_elsewhere() || !read_ids_of_process(&of_process)) return true;
    if (!read_capabilities(system_process(), &of_process.capabilities)) return true;
    return !has_rights(&of_process, &own_rights);
}

/* ---- descriptors ---- */

/* Whom a message queue shall tell of messages is forgotten when a thread of the process closes it. The call does
 * nothing to it, nor to any other file. */
static bool is_queue(unsigned descriptor)
{
    return !system_call_failed(system_call(SYS_mq_getsetattr, descriptor, 0, 0, 0, 0, 0));
}

/* The kernel copies the beginning of the table, however little of it shall stay open, and closes that. false = some of
 * it may not be closed; or the system cannot (before Linux 5.9), and a file that the thread opened would be the
 * program's. */
static bool leave_descriptors(void)
{
    enum { CLOSE_AND_UNSHARE = 1 << 1, COPIED = 64 };
    for (unsigned i = 0; i < COPIED; i++)
        if (is_queue(i)) return false;
    return !system_call_failed(system_call(SYS_close_range, 0, ~0u, CLOSE_AND_UNSHARE, 0, 0, 0));
}

/* ---- */

bool inherited_allows(void)
{
    struct schedule own, first;
    return !(has_schedule(0, &own) && is_real_time(own.policy)) &&
           !(has_schedule(system_process(), &first) && is_real_time(first.policy));
}

bool inherited_leave(void)
{
    uint32_t first = system_process();
    if (!leave_folders() || is_elsewhere() || !take_schedule(first) || !take_processors(first)) return false;
    if (!read_own_rights(&own_rights)) return false;
    may_outlive_rights = may_give_up(&own_rights);
    return leave_descriptors();
}
