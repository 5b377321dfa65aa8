#include "agents/retriever/buffer.h"

#include "common/check.h"

#include <stdlib.h>

void buffer_deinit(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

char *buffer_reserve(struct buffer *buffer, size_t size)
{
    size_t need = buffer->size + size + 1;

    CHECK(need > size);
    if (need > buffer->capacity) {
        size_t capacity = buffer->capacity < 64 ? 64 : buffer->capacity;

        while (capacity < need) {
            capacity += capacity / 2;
        }
        buffer->data = realloc(buffer->data, capacity);
        CHECK(buffer->data != NULL);
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->size;
}

void buffer_add(struct buffer *buffer, const void *data, size_t size)
{
    char *room = buffer_reserve(buffer, size);

    if (size > 0) {
        memcpy(room, data, size);
    }
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
}

void buffer_add_text(struct buffer *buffer, const char *text)
{
    buffer_add(buffer, text, strlen(text));
}

void buffer_add_byte(struct buffer *buffer, char byte)
{
    buffer_add(buffer, &byte, 1);
}

void buffer_add_code_point(struct buffer *buffer, uint32_t code)
{
    char bytes[4];
    size_t size;

    if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
        code = 0xFFFD;
    }
    if (code < 0x80) {
        bytes[0] = (char)code;
        size = 1;
    } else if (code < 0x800) {
        bytes[0] = (char)(0xC0 | code >> 6);
        size = 2;
    } else if (code < 0x10000) {
        bytes[0] = (char)(0xE0 | code >> 12);
        size = 3;
    } else {
        bytes[0] = (char)(0xF0 | code >> 18);
        size = 4;
    }
    for (size_t i = 1; i < size; i++) {
        bytes[i] = (char)(0x80 | (code >> 6 * (size - 1 - i) & 0x3F));
    }
    buffer_add(buffer, bytes, size);
}

void buffer_truncate(struct buffer *buffer, size_t size)
{
    if (size <= buffer->size && buffer->data != NULL) {
        buffer->size = size;
        buffer->data[size] = '\0'; /* also over what was reserved and not used */
    }
}

struct span buffer_span(const struct buffer *buffer)
{
    return span_of(buffer->data, buffer->size);
}

const char *buffer_text(const struct buffer *buffer)
{
    return buffer->data == NULL ? "" : buffer->data;
}
