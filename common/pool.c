#include "common/pool.h"

#include "common/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define POOL_CHUNK_BYTES 65536
#define POOL_ALIGN 16
#define POOL_CHUNK_HEAD POOL_ALIGN /* the link to the chunk before */

void pool_init(struct pool *pool, size_t object_bytes, size_t max)
{
    CHECK(object_bytes > 0);
    *pool = (struct pool){.max = max};
    pool->object_bytes = (object_bytes + POOL_ALIGN - 1) / POOL_ALIGN * POOL_ALIGN;
    pool->chunk_objects = (POOL_CHUNK_BYTES - POOL_CHUNK_HEAD) / pool->object_bytes;
    if (pool->chunk_objects == 0) {
        pool->chunk_objects = 1;
    }
}

void pool_deinit(struct pool *pool)
{
    void *chunk = pool->chunks;

    CHECK(pool->used == 0);
    while (chunk != NULL) {
        void *next = *(void **)chunk;

        free(chunk);
        chunk = next;
    }
    *pool = (struct pool){0};
}

static void *pool_take_fresh(struct pool *pool)
{
    size_t index;

    if (pool->fresh == 0) {
        void *chunk = malloc(POOL_CHUNK_HEAD + pool->chunk_objects * pool->object_bytes);

        if (chunk == NULL) {
            return NULL;
        }
        *(void **)chunk = pool->chunks;
        pool->chunks = chunk;
        pool->fresh = pool->chunk_objects;
    }
    index = pool->chunk_objects - pool->fresh--;
    return (uint8_t *)pool->chunks + POOL_CHUNK_HEAD + index * pool->object_bytes;
}

void pool_count_in(struct pool *pool, uint64_t *sum)
{
    CHECK(pool->used == 0);
    pool->sum = sum;
}

void *pool_get(struct pool *pool)
{
    void *object = pool->free;

    if (pool->used == pool->max) {
        return NULL;
    }
    if (object != NULL) {
        pool->free = *(void **)object;
    } else {
        object = pool_take_fresh(pool);
    }
    if (object == NULL) {
        return NULL;
    }
    pool->used++;
    if (pool->sum != NULL) {
        *pool->sum += pool->object_bytes;
    }
    memset(object, 0, pool->object_bytes);
    return object;
}

void pool_put(struct pool *pool, void *object)
{
    CHECK(object != NULL);
    CHECK(pool->used > 0);
    *(void **)object = pool->free;
    pool->free = object;
    pool->used--;
    if (pool->sum != NULL) {
        *pool->sum -= pool->object_bytes;
    }
}
