/* bench: what the benchmarks have in common. */
#ifndef SLUICE_CLI_BENCH_H
#define SLUICE_CLI_BENCH_H

#include "agents/runtime/sluice.h"
#include "cli/command.h"
#include "cli/fleet.h"

#define BENCH_SERVICES_MAX 4096

extern const struct command command_bench_echo;
extern const struct command command_bench_latency;
extern const struct command command_bench_gather;
extern const struct command command_bench_depth;
extern const struct command command_bench_spread;
extern const struct command command_bench_durable;

/* Starts the fleet, visits its broker with `fn`, stops the fleet. */
int bench_visit(struct cli *cli, const struct command *self, struct fleet_options *options,
                sluice_main_fn *fn, void *arg);

/* Waits until `workers` serve `service`. SUSPENDS. EXIT_DONE, or said why not. */
int bench_wait_workers(struct sluice *sluice, const char *service, uint64_t workers);

/* A service that no other benchmark at the same broker uses; a static buffer. */
const char *bench_service(const char *kind);

#endif
