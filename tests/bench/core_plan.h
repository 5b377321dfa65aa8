/* core_plan: what a workload of the core is made of. Libc only. */
#ifndef SLUICE_TESTS_BENCH_CORE_PLAN_H
#define SLUICE_TESTS_BENCH_CORE_PLAN_H

#include "common/span.h"

#include <stdio.h>

/* Tasks that workers end in a turn of the broker: what makes a batch. */
#define PLAN_TURN_TASKS 100
/* Chunks that a reader asks for. The broker lets a worker be 16 ahead of what was read. */
#define PLAN_STREAM_CREDIT 8

struct plan {
    uint64_t tasks;         /* below 2^38 */
    uint64_t payload_bytes; /* ECHO_PAYLOAD_MIN at least */
    uint64_t window;        /* tasks under way */
    uint64_t credit;        /* of each worker for each service; 0: the window */
    uint64_t services;      /* tasks are spread over; 0: one */
    uint64_t keys;          /* fairness keys, likewise; 0: the session's own */
    uint64_t delay_ms;      /* each starts after 1 to so many; 0: at once */
    uint64_t gather;        /* so many are held for a join; 0: each has a result */
    uint64_t chunks;        /* of each task's stream, before its result; 0: none */
    uint64_t depth;         /* tasks that wait meanwhile for what nobody offers */
    bool cancel;            /* a quarter is cancelled while waiting, another one while running */
    uint64_t seed;
};

static inline uint64_t plan_service_count(const struct plan *plan)
{
    return plan->services > 0 ? plan->services : 1;
}

/* The name of a service that `number` picks, written to `buffer`. */
static inline struct span plan_service(const struct plan *plan, uint64_t number, char *buffer,
                                       size_t size)
{
    return span_of(buffer, (size_t)snprintf(buffer, size, "echo.%05u",
                                            (unsigned)(number % plan_service_count(plan))));
}

#endif
