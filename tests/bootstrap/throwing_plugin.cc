// throwing_plugin.cc - a library in C++ for local_cxx_test: fails to get memory in every form of new, and says how.
#include <cstddef>
#include <cstdint>
#include <new>

namespace {

using A = std::align_val_t;

enum { ALIGNMENT = 64 };
volatile std::size_t impossible = SIZE_MAX / 2 + 1; // compilers see through a constant

void *take(int form, std::size_t n)
{
    switch (form) {
    case 0: return ::operator new(n);
    case 1: return ::operator new[](n);
    case 2: return ::operator new(n, A(ALIGNMENT));
    case 3: return ::operator new[](n, A(ALIGNMENT));
    case 4: return ::operator new(n, std::nothrow);
    case 5: return ::operator new[](n, std::nothrow);
    case 6: return ::operator new(n, A(ALIGNMENT), std::nothrow);
    default: return ::operator new[](n, A(ALIGNMENT), std::nothrow);
    }
}

int calls;
struct own_error : std::bad_alloc {};

void third_call_throws()
{
    if (++calls == 3) throw own_error();
}

void second_call_gives_up()
{
    if (++calls == 2) std::set_new_handler(nullptr);
}

// 'b' a block, '0' a null pointer, 't' bad_alloc, 'o' the handler's own exception.
char outcome(int form)
{
    try {
        return take(form, impossible) ? 'b' : '0';
    } catch (const own_error &) {
        return 'o';
    } catch (const std::bad_alloc &) {
        return 't';
    }
}

} // namespace

// handler: 0 none, 1 throws when it is called for the third time, 2 takes itself away when called for the second.
extern "C" char plugin_outcome(int form, int handler, int *handler_calls)
{
    calls = 0;
    if (handler > 0) std::set_new_handler(handler == 1 ? third_call_throws : second_call_gives_up);
    char result = outcome(form);
    std::set_new_handler(nullptr);
    *handler_calls = calls;
    return result;
}
