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
extern const struct command command_bench_load;
extern const struct command command_bench_idle;
extern const struct command command_bench_recovery;
extern const struct command command_bench_cancel;
extern const struct command command_bench_streams;

/* Starts the fleet, visits its broker with `fn`, stops the fleet. */
int bench_visit(struct cli *cli, const struct command *self, struct fleet_options *options,
                sluice_main_fn *fn, void *arg);

/* Options of a private broker that bound nothing a benchmark piles up; NULL at the end. */
extern const char *const bench_unbounded[];

/* "10,50,80" into numbers, how many they are; 0: not so, more than `max` of them, or one that is
 * not from 1 to `largest`. */
size_t bench_read_numbers(const char *text, uint64_t largest, uint64_t *numbers, size_t max);

/* Whether something that is counted has stood still. Begins as zeros. */
struct bench_stall {
    uint64_t count, moved_ms;
};
#define BENCH_STALL_MS 30000
/* True: for BENCH_STALL_MS of the loop's time `count` has been what it is. */
bool bench_stalls(struct bench_stall *stall, struct sluice *sluice, uint64_t count);

/* `count` numbers of the broker's statistics. SUSPENDS. False: said why not. */
bool bench_stats(struct sluice *sluice, const char *const names[], uint64_t *values, size_t count);

/* Waits until `workers` serve `service`. SUSPENDS. EXIT_DONE, or said why not. */
int bench_wait_workers(struct sluice *sluice, const char *service, uint64_t workers);

/* Reads `size` bytes from a pipe that does not wait. SUSPENDS. False: its other end has closed, or
 * nothing has come for `within_ms`. */
bool bench_read(struct sluice *sluice, int pipe, void *data, size_t size, uint64_t within_ms);

/* For what cannot be measured at another broker than our own: true if --broker names one, and
 * *code is the exit code; said why. */
bool bench_refuse_broker(const struct cli *cli, const struct command *self, int *code);
#define BENCH_OWN_BROKER "Always a broker of its own.\n"

/* Options that many benchmarks have: of their fleet, and the folder of its store. */
#define BENCH_WORKERS_SPEC(fleet)                                                                  \
    OPTION_UINT_SPEC("workers", &(fleet)->workers, "N", 1, FLEET_WORKERS_MAX,                      \
                     "worker processes (2)")
#define BENCH_TRANSPORT_SPEC(fleet)                                                                \
    OPTION_TEXT_SPEC("transport", &(fleet)->transport, "tcp|ipc",                                  \
                     "how to reach the private broker (tcp)")
#define BENCH_DIRECTORY_SPEC(to)                                                                   \
    OPTION_TEXT_SPEC("directory", (to), "DIR", "where the store is, while it runs (.)")

/* A service that no other benchmark at the same broker uses; a static buffer. */
const char *bench_service(const char *kind);

#endif
