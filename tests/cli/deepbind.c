/* deepbind.c - loads the library that its argument names with RTLD_DEEPBIND, and sleeps. */
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 2 || !dlopen(argv[1], RTLD_NOW | RTLD_DEEPBIND)) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    if (write(STDOUT_FILENO, "ready\n", 6) != 6) return 1;
    pause();
    return 0;
}
