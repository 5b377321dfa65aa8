/* strand: a fiber with a place in a peer's life: whose task it works for, what it
 * waits for, and whether it has been cancelled.
 *
 * How to write a function that SUSPENDS:
 *
 *     struct strand *strand = strand_here("sluice_example");
 *     start(something, strand);              ... whose completion calls
 *     enum wake wake = strand_park(strand, STRAND_NEVER);   strand_wake(strand)
 *     if (wake == WAKE_CANCELLED) stop(something);
 *
 * One thread: that of the peer's loop. */
#ifndef SLUICE_RUNTIME_STRAND_H
#define SLUICE_RUNTIME_STRAND_H

#include "common/list.h"

#include "agents/runtime/sluice.h"
#include "agents/runtime/timers.h"

#define STRAND_NEVER TIMERS_NEVER

struct fiber;

enum wake {
    WAKE_EVENT,     /* strand_wake was called */
    WAKE_TIMEOUT,   /* the deadline has passed */
    WAKE_CANCELLED, /* the strand's task was cancelled, or the peer stops */
};

struct strand {
    struct sluice *sluice;
    struct fiber *fiber;
    sluice_fiber_fn *fn;
    void *arg;
    struct sluice_task *task;   /* whose handler it runs; NULL: none */
    struct sluice_scope *scope; /* innermost open one; NULL: none */
    struct timer timer;         /* sluice.timers */
    struct list ready;          /* sluice.ready, or a list of the waited-for */
    struct list all;            /* sluice.strands */
    enum wake wake;
    bool parked;
    bool firm;      /* parked, and not to be woken by a cancel */
    bool cancelled;
    unsigned ending; /* on_ended callbacks that are under way on it */
};

/* The running strand. Aborts with a message naming `function` when there is none. */
struct strand *strand_here(const char *function);
struct strand *strand_current(void); /* NULL: none */

/* Waits until strand_wake, `deadline_ms` (of sluice_now_ms; STRAND_NEVER: none), or a cancel.
 * A cancelled strand does not wait. */
enum wake strand_park(struct strand *strand, uint64_t deadline_ms);
/* The same, but neither a cancel nor time ends it: only strand_wake. */
void strand_park_firmly(struct strand *strand);
/* Ends the park of `strand`; does nothing when it is not parked. The strand runs on in
 * this or the next turn of the loop, not before this returns. */
void strand_wake(struct strand *strand);
/* The same for all that are on a list of the waited-for; it is empty then. A strand gets on it,
 * by `ready`, right before it parks. */
void strands_wake(struct list *waiting);

/* ---- for the loop ---- */

/* Starts fn(sluice, arg) on a strand of its own, in this or the next turn. NULL: too
 * many, or no memory. */
struct strand *strand_start(struct sluice *sluice, sluice_fiber_fn *fn, void *arg,
                            struct sluice_task *task);
/* Runs a ready strand at once. Needs: not on a strand. */
void strand_run(struct strand *strand);
void strand_cancel(struct strand *strand);
/* Runs at most `max` ready strands. True: more are ready. */
bool strands_run(struct sluice *sluice, size_t max);
/* Wakes those whose deadline has passed. */
void strands_advance(struct sluice *sluice, uint64_t now_ms);
/* Some are parked firmly: what they wait for uses their stacks. */
bool strands_at_work(const struct sluice *sluice);
void strands_drop(struct sluice *sluice); /* all, as they are */

#endif
