/* prefetch: memory that is going to be needed is asked for in time. */
#ifndef SLUICE_COMMON_PREFETCH_H
#define SLUICE_COMMON_PREFETCH_H

#include <stddef.h>
#include <stdint.h>

/* Will be looked at, or written to, soon; any address will do, NULL: nothing. */
static inline void prefetch_bytes(const void *at, size_t bytes)
{
    const char *line = (const char *)((uintptr_t)at & ~(uintptr_t)63);

    for (; at != NULL && line < (const char *)at + bytes; line += 64) {
        __builtin_prefetch(line, 1);
    }
}

#endif
