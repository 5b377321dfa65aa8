/* links: cron */
/* plan, entry, firing_id and moment: what an entry says, and the times it comes to. */
#include "agents/cron/entry.h"
#include "agents/cron/moment.h"
#include "common/duration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int64_t at(const char *text)
{
    int64_t unix_s;

    if (!moment_parse(text, &unix_s)) {
        fail_msg("no time: %s", text);
    }
    return unix_s;
}

static struct entry *entry_of(const char *text)
{
    json_t *source = json_loads(text, 0, NULL);
    char error[ENTRY_ERROR_SIZE];
    struct entry *entry;

    assert_non_null(source);
    entry = entry_new(source, error, sizeof error);
    json_decref(source);
    if (entry == NULL) {
        fail_msg("%s: %s", text, error);
    }
    return entry;
}

static void moments_are_what_they_say(void **state)
{
    static const char *const wrong[] = {
        "", "2026-11-21", "2026-11-21T24:00:00Z", "2026-11-21T03:60:00Z", "2026-02-30T00:00:00Z",
        "2026-11-21T03:00:00+", "2026-11-21 03:00:00Z", "2026-11-21T 3:00:00Z",
        "2026-11-21T03:00:00Z ", "2026-11-21T03:00:61Z"};
    char text[MOMENT_SIZE];
    int64_t unix_s;

    assert_int_equal(at("1970-01-01T00:00:00Z"), 0);
    assert_int_equal(at("2026-11-21T07:30:15Z"), 1795246215);
    assert_int_equal(at("1969-12-31T23:59:59Z"), -1);
    moment_format(1795246215, text);
    assert_string_equal(text, "2026-11-21T07:30:15Z");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (moment_parse(wrong[i], &unix_s)) {
            fail_msg("accepted: %s", wrong[i]);
        }
    }
}

static void durations_have_units_and_bounds(void **state)
{
    uint64_t ms = 7;

    assert_true(duration_parse("250ms", 1000, &ms) && ms == 250);
    assert_true(duration_parse("250", 1000, &ms) && ms == 250);
    assert_true(duration_parse("1s", 1000, &ms) && ms == 1000);
    assert_true(duration_parse("2d", UINT64_MAX, &ms) && ms == 172800000);
    assert_false(duration_parse("2s", 1999, &ms));
    assert_false(duration_parse("1w", UINT64_MAX, &ms));
    assert_false(duration_parse("-1s", UINT64_MAX, &ms));
    assert_false(duration_parse("", UINT64_MAX, &ms));
    assert_false(duration_parse("99999999999999999999s", UINT64_MAX, &ms));
    assert_int_equal(ms, 172800000);
}

static void intervals_are_counted_from_1970(void **state)
{
    struct plan plan = {.every_s = 3600};
    int64_t at_s;

    assert_true(plan_next(&plan, at("2026-11-21T07:30:15Z"), &at_s));
    assert_int_equal(at_s, at("2026-11-21T08:00:00Z"));
    assert_true(plan_next(&plan, at_s, &at_s));
    assert_int_equal(at_s, at("2026-11-21T09:00:00Z"));
    assert_true(plan_latest(&plan, 0, at_s - 1, &at_s));
    assert_int_equal(at_s, at("2026-11-21T08:00:00Z"));
    assert_true(plan_latest(&plan, at_s - 1, at_s, &at_s));
    assert_false(plan_latest(&plan, at_s, at_s + 3599, &at_s));
}

/* Against going forward from the beginning. */
static void the_latest_time_is_the_last_of_all(void **state)
{
    static const char *const texts[] = {"0 3 * * *", "*/7 * * * *", "0-30 2,14 * * mon", "0 0 29 2 *",
                                        "15 * 1 * *", "* 23 * * *"};
    struct plan plan = {.zone = "Europe/Berlin"};
    char error[EXPRESSION_ERROR_SIZE];

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_true(expression_parse(texts[i], &plan.expression, error, sizeof error));
        for (int64_t until_s = at("2027-03-28T00:17:00Z"); until_s < at("2027-03-30T12:00:00Z");
             until_s += 7777) {
            int64_t after_s = until_s - 86400, expected_s = -1, at_s = after_s, got_s = -1;

            while (plan_next(&plan, at_s, &at_s) && at_s <= until_s) {
                expected_s = at_s;
            }
            assert_int_equal(plan_latest(&plan, after_s, until_s, &got_s), expected_s >= 0);
            assert_int_equal(got_s, expected_s);
        }
    }
}

static void a_zone_that_has_gone_has_no_next_time(void **state)
{
    struct plan plan = {.zone = "Nowhere/City"};
    char error[EXPRESSION_ERROR_SIZE];
    int64_t at_s;

    assert_true(expression_parse("* * * * *", &plan.expression, error, sizeof error));
    assert_false(plan_next(&plan, 0, &at_s));
    assert_false(plan_latest(&plan, 0, 86400, &at_s));
}

