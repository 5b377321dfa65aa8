/* ring: whose turn it is.
 *
 * Turns of ten priorities: while a higher one has some, a lower one has none. Within a priority
 * deficit round robin (Shreedhar & Varghese, "Efficient fair queuing using deficit round robin",
 * IEEE/ACM ToN 4(3), 1996) with a quantum of `weight` and one task as the unit of cost: a round
 * gives every turn as many tasks as its weight, and since no task costs more than 1 no deficit
 * is ever carried into the next round.
 *
 * The ring owns nothing: a turn lives inside what waits for it. Everything is O(1). */
#ifndef SLUICE_BROKER_CORE_RING_H
#define SLUICE_BROKER_CORE_RING_H

#include "common/list.h"
#include "common/mutant.h"
#include "proto/limits.h"

#include <stdint.h>

struct turn {
    struct list link;  /* on no list: not waiting for its turn */
    uint64_t weight;   /* tasks a round; at least 1 while it is on a ring */
    uint64_t left;     /* of this round; 0: its next one has not begun */
    uint8_t priority;
};

struct ring {
    struct list turns[PRIORITY_MAX + 1];
    uint32_t occupied; /* bit p: turns[p] is not empty */
};

static inline void ring_init(struct ring *ring)
{
    for (unsigned i = 0; i <= PRIORITY_MAX; i++) {
        list_init(&ring->turns[i]);
    }
    ring->occupied = 0;
}

static inline void turn_init(struct turn *turn, unsigned priority)
{
    list_init(&turn->link);
    turn->priority = (uint8_t)(MUTANT(PRIORITY_IGNORED) ? 0 : priority);
}

static inline bool turn_waits(const struct turn *turn)
{
    return !list_empty(&turn->link);
}

/* `front`: it was its turn, and could not use it until now. */
static inline void ring_join(struct ring *ring, struct turn *turn, bool front)
{
    struct list *turns = &ring->turns[turn->priority];

    if (front) {
        list_push_front(turns, &turn->link);
    } else {
        list_push_back(turns, &turn->link);
    }
    ring->occupied |= 1u << turn->priority;
}

/* What is left of its round stays: see turn_reset. */
static inline void ring_leave(struct ring *ring, struct turn *turn)
{
    list_unlink(&turn->link);
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

/* The turn that is first hands out one task. */
static inline void ring_charge(struct ring *ring, struct turn *turn)
{
    if (turn->left == 0 || turn->left > turn->weight) {
        turn->left = turn->weight; /* its round begins, or its weight has shrunk */
    }
    if (--turn->left == 0 && !MUTANT(TURNS_NOT_TAKEN)) {
        list_unlink(&turn->link);
        list_push_back(&ring->turns[turn->priority], &turn->link);
    }
}

#endif
