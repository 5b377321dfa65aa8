/* roster: things in the order in which the broker met them, found by serial number.
 *
 * A skip list (Pugh, "Skip lists: a probabilistic alternative to balanced trees", CACM
 * 33(6), 1990) with a fixed number of lanes, one in 64 to the next. It grows at its end
 * only, so that a place on it is a few links. Which lanes a thing is on depends on a
 * seeded hash: nobody outside can thin them out.
 *
 * The roster owns nothing: a place lives inside its thing. */
#ifndef SLUICE_BROKER_CORE_ROSTER_H
#define SLUICE_BROKER_CORE_ROSTER_H

#include "common/list.h"

#include <stdint.h>

#define ROSTER_LANES 3
#define ROSTER_LANE_BITS 6

struct roster {
    struct list lanes[ROSTER_LANES]; /* all are on lane 0: walk it with list_each */
};

struct roster_place {
    struct list lanes[ROSTER_LANES];
    uint64_t serial;
};

void roster_init(struct roster *roster);
/* On no roster: roster_remove does nothing to it. */
void roster_place_init(struct roster_place *place);
/* `serial` is above all serials there. `hash`: of the serial, with a secret seed. */
void roster_append(struct roster *roster, struct roster_place *place, uint64_t serial,
                   uint32_t hash);
void roster_remove(struct roster_place *place);

/* The link on lane 0 of the last place up to `serial`, the head of lane 0 if there is none:
 * what comes after it has a greater serial. */
const struct list *roster_seek(const struct roster *roster, uint64_t serial);

#endif
