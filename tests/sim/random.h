/* random: seeded streams. xoshiro256** by Blackman & Vigna (public domain), seeded by splitmix64.
 *
 * Every purpose and every actor draws from a stream of its own, so that taking one
 * fault away does not reshuffle the rest of a world. */
#ifndef SLUICE_TESTS_SIM_RANDOM_H
#define SLUICE_TESTS_SIM_RANDOM_H

#include "common/span.h"

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t s[4];
};

/* `purpose` and `index` name the stream. */
void random_init(struct random *random, uint64_t seed, const char *purpose, uint64_t index);
uint64_t random_next(struct random *random);
/* 0 .. bound - 1; 0 for a bound of 0. */
uint64_t random_below(struct random *random, uint64_t bound);
uint64_t random_between(struct random *random, uint64_t low, uint64_t high); /* inclusive */
/* True in `permille` of 1,000 cases. */
bool random_chance(struct random *random, uint32_t permille);
/* Exponentially distributed around `mean`, at most 20 times of it: times between events. */
uint64_t random_wait(struct random *random, uint64_t mean);
struct id random_id(struct random *random);

#endif
