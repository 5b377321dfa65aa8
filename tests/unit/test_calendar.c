/* calendar and zone: dates, weeks and clocks, against what the C library says. */
#include "common/calendar.h"
#include "common/zone.h"
#include "common/zone_rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static int64_t day_of(const char *text)
{
    int64_t day;

    if (!calendar_parse(text, &day)) {
        fail_msg("no date: %s", text);
    }
    return day;
}

static void dates_and_day_numbers_agree(void **state)
{
    char text[CALENDAR_DATE_SIZE];

    assert_int_equal(day_of("1970-01-01"), 0);
    assert_int_equal(day_of("2000-02-29"), 11016);
    assert_int_equal(day_of("0001-01-01"), CALENDAR_DAY_MIN);
    assert_int_equal(day_of("9999-12-31"), CALENDAR_DAY_MAX);
    for (int64_t day = CALENDAR_DAY_MIN; day <= CALENDAR_DAY_MAX; day += 13) {
        calendar_format(day, text);
        assert_int_equal(day_of(text), day);
    }
}

static void dates_that_do_not_exist_are_refused(void **state)
{
    static const char *const wrong[] = {"2026-02-29", "1900-02-29", "2026-13-01", "2026-00-10",
                                        "2026-01-00", "2026-04-31", "0000-01-01", "2026-1-1",
                                        "2026-01-01x", "", "+026-01-01", "2026/01/01", "20260101"};
    int64_t day;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (calendar_parse(wrong[i], &day)) {
            fail_msg("accepted: %s", wrong[i]);
        }
    }
}

static void weeks_agree_with_the_c_library(void **state)
{
    char week[CALENDAR_WEEK_SIZE], expected[CALENDAR_WEEK_SIZE + 8], weekday[16];

    for (int64_t day = day_of("1899-12-20"); day < day_of("2110-01-15"); day++) {
        time_t seconds = (time_t)day * 86400;
        struct tm parts;

        gmtime_r(&seconds, &parts);
        calendar_week(day, week);
        strftime(expected, sizeof expected, "%G-W%V", &parts);
        strftime(weekday, sizeof weekday, "%A", &parts);
        assert_string_equal(week, expected);
        assert_string_equal(calendar_weekday(day), weekday);
        assert_int_equal(calendar_day_of_year(day), parts.tm_yday + 1);
    }
}

static void expect_same_clock(const char *name, int64_t unix_s)
{
    struct zone_time zone;
    time_t seconds = (time_t)unix_s;
    struct tm parts;

    assert_int_equal(zone_at(ZONE_DIRECTORY, name, unix_s, &zone), ZONE_OK);
    localtime_r(&seconds, &parts);
    if (zone.offset_s != parts.tm_gmtoff || zone.daylight_saving != (parts.tm_isdst > 0) ||
        strcmp(zone.abbreviation, parts.tm_zone) != 0) {
        fail_msg("%s at %lld: %d %s, not %ld %s", name, (long long)unix_s, zone.offset_s,
                 zone.abbreviation, parts.tm_gmtoff, parts.tm_zone);
    }
}

/* North, south, half hours, summer time that is one hour less, none, past and far future. */
static void clocks_agree_with_the_c_library(void **state)
{
    static const char *const names[] = {"Europe/Berlin",    "America/New_York", "Asia/Kolkata",
                                        "Australia/Sydney", "Europe/Dublin",    "Asia/Tokyo",
                                        "America/Sao_Paulo", "Africa/Casablanca",
                                        "Australia/Lord_Howe", "Etc/GMT+5", "Asia/Tehran"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        setenv("TZ", names[i], 1);
        tzset();
        /* 1960 to 2090 in steps that touch every hour of the day and of the year. */
        for (int64_t unix_s = -315619200; unix_s < 3786912000; unix_s += 86400 * 9 + 3600 * 5) {
            expect_same_clock(names[i], unix_s);
        }
    }
    unsetenv("TZ");
    tzset();
}

