/* zone_rule: the rule at the end of a TZif file: how clocks change for ever after.
 *
 * POSIX's TZ notation with RFC 8536's extensions, such as CET-1CEST,M3.5.0,M10.5.0/3:
 * two names and offsets, and when in a year the second begins and ends. */
#ifndef SLUICE_COMMON_ZONE_RULE_H
#define SLUICE_COMMON_ZONE_RULE_H

#include "common/zone.h"

/* False: malformed. */
bool zone_rule_apply(const char *rule, int64_t unix_s, struct zone_time *time);

#endif
