/* bench_open: tasks echoed at a constant rate, whatever becomes of those before: an open loop.
 *
 * Every reply is checked, and its latency counts from when its task was due, not from when it was
 * sent (cli/pace.h says why). One run at a time in a process; on a fiber. */
#ifndef SLUICE_CLI_BENCH_OPEN_H
#define SLUICE_CLI_BENCH_OPEN_H

#include "cli/bench_pass.h"

/* Makes a struct too large for a fiber's stack. */
struct bench_open {
    uint64_t per_s;  /* in: tasks */
    uint64_t tasks;  /* in: how many in all */
    uint64_t failed;
    uint64_t late;   /* sent later than they should have been: we were too slow, or all was */
    double wall_s, broker_cpu_s, workers_cpu_s, submitter_cpu_s; /* as in struct bench_result */
    struct echo_check check;
    struct histogram latency_ns;
};

/* SUSPENDS until all tasks have ended, or nothing has come for half a minute. Uses the plan's
 * service, payload_bytes and failure_shown. False: no memory or no timer, said so, and nothing to
 * deinit. */
bool bench_open_run(struct bench_open *open, struct sluice *sluice, struct bench_plan *plan);
void bench_open_deinit(struct bench_open *open);

/* What did not come back. */
uint64_t bench_open_lost(const struct bench_open *open);
/* Nothing lost, duplicated, corrupt or failed. */
bool bench_open_good(const struct bench_open *open);

#endif
