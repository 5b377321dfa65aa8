#include "agents/runtime/id_map.h"

#include "common/check.h"

#include <stdlib.h>

#define CAPACITY_MIN 64

void id_map_init(struct id_map *map, uint64_t seed)
{
    *map = (struct id_map){.seed = seed};
}

void id_map_deinit(struct id_map *map)
{
    free(map->slots);
    map->slots = NULL;
    map->capacity = map->count = 0;
}

/* Two rounds of multiply and fold over both halves of the id (the finalizer of
 * MurmurHash3, by Austin Appleby, public domain, with our seed mixed in). */
static size_t slot_of(const struct id_map *map, const struct id *id)
{
    uint64_t a, b;

    memcpy(&a, id->bytes, 8);
    memcpy(&b, id->bytes + 8, 8);
    a = (a ^ map->seed) * 0xff51afd7ed558ccdULL;
    a ^= a >> 33;
    a = (a ^ b) * 0xc4ceb9fe1a85ec53ULL;
    a ^= a >> 29;
    return (size_t)a & (map->capacity - 1);
}

void *id_map_find(const struct id_map *map, const struct id *id)
{
    if (map->count == 0) {
        return NULL;
    }
    for (size_t at = slot_of(map, id);; at = (at + 1) & (map->capacity - 1)) {
        const struct id_map_slot *slot = &map->slots[at];

        if (slot->value == NULL) {
            return NULL;
        }
        if (id_equal(&slot->id, id)) {
            return slot->value;
        }
    }
}

static void place(struct id_map *map, const struct id *id, void *value)
{
    size_t at = slot_of(map, id);

    while (map->slots[at].value != NULL) {
        CHECK(!id_equal(&map->slots[at].id, id));
        at = (at + 1) & (map->capacity - 1);
    }
    map->slots[at] = (struct id_map_slot){*id, value};
}

static bool grow(struct id_map *map)
{
    struct id_map old = *map;
    size_t capacity = old.capacity == 0 ? CAPACITY_MIN : old.capacity * 2;

    map->slots = calloc(capacity, sizeof *map->slots);
    if (map->slots == NULL) {
        map->slots = old.slots;
        return false;
    }
    map->capacity = capacity;
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.slots[i].value != NULL) {
            place(map, &old.slots[i].id, old.slots[i].value);
        }
    }
    free(old.slots);
    return true;
}

bool id_map_insert(struct id_map *map, const struct id *id, void *value)
{
    CHECK(value != NULL);
    if ((map->count + 1) * 4 > map->capacity * 3 && !grow(map)) {
        return false;
    }
    place(map, id, value);
    map->count++;
    return true;
}

void id_map_remove(struct id_map *map, const struct id *id)
{
    size_t mask = map->capacity - 1;
    size_t hole, at;

    CHECK(map->count > 0);
    hole = slot_of(map, id);
    while (!id_equal(&map->slots[hole].id, id)) {
        CHECK(map->slots[hole].value != NULL);
        hole = (hole + 1) & mask;
    }
    CHECK(map->slots[hole].value != NULL);
    /* Close the hole: whoever probed past it moves back into it. */
    for (at = (hole + 1) & mask; map->slots[at].value != NULL; at = (at + 1) & mask) {
        size_t home = slot_of(map, &map->slots[at].id);

        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole] = (struct id_map_slot){0};
    map->count--;
}
