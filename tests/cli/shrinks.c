/* shrinks.c - a library to preload: the file that SHRINKS names becomes empty behind the one who asks for its size. */
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int fstat(int file, struct stat *info)
{
    struct stat named;
    const char *path = getenv("SHRINKS");
    int failed = (int)syscall(SYS_newfstatat, file, "", info, 0x1000 /* AT_EMPTY_PATH */);
    if (!failed && path && stat(path, &named) == 0 && named.st_ino == info->st_ino && named.st_dev == info->st_dev)
        failed = truncate(path, 0);
    return failed;
}
