// plugin.cc - a library to load and unload: it allocates in its constructor, from a thread of its own and in objects of
// threads, and frees in its destructor.
//
// Its thread-local objects are large, so that the dynamic linker asks
// for their memory by malloc at the first use in each thread.
#include <pthread.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

enum { BLOCKS = 50, TLS_BYTES = 20000 };

void *(*volatile take)(size_t) = malloc;
void (*volatile give)(void *) = free;

struct Local {
    std::vector<std::string> texts;
    char room[TLS_BYTES];
    Local() : texts(20, std::string(100, 't')) { memset(room, 'r', sizeof room); }
    ~Local()
    {
        if (texts[19].size() != 100 || room[TLS_BYTES - 1] != 'r') abort();
    }
};

thread_local Local local;

void *blocks[BLOCKS];
std::vector<std::string> *texts;
pthread_t thread;
bool has_thread;

void *work(void *)
{
    for (unsigned i = 0; i < 200; i++) {
        char *p = static_cast<char *>(take(i * 37 % 3000 + 1));
        p[0] = static_cast<char>(i);
        give(p);
    }
    return local.texts[0].empty() ? &thread : nullptr;
}

__attribute__((constructor)) void load()
{
    for (int i = 0; i < BLOCKS; i++) blocks[i] = memset(take(static_cast<size_t>(i) * 100 + 1), i, 1);
    texts = new std::vector<std::string>(100, std::string(64, 'x'));
    has_thread = pthread_create(&thread, nullptr, work, nullptr) == 0;
}

__attribute__((destructor)) void unload()
{
    if (has_thread) pthread_join(thread, nullptr);
    for (int i = 0; i < BLOCKS; i++) {
        if (*static_cast<unsigned char *>(blocks[i]) != i) abort();
        give(blocks[i]);
    }
    delete texts;
}

} // namespace

// Touches the caller's thread-local object. The block is for the caller to free.
extern "C" __attribute__((visibility("default"))) void *plugin_use(size_t size)
{
    if (local.room[0] != 'r') return nullptr;
    return take(size);
}
