/* embedding_plugin.c - a library with a hakmem of its own inside: its source file, or the archive.
 */
#ifdef EMBEDS_SOURCE
#include "../../src/hakmem.c"
#else
#include "hakmem/hakmem.h"
#endif

__attribute__((visibility("default"))) void *plugin_take(size_t size);
__attribute__((visibility("default"))) void plugin_give(void *p);

void *plugin_take(size_t size) { return hak_malloc(size); }
void plugin_give(void *p) { hak_free(p); }
