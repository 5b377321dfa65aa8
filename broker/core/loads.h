/* loads: offers with room, by how many tasks they hold.
 *
 * The least loaded is found by one look at a bitmap; among equals the one that joined first is
 * first. Exact up to 15, then four steps a doubling. Owns nothing; all O(1). */
#ifndef SLUICE_BROKER_CORE_LOADS_H
#define SLUICE_BROKER_CORE_LOADS_H

#include "common/list.h"

#include <stdint.h>

#define LOADS 64

struct loads {
    uint64_t occupied; /* bit n: offers[n] is not empty */
    struct list offers[LOADS];
};

static inline void loads_init(struct loads *loads)
{
    for (unsigned i = 0; i < LOADS; i++) {
        list_init(&loads->offers[i]);
    }
    loads->occupied = 0;
}

/* Where an offer that holds so many tasks stands. */
static inline unsigned load_of(uint32_t held)
{
    unsigned exponent, load;

    if (held < 16) {
        return held;
    }
    exponent = 31 - (unsigned)__builtin_clz(held); /* 4..16 */
    load = 16 + (exponent - 4) * 4 + ((held >> (exponent - 2)) & 3);
    return load < LOADS ? load : LOADS - 1;
}

/* Behind its equals: among equals the one that was served longest ago is next. */
static inline void loads_join(struct loads *loads, struct list *link, unsigned load)
{
    list_push_back(&loads->offers[load], link);
    loads->occupied |= 1ULL << load;
}

static inline void loads_leave(struct loads *loads, struct list *link, unsigned load)
{
    list_unlink(link);
    if (list_empty(&loads->offers[load])) {
        loads->occupied &= ~(1ULL << load);
    }
}

/* NULL: none has room. */
static inline struct list *loads_least(const struct loads *loads)
{
    return loads->occupied == 0
               ? NULL
               : list_first(&loads->offers[__builtin_ctzll(loads->occupied)]);
}

/* The one behind it, as loaded as it is; itself: there is none. */
static inline struct list *loads_other(const struct loads *loads, struct list *least)
{
    return least->next == &loads->offers[__builtin_ctzll(loads->occupied)] ? least : least->next;
}

#endif
