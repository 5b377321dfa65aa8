/* bench_receipts: how long it takes until a durable task is accepted, at a given load.
 *
 * An open loop (cli/pace.h): tasks are submitted when their time has come, however long those
 * before them take, and a receipt's time counts from then.
 *
 * One run at a time; on a fiber. */
#ifndef SLUICE_CLI_BENCH_RECEIPTS_H
#define SLUICE_CLI_BENCH_RECEIPTS_H

#include "cli/bench_pass.h"

struct bench_receipts {
    uint64_t per_s;       /* in: tasks */
    uint64_t duration_ms; /* in */
    uint64_t failed;      /* tasks that were not accepted, or not done: of all runs */
    struct histogram receipt_ns; /* makes the struct too large for a fiber's stack */
};

/* Adds to `failed` and `receipt_ns`. SUSPENDS until all tasks have ended. False: no memory or no
 * timer, said so. */
bool bench_receipts_run(struct bench_receipts *receipts, struct sluice *sluice,
                        const struct bench_plan *plan);

#endif
