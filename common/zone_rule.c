#include "common/zone_rule.h"

#include "common/calendar.h"

#include <ctype.h>
#include <string.h>

#define DAY_S 86400

/* A moment of every year. */
struct change {
    enum { CHANGE_MONTH, CHANGE_JULIAN, CHANGE_DAY } kind;
    int month, week, day; /* MONTH: day is a weekday, 0 Sunday. JULIAN: from 1, no leap day.
                             DAY: from 0 */
    int32_t time_s;       /* after midnight, on the clock before the change */
};

static bool read_digits(const char **at, int limit, int *number)
{
    if (!isdigit((unsigned char)**at)) {
        return false;
    }
    for (*number = 0; isdigit((unsigned char)**at) && *number <= limit; (*at)++) {
        *number = *number * 10 + (**at - '0');
    }
    return *number <= limit;
}

/* `CET` or `<+0330>`. */
static bool read_name(const char **at, char name[ZONE_ABBREVIATION_SIZE])
{
    bool quoted = **at == '<';
    size_t used = 0;

    *at += quoted;
    while (quoted ? **at && **at != '>' : isalpha((unsigned char)**at)) {
        if (used + 1 == ZONE_ABBREVIATION_SIZE) {
            return false;
        }
        name[used++] = *(*at)++;
    }
    name[used] = '\0';
    if (quoted && *(*at)++ != '>') {
        return false;
    }
    return used >= 3;
}

/* `[+-]h[:m[:s]]`. */
static bool read_time(const char **at, int hours_max, int32_t *seconds)
{
    int32_t sign = **at == '-' ? -1 : 1;
    int hours, minutes = 0, rest = 0;

    *at += **at == '-' || **at == '+';
    if (!read_digits(at, hours_max, &hours)) {
        return false;
    }
    if (**at == ':') {
        (*at)++;
        if (!read_digits(at, 59, &minutes)) {
            return false;
        }
        if (**at == ':') {
            (*at)++;
            if (!read_digits(at, 59, &rest)) {
                return false;
            }
        }
    }
    *seconds = sign * (hours * 3600 + minutes * 60 + rest);
    return true;
}

/* `Mm.w.d`, `Jn` or `n`, and `/time` if it is not two o'clock. */
static bool read_change(const char **at, struct change *change)
{
    *change = (struct change){.time_s = 2 * 3600};
    if (*(*at)++ != ',') {
        return false;
    }
    if (**at == 'M') {
        ++*at;
        if (!read_digits(at, 12, &change->month) || change->month == 0 || *(*at)++ != '.' ||
            !read_digits(at, 5, &change->week) || change->week == 0 || *(*at)++ != '.' ||
            !read_digits(at, 6, &change->day)) {
            return false;
        }
    } else {
        change->kind = **at == 'J' ? CHANGE_JULIAN : CHANGE_DAY;
        *at += **at == 'J';
        if (!read_digits(at, 365, &change->day) ||
            (change->kind == CHANGE_JULIAN && change->day == 0)) {
            return false;
        }
    }
    if (**at != '/') {
        return true;
    }
    ++*at;
    return read_time(at, 167, &change->time_s);
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* The day of `change` in `year`. */
static int64_t change_day(const struct change *change, int year)
{
    struct calendar_date first = {year, 1, 1};
    struct calendar_date next = {year, 1, 1};
    int64_t day;
    int weekday;

    if (change->kind == CHANGE_DAY) {
        return calendar_day(first) + change->day;
    }
    if (change->kind == CHANGE_JULIAN) {
        return calendar_day(first) + change->day - 1 + (change->day >= 60 && is_leap(year));
    }
    first.month = change->month;
    next.month = change->month % 12 + 1;
    next.year = year + (change->month == 12);
    /* 1970-01-01 was a Thursday, 4 from Sunday. */
    weekday = (int)(((calendar_day(first) + 4) % 7 + 7) % 7);
    day = calendar_day(first) + (change->day - weekday + 7) % 7 + 7 * (change->week - 1);
    /* Week 5 is the last one, which may be the fourth. */
    return day >= calendar_day(next) ? day - 7 : day;
}

static int64_t change_at(const struct change *change, int year, int32_t offset_before_s)
{
    return change_day(change, year) * DAY_S + change->time_s - offset_before_s;
}

bool zone_rule_apply(const char *rule, int64_t unix_s, struct zone_time *time)
{
    struct zone_time standard = {0}, summer = {.daylight_saving = true};
    struct change start, end;
    int64_t day, starts, ends;
    int year;

    if (!read_name(&rule, standard.abbreviation) || !read_time(&rule, 24, &standard.offset_s)) {
        return false;
    }
    standard.offset_s = -standard.offset_s; /* POSIX counts west of Greenwich */
    if (*rule == '\0') {
        *time = standard;
        return true;
    }
    if (!read_name(&rule, summer.abbreviation)) {
        return false;
    }
    summer.offset_s = -standard.offset_s - 3600;
    if (*rule != ',' && !read_time(&rule, 24, &summer.offset_s)) {
        return false;
    }
    summer.offset_s = -summer.offset_s;
    if (!read_change(&rule, &start) || !read_change(&rule, &end) || *rule != '\0') {
        return false;
    }
    day = (unix_s + standard.offset_s) / DAY_S - ((unix_s + standard.offset_s) % DAY_S < 0);
    year = calendar_date(day).year;
    starts = change_at(&start, year, standard.offset_s);
    ends = change_at(&end, year, summer.offset_s);
    /* In the south, summer runs over the end of the year. */
    if (starts < ends ? unix_s >= starts && unix_s < ends : unix_s >= starts || unix_s < ends) {
        *time = summer;
    } else {
        *time = standard;
    }
    return true;
}
