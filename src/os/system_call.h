/* system_call.h - calls of the kernel, past libc.
 *
 * Callers: the files of this folder. Locks: none. errno stays as it is.
 */
#ifndef HAK_OS_SYSTEM_CALL_H
#define HAK_OS_SYSTEM_CALL_H

#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/compiler.h"

/* Operations of SYS_futex. Its header is the kernel's, which not every C library brings along. */
enum { WAIT_SHARED = 0, WAIT_PRIVATE = 128, WAKE_PRIVATE = 129 };

/* The result as the kernel gives it: -4095 ... -1 is a negated errno. */
#if defined(__x86_64__)
static inline long system_call(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static inline long system_call(long number, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}
#else
static inline long system_call(long number, long a, long b, long c, long d, long e, long f)
{
    int saved = errno;
    long result = syscall(number, a, b, c, d, e, f);
    if (result == -1) result = -(long)errno;
    errno = saved;
    return result;
}
#endif

static inline bool system_call_failed(long result)
{
    return result < 0 && result > -4096;
}

/* The process's number, as the system has it. */
static inline uint32_t system_process(void)
{
    return (uint32_t)system_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

/* true = a seccomp filter judges the calls of this thread. */
static inline bool system_calls_are_filtered(void)
{
    long mode = system_call(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0, 0);
    return mode != 0 && mode != -EINVAL; /* the system has none */
}

#endif
