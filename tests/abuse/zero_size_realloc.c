/* zero_size_realloc.c - realloc to no bytes frees.
 * expect: defined
 */
#include "abuse/abuse.h"

int main(void)
{
    if (resize(take(100), 0) || resize(take(1 << 20), 0)) return 5;
    char *p = resize(NULL, 0);
    if (!p) return 5;
    give(p);
    give(NULL);
    return still_works();
}
