/* id: making UUIDv7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then
 * random. Comparing is in span.h, text in log.h. */
#ifndef SLUICE_COMMON_ID_H
#define SLUICE_COMMON_ID_H

#include "common/span.h"

#define ID_RANDOM_BYTES 10

/* Pure. Of the 80 random bits 74 are used; `unix_ms` is cut to 48 bits. */
struct id id_make(uint64_t unix_ms, const uint8_t random[ID_RANDOM_BYTES]);

/* From the system's clock and random source; safe in any thread and after fork.
 * Stops the process if the kernel has no random bytes to give. */
struct id id_new(void);

#endif
