/* clock: the time of day. libc only. */
#ifndef SLUICE_COMMON_CLOCK_H
#define SLUICE_COMMON_CLOCK_H

#include <stdint.h>

/* Milliseconds since 1970; they may go back when the machine's clock is set. */
uint64_t clock_unix_ms(void);

#endif
