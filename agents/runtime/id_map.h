/* id_map: what is known by a 16-byte id. Open addressing, linear probing.
 *
 * Ids come from other peers, so the hash is seeded: nobody who does not know
 * the seed can make them collide. Values are borrowed. One thread. */
#ifndef SLUICE_RUNTIME_ID_MAP_H
#define SLUICE_RUNTIME_ID_MAP_H

#include "common/span.h"

struct id_map_slot {
    struct id id;
    void *value; /* NULL: free */
};

struct id_map {
    struct id_map_slot *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
    uint64_t seed;
};

void id_map_init(struct id_map *map, uint64_t seed);
void id_map_deinit(struct id_map *map); /* values are not touched */

/* NULL: not there. */
void *id_map_find(const struct id_map *map, const struct id *id);

/* Needs: `id` is not there, value not NULL. False: no memory, nothing changed. */
bool id_map_insert(struct id_map *map, const struct id *id, void *value);

/* Needs: `id` is there. */
void id_map_remove(struct id_map *map, const struct id *id);

#endif
