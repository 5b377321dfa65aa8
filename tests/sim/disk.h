/* disk: where a simulated broker keeps its durable tasks, and what goes wrong there: it takes its
 * time, is full for a while, cannot be trusted any more; and of what it was given and has not
 * confirmed, a crash leaves any part from the beginning. */
#ifndef SLUICE_TESTS_SIM_DISK_H
#define SLUICE_TESTS_SIM_DISK_H

#include "broker/core/store.h"
#include "tests/lib/shelf.h"
#include "tests/sim/agenda.h"
#include "tests/sim/random.h"

struct sim_options;

struct disk {
    struct agenda *agenda;
    const struct sim_options *options;
    struct random random;
    struct shelf *shelf;
    uint64_t stored;        /* sequence that its broker knows of */
    uint64_t target, life;  /* of the commit under way; of the broker */
    bool busy;
    enum store_state state;
    /* Up to `sequence` all is safe. */
    void (*done)(void *context, uint64_t sequence);
    void *context;
};

void disk_init(struct disk *disk, struct agenda *agenda, const struct sim_options *options,
               void (*done)(void *context, uint64_t sequence), void *context);
void disk_deinit(struct disk *disk);
void disk_add(struct disk *disk, const struct store_record *record);
/* Writes what there is to write; done() is called later, or, if it takes no time, at once. */
void disk_look(struct disk *disk);
/* Its broker is gone. Up to which sequence all is left. */
uint64_t disk_crash(struct disk *disk);

#endif
