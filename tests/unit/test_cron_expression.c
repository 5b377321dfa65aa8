/* links: cron */
/* expression: what crontab(5) means, and what is said of what it does not. */
#include "agents/cron/expression.h"
#include "common/calendar.h"

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

static int64_t civil(const char *text)
{
    struct tm tm = {0};

    assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
    return timegm(&tm);
}

/* The first after `from`, as text. */
static void expect_next(const char *text, const char *from, const char *expected)
{
    struct expression expression = parsed(text);
    char got[32];
    int64_t at_s;
    time_t time;
    struct tm tm;

    assert_true(expression_next(&expression, civil(from), &at_s));
    time = (time_t)at_s;
    strftime(got, sizeof got, "%Y-%m-%d %H:%M:%S", gmtime_r(&time, &tm));
    if (strcmp(got, expected) != 0) {
        fail_msg("'%s' from %s: %s, not %s", text, from, got, expected);
    }
}

static uint64_t bits(unsigned first, unsigned last, unsigned step)
{
    uint64_t set = 0;

    for (unsigned value = first; value <= last; value += step) {
        set |= UINT64_C(1) << value;
    }
    return set;
}

static void fields_mean_what_crontab_says(void **state)
{
    struct expression e = parsed("*/15 8-18 1,15 jan-mar,12 mon-fri");

    assert_int_equal(e.minutes, bits(0, 59, 15));
    assert_int_equal(e.hours, bits(8, 18, 1));
    assert_int_equal(e.days, bits(1, 1, 1) | bits(15, 15, 1));
    assert_int_equal(e.months, bits(1, 3, 1) | bits(12, 12, 1));
    assert_int_equal(e.weekdays, bits(1, 5, 1));
    assert_false(e.days_any || e.weekdays_any);

    e = parsed("\t0,5-59/20,59   0-23  */2 *  7 ");
    assert_int_equal(e.minutes, bits(0, 0, 1) | bits(5, 45, 20) | bits(59, 59, 1));
    assert_true(expression_every_hour(&e));
    assert_int_equal(e.days, bits(1, 31, 2));
    assert_int_equal(e.months, bits(1, 12, 1));
    assert_int_equal(e.weekdays, bits(0, 0, 1));
    assert_true(e.days_any);
    assert_false(e.weekdays_any);

    assert_int_equal(parsed("0 0 * * FRI-Sun").weekdays, bits(0, 0, 1) | bits(5, 6, 1));
    assert_int_equal(parsed("0 0 * * 5-7").weekdays, bits(0, 0, 1) | bits(5, 6, 1));
    assert_int_equal(parsed("0 0 * * sun-tue").weekdays, bits(0, 2, 1));
    assert_int_equal(parsed("0 0 * * */2").weekdays, bits(0, 6, 2));
    assert_int_equal(parsed("007 00 * * *").minutes, bits(7, 7, 1));
}

static void macros_are_what_they_stand_for(void **state)
{
    static const char *const pairs[][2] = {
        {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
        {"@weekly", "0 0 * * sun"}, {"@daily", "0 0 * * *"}, {"@midnight", "0 0 * * *"},
        {"@hourly", "0 * * * *"}, {"  @Hourly\t", "0 * * * *"}};

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct expression one = parsed(pairs[i][0]), other = parsed(pairs[i][1]);

        assert_true(one.minutes == other.minutes && one.hours == other.hours &&
                    one.days == other.days && one.months == other.months &&
                    one.weekdays == other.weekdays && one.days_any == other.days_any &&
                    one.weekdays_any == other.weekdays_any);
    }
}

static void mistakes_are_told_with_what_to_write(void **state)
{
    static const char *const table[][2] = {
        {"", "too few fields"},
        {"* * * *", "too few fields where 5 are needed: minute hour"},
        {"0 * * * * *", "too many fields"},
        {"60 * * * *", "minute '60': a value is a number from 0 to 59"},
        {"* 24 * * *", "hour '24': a value is a number from 0 to 23"},
        {"* * 0 * *", "day of month '0': a value is a number from 1 to 31"},
        {"* * 32 * *", "day of month '32'"},
        {"* * * 13 *", "month '13': a value is a number from 1 to 12, or a name: jan to dec"},
        {"* * * * 8", "day of week '8': a value is a number from 0 to 7, or a name: mon to sun"},
        {"* * * * sunday", "or a name: mon to sun"},
        {"* mon * * *", "hour 'mon': a value is a number"},
        {"30-10 * * * *", "a range goes upwards"},
        {"* * * * sat-mon", "a range goes upwards"},
        {"5/15 * * * *", "a step belongs to a range or *, as in 5-59/15"},
        {"*/0 * * * *", "a step is a number from 1"},
        {"*/ * * * *", "a step is a number from 1"},
        {"*/90 * * * *", "the step is longer than its range"},
        {"1, * * * *", "a value is a number"},
        {",1 * * * *", "a value is a number"},
        {"1-  * * * *", "a value is a number"},
        {"-1 * * * *", "a value is a number"},
        {"1;2 * * * *", "only numbers, names, and * , - / are understood"},
        {"* * L * *", "a value is a number"},
        {"* * ? * *", "a value is a number"},
        {"99999999999999999999 * * * *", "a value is a number"},
        {"*/99999999999999999999 * * * *", "longer than its range"},
        {"0 0 30 2 *", "it would never run"},
        {"0 0 31 2,4,6,9,11 *", "it would never run"},
        {"0 0 30 feb */2", "it would never run"},
        {"@reboot", "@reboot is no time"},
        {"@fortnightly", "there is no '@fortnightly'"},
        {"@daily\t@weekly", "stands alone"},
        {"* * * * *\n", "character 10 is not allowed"},
        {"\xe2\x88\x97 * * * *", "character 1 is not allowed"},
    };
    struct expression expression;
    char error[EXPRESSION_ERROR_SIZE];

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (expression_parse(table[i][0], &expression, error, sizeof error)) {
            fail_msg("accepted: %s", table[i][0]);
        }
        if (strstr(error, table[i][1]) == NULL) {
            fail_msg("'%s': %s", table[i][0], error);
        }
    }
}

