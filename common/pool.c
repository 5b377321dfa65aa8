#include "common/pool.h"

#include "common/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define POOL_CHUNK_BYTES 65536
/* From some of those on, chunks are as large as a page of x86 and arm64 can be: of a million
 * objects on small pages each is a miss of the TLB. */
#define POOL_SMALL_CHUNKS 8
#define POOL_LARGE_BYTES (2 * 1024 * 1024)
#define POOL_ALIGN 16
#define POOL_LINE 64
#define POOL_CHUNK_HEAD POOL_LINE /* the link to the chunk before */

static size_t round_up(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

void pool_init(struct pool *pool, size_t object_bytes, size_t max)
{
    size_t lines_bytes = round_up(object_bytes, POOL_LINE);

    CHECK(object_bytes > 0);
    *pool = (struct pool){.max = max};
    /* In as few lines of the cache as can be, if that does not cost much. */
    pool->object_bytes = lines_bytes <= object_bytes + object_bytes / 4
                             ? lines_bytes : round_up(object_bytes, POOL_ALIGN);
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

/* False: no memory. */
static bool pool_add_chunk(struct pool *pool)
{
    bool large = pool->chunk_count >= POOL_SMALL_CHUNKS &&
                 pool->object_bytes <= POOL_LARGE_BYTES / 64;
    size_t bytes = large ? POOL_LARGE_BYTES : POOL_CHUNK_BYTES;
    size_t objects = (bytes - POOL_CHUNK_HEAD) / pool->object_bytes;
    void *chunk;

    if (objects == 0) {
        objects = 1;
        bytes = round_up(POOL_CHUNK_HEAD + pool->object_bytes, POOL_LINE);
    }
    chunk = aligned_alloc(large ? bytes : POOL_LINE, bytes);
    if (chunk == NULL) {
        return false;
    }
    if (large) {
        madvise(chunk, bytes, MADV_HUGEPAGE); /* a wish */
    }
    *(void **)chunk = pool->chunks;
    pool->chunks = chunk;
    pool->chunk_count++;
    pool->chunk_objects = pool->fresh = objects;
    return true;
}

static void *pool_take_fresh(struct pool *pool)
{
    size_t index;

    if (pool->fresh == 0 && !pool_add_chunk(pool)) {
        return NULL;
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
