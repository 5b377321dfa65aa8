/* clock: the time of day, and one that only goes on. libc only; any thread. */
#ifndef SLUICE_COMMON_CLOCK_H
#define SLUICE_COMMON_CLOCK_H

#include <stdint.h>

/* Since 1970; they may go back when the machine's clock is set. */
uint64_t clock_unix_us(void);
uint64_t clock_unix_ms(void);

/* Microseconds since some moment before the process (CLOCK_MONOTONIC). */
uint64_t clock_now_us(void);

#endif
