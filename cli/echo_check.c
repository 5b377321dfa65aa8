#include "cli/echo_check.h"

#include "common/check.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Numbers travel multiplied by a large odd number: one changed bit then turns into
 * a number far beyond the last task instead of another task's. */
#define SPREAD UINT64_C(0x9e3779b97f4a7c15)
#define SPREAD_INVERSE UINT64_C(0xf1de83e19937733d)
static_assert(SPREAD * SPREAD_INVERSE == 1, "spreading can be undone");

bool echo_check_init(struct echo_check *check, uint64_t tasks, size_t payload_bytes)
{
    size_t pattern_bytes = 256 + payload_bytes;
    uint32_t x = 0x9e3779b9;

    CHECK(payload_bytes >= ECHO_PAYLOAD_MIN);
    memset(check, 0, sizeof(*check));
    check->tasks = tasks;
    check->payload_bytes = payload_bytes;
    check->pattern = malloc(pattern_bytes);
    check->seen = calloc(tasks / 8 + 1, 1);
    if (check->pattern == NULL || check->seen == NULL) {
        echo_check_deinit(check);
        return false;
    }
    for (size_t i = 0; i < pattern_bytes; i++) {
        x ^= x << 13; /* xorshift32 (Marsaglia, 2003) */
        x ^= x >> 17;
        x ^= x << 5;
        check->pattern[i] = (uint8_t)(x >> 24);
    }
    return true;
}

void echo_check_deinit(struct echo_check *check)
{
    free(check->pattern);
    free(check->seen);
    memset(check, 0, sizeof(*check));
}

static const uint8_t *pattern_of(const struct echo_check *check, uint64_t sequence)
{
    return check->pattern + (sequence & 255);
}

void echo_check_fill(const struct echo_check *check, uint64_t sequence, uint8_t *payload)
{
    uint64_t spread = sequence * SPREAD;

    memcpy(payload, &spread, 8);
    memcpy(payload + 8, pattern_of(check, sequence), check->payload_bytes - 8);
}

bool echo_check_reply(struct echo_check *check, const void *data, size_t size, uint64_t *sequence)
{
    const uint8_t *bytes = data;
    uint64_t number;

    if (size != check->payload_bytes) {
        check->corrupt++;
        return false;
    }
    memcpy(&number, bytes, 8);
    number *= SPREAD_INVERSE;
    if (number >= check->tasks || memcmp(bytes + 8, pattern_of(check, number), size - 8) != 0) {
        check->corrupt++;
        return false;
    }
    if (check->seen[number / 8] & (1u << (number % 8))) {
        check->duplicated++;
        return false;
    }
    check->seen[number / 8] |= (uint8_t)(1u << (number % 8));
    check->received++;
    *sequence = number;
    return true;
}