static void an_entry_that_says_little_has_defaults(void **state)
{
    struct entry *entry = entry_of("{\"name\": \"n\", \"cron\": \"@daily\", \"service\": \"s\"}");

    assert_string_equal(entry->plan.zone, "UTC");
    assert_null(entry->work.payload);
    assert_int_equal(entry->late_s, 10);
    assert_int_equal(entry->overlap, OVERLAP_ALLOW);
    assert_null(entry->work.options.order);
    assert_null(entry->work.options.idempotency_key);
    assert_int_equal(entry->work.options.retain_ms, 3610000); /* longer than anybody tries */
    entry_plan(entry, at("2026-11-21T00:00:00Z"));
    assert_int_equal(entry->next_s, at("2026-11-22T00:00:00Z"));
    entry_free(entry);
}

static void what_it_says_goes_with_its_task(void **state)
{
    struct entry *entry = entry_of(
        "{\"name\": \"n\", \"every\": 2000, \"service\": \"s\", \"payload\": [1], \"missed\": \"once\","
        " \"late\": \"2h\", \"overlap\": \"queue\", \"deadline\": \"5m\", \"queue_ttl\": \"1m\","
        " \"attempts\": 2, \"priority\": 0, \"wait\": true, \"durable\": true,"
        " \"retain\": \"30m\"}");
    const struct sluice_submit_options *options = &entry->work.options;

    assert_int_equal(entry->plan.every_s, 2);
    assert_int_equal(entry->late_s, 7200);
    assert_string_equal(options->order, "cron.n");
    assert_int_equal(options->deadline_ms, 300000);
    assert_int_equal(options->queue_ttl_ms, 60000);
    assert_int_equal(options->attempts, 2);
    assert_int_equal(options->priority, SLUICE_PRIORITY_LOWEST);
    assert_true(options->wait_absent);
    assert_true(options->durable);
    /* Remembered for longer than somebody may submit it again. */
    assert_int_equal(options->retain_ms, 3 * 3600 * 1000);
    entry_free(entry);

    entry = entry_of("{\"name\": \"n\", \"every\": \"1s\", \"service\": \"s\", \"overlap\": \"skip\"}");
    assert_string_equal(entry->work.options.idempotency_key, "cron.n");
    entry_free(entry);
}

static void mistakes_have_no_control_characters(void **state)
{
    json_t *source = json_pack("{s:s}", "na\nme", "x");
    char error[ENTRY_ERROR_SIZE];

    assert_null(entry_new(source, error, sizeof error));
    assert_non_null(strstr(error, "there is no 'na?me'"));
    json_decref(source);
}

static void texts_are_cut_between_characters(void **state)
{
    char name[62] = "x", error[ENTRY_ERROR_SIZE];
    json_t *source;

    for (size_t i = 1; i + 2 < sizeof name; i += 2) {
        memcpy(name + i, "\xc3\xa9", 3); /* e with an acute accent */
    }
    source = json_pack("{s:s}", "name", name);
    assert_null(entry_new(source, error, sizeof error));
    assert_non_null(strstr(error, "\xc3\xa9' is none"));
    json_decref(source);
}

static void a_run_has_one_id_wherever_it_is_made(void **state)
{
    struct work work = {.name = "nightly", .service = "research.ask"};
    struct sluice_id id = firing_id(&work, at("2026-11-21T02:00:00Z")), other;
    char text[SLUICE_ID_TEXT_SIZE];

    sluice_id_format(&id, text);
    /* Written down: agents of another version must come to the same. */
    assert_string_equal(text, "01a1fbd4-f500-7ce2-aa4c-22a6406af3a6");
    other = firing_id(&work, at("2026-11-21T02:00:01Z"));
    assert_memory_not_equal(&id, &other, sizeof id);
    work.name = "nightlY";
    other = firing_id(&work, at("2026-11-21T02:00:00Z"));
    assert_memory_not_equal(id.bytes + 6, other.bytes + 6, 10);
    assert_memory_equal(id.bytes, other.bytes, 6);
    work = (struct work){.name = "nightly", .service = "research.tell"};
    other = firing_id(&work, at("2026-11-21T02:00:00Z"));
    assert_memory_not_equal(id.bytes + 6, other.bytes + 6, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_what_they_say),
        cmocka_unit_test(durations_have_units_and_bounds),
        cmocka_unit_test(intervals_are_counted_from_1970),
        cmocka_unit_test(the_latest_time_is_the_last_of_all),
        cmocka_unit_test(a_zone_that_has_gone_has_no_next_time),
        cmocka_unit_test(an_entry_that_says_little_has_defaults),
        cmocka_unit_test(what_it_says_goes_with_its_task),
        cmocka_unit_test(mistakes_have_no_control_characters),
        cmocka_unit_test(texts_are_cut_between_characters),
        cmocka_unit_test(a_run_has_one_id_wherever_it_is_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
