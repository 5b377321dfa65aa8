/* ring: whose turn it is.
 *
 * Turns of ten priorities: while a higher one has some, a lower one has none. Within a priority
 * deficit round robin (Shreedhar & Varghese, "Efficient fair queuing using deficit round robin",
 * IEEE/ACM ToN 4(3), 1996) with a quantum of `weight` and one task as the unit of cost: a round
 * gives every turn as many tasks as its weight, and since no task costs more than 1 no deficit
 * is ever carried into the next round.
 *
 * A turn that could not be used keeps its place in line, its stamp, on a ring of its own kind until
 * it can be.
 *
 * The ring owns nothing: a turn lives inside what waits for it. All O(1), but for ring_insert. */
#ifndef SLUICE_BROKER_CORE_RING_H
#define SLUICE_BROKER_CORE_RING_H

#include "common/list.h"
#include "common/mutant.h"
#include "proto/limits.h"

#include <stdbool.h>
#include <stdint.h>

struct turn {
    struct list link;
    struct ring *ring; /* that it is on; NULL: it does not wait */
    uint64_t stamp;    /* what joined before has a smaller one */
    uint32_t weight;   /* tasks a round; at least 1 while it is on a ring */
    uint32_t left;     /* of this round; 0: its next one has not begun */
    uint8_t priority;
};

struct ring {
    uint32_t occupied; /* bit p: turns[p] is not empty */
    uint64_t stamp;    /* of what joined last */
    struct list turns[PRIORITY_MAX + 1];
};

static inline void ring_init(struct ring *ring)
{
    for (unsigned i = 0; i <= PRIORITY_MAX; i++) {
        list_init(&ring->turns[i]);
    }
    ring->occupied = 0;
    ring->stamp = 0;
}

static inline void turn_init(struct turn *turn, unsigned priority)
{
    list_init(&turn->link);
    turn->ring = NULL;
    turn->priority = (uint8_t)(MUTANT(PRIORITY_IGNORED) ? 0 : priority);
}

static inline bool turn_waits(const struct turn *turn)
{
    return turn->ring != NULL;
}

/* At the front or the back of its priority, with the stamp that it has. */
static inline void ring_put(struct ring *ring, struct turn *turn, bool front)
{
    struct list *turns = &ring->turns[turn->priority];

    if (front) {
        list_push_front(turns, &turn->link);
    } else {
        list_push_back(turns, &turn->link);
    }
    turn->ring = ring;
    ring->occupied |= 1u << turn->priority;
}

/* Last of its priority. */
static inline void ring_join(struct ring *ring, struct turn *turn)
{
    turn->stamp = ++ring->stamp;
    ring_put(ring, turn, false);
}

/* Where its stamp says; looks at what is there with a greater one. */
static inline void ring_insert(struct ring *ring, struct turn *turn)
{
    struct list *turns = &ring->turns[turn->priority], *after = turns->prev;

    while (after != turns && list_entry(after, struct turn, link)->stamp > turn->stamp) {
        after = after->prev;
    }
    list_push_front(after, &turn->link);
    turn->ring = ring;
    ring->occupied |= 1u << turn->priority;
}

/* What is left of its round stays: see turn_reset. */
static inline void ring_leave(struct turn *turn)
{
    struct ring *ring = turn->ring;

    list_unlink(&turn->link);
    turn->ring = NULL;
    if (list_empty(&ring->turns[turn->priority])) {
        ring->occupied &= ~(1u << turn->priority);
    }
}

/* It has nothing more to hand out: a turn that comes back later begins a round. */
static inline void turn_reset(struct turn *turn)
{
    turn->left = 0;
}

/* Whose turn it is; NULL: nobody's. */
static inline struct turn *ring_first(const struct ring *ring, unsigned priority)
{
    struct list *link = list_first(&ring->turns[priority]);

    return link == NULL ? NULL : list_entry(link, struct turn, link);
}

static inline struct turn *ring_top(const struct ring *ring)
{
    return ring->occupied == 0 ? NULL
                               : ring_first(ring, 31 - (unsigned)__builtin_clz(ring->occupied));
}

/* It hands out one task. True: that was the last one of its round. */
static inline bool turn_charge(struct turn *turn)
{
    if (turn->left == 0 || turn->left > turn->weight) {
        turn->left = turn->weight; /* its round begins, or its weight has shrunk */
    }
    return --turn->left == 0 && !MUTANT(TURNS_NOT_TAKEN);
}

#endif
