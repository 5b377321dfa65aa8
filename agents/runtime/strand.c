#include "agents/runtime/runtime.h"

#include "common/check.h"

#include "agents/runtime/fiber.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static _Thread_local struct strand *running;

struct strand *strand_current(void)
{
    return running;
}

struct strand *strand_here(const char *function)
{
    if (running == NULL) {
        fprintf(stderr,
                "sluice: %s suspends, and was called where nothing can be suspended: call it from "
                "an async handler, sluice_spawn or the main function of sluice_run\n",
                function);
        abort();
    }
    return running;
}

static void strand_enter(void *arg)
{
    struct strand *strand = arg;

    strand->fn(strand->sluice, strand->arg);
    scopes_drop(strand);
}

struct strand *strand_start(struct sluice *sluice, sluice_fiber_fn *fn, void *arg,
                            struct sluice_task *task)
{
    struct strand *strand;

    if (sluice->strand_count >= sluice->handlers_max) {
        return NULL;
    }
    strand = calloc(1, sizeof *strand);
    if (strand == NULL) {
        return NULL;
    }
    strand->fiber = fiber_new(sluice->fibers, strand_enter, strand);
    if (strand->fiber == NULL) {
        free(strand);
        return NULL;
    }
    strand->sluice = sluice;
    strand->fn = fn;
    strand->arg = arg;
    strand->task = task;
    list_init(&strand->ready);
    list_init(&strand->all);
    list_push_back(&sluice->strands, &strand->all);
    sluice->strand_count++;
    list_push_back(&sluice->ready, &strand->ready);
    return strand;
}

static void strand_free(struct strand *strand)
{
    struct sluice *sluice = strand->sluice;

    CHECK(strand->timer.place == 0);
    list_unlink(&strand->ready);
    list_unlink(&strand->all);
    sluice->strand_count--;
    free(strand);
}

/* ---- waiting ---- */

static void make_ready(struct strand *strand, enum wake wake)
{
    strand->parked = strand->firm = false;
    strand->wake = wake;
    timers_clear(&strand->sluice->timers, &strand->timer);
    list_unlink(&strand->ready);
    list_push_back(&strand->sluice->ready, &strand->ready);
}

enum wake strand_park(struct strand *strand, uint64_t deadline_ms)
{
    CHECK(strand == running);
    if (strand->cancelled) {
        /* A loop that ignores cancels must not keep the event loop from running. */
        list_unlink(&strand->ready);
        list_push_back(&strand->sluice->ready, &strand->ready);
        fiber_suspend();
        return WAKE_CANCELLED;
    }
    strand->parked = true;
    if (deadline_ms != STRAND_NEVER &&
        !timers_set(&strand->sluice->timers, &strand->timer, deadline_ms)) {
        strand->parked = false;
        return WAKE_TIMEOUT;
    }
    fiber_suspend();
    return strand->wake;
}

void strand_park_firmly(struct strand *strand)
{
    CHECK(strand == running);
    strand->parked = strand->firm = true;
    fiber_suspend();
}

void strand_wake(struct strand *strand)
{
    if (strand->parked) {
        make_ready(strand, WAKE_EVENT);
    }
}

void strands_wake(struct list *waiting)
{
    while (!list_empty(waiting)) {
        strand_wake(list_entry(waiting->next, struct strand, ready));
    }
}

void strand_cancel(struct strand *strand)
{
    strand->cancelled = true;
    if (strand->parked && !strand->firm) {
        make_ready(strand, WAKE_CANCELLED);
    }
}

/* ---- the loop ---- */

void strand_run(struct strand *strand)
{
    bool alive;

    CHECK(running == NULL);
    list_unlink(&strand->ready);
    running = strand;
    alive = fiber_resume(strand->fiber);
    running = NULL;
    if (!alive) {
        strand_free(strand);
    }
}

/* `max`, and no more than were ready at the start: two strands that wake each
 * other must not keep the loop from its sockets and timers. */
bool strands_run(struct sluice *sluice, size_t max)
{
    struct list batch;

    list_init(&batch);
    list_append(&batch, &sluice->ready);
    while (max-- > 0 && !list_empty(&batch)) {
        strand_run(list_entry(batch.next, struct strand, ready));
    }
    if (!list_empty(&batch)) {
        list_append(&batch, &sluice->ready);
        list_append(&sluice->ready, &batch);
    }
    return !list_empty(&sluice->ready);
}

void strands_advance(struct sluice *sluice, uint64_t now_ms)
{
    struct timer *first;

    while ((first = timers_first(&sluice->timers)) != NULL && first->at_ms <= now_ms) {
        make_ready(list_entry(first, struct strand, timer), WAKE_TIMEOUT);
    }
}

bool strands_at_work(const struct sluice *sluice)
{
    list_each(at, &sluice->strands) {
        if (list_entry(at, struct strand, all)->firm) {
            return true;
        }
    }
    return false;
}

void strands_drop(struct sluice *sluice)
{
    while (!list_empty(&sluice->strands)) {
        struct strand *strand = list_entry(sluice->strands.next, struct strand, all);

        timers_clear(&sluice->timers, &strand->timer);
        fiber_drop(strand->fiber);
        strand_free(strand);
    }
}

/* ---- public ---- */

int sluice_spawn(struct sluice *sluice, sluice_fiber_fn *fn, void *arg)
{
    return strand_start(sluice, fn, arg, NULL) != NULL ? 0 : -EAGAIN;
}

int sluice_sleep_ms(struct sluice *sluice, uint64_t ms)
{
    struct strand *strand = strand_here("sluice_sleep_ms");

    return strand_park(strand, runtime_deadline_ms(sluice, ms)) == WAKE_CANCELLED ? -ECANCELED : 0;
}
