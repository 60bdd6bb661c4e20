/* sanitized.h - whether this is a build with the thread or address sanitizer, which make everything slower,
 * and map more than a process with limited address space may have.
 *
 * Uses: nothing.
 */
#ifndef HAKMEM_TESTS_REGRESS_SANITIZED_H
#define HAKMEM_TESTS_REGRESS_SANITIZED_H

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

#endif
