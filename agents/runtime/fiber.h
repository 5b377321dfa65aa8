/* fiber: a stack of its own that can be left and entered again.
 *
 * Only the switch: who runs when is strand.c's business. Stacks are mapped, with
 * a guard page below, and reused. How the switch is made stays behind this
 * header (today ucontext, whose swapcontext costs a system call).
 *
 * Threads: a fiber is resumed only by the thread that made it. */
#ifndef SLUICE_RUNTIME_FIBER_H
#define SLUICE_RUNTIME_FIBER_H

#include <stdbool.h>
#include <stddef.h>

struct fiber;
struct fiber_pool;

typedef void fiber_fn(void *arg);

/* `stack_bytes` is rounded up to pages. NULL: no memory. */
struct fiber_pool *fiber_pool_new(size_t stack_bytes);
/* Every fiber must have ended or been dropped. Accepts NULL. */
void fiber_pool_free(struct fiber_pool *pool);

/* A fiber that will run fn(arg). NULL: no memory for its stack. */
struct fiber *fiber_new(struct fiber_pool *pool, fiber_fn *fn, void *arg);

/* Runs it until it suspends (true) or fn has returned (false: it is gone). Needs: not
 * inside a fiber. */
bool fiber_resume(struct fiber *fiber);

/* Goes back to whoever resumed the running fiber. Needs: inside a fiber. */
void fiber_suspend(void);

/* Unmaps unused stacks beyond the first thousand, at most `max` of them: unmapping costs as
 * much as a quick handler, so it is left to idle moments. True: some are left. */
bool fiber_pool_trim(struct fiber_pool *pool, size_t max);

/* The running fiber; NULL: none. */
struct fiber *fiber_current(void);

/* Gives up a suspended fiber: what is on its stack is never looked at again. */
void fiber_drop(struct fiber *fiber);

#endif
