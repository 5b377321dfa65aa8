/* wheel: a hierarchical timing wheel with a tick of one millisecond.
 *
 * Varghese & Lauck, "Hashed and hierarchical timing wheels" (SOSP 1987), scheme 7:
 * six levels of 64 slots reach 2^36 ms, more than two years. Arming and cancelling
 * are O(1); advancing costs one look at a bitmap a level, plus what fires.
 *
 * The wheel owns nothing: a timer lives inside what it is about. One thread. */
#ifndef SLUICE_BROKER_CORE_WHEEL_H
#define SLUICE_BROKER_CORE_WHEEL_H

#include "common/list.h"

#include <stdint.h>

#define WHEEL_BITS 6
#define WHEEL_SLOTS (1 << WHEEL_BITS)
#define WHEEL_LEVELS 6
#define WHEEL_REACH_MS ((1ULL << (WHEEL_BITS * WHEEL_LEVELS)) - 1)
#define WHEEL_NEVER UINT64_MAX

struct timer {
    struct list link; /* on no list: not armed */
    uint64_t due_ms : 56;
    uint64_t kind : 8; /* the owner's: tells what the timer is inside of */
};

struct wheel {
    uint64_t now_ms;
    uint64_t occupied[WHEEL_LEVELS]; /* bit s: slot s of the level is not empty */
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
    struct list due; /* taken out by wheel_advance, not yet handed out */
    uint64_t armed;  /* timers in slots or due */
};

void wheel_init(struct wheel *wheel, uint64_t now_ms);
/* CHECKs that nothing is armed. */
void wheel_deinit(struct wheel *wheel);

void timer_init(struct timer *timer, unsigned kind);
bool timer_armed(const struct timer *timer);

/* Fires once at `due_ms`, or at the next wheel_pop if that has passed. Re-arms an
 * armed timer. Later than WHEEL_REACH_MS from now: fires then. */
void wheel_arm(struct wheel *wheel, struct timer *timer, uint64_t due_ms);
void wheel_cancel(struct wheel *wheel, struct timer *timer); /* no-op if not armed */

/* Moves time to `now_ms` (never back) and collects what is due. */
void wheel_advance(struct wheel *wheel, uint64_t now_ms);
/* The next timer that is due, disarmed; earliest first. NULL: none. */
struct timer *wheel_pop(struct wheel *wheel);

/* When to advance next: never later than the earliest timer; WHEEL_NEVER: none armed. */
uint64_t wheel_next_ms(const struct wheel *wheel);

#endif
