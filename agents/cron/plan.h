/* plan: when an entry is due: by an expression in a time zone, or every so many seconds.
 *
 * Intervals are counted from 1970, not from when somebody began: so all who follow a plan
 * come to the same times. Times are Unix seconds. Any thread. */
#ifndef SLUICE_CRON_PLAN_H
#define SLUICE_CRON_PLAN_H

#include "agents/cron/expression.h"
#include "common/zone.h"

struct plan {
    struct expression expression;
    int64_t every_s;              /* 0: `expression` decides */
    char zone[ZONE_NAME_MAX + 1]; /* with an expression; its file is read with each question, so
                                     that an update of the system's zones counts */
};

/* The first time after `after_s`. False: none up to the year 9999, or the zone's file has gone. */
bool plan_next(const struct plan *plan, int64_t after_s, int64_t *next_s);

/* The last time after `after_s` and not after `until_s`. False: there is none. */
bool plan_latest(const struct plan *plan, int64_t after_s, int64_t until_s, int64_t *latest_s);

#endif
