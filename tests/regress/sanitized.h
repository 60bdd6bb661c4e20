/* sanitized.h - what a test runs in: a build with the thread or address sanitizer, which make everything slower,
 * and map more than a process with limited address space may have; or an emulator.
 *
 * Uses: TEST_EMULATED in the environment, set by those that start tests under an emulator.
 */
#ifndef HAKMEM_TESTS_REGRESS_SANITIZED_H
#define HAKMEM_TESTS_REGRESS_SANITIZED_H

#include <stdbool.h>
#include <stdlib.h>

#if defined(__has_feature) /* clang */
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define HAK_SANITIZED 1
#endif
#elif defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define HAK_SANITIZED 1
#endif

#ifndef HAK_SANITIZED
#define HAK_SANITIZED 0
#endif

enum { SANITIZED = HAK_SANITIZED, CAN_LIMIT = !HAK_SANITIZED };

/* qemu starts no programs, keeps something of every thread, and the memory that is told is its own. */
__attribute__((unused)) static bool is_emulated(void)
{
    return getenv("TEST_EMULATED") != NULL;
}

#endif
