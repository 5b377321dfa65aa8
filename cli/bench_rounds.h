/* bench_rounds: passes of some plans in turn, and the medians of each. */
#ifndef SLUICE_CLI_BENCH_ROUNDS_H
#define SLUICE_CLI_BENCH_ROUNDS_H

#include "cli/bench_pass.h"

#define BENCH_ROUNDS 5
#define BENCH_ROUNDS_PLANS_MAX 2

/* Medians of the rounds of one plan. */
struct bench_figures {
    double tasks_per_s, broker_cpu_s;
    bool good; /* all of them were */
};

/* Rounds of up to BENCH_ROUNDS_PLANS_MAX plans in turn, so that a machine that gets slower
 * meanwhile treats them alike. False: no memory. SUSPENDS. */
bool bench_rounds_run(struct sluice *sluice, struct bench_pass *pass,
                      struct bench_plan *const plans[], size_t count,
                      struct bench_figures *figures);

#endif
