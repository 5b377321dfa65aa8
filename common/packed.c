#include "common/packed.h"

#include "common/check.h"

/* Big-endian number of `size` bytes, 1 to 4. */
static uint32_t read_size(const uint8_t *at, size_t size)
{
    uint32_t value = 0;

    for (size_t i = 0; i < size; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

/* How the bytes from 0xc0 to 0xdf continue: a length field of `length` bytes
 * (0: none), then `body` fixed bytes, plus what the length field says. */
enum counts { COUNTS_NOTHING, COUNTS_BYTES, COUNTS_VALUES, COUNTS_PAIRS, COUNTS_INVALID };

static const struct {
    uint8_t length;
    uint8_t body;
    uint8_t counts;
} heads[32] = {
    [0x00] = {0, 0, COUNTS_NOTHING},                                  /* nil */
    [0x01] = {0, 0, COUNTS_INVALID},                                  /* never used */
    [0x02] = {0, 0, COUNTS_NOTHING},  [0x03] = {0, 0, COUNTS_NOTHING}, /* false, true */
    [0x04] = {1, 0, COUNTS_BYTES},    [0x05] = {2, 0, COUNTS_BYTES},  /* bin 8, 16, 32 */
    [0x06] = {4, 0, COUNTS_BYTES},
    [0x07] = {1, 1, COUNTS_BYTES},    [0x08] = {2, 1, COUNTS_BYTES},  /* ext 8, 16, 32 */
    [0x09] = {4, 1, COUNTS_BYTES},
    [0x0a] = {0, 4, COUNTS_NOTHING},  [0x0b] = {0, 8, COUNTS_NOTHING}, /* float 32, 64 */
    [0x0c] = {0, 1, COUNTS_NOTHING},  [0x0d] = {0, 2, COUNTS_NOTHING}, /* uint 8 to 64 */
    [0x0e] = {0, 4, COUNTS_NOTHING},  [0x0f] = {0, 8, COUNTS_NOTHING},
    [0x10] = {0, 1, COUNTS_NOTHING},  [0x11] = {0, 2, COUNTS_NOTHING}, /* int 8 to 64 */
    [0x12] = {0, 4, COUNTS_NOTHING},  [0x13] = {0, 8, COUNTS_NOTHING},
    [0x14] = {0, 2, COUNTS_NOTHING},  [0x15] = {0, 3, COUNTS_NOTHING}, /* fixext 1 to 16 */
    [0x16] = {0, 5, COUNTS_NOTHING},  [0x17] = {0, 9, COUNTS_NOTHING},
    [0x18] = {0, 17, COUNTS_NOTHING},
    [0x19] = {1, 0, COUNTS_BYTES},    [0x1a] = {2, 0, COUNTS_BYTES},  /* str 8, 16, 32 */
    [0x1b] = {4, 0, COUNTS_BYTES},
    [0x1c] = {2, 0, COUNTS_VALUES},   [0x1d] = {4, 0, COUNTS_VALUES}, /* array 16, 32 */
    [0x1e] = {2, 0, COUNTS_PAIRS},    [0x1f] = {4, 0, COUNTS_PAIRS},  /* map 16, 32 */
};

/* Reads the header and body at `at`, `at` < `end`. Returns what follows them (the
 * first of `*children` values), or NULL. */
static inline const uint8_t *read_head(const uint8_t *at, const uint8_t *end, uint64_t *children)
{
    uint8_t first = *at++;
    uint64_t body = 0;

    *children = 0;
    if (first < 0x80 || first >= 0xe0) {
        return at; /* fixint */
    }
    if (first < 0x90) {
        *children = 2 * (uint64_t)(first & 0x0f); /* fixmap */
    } else if (first < 0xa0) {
        *children = first & 0x0f; /* fixarray */
    } else if (first < 0xc0) {
        body = first & 0x1f; /* fixstr */
    } else {
        size_t length = heads[first & 0x1f].length;
        uint64_t count;

        if (length > (size_t)(end - at)) {
            return NULL;
        }
        count = read_size(at, length);
        at += length;
        body = heads[first & 0x1f].body;
        switch ((enum counts)heads[first & 0x1f].counts) {
        case COUNTS_NOTHING:
            break;
        case COUNTS_BYTES:
            body += count;
            break;
        case COUNTS_VALUES:
            *children = count;
            break;
        case COUNTS_PAIRS:
            *children = 2 * count;
            break;
        case COUNTS_INVALID:
            return NULL;
        }
    }
    /* Each child is a byte at least: a count beyond that is a lie. */
    if (body > (uint64_t)(end - at) || *children > (uint64_t)(end - at)) {
        return NULL;
    }
    return at + body;
}

static bool is_container(uint8_t first)
{
    return (first >= 0x80 && first < 0xa0) || (first >= 0xdc && first < 0xe0);
}

const uint8_t *packed_skip(const uint8_t *at, const uint8_t *end, unsigned depth_max)
{
    uint64_t left[PACKED_DEPTH_MAX]; /* values still to come, for each open container */
    unsigned depth = 0;

    CHECK(depth_max <= PACKED_DEPTH_MAX);
    for (;;) {
        uint64_t children;

        if (at == end || (depth == depth_max && is_container(*at))) {
            return NULL;
        }
        at = read_head(at, end, &children);
        if (at == NULL) {
            return NULL;
        }
        if (children > 0) {
            left[depth++] = children;
            continue;
        }
        while (depth > 0 && --left[depth - 1] == 0) {
            depth--;
        }
        if (depth == 0) {
            return at;
        }
    }
}

const uint8_t *packed_step(const uint8_t *at, const uint8_t *end)
{
    uint64_t left = 1;

    /* `left` grows by at most the bytes that are left, for each byte: no overflow. */
    while (left > 0) {
        uint64_t children;

        if (at == end) {
            return NULL;
        }
        at = read_head(at, end, &children);
        if (at == NULL) {
            return NULL;
        }
        left += children - 1;
    }
    return at;
}

bool packed_valid(struct span bytes)
{
    const uint8_t *end = bytes.data + bytes.size;

    return bytes.size > 0 && packed_skip(bytes.data, end, PACKED_DEPTH_MAX) == end;
}
