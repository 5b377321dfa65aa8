/* next: when an expression is due, in a time zone.
 *
 * Clocks are set forward and back, so that some times of day are missing and others come twice:
 *
 *   - An expression that names hours is due at the first moment at which the clock shows that
 *     time or a later one. So a time that is skipped is due when the clocks have been set (02:30
 *     at 03:00), several such times together once; one that comes twice is due the first time.
 *   - One that names every hour is about time that passes: it is due whenever the clock shows a
 *     time that fits. What is skipped is not due, what comes twice is due twice, so that nothing
 *     pauses for an hour in autumn.
 *
 * Debian's cron(8) makes the same distinction, but by whether the field of hours or minutes has a
 * *: then one for every second hour loses a run in spring, or has one twice in autumn. */
#ifndef SLUICE_CRON_NEXT_H
#define SLUICE_CRON_NEXT_H

#include "agents/cron/expression.h"
#include "common/zone.h"

/* The first time after `after_s` (Unix; not negative). False: none up to the year 9999, or the
 * zone's file is damaged. */
bool next_time(const struct expression *expression, const struct zone *zone, int64_t after_s,
               int64_t *next_s);

#endif
