/* duration: times as people write them: 250ms, 5s, 2m, 1h, 3d; a number alone is milliseconds.
 * Pure. */
#ifndef SLUICE_COMMON_DURATION_H
#define SLUICE_COMMON_DURATION_H

#include <stdbool.h>
#include <stdint.h>

/* False: `text` is none, or longer than `max_ms`; *ms is as it was. */
bool duration_parse(const char *text, uint64_t max_ms, uint64_t *ms);

#endif
