/* links: cron */
/* next_time: in zones whose clocks change, and against an oracle that lives through every minute
 * with the C library's clock. */
#include "agents/cron/next.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct expression parsed(const char *text)
{
    struct expression expression;
    char error[EXPRESSION_ERROR_SIZE];

    if (!expression_parse(text, &expression, error, sizeof error)) {
        fail_msg("%s: %s", text, error);
    }
    return expression;
}

static struct zone loaded(const char *name)
{
    struct zone zone;

    assert_int_equal(zone_load(ZONE_DIRECTORY, name, &zone), ZONE_OK);
    return zone;
}

static int64_t utc(const char *text)
{
    struct tm tm = {0};

    assert_non_null(strptime(text, "%Y-%m-%dT%H:%MZ", &tm));
    return timegm(&tm);
}

/* `expected`: times in UTC with blanks between them. */
static void expect(const char *zone_name, const char *text, const char *after,
                   const char *expected)
{
    struct expression expression = parsed(text);
    struct zone zone = loaded(zone_name);
    int64_t at_s = utc(after);
    char got[400] = "";

    for (size_t i = 0; i < (strlen(expected) + 1) / 18; i++) {
        char one[24];
        time_t time;
        struct tm tm;

        assert_true(next_time(&expression, &zone, at_s, &at_s));
        time = (time_t)at_s;
        strftime(one, sizeof one, "%Y-%m-%dT%H:%MZ ", gmtime_r(&time, &tm));
        strcat(got, one);
    }
    got[strlen(got) - 1] = '\0';
    if (strcmp(got, expected) != 0) {
        fail_msg("%s in %s: %s, not %s", text, zone_name, got, expected);
    }
    zone_unload(&zone);
}

static void a_time_of_day_is_that_of_its_zone(void **state)
{
    expect("UTC", "0 3 * * *", "2026-11-21T03:00Z", "2026-11-22T03:00Z 2026-11-23T03:00Z");
    expect("Europe/Berlin", "0 3 * * *", "2026-11-21T00:00Z", "2026-11-21T02:00Z");
    expect("Europe/Berlin", "0 3 * * *", "2026-07-21T00:00Z", "2026-07-21T01:00Z");
    expect("Asia/Kolkata", "0 9 * * mon", "2026-11-21T00:00Z", "2026-11-23T03:30Z");
    expect("Pacific/Kiritimati", "0 0 1 1 *", "2026-11-21T00:00Z", "2026-12-31T10:00Z");
}

static void a_skipped_time_is_due_when_the_clocks_are_set(void **state)
{
    expect("Europe/Berlin", "30 2 * * *", "2026-03-28T12:00Z",
           "2026-03-29T01:00Z 2026-03-30T00:30Z");
    expect("Europe/Berlin", "7 2 * * *", "2026-03-28T12:00Z",
           "2026-03-29T01:00Z 2026-03-30T00:07Z");
    /* Several of them together once, also with one that is not skipped. */
    expect("Europe/Berlin", "*/10 2,3 * * *", "2026-03-29T00:59Z",
           "2026-03-29T01:00Z 2026-03-29T01:10Z");
    expect("Europe/Berlin", "0 */2 * * *", "2026-03-28T23:30Z",
           "2026-03-29T01:00Z 2026-03-29T02:00Z");
    expect("America/New_York", "15 2 * * *", "2026-03-07T12:00Z",
           "2026-03-08T07:00Z 2026-03-09T06:15Z");
    expect("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00Z",
           "2026-10-03T15:30Z 2026-10-04T15:15Z");
    /* A whole day that Samoa skipped, when it crossed the date line. */
    expect("Pacific/Apia", "0 12 30 * *", "2011-12-01T00:00Z",
           "2011-12-30T10:00Z 2012-01-29T22:00Z");
}