static void changes_happen_to_the_second(void **state)
{
    struct zone_time zone;

    /* 2026-03-29 01:00 UTC; and by the rule alone, 2090-03-26 01:00 UTC. */
    assert_int_equal(zone_at(ZONE_DIRECTORY, "Europe/Berlin", 1774745999, &zone), ZONE_OK);
    assert_string_equal(zone.abbreviation, "CET");
    assert_int_equal(zone_at(ZONE_DIRECTORY, "Europe/Berlin", 1774746000, &zone), ZONE_OK);
    assert_string_equal(zone.abbreviation, "CEST");
    assert_int_equal(zone_at(ZONE_DIRECTORY, "Europe/Berlin", 3794173199, &zone), ZONE_OK);
    assert_int_equal(zone.offset_s, 3600);
    assert_int_equal(zone_at(ZONE_DIRECTORY, "Europe/Berlin", 3794173200, &zone), ZONE_OK);
    assert_int_equal(zone.offset_s, 7200);
}

static void names_lead_nowhere_else(void **state)
{
    static const char *const wrong[] = {"", "Nowhere/City", "../../etc/passwd", "/etc/localtime",
                                        "Europe", "Europe/", "Europe//Berlin", "Europe/./Berlin",
                                        "zone.tab", "tzdata.zi", "leapseconds", "Europe/Berlin\n"};
    struct zone_time zone;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (zone_at(ZONE_DIRECTORY, wrong[i], 0, &zone) != ZONE_UNKNOWN) {
            fail_msg("known: %s", wrong[i]);
        }
    }
    assert_int_equal(zone_at("/nowhere", "UTC", 0, &zone), ZONE_OK);
    assert_int_equal(zone.offset_s, 0);
}

static void rules_are_read_in_full(void **state)
{
    static const char *const wrong[] = {"", "CE-1", "CET", "CET-1CEST", "CET-1CEST,M3.5.0",
                                        "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M13.5.0,M10.5.0",
                                        "CET-1CEST,M3.5.0,M10.5.0x", "<CET-1", "CET-25",
                                        "CET-1CEST,J0,J1", "CET-1CEST,M3.5.0/168,M10.5.0",
                                        "CETCETCETCETCET-1"};
    struct zone_time zone;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (zone_rule_apply(wrong[i], 0, &zone)) {
            fail_msg("accepted: %s", wrong[i]);
        }
    }
    assert_true(zone_rule_apply("<+0330>-3:30", 0, &zone));
    assert_string_equal(zone.abbreviation, "+0330");
    assert_int_equal(zone.offset_s, 12600);
    /* Day 60 is the first of March in every year with J, and in a plain year without it, from 0. */
    assert_true(zone_rule_apply("AAA0BBB,J60/0,J61/0", 951868800, &zone)); /* 2000-03-01 */
    assert_true(zone.daylight_saving);
    assert_true(zone_rule_apply("AAA0BBB,59/0,60/0", 951782400, &zone)); /* 2000-02-29 */
    assert_true(zone.daylight_saving);
}

static void damaged_files_are_refused(void **state)
{
    uint8_t whole[8192], bytes[8192];
    struct zone_time zone;
    FILE *file = fopen(ZONE_DIRECTORY "/America/New_York", "rb");
    size_t size;

    assert_non_null(file);
    size = fread(whole, 1, sizeof whole, file);
    fclose(file);
    assert_true(zone_decode(whole, size, 0, &zone));
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *exact = malloc(cut + 1); /* so that the sanitizer sees a step too far */

        memcpy(exact, whole, cut);
        zone_decode(exact, cut, 1800000000, &zone);
        free(exact);
    }
    srand(1);
    for (int i = 0; i < 20000; i++) {
        memcpy(bytes, whole, size);
        bytes[(size_t)rand() % 60] ^= (uint8_t)rand();
        bytes[(size_t)rand() % size] ^= (uint8_t)rand();
        zone_decode(bytes, size, rand(), &zone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_and_day_numbers_agree),
        cmocka_unit_test(dates_that_do_not_exist_are_refused),
        cmocka_unit_test(weeks_agree_with_the_c_library),
        cmocka_unit_test(clocks_agree_with_the_c_library),
        cmocka_unit_test(changes_happen_to_the_second),
        cmocka_unit_test(names_lead_nowhere_else),
        cmocka_unit_test(rules_are_read_in_full),
        cmocka_unit_test(damaged_files_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
