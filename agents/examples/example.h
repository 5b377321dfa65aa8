/* example: what the programs of this folder share: options, a peer that serves and asks, and one
 * line of output. Every program runs its whole scenario as one task, so that the broker's clock
 * says how long it took, whoever watches. */
#ifndef SLUICE_EXAMPLES_EXAMPLE_H
#define SLUICE_EXAMPLES_EXAMPLE_H

#include "agents/runtime/sluice.h"

struct example {
    const char *name;    /* of the program */
    const char *about;   /* what it shows: a paragraph for --help, ending in \n */
    const struct sluice_service *services;
    size_t service_count;
    sluice_main_fn *ask; /* runs on a fiber, once connected */
};

/* Parses the command line, serves, asks, and returns the exit status. */
int example_main(const struct example *example, int argc, char **argv);

/* How long a provider of this folder takes over one call: --ms, 1,000 by default. */
uint64_t example_work_ms(void);

/* Submits one task and waits for it. Prints {"service", "outcome", "ran_ms", "result" or "error"}
 * as one line; the time is the broker's. SUSPENDS. Steals `arguments`. 0: done. */
int example_ask(struct sluice *sluice, const char *service, json_t *arguments);

/* Works on `task` for `ms`, as a provider that is waited for would. SUSPENDS. False: the task was
 * cancelled meanwhile, and is answered. */
bool example_work(struct sluice_task *task, uint64_t ms);

/* Ends `task` as `future` has failed. */
void example_fail_as(struct sluice_task *task, struct sluice_future *future);

#endif
