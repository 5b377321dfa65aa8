#include "agents/runtime/id_map.h"

bool id_map_init(struct id_map *map, uint64_t seed)
{
    map->seed = seed;
    return table_init(&map->table);
}

void id_map_deinit(struct id_map *map)
{
    table_deinit(&map->table);
}

static uint32_t hash_of(const struct id_map *map, const struct id *id)
{
    return table_hash(map->seed, id->bytes, sizeof id->bytes);
}

uint32_t id_map_expect(const struct id_map *map, const struct id *id)
{
    uint32_t hash = hash_of(map, id);

    table_prefetch(&map->table, hash);
    return hash;
}

struct id_node *id_map_at(const struct id_map *map, uint32_t hash)
{
    struct table_node *first = table_chain(&map->table, hash);

    return first != NULL ? table_entry(first, struct id_node, node) : NULL;
}

struct id_node *id_map_find(const struct id_map *map, const struct id *id)
{
    uint32_t hash = hash_of(map, id);

    for (struct table_node *at = table_chain(&map->table, hash); at != NULL; at = at->next) {
        struct id_node *node = table_entry(at, struct id_node, node);

        if (at->hash == hash && id_equal(&node->id, id)) {
            return node;
        }
    }
    return NULL;
}

void id_map_insert(struct id_map *map, struct id_node *node)
{
    table_insert(&map->table, &node->node, hash_of(map, &node->id));
}

void id_map_remove(struct id_map *map, struct id_node *node)
{
    table_remove(&map->table, &node->node);
}

struct id id_of_number(uint64_t number)
{
    struct id id = {{0}};

    memcpy(id.bytes, &number, sizeof number);
    return id;
}
