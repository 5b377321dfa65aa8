/* durable_world: a broker's core with durable tasks, two workers and a submitter that comes back
 * after each crash, all drawn from a seed; and what they were told, which must hold.
 *
 * Whatever happens, whenever the broker dies, and with whatever part of the records that it was not
 * told of: no accepted task is lost, each outcome that was told stays what it was, what may start
 * once does, payloads are what was sent, and every task ends.
 *
 * One world at a time, one thread. */
#ifndef SLUICE_TESTS_SPEC_DURABLE_WORLD_H
#define SLUICE_TESTS_SPEC_DURABLE_WORLD_H

#include "broker/core/store.h"

#include <stdbool.h>
#include <stdint.h>

/* Where the world's records go. */
struct keeper {
    void *context;
    void (*add)(void *context, const struct store_record *record);
    /* All up to *safe are. False: the broker must go, now; it may be told of those that are safe. */
    bool (*keep)(void *context, uint64_t *safe);
    /* The broker is gone, and was told of all up to `safe`, 0 of none. Gives each row that is left
     * to `take`, in the order of keys. Returns the next key; 0: with durable_blame. Later calls are
     * for another broker. `calm`: none of its own doing may go wrong any more. */
    uint64_t (*restart)(void *context, uint64_t safe, bool calm,
                        void (*take)(void *taker, const struct store_row *row), void *taker);
};

struct durable_sums {
    uint64_t worlds, crashes, accepted, told;
};

/* Runs the world of this seed. NULL: all held; else what did not, static. Adds to `sums`. */
const char *durable_world_run(uint64_t seed, const struct keeper *keeper,
                              struct durable_sums *sums);

/* For a keeper: 0 to below - 1, from the world's seed. */
uint64_t durable_draw(uint64_t below);
/* For a keeper: something is wrong. The first reason is kept. */
void durable_blame(const char *why, ...) __attribute__((format(printf, 1, 2)));

#endif
