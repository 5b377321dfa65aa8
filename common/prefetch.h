/* prefetch: memory that is going to be needed is asked for in time. */
#ifndef SLUICE_COMMON_PREFETCH_H
#define SLUICE_COMMON_PREFETCH_H

#include <stddef.h>

/* Will be looked at, or written to, soon; any address will do, NULL: nothing. */
static inline void prefetch_bytes(const void *at, size_t bytes)
{
    for (size_t line = 0; at != NULL && line < bytes; line += 64) {
        __builtin_prefetch((const char *)at + line, 1);
    }
}

#endif
