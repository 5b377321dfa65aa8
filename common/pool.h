/* pool: objects of one size, up to a fixed number.
 *
 * Takes memory in chunks and keeps it: what was needed once will be needed again,
 * and a full pool means "full", never "no memory half-way". Objects of 64 bytes and more
 * begin at a line of the cache, unless that makes them larger by more than a quarter.
 * One thread. */
#ifndef SLUICE_COMMON_POOL_H
#define SLUICE_COMMON_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool {
    size_t object_bytes;
    size_t max;     /* objects at once */
    size_t used;
    size_t fresh;   /* objects of the newest chunk never handed out */
    void *free;     /* chain of returned objects */
    void *chunks;   /* chain of chunks, the newest first */
    size_t chunk_count;
    size_t chunk_objects; /* of the newest */
    uint64_t *sum;  /* of bytes in use, of this and maybe other pools; NULL: not counted */
};

void pool_init(struct pool *pool, size_t object_bytes, size_t max);
/* From now on what is in use is counted in *sum, too. Nothing is yet. */
void pool_count_in(struct pool *pool, uint64_t *sum);
/* CHECKs that every object has come back. */
void pool_deinit(struct pool *pool);

/* A zeroed object, yours until pool_put. NULL: `max` are in use, or no memory. */
void *pool_get(struct pool *pool);
void pool_put(struct pool *pool, void *object);

#endif
