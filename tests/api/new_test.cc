// new_test.cc - all forms of operator new and delete; new_handler and bad_alloc as the standard says.
//
// The operators are called by name, not by new-expressions, which compilers may elide.
#include <sys/resource.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#include "api/weak.h"
#include "regress/sanitized.h"
#include "tap.h"

namespace {

const std::size_t impossible[] = {PTRDIFF_MAX, SIZE_MAX / 2 + 1, SIZE_MAX - 4096, SIZE_MAX - 15, SIZE_MAX - 1, SIZE_MAX};
const std::size_t sizes[] = {0, 1, 7, 8, 9, 16, 17, 100, 1024, 1025, 8192, 8193, 65536, 65537, 1 << 20, 5 << 20};

// One row per pair of forms: how to take a block and the ways to give it back.
struct Form {
    const char *name;
    void *(*take)(std::size_t, std::size_t alignment);
    void (*give)(void *, std::size_t, std::size_t alignment);
    bool throws;
    bool aligned;
};

using A = std::align_val_t;

const Form forms[] = {
    {"new", [](std::size_t n, std::size_t) { return ::operator new(n); },
     [](void *p, std::size_t, std::size_t) { ::operator delete(p); }, true, false},
    {"new_sized_delete", [](std::size_t n, std::size_t) { return ::operator new(n); },
     [](void *p, std::size_t n, std::size_t) { ::operator delete(p, n); }, true, false},
    {"new_array", [](std::size_t n, std::size_t) { return ::operator new[](n); },
     [](void *p, std::size_t, std::size_t) { ::operator delete[](p); }, true, false},
    {"new_array_sized_delete", [](std::size_t n, std::size_t) { return ::operator new[](n); },
     [](void *p, std::size_t n, std::size_t) { ::operator delete[](p, n); }, true, false},
    {"new_nothrow", [](std::size_t n, std::size_t) { return ::operator new(n, std::nothrow); },
     [](void *p, std::size_t, std::size_t) { ::operator delete(p, std::nothrow); }, false, false},
    {"new_array_nothrow", [](std::size_t n, std::size_t) { return ::operator new[](n, std::nothrow); },
     [](void *p, std::size_t, std::size_t) { ::operator delete[](p, std::nothrow); }, false, false},
    {"new_aligned", [](std::size_t n, std::size_t a) { return ::operator new(n, A(a)); },
     [](void *p, std::size_t, std::size_t a) { ::operator delete(p, A(a)); }, true, true},
    {"new_aligned_sized_delete", [](std::size_t n, std::size_t a) { return ::operator new(n, A(a)); },
     [](void *p, std::size_t n, std::size_t a) { ::operator delete(p, n, A(a)); }, true, true},
    {"new_array_aligned", [](std::size_t n, std::size_t a) { return ::operator new[](n, A(a)); },
     [](void *p, std::size_t, std::size_t a) { ::operator delete[](p, A(a)); }, true, true},
    {"new_array_aligned_sized_delete", [](std::size_t n, std::size_t a) { return ::operator new[](n, A(a)); },
     [](void *p, std::size_t n, std::size_t a) { ::operator delete[](p, n, A(a)); }, true, true},
    {"new_aligned_nothrow", [](std::size_t n, std::size_t a) { return ::operator new(n, A(a), std::nothrow); },
     [](void *p, std::size_t, std::size_t a) { ::operator delete(p, A(a), std::nothrow); }, false, true},
    {"new_array_aligned_nothrow", [](std::size_t n, std::size_t a) { return ::operator new[](n, A(a), std::nothrow); },
     [](void *p, std::size_t, std::size_t a) { ::operator delete[](p, A(a), std::nothrow); }, false, true},
};

void takes_and_gives_back(const Form &f)
{
    struct hak_stats before, after;
    ::hak_stats(&before);
    for (std::size_t n : sizes)
        for (std::size_t a = f.aligned ? 1 : 16; a <= (f.aligned ? std::size_t{1} << 21 : 16); a *= 2) {
            std::size_t promised = f.aligned ? a : n > 8 ? 16 : 8;
            unsigned char *block[3]; // the first of a slab is aligned to anything
            for (auto *&p : block) {
                p = static_cast<unsigned char *>(f.take(n, a));
                if (!expect(p != nullptr, "size %zu", n)) return;
                expect(reinterpret_cast<std::uintptr_t>(p) % promised == 0, "size %zu alignment %zu at %p", n, a,
                       static_cast<void *>(p));
                expect(hak_owns(p), "size %zu: not hakmem's", n);
                if (n > 0) p[0] = p[n - 1] = 1;
            }
            for (auto *p : block) f.give(p, n, a);
        }
    f.give(nullptr, 0, 16);
    ::hak_stats(&after);
    expect(after.live == before.live, "live %zu became %zu", before.live, after.live);
    claim("%s_takes_and_gives_back", f.name);
}

// "null" for a null pointer, "thrown" for bad_alloc, "block" for a block.
const char *outcome(const Form &f, std::size_t n)
{
    try {
        void *p = f.take(n, f.aligned ? 64 : 16);
        if (!p) return "null";
        f.give(p, n, f.aligned ? 64 : 16);
        return "block";
    } catch (const std::bad_alloc &) {
        return "thrown";
    }
}

void fails_as_its_form_says(const Form &f)
{
    for (std::size_t n : impossible) {
        const char *got = outcome(f, n);
        expect(strcmp(got, f.throws ? "thrown" : "null") == 0, "size %#zx: %s", n, got);
    }
    claim(f.throws ? "%s_throws_bad_alloc" : "%s_returns_NULL", f.name);
}

int handler_calls;
struct own_error : std::bad_alloc {};

void third_call_throws()
{
    if (++handler_calls == 3) throw own_error();
}

void second_call_gives_up()
{
    if (++handler_calls == 2) std::set_new_handler(nullptr);
}

void handler_is_called_until_it_throws(const Form &f)
{
    handler_calls = 0;
    std::set_new_handler(third_call_throws);
    const char *got = outcome(f, SIZE_MAX / 2 + 1);
    std::set_new_handler(nullptr);
    expect(handler_calls == 3, "called %d times", handler_calls);
    expect(strcmp(got, f.throws ? "thrown" : "null") == 0, "%s", got);
    claim("%s_calls_the_handler_until_it_throws", f.name);
    if (!f.throws) return;
    handler_calls = 0;
    std::set_new_handler(third_call_throws);
    bool same = false;
    try {
        f.take(SIZE_MAX / 2 + 1, 16);
    } catch (const own_error &) {
        same = true;
    } catch (...) {
    }
    std::set_new_handler(nullptr);
    ok(same, "%s_lets_the_handler's_exception_through", f.name);
}

void handler_may_take_itself_away(const Form &f)
{
    handler_calls = 0;
    std::set_new_handler(second_call_gives_up);
    const char *got = outcome(f, SIZE_MAX / 2 + 1);
    expect(handler_calls == 2, "called %d times", handler_calls);
    expect(strcmp(got, f.throws ? "thrown" : "null") == 0, "%s", got);
    expect(std::get_new_handler() == nullptr, "a handler is still set");
    claim("%s_fails_once_no_handler_is_left", f.name);
}

rlim_t usual_limit;

// "Frees memory": lets the process have more address space.
void raise_limit()
{
    ++handler_calls;
    rlimit r;
    getrlimit(RLIMIT_AS, &r);
    r.rlim_cur = usual_limit;
    setrlimit(RLIMIT_AS, &r);
}

void handler_that_frees_memory_saves_the_call()
{
    rlimit r;
    getrlimit(RLIMIT_AS, &r);
    usual_limit = r.rlim_cur;
    r.rlim_cur = 1 << 20; // less than is mapped already: every mapping fails
    setrlimit(RLIMIT_AS, &r);
    handler_calls = 0;
    std::set_new_handler(raise_limit);
    void *p = nullptr;
    try {
        p = ::operator new(std::size_t{1} << 30);
    } catch (const std::bad_alloc &) {
    }
    std::set_new_handler(nullptr);
    raise_limit();
    expect(handler_calls == 2, "called %d times", handler_calls - 1);
    expect(p != nullptr, "no block");
    ::operator delete(p);
    claim("a_handler_that_frees_memory_saves_the_call");
}

struct alignas(64) Wide {
    char bytes[192];
};

void expressions_work()
{
    int *volatile one = new int(7);
    Wide *volatile wide = new Wide[9]();
    expect(*one == 7 && hak_owns(one), "int");
    expect(reinterpret_cast<std::uintptr_t>(wide) % 64 == 0 && hak_owns(wide), "array");
    for (int i = 0; i < 9; i++)
        for (char c : wide[i].bytes) expect(c == 0, "array element %d", i);
    delete one;
    delete[] wide;
    claim("new_expressions_use_hakmem");
}

} // namespace

int main()
{
    if (!ok(hak_version && hak_owns && hak_stats, "hak_calls_are_reachable")) return done_testing();
    diag("hakmem %s", hak_version());
    try { // libstdc++ allocates its first exception's globals for good
        throw std::bad_alloc();
    } catch (const std::bad_alloc &) {
    }
    for (const Form &f : forms) {
        takes_and_gives_back(f);
        fails_as_its_form_says(f);
        handler_is_called_until_it_throws(f);
        handler_may_take_itself_away(f);
    }
    if (CAN_LIMIT) handler_that_frees_memory_saves_the_call();
    else ok(true, "a_handler_that_frees_memory_saves_the_call # SKIP a sanitizer needs memory itself");
    expressions_work();
    return done_testing();
}
