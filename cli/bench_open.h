/* bench_open: tasks echoed at a constant rate, whatever becomes of those before: an open loop.
 *
 * Every reply is checked, and its latency counts from when its task was due, not from when it was
 * sent (cli/pace.h says why). One run at a time in a process; on a fiber. */
#ifndef SLUICE_CLI_BENCH_OPEN_H
#define SLUICE_CLI_BENCH_OPEN_H

#include "cli/bench_pass.h"

/* Makes a struct too large for a fiber's stack. */
struct bench_open {
    struct bench_result result; /* in: rate and tasks; out: what it came to, with the two below */
    struct echo_check check;
    struct histogram latency_ns;
};

/* SUSPENDS until all tasks have ended, or nothing has come for half a minute. Of the plan it uses
 * bench, service, payload_bytes, wait_absent and failure_shown. False: no memory or no timer, said
 * so, and nothing to deinit. */
bool bench_open_run(struct bench_open *open, struct sluice *sluice, struct bench_plan *plan);
void bench_open_deinit(struct bench_open *open);

#endif
