/* little: whole numbers as bytes, the least significant first. Pure. */
#ifndef SLUICE_COMMON_LITTLE_H
#define SLUICE_COMMON_LITTLE_H

#include <stddef.h>
#include <stdint.h>

/* Writes the lowest `bytes` (8 at most) bytes of it; returns what is behind them. */
static inline uint8_t *little_put(uint8_t *at, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(number >> (8 * i));
    }
    return at + bytes;
}

/* Of eight: written out, it is one load where that is the machine's own order. */
static inline uint64_t little_get8(const uint8_t *at)
{
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 |
           (uint64_t)at[3] << 24 | (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 |
           (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
}

/* Of `bytes`, 8 at most. */
static inline uint64_t little_get(const uint8_t *at, size_t bytes)
{
    uint64_t number = 0;

    for (size_t i = 0; i < bytes; i++) {
        number |= (uint64_t)at[i] << (8 * i);
    }
    return number;
}

#endif
