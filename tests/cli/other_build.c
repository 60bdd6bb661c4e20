/* other_build.c - a program with the block of another build of hakmem: its head, and nothing behind. */
#include <stdint.h>
#include <unistd.h>

const struct {
    char magic[8];
    uint32_t format;
    uint32_t size;
    char version[16];
    char build_id[24];
} other_block = {"hakmem*", 1, 56, "9.8.7", "0123456789abcdef"};

__asm__(".pushsection .note.hakmem, \"a\", %note\n"
        ".balign 4\n.long 7, 8, 1\n.asciz \"hakmem\"\n.balign 4\n.quad other_block - .\n.popsection\n");

int main(void)
{
    if (write(STDOUT_FILENO, "ready\n", 6) != 6) return 1;
    pause();
    return 0;
}
