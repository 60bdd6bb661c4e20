/* replay.c - gives files to a fuzz target without a fuzzer, and prints TAP: one result for each file or folder.
 *
 *   replay_TARGET_test [random=N] [seed=N] [PATH...]
 *
 * Uses:    fuzz.h. Callers: `make check`, through the programs of fuzz.mk; who looks into a crash.
 *
 * Without a PATH, the corpus of the target and its frozen crashes. random=N: N random inputs more. A fault ends the
 * process; the last line then names the file.
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "../tap.h"

enum { INPUT_MAX = 1 << 16, RANDOM_SIZE_MAX = 2048, SECONDS_MAX = 60 };

static void replay_bytes(const uint8_t *data, size_t size)
{
    /* A buffer of that size, so that sanitizers see a read behind the end. */
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (!copy) bail_out("no memory");
    memcpy(copy, data, size);
    alarm(SECONDS_MAX); /* an input that takes so long is a fault */
    (void)LLVMFuzzerTestOneInput(copy, size);
    alarm(0);
    free(copy);
}

static bool replay_file(const char *path)
{
    static uint8_t data[INPUT_MAX];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? -1 : read(file, data, sizeof(data));
    if (file >= 0) close(file);
    if (size < 0) return false;
    diag("%s", path); /* before: what follows may end the process */
    replay_bytes(data, (size_t)size);
    return true;
}

/* Returns the number of files, -1 when one could not be read. */
static int replay_folder(const char *path)
{
    struct dirent **names = NULL;
    int count = scandir(path, &names, NULL, alphasort);
    int read = 0;
    for (int i = 0; i < count; i++) {
        char file[1024];
        snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && read >= 0) read = replay_file(file) ? read + 1 : -1;
        free(names[i]);
    }
    free(names);
    return count < 0 ? -1 : read;
}

static uint64_t draw(uint64_t *random)
{
    uint64_t x = *random += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static void replay_random(uint64_t count, uint64_t seed)
{
    static uint64_t data[RANDOM_SIZE_MAX / 8];
    for (uint64_t i = 0; i < count; i++) {
        uint64_t random = (seed << 32) + i;
        size_t size = draw(&random) % sizeof(data);
        for (size_t word = 0; word <= size / 8; word++) data[word] = draw(&random);
        replay_bytes((const uint8_t *)data, size);
    }
    ok(count > 0, "%lu random inputs of seed %lu find no fault", count, seed);
}

static bool read_argument(const char *argument, const char *name, uint64_t *value)
{
    size_t length = strlen(name);
    if (strncmp(argument, name, length) != 0 || argument[length] != '=') return false;
    *value = strtoull(argument + length + 1, NULL, 10);
    return true;
}

static void replay_path(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) bail_out("%s is not there", path);
    int files = S_ISDIR(info.st_mode) ? replay_folder(path) : replay_file(path) ? 1 : -1;
    ok(files > 0, "%s: %d inputs find no fault", path, files);
}

int main(int argc, char **argv)
{
    uint64_t count = 0, seed = 1;
    unsigned paths = 0;
    for (int i = 1; i < argc; i++) {
        if (read_argument(argv[i], "random", &count) || read_argument(argv[i], "seed", &seed)) continue;
        replay_path(argv[i]);
        paths++;
    }
    if (paths == 0 && count == 0) replay_path("tests/fuzz/corpus/" FUZZ_TARGET);
    if (paths == 0 && count == 0 && access("tests/fuzz/crashes/" FUZZ_TARGET, F_OK) == 0)
        replay_path("tests/fuzz/crashes/" FUZZ_TARGET);
    if (count > 0) replay_random(count, seed);
    fuzz_print_counts();
    return done_testing();
}
