/* agenda: what happens when, in virtual time. A binary heap by (time, order of entry).
 *
 * Entries cannot be taken back: whoever enters one for something that may go away passes
 * a number as `argument` that tells whether it is still meant. */
#ifndef SLUICE_TESTS_SIM_AGENDA_H
#define SLUICE_TESTS_SIM_AGENDA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void agenda_fn(void *context, uint64_t argument);

struct agenda_entry {
    uint64_t at_us;
    uint64_t order;
    agenda_fn *fn;
    void *context;
    uint64_t argument;
};

struct agenda {
    uint64_t now_us;
    uint64_t order;
    uint64_t fired;
    struct agenda_entry *heap;
    size_t count, capacity;
};

void agenda_init(struct agenda *agenda);
void agenda_deinit(struct agenda *agenda);

/* Calls fn(context, argument) at `at_us` (now, if that has passed). */
void agenda_enter(struct agenda *agenda, uint64_t at_us, agenda_fn *fn, void *context,
                  uint64_t argument);
/* Fires the next entry that is due by `until_us`. False: none; time is then `until_us`. */
bool agenda_step(struct agenda *agenda, uint64_t until_us);

#endif
