/* packed: one MessagePack value as bytes: where it ends.
 *
 * What everybody calls who is about to believe MessagePack from outside: a walk
 * that builds nothing, allocates nothing, and looks at no byte twice. A count
 * that its bytes cannot hold is refused when its header is seen. Pure; libc only. */
#ifndef SLUICE_COMMON_PACKED_H
#define SLUICE_COMMON_PACKED_H

#include "common/span.h"

/* Containers inside each other; a scalar has depth 0, `[]` has 1. */
#define PACKED_DEPTH_MAX 32

/* The first byte after the value that starts at `at`. NULL: it is truncated, not
 * MessagePack, or deeper than `depth_max` (at most PACKED_DEPTH_MAX). */
const uint8_t *packed_skip(const uint8_t *at, const uint8_t *end, unsigned depth_max);

/* The same at any depth: for stepping over what is refused anyway. */
const uint8_t *packed_step(const uint8_t *at, const uint8_t *end);

/* True when `bytes` is exactly one value, at most PACKED_DEPTH_MAX deep. */
bool packed_valid(struct span bytes);

#endif
