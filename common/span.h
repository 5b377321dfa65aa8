/* span: borrowed bytes, and the 16-byte id. libc only.
 *
 * A span never owns what it points at; whoever hands one out says how long
 * the bytes live. `data` may be NULL only when `size` is 0. */
#ifndef SLUICE_COMMON_SPAN_H
#define SLUICE_COMMON_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *data;
    size_t size;
};

static inline struct span span_of(const void *data, size_t size)
{
    return (struct span){data, size};
}

static inline struct span span_from_text(const char *text)
{
    return (struct span){(const uint8_t *)text, strlen(text)};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool span_is(struct span span, const char *text)
{
    return span_equal(span, span_from_text(text));
}

/* A task's, session's or broker's id: a UUID (version 7 by convention). */
struct id {
    uint8_t bytes[16];
};

static inline bool id_equal(const struct id *a, const struct id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static inline bool id_is_nil(const struct id *id)
{
    static const struct id nil;

    return id_equal(id, &nil);
}

#endif
