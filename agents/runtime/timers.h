/* timers: which of many moments comes next. A binary min-heap; a timer lives
 * inside what it is for and knows its place, so moving one is O(log n).
 *
 * Knows no clock. Timers are borrowed from timers_set to timers_clear. */
#ifndef SLUICE_RUNTIME_TIMERS_H
#define SLUICE_RUNTIME_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMERS_NEVER UINT64_MAX

struct timer {
    uint64_t at_ms;
    size_t place; /* in the heap, from 1; 0: not set */
};

struct timers {
    struct timer **heap;
    size_t count;
    size_t capacity;
};

void timers_init(struct timers *timers);
void timers_deinit(struct timers *timers); /* CHECKs that none is set */

/* Makes room: `count` timers can be set without fail. False: no memory. */
bool timers_reserve(struct timers *timers, size_t count);
/* Sets `timer`, or moves it. False: no memory, and it is as it was. A timer that
 * is set already can always be moved. */
bool timers_set(struct timers *timers, struct timer *timer, uint64_t at_ms);
void timers_clear(struct timers *timers, struct timer *timer); /* may be not set */

/* The earliest timer; NULL: none. */
struct timer *timers_first(const struct timers *timers);
/* When it fires; TIMERS_NEVER: none. */
uint64_t timers_next_ms(const struct timers *timers);

#endif
