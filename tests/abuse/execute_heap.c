/* execute_heap.c - a function pointer leads into a block.
 * expect: SIGSEGV
 */
#include "abuse/abuse.h"

int main(void)
{
    unsigned char *p = take(64);
    void (*function)(void);
    memset(p, 0xc3, 64); /* on x86-64: return */
    *(void **)&function = p;
    function();
    return 0;
}
