/* expression: when something is to happen, as crontab(5) says it.
 *
 *     minute hour day-of-month month day-of-week
 *
 * A field is a list of items with commas between them: *, a value, a range a-b; a range or *
 * may have a step, as in 5-59/15. Months and days of the week have names (jan, mon; any
 * case); Sunday is 0 and 7. If both day fields are restricted, that is, neither begins
 * with *, a day of either is meant, else a day of both. @yearly, @annually, @monthly, @weekly,
 * @daily, @midnight and @hourly are known. Knows civil time only; zones are next.h's. Pure. */
#ifndef SLUICE_CRON_EXPRESSION_H
#define SLUICE_CRON_EXPRESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPRESSION_TEXT_MAX 256
#define EXPRESSION_ERROR_SIZE 160

/* Bit n: the value n. Never empty. */
struct expression {
    uint64_t minutes;
    uint32_t hours;
    uint32_t days;         /* of the month, from 1 */
    uint32_t months;       /* from 1 */
    uint32_t weekdays;     /* 0: Sunday */
    bool days_any;         /* the field begins with * */
    bool weekdays_any;
};

/* False: `error` says what is wrong and what to write instead, in printable ASCII. So do
 * expressions that no date fits, such as February 30. */
bool expression_parse(const char *text, struct expression *expression, char *error,
                      size_t error_size);

/* True: it names every hour, so it is about time that passes and not about times of day. */
bool expression_every_hour(const struct expression *expression);

/* Civil times are seconds since 1970-01-01 00:00 on a calendar without zones.
 * The first whole minute that fits, not before `from_s`. False: none up to the year 9999. */
bool expression_next(const struct expression *expression, int64_t from_s, int64_t *at_s);

#endif
