/* id_map: what is known by a 16-byte id: common/table with ids as keys.
 *
 * Ids come from other peers, so the hash is seeded: nobody who does not know
 * the seed can make them collide. Nodes live inside what they stand for. */
#ifndef SLUICE_RUNTIME_ID_MAP_H
#define SLUICE_RUNTIME_ID_MAP_H

#include "common/span.h"
#include "common/table.h"

struct id_node {
    struct table_node node;
    struct id id;
};

struct id_map {
    struct table table;
    uint64_t seed;
};

bool id_map_init(struct id_map *map, uint64_t seed); /* false: no memory */
void id_map_deinit(struct id_map *map);              /* CHECKs that it is empty */

/* What id_map_at will look at is brought into the cache. */
uint32_t id_map_expect(const struct id_map *map, const struct id *id);
/* What is probably known by the id of which id_map_expect has said this: a guess. NULL: nothing. */
struct id_node *id_map_at(const struct id_map *map, uint32_t hash);
struct id_node *id_map_find(const struct id_map *map, const struct id *id); /* NULL: not there */
void id_map_insert(struct id_map *map, struct id_node *node); /* its id is set, and not there */
void id_map_remove(struct id_map *map, struct id_node *node); /* is there */

/* Numbers as ids. */
struct id id_of_number(uint64_t number);

#endif
