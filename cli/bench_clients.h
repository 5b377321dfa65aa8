/* bench_clients: submitters in processes of their own, for an echo of many. Each says a byte on its
 * standard output when it is ready, begins at a byte on its standard input, and ends with a struct
 * client_report. Both ends are the same program. */
#ifndef SLUICE_CLI_BENCH_CLIENTS_H
#define SLUICE_CLI_BENCH_CLIENTS_H

#include "cli/bench_result.h"
#include "cli/fleet.h"

#define CLIENT_BEGIN_MS 60000 /* so long one waits for the others at most */

struct client_report {
    uint64_t begun_ns, ended_ns; /* monotonic: the same for all processes */
    uint64_t received, duplicated, corrupt, failed;
    double cpu_s;
    struct histogram latency_ns; /* makes the struct too large for a fiber's stack */
};

struct sluice;
struct bench_plan;

/* All of them: started, waited for, ended. The plan's window and tasks are divided among `count`
 * of them (1 up to FLEET_HELPERS_MAX; window and tasks are no fewer). Fills in what
 * bench_pass_measure does; what it refers to lives as long as the program. False: said why.
 * SUSPENDS. */
bool bench_clients_run(struct sluice *sluice, const struct bench_plan *plan, uint64_t count,
                       struct bench_result *result);

#endif