static void a_time_that_comes_twice_is_due_once(void **state)
{
    expect("Europe/Berlin", "30 2 * * *", "2026-10-24T12:00Z",
           "2026-10-25T00:30Z 2026-10-26T01:30Z");
    expect("Europe/Berlin", "30 2 * * *", "2026-10-25T00:45Z", "2026-10-26T01:30Z");
    expect("Europe/Berlin", "0 3 * * *", "2026-10-25T00:00Z", "2026-10-25T02:00Z");
    expect("America/New_York", "30 1 * * *", "2026-10-31T12:00Z",
           "2026-11-01T05:30Z 2026-11-02T06:30Z");
    expect("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T00:00Z",
           "2026-04-04T14:45Z 2026-04-05T15:15Z");
}

static void what_runs_every_hour_follows_the_time_that_passes(void **state)
{
    expect("Europe/Berlin", "30 * * * *", "2026-10-24T23:00Z",
           "2026-10-24T23:30Z 2026-10-25T00:30Z 2026-10-25T01:30Z 2026-10-25T02:30Z");
    expect("Europe/Berlin", "30 * * * *", "2026-03-28T23:00Z",
           "2026-03-28T23:30Z 2026-03-29T00:30Z 2026-03-29T01:30Z");
    expect("Australia/Lord_Howe", "45 * * * *", "2026-04-04T14:00Z",
           "2026-04-04T14:45Z 2026-04-04T15:15Z 2026-04-04T16:15Z");
    expect("Europe/Berlin", "0 * 31 3 *", "2026-04-02T00:00Z", "2027-03-30T22:00Z");
    expect("Europe/Berlin", "0 * 1 7 *", "2026-11-21T00:00Z", "2027-06-30T22:00Z");
}

static void rare_days_are_found_and_soon(void **state)
{
    struct zone zone = loaded("Europe/Berlin");
    struct expression expression = parsed("* * 29 2 *");
    int64_t at_s;
    clock_t start = clock();

    expect("Europe/Berlin", "0 12 29 2 *", "2096-03-01T00:00Z", "2104-02-29T11:00Z");
    assert_true(next_time(&expression, &zone, utc("2096-03-01T00:00Z"), &at_s));
    assert_int_equal(at_s, utc("2104-02-28T23:00Z"));
    assert_false(next_time(&expression, &zone, utc("9998-01-01T00:00Z"), &at_s));
    assert_true(clock() - start < CLOCKS_PER_SEC);
    zone_unload(&zone);
}

static void a_damaged_zone_ends_it(void **state)
{
    uint8_t bytes[8] = "TZif2";
    struct zone zone = {.bytes = bytes, .size = sizeof bytes};
    struct expression daily = parsed("0 3 * * *"), hourly = parsed("0 * * * *");
    int64_t at_s;

    assert_false(next_time(&daily, &zone, 1800000000, &at_s));
    assert_false(next_time(&hourly, &zone, 1800000000, &at_s));
}

/* ---- the oracle ---- */

#define ORACLE_DAYS 20

static uint32_t random_state = 20261121;

static uint32_t random_below(uint32_t bound)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % bound;
}

/* One field: what it says, and which values that are. */
struct wish {
    char text[64];
    bool values[64];
    bool any;
};

static struct wish wish(unsigned min, unsigned max)
{
    struct wish wish = {.any = false};
    unsigned low, high, step = 1 + random_below(3);

    switch (random_below(3)) {
    case 0:
        wish.any = true;
        low = min, high = max;
        snprintf(wish.text, sizeof wish.text, step > 1 ? "*/%u" : "*", step);
        break;
    case 1:
        low = min + random_below(max - min - 3), high = low + 3 + random_below(max - low - 2);
        snprintf(wish.text, sizeof wish.text, "%u-%u/%u", low, high, step);
        break;
    default:
        low = min + random_below(max - min), high = low + 1;
        step = 1;
        snprintf(wish.text, sizeof wish.text, "%u,%u", high, low);
        break;
    }
    for (unsigned value = low; value <= high; value += step) {
        wish.values[value] = true;
    }
    return wish;
}

struct wishes {
    struct wish minute, hour, day, month, weekday;
    bool every_hour;
};

static bool fits(const struct wishes *w, const struct tm *tm)
{
    bool day = w->day.values[tm->tm_mday], weekday = w->weekday.values[tm->tm_wday];

    return w->minute.values[tm->tm_min] && w->hour.values[tm->tm_hour] &&
           w->month.values[tm->tm_mon + 1] &&
           (w->day.any || w->weekday.any ? day && weekday : day || weekday);
}

