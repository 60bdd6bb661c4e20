/* atomics.h - the few atomic operations that we use, with their orders written out. docs/MEMORY-ORDER.md says of each
 * variable why its orders suffice, on processors that reorder more than x86-64, too.
 *
 * Uses: compiler. A plain field becomes shared by being accessed through these; each struct says which.
 */
#ifndef HAK_BASE_ATOMICS_H
#define HAK_BASE_ATOMICS_H

#include "compiler.h"

#define load_relaxed(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define load_seq(p) __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define store_relaxed(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define store_seq(p, v) __atomic_store_n(p, v, __ATOMIC_SEQ_CST)
#define exchange_relaxed(p, v) __atomic_exchange_n(p, v, __ATOMIC_RELAXED)
#define exchange_acquire(p, v) __atomic_exchange_n(p, v, __ATOMIC_ACQUIRE)
#define exchange_acq_rel(p, v) __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL)
#define exchange_release(p, v) __atomic_exchange_n(p, v, __ATOMIC_RELEASE)
#define add_relaxed(p, v) __atomic_fetch_add(p, v, __ATOMIC_RELAXED)
#define sub_relaxed(p, v) __atomic_fetch_sub(p, v, __ATOMIC_RELAXED)
#define sub_seq(p, v) __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST)
#define and_relaxed(p, v) __atomic_fetch_and(p, v, __ATOMIC_RELAXED)
#define or_relaxed(p, v) __atomic_fetch_or(p, v, __ATOMIC_RELAXED)
/* true = stored; false = *expected now holds what was there */
#define swap_if_release(p, expected, v) \
    __atomic_compare_exchange_n(p, expected, v, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define swap_if_seq(p, expected, v) \
    __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)
#define swap_if_acquire(p, expected, v) \
    __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)

/* A counter with one writer at a time that others may read: no locked instruction. */
#define counter_add(p, v) store_relaxed(p, load_relaxed(p) + (v))
#define counter_move(to, from) (counter_add(to, load_relaxed(from)), store_relaxed(from, 0)) /* of either */

#endif
