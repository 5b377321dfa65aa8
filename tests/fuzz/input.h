/* input: the fuzzer's bytes, taken from the front like the answers of an oracle.
 *
 * Past the end every answer is 0, so that any input, cut anywhere, means
 * something, and a small change of the bytes stays a small change of the meaning.
 * Borrows the bytes. */
#ifndef SLUICE_TESTS_FUZZ_INPUT_H
#define SLUICE_TESTS_FUZZ_INPUT_H

#include "common/span.h"

struct input {
    const uint8_t *at, *end;
};

static inline struct input input_of(const uint8_t *data, size_t size)
{
    return (struct input){data, data + size};
}

static inline size_t input_left(const struct input *input)
{
    return (size_t)(input->end - input->at);
}

static inline uint8_t take_byte(struct input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

/* 0 to `below` - 1; `below` is 1 to 256. */
static inline unsigned take_below(struct input *input, unsigned below)
{
    return take_byte(input) % below;
}

static inline bool take_bool(struct input *input)
{
    return take_byte(input) & 1;
}

/* A number that is often small and sometimes anything: one byte up to 239, then up to
 * eight bytes more. */
static inline uint64_t take_number(struct input *input)
{
    uint8_t first = take_byte(input);
    uint64_t number = 0;

    if (first < 240) {
        return first;
    }
    for (unsigned i = 0; i <= (first & 7U); i++) {
        number = number << 8 | take_byte(input);
    }
    return number;
}

/* At most `size` bytes; they lie in the input. */
static inline struct span take_span(struct input *input, size_t size)
{
    struct span span;

    if (size > input_left(input)) {
        size = input_left(input);
    }
    span = span_of(input->at, size);
    input->at += size;
    return span;
}

#endif
