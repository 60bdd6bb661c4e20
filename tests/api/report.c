/* report.c - prints malloc_info on standard output and malloc_stats on standard error, with hak_stats of
 * the same moment as the last line of standard output, for report_test.py.
 */
#include "calls.h"

static void *kept[400];

int main(void)
{
    if (!hak_stats) return 2;
    static char buffer[65536]; /* standard output's: nothing is allocated between the figures */
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    for (size_t i = 0; i < COUNT(kept); i++) kept[i] = malloc(i * 37 % 5000 + 1);
    for (size_t i = 0; i < COUNT(kept); i += 3) free(kept[i]);
    void *volatile large = malloc(300 << 10);
    void *volatile own_mapping = malloc(70 << 20);
    struct hak_stats s;
    hak_stats(&s);
    struct mallinfo2 m = mallinfo2();
    malloc_stats();
    if (malloc_info(0, stdout) != 0) return 3;
    printf("live=%zu mapped=%zu uordblks=%zu arena=%zu hblks=%zu hblkhd=%zu\n", s.live, s.mapped, m.uordblks, m.arena,
           m.hblks, m.hblkhd);
    free(large);
    free(own_mapping);
    return 0;
}
