/* terms: the options of a SUBMIT that only few tasks have and that are rarely looked at, kept as
 * they were said, in as few bytes as it takes.
 *
 * A dead letter keeps the same bytes: with them its task can be submitted again, whatever options
 * it had. What is used at every step of a task (deadline, lease, attempts) is in the task itself
 * as well. */
#ifndef SLUICE_BROKER_CORE_TERMS_H
#define SLUICE_BROKER_CORE_TERMS_H

#include "broker/core/cause.h"
#include "broker/core/roster.h"
#include "broker/core/task.h"

struct terms {
    struct task *task;
    struct blob *options;      /* packed; of tasks in a row that say the same, one for all */
    struct cause_chain causes; /* of attempts that failed; only if it may become a dead letter */
    struct roster_place place; /* broker->detached; on no roster unless detached */
    struct flight *flight;     /* of its idempotency key; NULL: none, or it is over */
    uint64_t not_before_ms;    /* of one that follows */
    uint64_t affinity;         /* digest of its affinity key; 0: none */
};

static_assert(sizeof(struct terms) <= 128, "two lines of the cache");

/* True when `submit` has an option that is kept here. */
bool terms_wanted(const struct submit *submit);
/* What keeping them takes; 0: nothing to keep. */
uint64_t terms_bytes_of(const struct submit *submit);

/* Gives `task`, which has its rare part, the terms of `submit`. False: no memory. */
bool terms_open(struct broker *broker, struct task *task, const struct submit *submit);
/* Lists its task among the detached ones, until it is forgotten. */
void terms_enlist(struct broker *broker, struct terms *terms);
void terms_free(struct broker *broker, struct terms *terms);
/* As if nobody shared its options: whoever else does may go first. */
uint64_t terms_bytes(const struct terms *terms);

/* The options of `task`; all zero if it has no terms. Spans live as long as the terms. */
struct submit task_terms(const struct task *task);
/* What blob `options` says. Spans live as long as it. */
struct submit terms_unpack(const struct blob *options);

/* Its failures are remembered, and it becomes a dead letter: it asked for that, or nobody may be
 * there to see it fail. */
bool task_mourned(const struct task *task);

#endif