static bool fits_civil(const struct wishes *w, int64_t civil_s)
{
    time_t time = (time_t)civil_s;
    struct tm tm;

    return fits(w, gmtime_r(&time, &tm));
}

/* Looks at the clock every minute; `shown_s` is the latest time that it has shown. */
static bool oracle(const struct wishes *w, int64_t after_s, int64_t days, int64_t *next_s)
{
    int64_t shown_s = 0;

    for (int64_t at_s = after_s - 86400 * 2; at_s <= after_s + days * 86400; at_s += 60) {
        time_t time = (time_t)at_s;
        struct tm tm;
        int64_t civil_s;
        bool due;

        localtime_r(&time, &tm);
        civil_s = at_s + tm.tm_gmtoff;
        due = fits(w, &tm) && (w->every_hour || civil_s > shown_s);
        if (!w->every_hour && shown_s > 0) {
            for (int64_t skipped_s = shown_s + 60; skipped_s < civil_s; skipped_s += 60) {
                due = due || fits_civil(w, skipped_s);
            }
        }
        shown_s = civil_s > shown_s ? civil_s : shown_s;
        if (due && at_s > after_s) {
            *next_s = at_s;
            return true;
        }
    }
    return false;
}

static void compare(const char *zone_name, const struct zone *zone, int64_t after_s)
{
    struct wishes w = {wish(0, 59), wish(0, 23), wish(1, 31), wish(1, 12), wish(0, 6), false};
    struct expression expression;
    char text[5 * sizeof w.minute.text], error[EXPRESSION_ERROR_SIZE];
    int64_t expected_s = 0, got_s = 0;

    w.every_hour = w.hour.any && w.hour.text[1] == '\0';
    snprintf(text, sizeof text, "%s %s %s %s %s", w.minute.text, w.hour.text, w.day.text,
             w.month.text, w.weekday.text);
    if (!expression_parse(text, &expression, error, sizeof error)) {
        assert_non_null(strstr(error, "never"));
        return;
    }
    assert_true(next_time(&expression, zone, after_s, &got_s));
    if (oracle(&w, after_s, ORACLE_DAYS, &expected_s) ? got_s != expected_s
                                             : got_s <= after_s + ORACLE_DAYS * 86400) {
        fail_msg("%s in %s after %lld: %lld, not %lld", text, zone_name, (long long)after_s,
                 (long long)got_s, (long long)expected_s);
    }
}

static void it_agrees_with_who_lives_through_every_minute(void **state)
{
    static const struct {
        const char *zone;
        int64_t changes[2]; /* of its clocks, in 2026 */
    } rows[] = {{"Europe/Berlin", {1774746000, 1792890000}},
                {"America/New_York", {1772953200, 1793512800}},
                {"Australia/Lord_Howe", {1775314800, 1791041400}},
                {"America/St_Johns", {1772947800, 1793507400}},
                {"Africa/Casablanca", {1771120800, 1774144800}},
                {"UTC", {1771120800, 1774144800}}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct zone zone = loaded(rows[i].zone);

        setenv("TZ", rows[i].zone, 1);
        tzset();
        for (int round = 0; round < 80; round++) {
            int64_t near_s = rows[i].changes[round & 1] - 86400 + random_below(2880) * 60;

            compare(rows[i].zone, &zone, near_s);
        }
        zone_unload(&zone);
    }
    unsetenv("TZ");
    tzset();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_of_day_is_that_of_its_zone),
        cmocka_unit_test(a_skipped_time_is_due_when_the_clocks_are_set),
        cmocka_unit_test(a_time_that_comes_twice_is_due_once),
        cmocka_unit_test(what_runs_every_hour_follows_the_time_that_passes),
        cmocka_unit_test(rare_days_are_found_and_soon),
        cmocka_unit_test(a_damaged_zone_ends_it),
        cmocka_unit_test(it_agrees_with_who_lives_through_every_minute),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
