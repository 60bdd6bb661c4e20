/* witness.c - a second preloaded library: says which allocator a process has, from inside it.
 *
 * Preloaded behind hakmem by programs.sh. As each process starts, it appends one line to the file that
 * PROGRAM_WITNESS names:
 *
 *     <program> <file of the allocator that owns a block from this process's malloc>
 *
 * The block comes from the malloc that the program's own calls are bound to; hak_owns() of the library
 * says whether it is its own. The address of malloc would prove less: in an executable that is not
 * position independent (python3) it is an address in the executable, whoever allocates.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef bool owns_call(const void *);

static void *symbol(const char *name)
{
    return dlsym(RTLD_DEFAULT, name);
}

/* hak_owns, or what mimalloc has in its place: another library shows whether the tests themselves work. */
static owns_call *owns_of_library(void)
{
    void *call = symbol("hak_owns");
    return (owns_call *)(call ? call : symbol("mi_is_in_heap_region"));
}

static const char *owner_file(void)
{
    void *(*allocate)(size_t) = (void *(*)(size_t))symbol("malloc");
    void (*release)(void *) = (void (*)(void *))symbol("free");
    owns_call *owns = owns_of_library();
    Dl_info info;

    if (!owns || !dladdr((void *)owns, &info))
        return "nobody";
    void *block = allocate(100);
    bool owned = owns(block);
    release(block);
    return owned ? info.dli_fname : "somebody-else";
}

__attribute__((constructor)) static void testify(void)
{
    const char *path = getenv("PROGRAM_WITNESS");
    char line[512];
    int saved_errno = errno;
    int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;

    if (fd >= 0) {
        int length = snprintf(line, sizeof line, "%s %s\n", program_invocation_short_name, owner_file());
        if (write(fd, line, (size_t)length) != length)
            _exit(99);                      /* without a witness the run proves nothing */
        close(fd);
    }
    errno = saved_errno;
}
