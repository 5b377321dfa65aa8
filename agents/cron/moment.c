#include "agents/cron/moment.h"

#include "common/calendar.h"

#include <stdio.h>
#include <string.h>

#define DAY_S 86400

void moment_format(int64_t unix_s, char text[MOMENT_SIZE])
{
    int64_t day = unix_s / DAY_S - (unix_s % DAY_S < 0);
    unsigned second = (unsigned)(unix_s - day * DAY_S);
    char date[CALENDAR_DATE_SIZE];

    calendar_format(day, date);
    snprintf(text, MOMENT_SIZE, "%sT%02u:%02u:%02uZ", date, second / 3600 % 24, second / 60 % 60,
             second % 60);
}

bool moment_parse(const char *text, int64_t *unix_s)
{
    char date[CALENDAR_DATE_SIZE], again[MOMENT_SIZE];
    int64_t day;
    unsigned hour, minute, second;

    if (strlen(text) != MOMENT_SIZE - 1) {
        return false;
    }
    memcpy(date, text, sizeof date - 1);
    date[sizeof date - 1] = '\0';
    if (!calendar_parse(date, &day) ||
        sscanf(text + sizeof date - 1, "T%2u:%2u:%2uZ", &hour, &minute, &second) != 3) {
        return false;
    }
    /* What is no time comes back as another one, or in another form. */
    *unix_s = day * DAY_S + hour * 3600 + minute * 60 + second;
    moment_format(*unix_s, again);
    return strcmp(text, again) == 0;
}
