#include "broker/core/roster.h"

void roster_init(struct roster *roster)
{
    for (unsigned lane = 0; lane < ROSTER_LANES; lane++) {
        list_init(&roster->lanes[lane]);
    }
}

void roster_place_init(struct roster_place *place)
{
    for (unsigned lane = 0; lane < ROSTER_LANES; lane++) {
        list_init(&place->lanes[lane]);
    }
}

void roster_append(struct roster *roster, struct roster_place *place, uint64_t serial,
                   uint32_t hash)
{
    place->serial = serial;
    for (unsigned lane = 0; lane < ROSTER_LANES; lane++) {
        list_init(&place->lanes[lane]);
        if ((hash & ((1u << (lane * ROSTER_LANE_BITS)) - 1)) == 0) {
            list_push_back(&roster->lanes[lane], &place->lanes[lane]);
        }
    }
}

void roster_remove(struct roster_place *place)
{
    for (unsigned lane = 0; lane < ROSTER_LANES; lane++) {
        list_unlink(&place->lanes[lane]);
    }
}

static const struct roster_place *place_of(const struct list *link, unsigned lane)
{
    return list_entry(link - lane, const struct roster_place, lanes);
}

const struct list *roster_seek(const struct roster *roster, uint64_t serial)
{
    const struct list *lanes = roster->lanes; /* of the place reached, or of the roster */

    for (unsigned lane = ROSTER_LANES; lane-- > 0;) {
        const struct list *next = lanes[lane].next;

        while (next != &roster->lanes[lane] && place_of(next, lane)->serial <= serial) {
            lanes = next - lane;
            next = lanes[lane].next;
        }
    }
    return &lanes[0];
}
