#include "common/calendar.h"

#include "common/check.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Howard Hinnant, "chrono-compatible low-level date algorithms": the year begins in
 * March, so that the leap day is its last, and 400 years are 146,097 days. */
#define ERA_DAYS 146097
#define EPOCH_SHIFT 719468 /* from 0000-03-01 to 1970-01-01 */

static int64_t divide_down(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t calendar_day(struct calendar_date date)
{
    int64_t year = date.year - (date.month <= 2);
    int64_t era = divide_down(year, 400);
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * ERA_DAYS + day_of_era - EPOCH_SHIFT;
}

struct calendar_date calendar_date(int64_t day)
{
    int64_t shifted = day + EPOCH_SHIFT;
    int64_t era = divide_down(shifted, ERA_DAYS);
    int64_t day_of_era = shifted - era * ERA_DAYS;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    struct calendar_date date = {.day = (int)(day_of_year - (153 * month + 2) / 5 + 1),
                                 .month = (int)(month < 10 ? month + 3 : month - 9)};

    date.year = (int)(year_of_era + era * 400 + (date.month <= 2));
    return date;
}

bool calendar_parse(const char *text, int64_t *day)
{
    static const char shape[] = "dddd-dd-dd";
    struct calendar_date date, back;

    for (size_t i = 0; i < sizeof shape; i++) {
        if (shape[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != shape[i]) {
            return false;
        }
    }
    sscanf(text, "%4d-%2d-%2d", &date.year, &date.month, &date.day);
    if (date.year < 1 || date.month < 1 || date.month > 12 || date.day < 1) {
        return false;
    }
    /* A date that does not exist comes back as another one. */
    *day = calendar_day(date);
    back = calendar_date(*day);
    return back.month == date.month && back.day == date.day;
}

void calendar_format(int64_t day, char text[CALENDAR_DATE_SIZE])
{
    struct calendar_date date = calendar_date(day);
    char wide[40];

    CHECK(day >= CALENDAR_DAY_MIN && day <= CALENDAR_DAY_MAX);
    snprintf(wide, sizeof wide, "%04d-%02d-%02d", date.year, date.month, date.day);
    memcpy(text, wide, CALENDAR_DATE_SIZE);
}

/* 1970-01-01 was a Thursday. */
int calendar_weekday_number(int64_t day)
{
    return (int)(day + 3 - divide_down(day + 3, 7) * 7);
}

const char *calendar_weekday(int64_t day)
{
    static const char *const names[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                        "Friday", "Saturday", "Sunday"};

    return names[calendar_weekday_number(day)];
}

int calendar_day_of_year(int64_t day)
{
    struct calendar_date first = {calendar_date(day).year, 1, 1};

    return (int)(day - calendar_day(first)) + 1;
}

void calendar_week(int64_t day, char text[CALENDAR_WEEK_SIZE])
{
    int64_t thursday = day - calendar_weekday_number(day) + 3;
    char wide[40];

    snprintf(wide, sizeof wide, "%04d-W%02d", calendar_date(thursday).year,
             (calendar_day_of_year(thursday) - 1) / 7 + 1);
    memcpy(text, wide, CALENDAR_WEEK_SIZE);
}
