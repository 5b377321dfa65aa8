/* pair: the same worlds under another build of the same sources, with another optimisation and
 * another allocator: what happens in a world may depend on neither. */
#ifndef SLUICE_TESTS_SIM_PAIR_H
#define SLUICE_TESTS_SIM_PAIR_H

#include "tests/sim/options.h"

#include <stdio.h>
#include <sys/types.h>

struct pair {
    FILE *to, *from;
    pid_t pid;
};

/* Starts `program`, which must be another build of this one. */
void pair_start(struct pair *pair, const char *program);
void pair_stop(struct pair *pair);
/* Has the other build run this world, at the same time as we do. */
void pair_ask(struct pair *pair, const struct sim_options *options);
/* Waits for it. False: it failed there. */
bool pair_answer(struct pair *pair, const struct sim_options *options, uint64_t *hash);
/* The other build's half: until end of input. Returns the exit status. */
int pair_follow(void);

#endif