static void a_month_is_as_long_as_it_can_be(void **state)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct expression expression;
    char text[32], error[EXPRESSION_ERROR_SIZE];

    for (int month = 1; month <= 12; month++) {
        for (int day = 1; day <= 31; day++) {
            snprintf(text, sizeof text, "0 0 %d %d *", day, month);
            assert_int_equal(expression_parse(text, &expression, error, sizeof error),
                             day <= days[month - 1]);
        }
    }
}

static void lengths_are_bounded(void **state)
{
    char text[EXPRESSION_TEXT_MAX + 2], error[EXPRESSION_ERROR_SIZE], brief[12];
    struct expression expression;

    memset(text, ' ', sizeof text);
    memcpy(text, "1 2 3 4 5", 9);
    text[EXPRESSION_TEXT_MAX] = '\0';
    assert_true(expression_parse(text, &expression, error, sizeof error));
    text[EXPRESSION_TEXT_MAX] = ' ';
    text[EXPRESSION_TEXT_MAX + 1] = '\0';
    assert_false(expression_parse(text, &expression, error, sizeof error));
    assert_non_null(strstr(error, "longer than 256"));
    assert_false(expression_parse("60 * * * *", &expression, brief, sizeof brief));
    assert_string_equal(brief, "minute '60'");
}

static void the_next_minute_is_found(void **state)
{
    expect_next("* * * * *", "2026-11-21 07:30:00", "2026-11-21 07:30:00");
    expect_next("* * * * *", "2026-11-21 07:30:01", "2026-11-21 07:31:00");
    expect_next("0 0 * * *", "2026-12-31 23:59:30", "2027-01-01 00:00:00");
    expect_next("30 4 1,15 * fri", "2026-11-21 00:00:00", "2026-11-27 04:30:00"); /* either */
    expect_next("30 4 1,15 * fri", "2026-11-28 00:00:00", "2026-12-01 04:30:00");
    expect_next("30 4 */2 * fri", "2026-11-21 00:00:00", "2026-11-27 04:30:00"); /* both */
    expect_next("30 4 */2 * fri", "2026-11-28 00:00:00", "2026-12-11 04:30:00");
    expect_next("0 12 31 * *", "2026-11-01 00:00:00", "2026-12-31 12:00:00");
    expect_next("59 23 * 2 *", "2026-03-01 00:00:00", "2027-02-01 23:59:00");
}

static void leap_days_are_waited_for(void **state)
{
    expect_next("0 0 29 2 *", "2026-01-01 00:00:00", "2028-02-29 00:00:00");
    expect_next("0 0 29 2 *", "2096-03-01 00:00:00", "2104-02-29 00:00:00");
    /* A leap day that is also a Sunday, Tuesday, Thursday or Saturday ... */
    expect_next("0 0 29 2 */2", "2028-03-01 00:00:00", "2032-02-29 00:00:00");
    /* ... and one that is a Sunday, which happens every 28 years, or 40. */
    expect_next("0 0 29 2 */6,0", "2076-03-01 00:00:00", "2088-02-29 00:00:00");
}

static void there_is_an_end_of_the_calendar(void **state)
{
    struct expression expression = parsed("0 0 29 2 *");
    int64_t at_s;

    assert_false(expression_next(&expression, civil("9999-01-01 00:00:00"), &at_s));
    assert_false(expression_next(&expression, INT64_C(1) << 60, &at_s));
    expect_next("59 23 31 12 *", "9999-12-31 00:00:00", "9999-12-31 23:59:00");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_mean_what_crontab_says),
        cmocka_unit_test(macros_are_what_they_stand_for),
        cmocka_unit_test(mistakes_are_told_with_what_to_write),
        cmocka_unit_test(a_month_is_as_long_as_it_can_be),
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(the_next_minute_is_found),
        cmocka_unit_test(leap_days_are_waited_for),
        cmocka_unit_test(there_is_an_end_of_the_calendar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
