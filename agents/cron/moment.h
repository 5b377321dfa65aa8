/* moment: times in files and answers: RFC 3339, UTC, to the second: 2026-11-21T03:00:00Z. Pure. */
#ifndef SLUICE_CRON_MOMENT_H
#define SLUICE_CRON_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

#define MOMENT_SIZE 21

/* Of the years 1 to 9999. */
void moment_format(int64_t unix_s, char text[MOMENT_SIZE]);
/* False: not such a time. */
bool moment_parse(const char *text, int64_t *unix_s);

#endif
