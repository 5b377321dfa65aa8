#include "agents/cron/expression.h"

#include "common/calendar.h"
#include "common/check.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FIELD_COUNT 5
#define MINUTE_S 60
#define DAY_MINUTES 1440

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY };

static const struct field {
    const char *name;
    unsigned min, max;
    const char *names; /* three letters each, of min and up; NULL: none */
} fields[FIELD_COUNT] = {
    [MINUTE] = {"minute", 0, 59, NULL},
    [HOUR] = {"hour", 0, 23, NULL},
    [DAY] = {"day of month", 1, 31, NULL},
    [MONTH] = {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    [WEEKDAY] = {"day of week", 0, 7, "sunmontuewedthufrisat"},
};

static const struct macro {
    const char *name, *text;
} macros[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
    {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
    {"@hourly", "0 * * * *"},
};

/* One field while it is read. */
struct reading {
    const struct field *field;
    const char *start, *at, *end;
    char *error;
    size_t error_size;
};

static bool fail(char *error, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool fail(char *error, size_t size, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    vsnprintf(error, size, format, values);
    va_end(values);
    return false;
}

/* `problem` of the field that is being read. */
static bool fail_field(const struct reading *reading, const char *problem)
{
    return fail(reading->error, reading->error_size, "%s '%.*s': %s", reading->field->name,
                (int)(reading->end - reading->start > 40 ? 40 : reading->end - reading->start),
                reading->start, problem);
}

static bool fail_range(const struct reading *reading)
{
    char problem[EXPRESSION_ERROR_SIZE];

    snprintf(problem, sizeof problem, "a value is a number from %u to %u%s",
             reading->field->min, reading->field->max,
             reading->field->names == NULL      ? ""
             : reading->field->names[0] == 'j' ? ", or a name: jan to dec"
                                                : ", or a name: mon to sun");
    return fail_field(reading, problem);
}

static bool is_at(const struct reading *reading, char c)
{
    return reading->at < reading->end && *reading->at == c;
}

/* Digits, as many as there are, cut to what is out of any range. */
static bool read_number(struct reading *reading, unsigned *value)
{
    const char *first = reading->at;

    *value = 0;
    while (reading->at < reading->end && isdigit((unsigned char)*reading->at)) {
        *value = *value * 10 + (unsigned)(*reading->at++ - '0');
        *value = *value > 1000 ? 1000 : *value;
    }
    return reading->at > first;
}

static bool read_name(struct reading *reading, unsigned *value)
{
    const char *names = reading->field->names;

    for (unsigned i = 0; names != NULL && names[i * 3] != '\0'; i++) {
        const char *after = reading->at + 3;

        if (reading->end - reading->at >= 3 && strncasecmp(reading->at, names + i * 3, 3) == 0 &&
            (after == reading->end || !isalnum((unsigned char)*after))) {
            reading->at = after;
            *value = reading->field->min + i;
            return true;
        }
    }
    return false;
}

static bool read_value(struct reading *reading, unsigned *value)
{
    if (!read_name(reading, value) && !read_number(reading, value)) {
        return fail_range(reading);
    }
    return (*value >= reading->field->min && *value <= reading->field->max) || fail_range(reading);
}

/* *, a value or a range, into [*low, *high]. *wide: it may have a step. */
static bool read_range(struct reading *reading, unsigned *low, unsigned *high, bool *wide)
{
    *wide = true;
    if (is_at(reading, '*')) {
        reading->at++;
        *low = reading->field->min;
        /* Sunday is 0 there: as 7 it would come in the wrong place of a step. */
        *high = reading->field->max - (reading->field == &fields[WEEKDAY]);
        return true;
    }
    if (!read_value(reading, low)) {
        return false;
    }
    *high = *low;
    *wide = is_at(reading, '-');
    if (!*wide) {
        return true;
    }
    reading->at++;
    if (!read_value(reading, high)) {
        return false;
    }
    if (*high == 0 && *low > 0 && reading->field == &fields[WEEKDAY]) {
        *high = 7; /* fri-sun */
    }
    return *low <= *high ||
           fail_field(reading, "a range goes upwards; write two, with a comma between them");
}

/* item = range [ "/" step ] */
static bool read_item(struct reading *reading, uint64_t *set)
{
    unsigned low, high, step = 1;
    bool wide;

    if (!read_range(reading, &low, &high, &wide)) {
        return false;
    }
    if (is_at(reading, '/')) {
        reading->at++;
        if (!wide) {
            return fail_field(reading, "a step belongs to a range or *, as in 5-59/15");
        }
        if (!read_number(reading, &step) || step == 0) {
            return fail_field(reading, "a step is a number from 1, as in */5");
        }
        if (step > high - low && step > 1) {
            return fail_field(reading, "the step is longer than its range, so only the first value "
                                       "would be left; write that, or a smaller step");
        }
    }
    for (unsigned value = low; value <= high; value += step) {
        *set |= UINT64_C(1) << value;
    }
    return true;
}

static bool read_field(struct reading *reading, uint64_t *set)
{
    *set = 0;
    for (;;) {
        if (!read_item(reading, set)) {
            return false;
        }
        if (reading->at == reading->end) {
            return true;
        }
        if (!is_at(reading, ',')) {
            return fail_field(reading, "only numbers, names, and * , - / are understood");
        }
        reading->at++;
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The words of `text`, at most FIELD_COUNT + 1 of them: *count says how many. */
static void split(const char *text, const char *starts[FIELD_COUNT + 1],
                  const char *ends[FIELD_COUNT + 1], size_t *count)
{
    *count = 0;
    for (;;) {
        while (is_blank(*text)) {
            text++;
        }
        if (*text == '\0' || *count == FIELD_COUNT + 1) {
            return;
        }
        starts[*count] = text;
        while (*text != '\0' && !is_blank(*text)) {
            text++;
        }
        ends[(*count)++] = text;
    }
}

/* The longest that a month can be. */
static int month_days(int month)
{
    return month == 2 ? 29 : 30 + ((month + (month > 7)) & 1);
}

/* Restricted days of the week fall on every date in turn, so only the length of months decides. */
static bool has_date(const struct expression *expression)
{
    if (!expression->days_any && !expression->weekdays_any) {
        return true;
    }
    for (int month = 1; month <= 12; month++) {
        uint32_t days = expression->days & ((UINT32_C(2) << month_days(month)) - 1);

        if ((expression->months >> month & 1) && days != 0) {
            return true;
        }
    }
    return false;
}

static bool is_word(const char *start, const char *end, const char *word)
{
    size_t size = strlen(word);

    return (size_t)(end - start) == size && strncasecmp(start, word, size) == 0;
}

/* NULL: there is no such macro. */
static const char *macro_text(const char *start, const char *end, char *error, size_t error_size)
{
    for (size_t i = 0; i < sizeof macros / sizeof *macros; i++) {
        if (is_word(start, end, macros[i].name)) {
            return macros[i].text;
        }
    }
    if (is_word(start, end, "@reboot")) {
        fail(error, error_size, "@reboot is no time; submit the task from what starts the cluster");
    } else {
        fail(error, error_size,
             "there is no '%.*s'; known are @yearly @monthly @weekly @daily @hourly",
             (int)(end - start > 40 ? 40 : end - start), start);
    }
    return NULL;
}

static bool check_text(const char *text, char *error, size_t error_size)
{
    size_t size = strnlen(text, EXPRESSION_TEXT_MAX + 1);

    if (size > EXPRESSION_TEXT_MAX) {
        return fail(error, error_size, "longer than %d characters", EXPRESSION_TEXT_MAX);
    }
    for (size_t i = 0; i < size; i++) {
        if (!is_blank(text[i]) && (text[i] < '!' || text[i] > '~')) {
            return fail(error, error_size,
                        "character %zu is not allowed: only letters, digits, blanks and * , - / @",
                        i + 1);
        }
    }
    return true;
}

bool expression_parse(const char *text, struct expression *expression, char *error,
                      size_t error_size)
{
    const char *starts[FIELD_COUNT + 1], *ends[FIELD_COUNT + 1];
    uint64_t sets[FIELD_COUNT];
    size_t count;

    CHECK(error_size > 0);
    if (!check_text(text, error, error_size)) {
        return false;
    }
    split(text, starts, ends, &count);
    if (count > 0 && *starts[0] == '@') {
        if (count > 1) {
            return fail(error, error_size, "a name with @ stands alone");
        }
        text = macro_text(starts[0], ends[0], error, error_size);
        if (text == NULL) {
            return false;
        }
        split(text, starts, ends, &count);
    }
    if (count != FIELD_COUNT) {
        return fail(error, error_size,
                    "%s fields where 5 are needed: minute hour day-of-month month day-of-week",
                    count < FIELD_COUNT ? "too few" : "too many");
    }
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        struct reading reading = {&fields[i], starts[i], starts[i], ends[i], error, error_size};

        if (!read_field(&reading, &sets[i])) {
            return false;
        }
    }
    *expression = (struct expression){
        .minutes = sets[MINUTE],
        .hours = (uint32_t)sets[HOUR],
        .days = (uint32_t)sets[DAY],
        .months = (uint32_t)sets[MONTH],
        .weekdays = (uint32_t)(sets[WEEKDAY] | sets[WEEKDAY] >> 7) & 0x7f,
        .days_any = *starts[DAY] == '*',
        .weekdays_any = *starts[WEEKDAY] == '*',
    };
    return has_date(expression) ||
           fail(error, error_size, "it would never run: no such month has such a day");
}

bool expression_every_hour(const struct expression *expression)
{
    return expression->hours == 0xffffff;
}

static bool fits_day(const struct expression *expression, int64_t day, int day_of_month)
{
    bool in_month = expression->days >> day_of_month & 1;
    bool in_week = expression->weekdays >> ((calendar_weekday_number(day) + 1) % 7) & 1;

    return expression->days_any || expression->weekdays_any ? in_month && in_week
                                                            : in_month || in_week;
}

/* The first minute of a day that fits, from `minute` on; DAY_MINUTES: none. */
static unsigned next_minute(const struct expression *expression, unsigned minute)
{
    while (minute < DAY_MINUTES) {
        uint64_t left = expression->minutes >> minute % 60;

        if (!(expression->hours >> minute / 60 & 1) || left == 0) {
            minute += 60 - minute % 60;
        } else {
            return minute + (unsigned)__builtin_ctzll(left);
        }
    }
    return DAY_MINUTES;
}

bool expression_next(const struct expression *expression, int64_t from_s, int64_t *at_s)
{
    int64_t minutes = from_s / MINUTE_S + (from_s % MINUTE_S > 0); /* towards the future */
    int64_t day = minutes / DAY_MINUTES - (minutes % DAY_MINUTES < 0);
    unsigned minute = (unsigned)(minutes - day * DAY_MINUTES);

    while (day <= CALENDAR_DAY_MAX) {
        struct calendar_date date = calendar_date(day);

        if (!(expression->months >> date.month & 1)) {
            date = (struct calendar_date){date.year + date.month / 12, date.month % 12 + 1, 1};
            day = calendar_day(date);
            minute = 0;
            continue;
        }
        if (fits_day(expression, day, date.day)) {
            minute = next_minute(expression, minute);
            if (minute < DAY_MINUTES) {
                *at_s = (day * DAY_MINUTES + minute) * MINUTE_S;
                return true;
            }
        }
        day++;
        minute = 0;
    }
    return false;
}
