/* fleet: new worlds, one after another, in as many processes as wanted. A world that fails ends
 * its process, and the run. */
#ifndef SLUICE_TESTS_SIM_FLEET_H
#define SLUICE_TESTS_SIM_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#define FLEET_JOBS_MAX 16

struct fleet_plan {
    uint64_t first;    /* seed; job i runs first + i, first + i + jobs, ... */
    unsigned jobs;     /* 1 to FLEET_JOBS_MAX */
    unsigned seconds;
    const char *pair;  /* another build of this program; NULL: none */
    char **sets;       /* "name=value", for every world */
    unsigned set_count;
    bool quiet;        /* no progress */
};

struct fleet_result {
    uint64_t seeds, steps, virtual_ms, submitted, joins, checks;
    uint64_t paired;          /* worlds that hashed the same in both builds */
    double slowest_s;         /* processor time of one world */
    uint64_t slowest_seed;
    bool failed;
    uint64_t failed_seed;
    enum fleet_failure {
        FLEET_VIOLATION,      /* the world fails by itself */
        FLEET_HASHES_DIFFER,
        FLEET_PAIR_FAILED,    /* it fails in the other build only */
    } failure;
    unsigned never;           /* rare states that were not reached */
};

struct fleet_result fleet_run(const struct fleet_plan *plan);
/* Runs the failed world again, shrinks it and prints how to reproduce it. */
void fleet_explain(const struct fleet_plan *plan, const struct fleet_result *result);
/* Prints how often each rare state was reached in the last run. */
void fleet_print_rare_states(void);

#endif
