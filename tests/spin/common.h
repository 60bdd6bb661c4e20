/* common.h - what the models share: a lock of one word, and the meaning of a model's steps.
 *
 * A step that a thread of the library does in one instruction on shared memory is one step here. What it does under
 * a lock, or in memory of its own, may be one step, too, where nobody else could see it half done. Each inline
 * stands for the function of the library whose name it has.
 */

/* lock_acquire() and lock_release() of src/os/lock.h; waiting in the kernel is a step that cannot be made yet. */
#define LOCK(l) atomic { !l -> l = true }
#define UNLOCK(l) l = false

/* lock_try_peer(): true = taken. */
#define TRY_LOCK(l, taken) atomic { taken = !l; l = true }
