/* serve_time: tool.time: what time it is somewhere, and sums with dates. */
#include "agents/tool/service.h"
#include "common/calendar.h"
#include "common/zone.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TEXT_BYTES 160

static const char schema[] =
    "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\","
    " \"type\": \"object\", \"additionalProperties\": false,"
    " \"$defs\": {\"date\": {\"type\": \"string\", \"pattern\": \"^\\\\d{4}-\\\\d{2}-\\\\d{2}$\","
    "                    \"description\": \"YYYY-MM-DD\"}},"
    " \"properties\": {"
    "  \"zone\": {\"type\": \"string\", \"minLength\": 1, \"maxLength\": 64, \"default\": \"UTC\","
    "            \"description\": \"IANA name\", \"examples\": [\"Europe/Berlin\"]},"
    "  \"date\": {\"$ref\": \"#/$defs/date\"},"
    "  \"add_days\": {\"type\": \"integer\", \"minimum\": -3700000, \"maximum\": 3700000,"
    "            \"description\": \"days after date, or after today\"},"
    "  \"from\": {\"$ref\": \"#/$defs/date\"},"
    "  \"to\": {\"$ref\": \"#/$defs/date\"}}}";

static const char about[] =
    "Tells the time in a time zone and computes with dates: the weekday, day of the year and ISO "
    "week of a date (default: today), the date add_days later, and the days between from and to "
    "(either: today).";

struct moment {
    int64_t unix_ms;
    struct zone_time zone;
    int64_t day; /* today, where we were asked about */
    char now[40];
    char offset[8];
};

static enum zone_outcome moment_read(const char *zone, struct moment *moment)
{
    struct timespec clock;
    enum zone_outcome outcome;
    int64_t local_s;
    int offset_minutes;
    char date[CALENDAR_DATE_SIZE];

    clock_gettime(CLOCK_REALTIME, &clock);
    moment->unix_ms = (int64_t)clock.tv_sec * 1000 + clock.tv_nsec / 1000000;
    outcome = zone_at(ZONE_DIRECTORY, zone, clock.tv_sec, &moment->zone);
    if (outcome != ZONE_OK) {
        return outcome;
    }
    local_s = clock.tv_sec + moment->zone.offset_s;
    offset_minutes = abs(moment->zone.offset_s) / 60;
    moment->day = local_s / 86400;
    calendar_format(moment->day, date);
    snprintf(moment->offset, sizeof moment->offset, "%c%02d:%02d",
             moment->zone.offset_s < 0 ? '-' : '+', offset_minutes / 60 % 100,
             offset_minutes % 60);
    snprintf(moment->now, sizeof moment->now, "%sT%02d:%02d:%02d.%03d%s", date,
             (int)(local_s % 86400 / 3600), (int)(local_s % 3600 / 60), (int)(local_s % 60),
             (int)(moment->unix_ms % 1000), moment->offset);
    return ZONE_OK;
}

/* The date in `name`; absent: *day stays. False: it does not exist, and the task has failed. */
static bool date_arg(struct sluice_task *task, const char *name, int64_t *day)
{
    const char *text = json_string_value(json_object_get(sluice_task_args(task), name));

    if (text && !calendar_parse(text, day)) {
        sluice_failf(task, "bad_date", "/%s: there is no %s", name, text);
        return false;
    }
    return true;
}

static bool has(struct sluice_task *task, const char *name)
{
    return json_object_get(sluice_task_args(task), name) != NULL;
}

/* What `answer` tells, as a sentence for people. */
static void describe(json_t *answer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void describe(json_t *answer, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    json_object_set_new(answer, "text", json_string(text));
}

static void add_date(json_t *answer, int64_t day)
{
    char date[CALENDAR_DATE_SIZE], week[CALENDAR_WEEK_SIZE];

    calendar_format(day, date);
    calendar_week(day, week);
    json_object_set_new(answer, "date", json_string(date));
    json_object_set_new(answer, "weekday", json_string(calendar_weekday(day)));
    json_object_set_new(answer, "day_of_year", json_integer(calendar_day_of_year(day)));
    json_object_set_new(answer, "iso_week", json_string(week));
    describe(answer, "%s is a %s, day %d of the year, week %s", date, calendar_weekday(day),
             calendar_day_of_year(day), week);
}

static void add_distance(json_t *answer, int64_t from, int64_t to)
{
    char from_text[CALENDAR_DATE_SIZE], to_text[CALENDAR_DATE_SIZE];

    calendar_format(from, from_text);
    calendar_format(to, to_text);
    json_object_set_new(answer, "from", json_string(from_text));
    json_object_set_new(answer, "to", json_string(to_text));
    json_object_set_new(answer, "days", json_integer(to - from));
    describe(answer, "from %s to %s it is %" PRId64 " days", from_text, to_text, to - from);
}

static void tell(struct sluice_task *task, const char *zone, const struct moment *moment)
{
    int64_t day = moment->day, from = moment->day, to = moment->day;
    json_t *answer;

    if (!date_arg(task, "date", &day) || !date_arg(task, "from", &from) ||
        !date_arg(task, "to", &to)) {
        return;
    }
    day += (int64_t)json_number_value(json_object_get(sluice_task_args(task), "add_days"));
    if (day < CALENDAR_DAY_MIN || day > CALENDAR_DAY_MAX) {
        sluice_failf(task, "bad_date", "/add_days: leads beyond the years 1 to 9999");
        return;
    }
    answer = json_pack("{s:s, s:I, s:s, s:s, s:s}", "now", moment->now, "unix_ms",
                       (json_int_t)moment->unix_ms, "zone", zone, "abbreviation",
                       moment->zone.abbreviation, "offset", moment->offset);
    add_date(answer, day);
    if (has(task, "from") || has(task, "to")) {
        add_distance(answer, from, to);
    } else if (!has(task, "date") && !has(task, "add_days")) {
        describe(answer, "it is %.5s on %s, %.10s, in %s", moment->now + 11,
                 calendar_weekday(moment->day), moment->now, zone);
    }
    sluice_done_json(task, answer);
}

static void tell_time(struct sluice_task *task, void *arg)
{
    const char *zone = "UTC";
    struct moment moment;

    if (!argument_text(task, "zone", &zone)) {
        return;
    }
    switch (moment_read(zone, &moment)) {
    case ZONE_OK:
        tell(task, zone, &moment);
        return;
    case ZONE_UNKNOWN:
        sluice_failf(task, "unknown_zone",
                     "/zone: no time zone \"%.64s\"; use an IANA name such as Europe/Berlin", zone);
        return;
    case ZONE_UNREADABLE:
        sluice_failf(task, "unknown_zone", "/zone: the system's file for \"%.64s\" is damaged",
                     zone);
        return;
    }
}

int serve_time(struct sluice *sluice)
{
    struct sluice_service service = {
        .name = "tool.time",
        .handler = tell_time,
        .sync = true, /* reads one small file, which the system keeps in memory */
        .schema = schema,
        .about = about,
        .version = "1",
    };

    return sluice_serve(sluice, &service);
}
