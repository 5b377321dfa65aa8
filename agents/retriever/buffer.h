/* buffer: bytes that grow up to a bound. libc only; one thread.
 *
 * Always ends with a NUL that `size` does not count, so that text in it can be
 * handed to C functions. Running out of memory stops the process (CHECK): the
 * bounds of this program are what keeps that from happening. */
#ifndef SLUICE_RETRIEVER_BUFFER_H
#define SLUICE_RETRIEVER_BUFFER_H

#include "common/span.h"

struct buffer {
    char *data; /* NULL until the first byte */
    size_t size, capacity;
};

void buffer_deinit(struct buffer *buffer);

/* Room for `size` bytes more, behind what is there; the caller fills it and
 * adds to buffer->size. Valid until the next call. */
char *buffer_reserve(struct buffer *buffer, size_t size);

void buffer_add(struct buffer *buffer, const void *data, size_t size);
void buffer_add_text(struct buffer *buffer, const char *text);
void buffer_add_byte(struct buffer *buffer, char byte);
/* UTF-8 of a code point; anything that is none adds U+FFFD. */
void buffer_add_code_point(struct buffer *buffer, uint32_t code);

void buffer_truncate(struct buffer *buffer, size_t size); /* to at most `size` */
struct span buffer_span(const struct buffer *buffer);     /* until the next change */
const char *buffer_text(const struct buffer *buffer);     /* never NULL */

#endif
