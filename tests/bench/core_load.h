/* core_load: a submitter that keeps a window of tasks under way in a world, and workers that
 * hold them for a while and answer.
 *
 * Each task's payload is checked in its result, byte for byte, and its id; nothing that the
 * broker says goes unread. The same plan and seed give the same commands, each time. */
#ifndef SLUICE_TESTS_BENCH_CORE_LOAD_H
#define SLUICE_TESTS_BENCH_CORE_LOAD_H

#include "cli/echo_check.h"
#include "tests/bench/core_worker.h"

struct load {
    struct plan plan;
    struct world *world; /* borrowed */
    struct echo_check check;
    struct worker workers[WORLD_WORKERS];
    uint64_t submitted, ended; /* tasks; a join is none */
    uint64_t turn_began;       /* `submitted` before the turn */
    uint64_t cancelled;
    uint64_t failed;           /* came out as they should not, payloads included: load_failed */
    uint64_t duplicated;       /* results of tasks that had one */
    uint8_t *payload;          /* the one being made, or compared with */
    uint8_t *ended_bits;
    uint16_t *next_chunks;     /* of each task; only with chunks */
    struct read *reads;        /* to be said, each of another task */
    size_t read_count;
    struct id *needs;          /* of the next join */
    size_t need_count;
};

/* Workers offer, and what is to wait meanwhile does. */
void load_init(struct load *load, const struct plan *plan, struct world *world);
void load_deinit(struct load *load);

/* Whatever was not as it should be, at the submitter and at the workers; check.corrupt too. */
uint64_t load_failed(const struct load *load);

/* Goes on until `ended` tasks have, all in all. False: no task has ended for so long that the
 * rest is lost. */
bool load_run(struct load *load, uint64_t ended);

#endif
