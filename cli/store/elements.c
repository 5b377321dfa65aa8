#include "cli/store/elements.h"

#include "common/check.h"
#include "common/packed.h"

#include <stdlib.h>

#define FIXARRAY 0x90
#define BIN8 0xc4
#define NIL 0xc0

size_t elements_split(struct span bytes, struct span elements[ELEMENTS_MAX])
{
    const uint8_t *at = bytes.data + 1, *end = bytes.data + bytes.size;
    size_t count = (size_t)bytes.data[0] - FIXARRAY;

    CHECK(count <= ELEMENTS_MAX);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *next = packed_skip(at, end, PACKED_DEPTH_MAX);

        CHECK(next != NULL);
        elements[i] = span_of(at, (size_t)(next - at));
        at = next;
    }
    CHECK(at == end);
    return count;
}

uint8_t *elements_join(const struct span *elements, size_t count, size_t *size)
{
    uint8_t *bytes, *at;

    CHECK(count <= ELEMENTS_MAX);
    *size = 1;
    for (size_t i = 0; i < count; i++) {
        *size += elements[i].size;
    }
    bytes = malloc(*size);
    if (bytes == NULL) {
        return NULL;
    }
    at = bytes;
    *at++ = (uint8_t)(FIXARRAY + count);
    for (size_t i = 0; i < count; i++) {
        memcpy(at, elements[i].data, elements[i].size);
        at += elements[i].size;
    }
    return bytes;
}

struct span element_nil(void)
{
    static const uint8_t bytes[] = {NIL};

    return span_of(bytes, sizeof bytes);
}

struct span element_empty(void)
{
    static const uint8_t bytes[] = {BIN8, 0};

    return span_of(bytes, sizeof bytes);
}

bool element_is_nil(struct span element)
{
    return span_equal(element, element_nil());
}

struct span element_id(const struct id *id, uint8_t bytes[ELEMENT_ID_BYTES])
{
    bytes[0] = BIN8;
    bytes[1] = sizeof id->bytes;
    memcpy(bytes + 2, id->bytes, sizeof id->bytes);
    return span_of(bytes, ELEMENT_ID_BYTES);
}
