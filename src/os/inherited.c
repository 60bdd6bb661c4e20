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
 */
#include "inherited.h"

#include "../base/number.h"
#include "os.h"
#include "system_call.h"
#include "thread.h"

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

bool os_thread_has_rights(void)
{
    return may_outlive_rights;
}

bool os_thread_outlives_rights(void)
{
    struct rights of_process;
    if (system_calls_are_filtered()) return true; /* there was no filter when the thread was made */
    if (!may_outlive_rights) return false;
    if (!read_ids_of_process(&of_process)) return true;
    if (!read_capabilities(os_process_number(), &of_process.capabilities)) return true;
    return !has_rights(&of_process, &own_rights);
}

/* ---- descriptors ---- */

/* false = the system cannot (before Linux 5.9): a file that the thread opened would be the program's. */
static bool leave_descriptors(void)
{
    enum { CLOSE_AND_UNSHARE = 1 << 1 };
    return !system_call_failed(system_call(SYS_close_range, 0, ~0u, CLOSE_AND_UNSHARE, 0, 0, 0));
}

/* ---- */

bool inherited_leave(void)
{
    if (!read_own_rights(&own_rights)) return false;
    may_outlive_rights = may_give_up(&own_rights);
    return leave_descriptors();
}
