/* calendar: days of the Gregorian calendar, also before its invention.
 *
 * A day is its number since 1970-01-01. Years 1 to 9999. Pure. */
#ifndef SLUICE_COMMON_CALENDAR_H
#define SLUICE_COMMON_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#define CALENDAR_DAY_MIN (-719162) /* 0001-01-01 */
#define CALENDAR_DAY_MAX 2932896   /* 9999-12-31 */
#define CALENDAR_DATE_SIZE 11
#define CALENDAR_WEEK_SIZE 9

struct calendar_date {
    int year, month, day; /* month and day from 1 */
};

int64_t calendar_day(struct calendar_date date);
struct calendar_date calendar_date(int64_t day);

/* Strictly YYYY-MM-DD, of a date that exists. */
bool calendar_parse(const char *text, int64_t *day);
/* `day` is within the years 1 to 9999. */
void calendar_format(int64_t day, char text[CALENDAR_DATE_SIZE]);

const char *calendar_weekday(int64_t day); /* "Monday" */
int calendar_weekday_number(int64_t day);  /* from 0, Monday */
int calendar_day_of_year(int64_t day);     /* from 1 */
/* ISO 8601, "2026-W53": the week belongs to the year that its Thursday is in. */
void calendar_week(int64_t day, char text[CALENDAR_WEEK_SIZE]);

#endif
