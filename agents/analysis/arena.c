#include "agents/analysis/arena.h"

#include "common/check.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_CHUNK_BYTES (64 * 1024)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    alignas(max_align_t) unsigned char bytes[];
};

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

void arena_deinit(struct arena *arena)
{
    struct arena_chunk *chunk = arena->chunks;

    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;

        free(chunk);
        chunk = next;
    }
    *arena = (struct arena){0};
}

void *arena_new(struct arena *arena, size_t count, size_t size)
{
    const size_t align = alignof(max_align_t);
    void *memory;
    size_t bytes;

    CHECK(size > 0 && count < SIZE_MAX / 2 / size);
    bytes = (count * size + align - 1) / align * align;
    if (arena->chunks == NULL || arena->chunks->size - arena->used < bytes) {
        size_t room = bytes > ARENA_CHUNK_BYTES ? bytes : ARENA_CHUNK_BYTES;
        struct arena_chunk *chunk = malloc(sizeof *chunk + room);

        CHECK(chunk != NULL);
        chunk->next = arena->chunks;
        chunk->size = room;
        arena->chunks = chunk;
        arena->used = 0;
    }
    memory = arena->chunks->bytes + arena->used;
    arena->used += bytes;
    memset(memory, 0, bytes);
    return memory;
}

char *arena_text(struct arena *arena, const char *text, size_t size)
{
    char *copy = arena_new(arena, size + 1, 1);

    memcpy(copy, text, size);
    return copy;
}
