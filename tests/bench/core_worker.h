/* core_worker: a worker of a world, which holds tasks for a while and sends their payloads back.
 *
 * It answers in the order of arrival, a turn's worth each time; streams as far as it may, then
 * goes on with others; stops what it is told to stop. One thread. */
#ifndef SLUICE_TESTS_BENCH_CORE_WORKER_H
#define SLUICE_TESTS_BENCH_CORE_WORKER_H

#include "tests/bench/core_plan.h"
#include "tests/bench/core_world.h"

struct worker_task;

struct worker {
    const struct plan *plan; /* borrowed, as the world */
    struct world *world;
    size_t peer;
    struct worker_task *ring; /* what it holds, the oldest first */
    size_t capacity, first, count;
    uint8_t *payloads; /* of the ring */
    uint64_t strange;  /* messages that should not have come */
};

/* Offers the plan's services: the broker hears of it in its next turn. */
void worker_init(struct worker *worker, const struct plan *plan, struct world *world, size_t peer);
void worker_deinit(struct worker *worker);

/* Reads what the broker has said. */
void worker_hear(struct worker *worker);
void worker_answer_some(struct worker *worker);

#endif
