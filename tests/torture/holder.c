/* holder.c - a plugin with a hakmem of its own inside, which answers to hak_* only and exports none of it.
 */
#include "../../src/hakmem.c"

__attribute__((visibility("default"))) void *holder_take(size_t size);
__attribute__((visibility("default"))) void holder_give(void *p);
__attribute__((visibility("default"))) bool holder_owns(const void *p);
__attribute__((visibility("default"))) bool holder_check(void);

void *holder_take(size_t size) { return hak_malloc(size); }
void holder_give(void *p) { hak_free(p); }
bool holder_owns(const void *p) { return hak_owns(p); }
bool holder_check(void) { return hak_check(); }
