/* arena: memory for one request, given back all at once.
 *
 * Requests are bounded before they are believed (see passage.h), so an arena is
 * too. No memory is a failed CHECK: the process ends, and the broker hands its
 * tasks to another worker. One thread at a time. */
#ifndef SLUICE_AGENTS_ANALYSIS_ARENA_H
#define SLUICE_AGENTS_ANALYSIS_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks;
    size_t used; /* of the newest chunk */
};

void arena_init(struct arena *arena);
void arena_deinit(struct arena *arena);

/* `count` zeroed items of `size` bytes, aligned for anything; live until deinit. */
void *arena_new(struct arena *arena, size_t count, size_t size);

/* A NUL-terminated copy of `size` bytes. */
char *arena_text(struct arena *arena, const char *text, size_t size);

#endif
