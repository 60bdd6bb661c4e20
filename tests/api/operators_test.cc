// operators_test.cc - a program with four operators of its own gets them for all forms of new and delete.
//
// As the standard has it ([new.delete]): forms that a program does not replace call those that it does. Its own put a
// header before each block, so a block that goes another way is no block of anybody's.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "api/weak.h"
#include "tap.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wsized-deallocation" // the forms that are missing are what this is about
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace {

constexpr std::size_t HEADER = 256;
constexpr std::uint64_t MARK = 0x6d61726b6d61726b;
long taken, given;
bool refuse;

void *mark(void *p)
{
    if (p == nullptr || refuse) {
        std::free(p);
        throw std::bad_alloc();
    }
    ++taken;
    std::memcpy(p, &MARK, sizeof(MARK));
    return static_cast<char *>(p) + HEADER;
}

void unmark(void *p)
{
    if (p == nullptr) return;
    char *start = static_cast<char *>(p) - HEADER;
    std::uint64_t found;
    std::memcpy(&found, start, sizeof(found));
    if (found != MARK) bail_out("%p did not come from here", p);
    std::memset(start, 0, sizeof(found));
    ++given;
    std::free(start);
}

} // namespace

void *operator new(std::size_t size) { return mark(std::malloc(size + HEADER)); }
void operator delete(void *p) noexcept { unmark(p); }

void *operator new(std::size_t size, std::align_val_t alignment)
{
    void *p = nullptr;
    return mark(posix_memalign(&p, static_cast<std::size_t>(alignment), size + HEADER) == 0 ? p : nullptr);
}

void operator delete(void *p, std::align_val_t) noexcept { unmark(p); }

namespace {

constexpr std::align_val_t WIDE{64};
constexpr std::size_t SIZE = 100;

// Through volatile pointers, since compilers drop pairs of new and delete.
void *(*volatile new_one)(std::size_t) = ::operator new;
void *(*volatile new_array)(std::size_t) = ::operator new[];
void *(*volatile new_nothrow)(std::size_t, const std::nothrow_t &) noexcept = ::operator new;
void *(*volatile new_array_nothrow)(std::size_t, const std::nothrow_t &) noexcept = ::operator new[];
void *(*volatile new_aligned)(std::size_t, std::align_val_t) = ::operator new;
void *(*volatile new_array_aligned)(std::size_t, std::align_val_t) = ::operator new[];
void *(*volatile new_aligned_nothrow)(std::size_t, std::align_val_t, const std::nothrow_t &) noexcept = ::operator new;
void *(*volatile new_array_aligned_nothrow)(std::size_t, std::align_val_t, const std::nothrow_t &) noexcept =
    ::operator new[];
void (*volatile delete_one)(void *) noexcept = ::operator delete;
void (*volatile delete_array)(void *) noexcept = ::operator delete[];
void (*volatile delete_sized)(void *, std::size_t) noexcept = ::operator delete;
void (*volatile delete_array_sized)(void *, std::size_t) noexcept = ::operator delete[];
void (*volatile delete_nothrow)(void *, const std::nothrow_t &) noexcept = ::operator delete;
void (*volatile delete_array_nothrow)(void *, const std::nothrow_t &) noexcept = ::operator delete[];
void (*volatile delete_aligned)(void *, std::align_val_t) noexcept = ::operator delete;
void (*volatile delete_array_aligned)(void *, std::align_val_t) noexcept = ::operator delete[];
void (*volatile delete_sized_aligned)(void *, std::size_t, std::align_val_t) noexcept = ::operator delete;
void (*volatile delete_array_sized_aligned)(void *, std::size_t, std::align_val_t) noexcept = ::operator delete[];
void (*volatile delete_aligned_nothrow)(void *, std::align_val_t, const std::nothrow_t &) noexcept = ::operator delete;
void (*volatile delete_array_aligned_nothrow)(void *, std::align_val_t, const std::nothrow_t &) noexcept =
    ::operator delete[];

void *take(unsigned form)
{
    switch (form) {
    case 0: return new_one(SIZE);
    case 1: return new_array(SIZE);
    case 2: return new_nothrow(SIZE, std::nothrow);
    case 3: return new_array_nothrow(SIZE, std::nothrow);
    case 4: return new_aligned(SIZE, WIDE);
    case 5: return new_array_aligned(SIZE, WIDE);
    case 6: return new_aligned_nothrow(SIZE, WIDE, std::nothrow);
    default: return new_array_aligned_nothrow(SIZE, WIDE, std::nothrow);
    }
}

void give(unsigned form, void *p)
{
    switch (form) {
    case 0: delete_one(p); return;
    case 1: delete_array(p); return;
    case 2: delete_sized(p, SIZE); return;
    case 3: delete_array_sized(p, SIZE); return;
    case 4: delete_nothrow(p, std::nothrow); return;
    case 5: delete_array_nothrow(p, std::nothrow); return;
    case 6: delete_aligned(p, WIDE); return;
    case 7: delete_array_aligned(p, WIDE); return;
    case 8: delete_sized_aligned(p, SIZE, WIDE); return;
    case 9: delete_array_sized_aligned(p, SIZE, WIDE); return;
    case 10: delete_aligned_nothrow(p, WIDE, std::nothrow); return;
    default: delete_array_aligned_nothrow(p, WIDE, std::nothrow);
    }
}

constexpr unsigned NEW_FORMS = 8, DELETE_FORMS = 12;

void every_form_calls_the_programs_own()
{
    for (unsigned i = 0; i < NEW_FORMS; i++) {
        for (unsigned j = 0; j < DELETE_FORMS; j++) {
            long taken_before = taken, given_before = given;
            void *p = take(i);
            expect(p != nullptr && taken == taken_before + 1, "new %u", i);
            give(j, p);
            expect(given == given_before + 1, "delete %u of new %u", j, i);
        }
    }
    claim("every_form_calls_the_programs_own");
}

void what_the_programs_own_refuses_is_refused()
{
    refuse = true;
    for (unsigned i = 0; i < NEW_FORMS; i++) {
        bool nothrow = i % 4 >= 2, thrown = false;
        void *p = nullptr;
        try {
            p = take(i);
        } catch (const std::bad_alloc &) {
            thrown = true;
        }
        expect(p == nullptr && thrown == !nothrow, "new %u", i);
    }
    refuse = false;
    claim("what_the_programs_own_refuses_is_refused");
}

void containers_use_the_programs_own()
{
    long taken_before = taken;
    {
        std::vector<std::string> strings(100, std::string(200, 'x'));
        for (unsigned i = 0; i < 1000; i++) strings.push_back(std::string(i, 'y'));
        expect(taken > taken_before + 1000, "%ld blocks", taken - taken_before);
    }
    expect(taken == given, "%ld taken, %ld given", taken, given);
    claim("containers_use_the_programs_own");
}

} // namespace

int main()
{
    every_form_calls_the_programs_own();
    what_the_programs_own_refuses_is_refused();
    containers_use_the_programs_own();
    return done_testing();
}
