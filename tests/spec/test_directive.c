/* The promise: what an operator has said of limits, pauses and drains holds after a crash, too. */
#include "tests/spec/fixture.h"

#include "broker/core/directive.h"

static struct control said(enum control_what what, const char *service)
{
    return (struct control){
        .what = what, .service = span_from_text(service), .limits = limits_unchanged()};
}

static void say_it(struct fixture *f, const struct control *control)
{
    drop_trace(f);
    say_control(f, control);
    expect_trace(f, trace_has(f, "ok") ? f->trace : "an answer");
}

static void set_concurrency(struct fixture *f, const char *service, uint64_t concurrency)
{
    struct control control = said(CONTROL_LIMIT, service);

    control.limits.concurrency = concurrency;
    say_it(f, &control);
}

static void crash_and_come_back(struct fixture *f)
{
    crash(f);
    given_echo_again(f);
}

/* How many of three tasks of echo start; they are gone then. */
static size_t starts(struct fixture *f, const char *const tasks[3])
{
    size_t started = stats_of(f).leased;

    for (size_t i = 0; i < 3; i++) {
        submit(f, "s1", tasks[i], "echo");
    }
    started = stats_of(f).leased - started;
    for (size_t i = 0; i < 3; i++) {
        cancel(f, "s1", tasks[i], i + 1);
    }
    drop_trace(f);
    return started;
}

static const char *const first[] = {"a1", "a2", "a3"};
static const char *const second[] = {"b1", "b2", "b3"};

static void a_limit_holds_after_a_crash(void **state)
{
    struct fixture *f = *state;

    set_concurrency(f, "echo", 1);
    crash_and_come_back(f);
    assert_int_equal(starts(f, first), 1);
    crash_and_come_back(f);
    assert_int_equal(starts(f, second), 1);
}

static void what_was_said_last_of_each_limit_holds(void **state)
{
    struct control more = said(CONTROL_LIMIT, "echo");
    struct fixture *f = *state;

    set_concurrency(f, "echo", 1);
    set_concurrency(f, "echo", 2);
    more.limits.attempts = 7;
    say_it(f, &more);
    assert_int_equal(shelf_count(f->shelf), 0); /* until a crash nothing is certain */
    crash_and_come_back(f);
    assert_int_equal(shelf_count(f->shelf), 1);
    assert_int_equal(starts(f, first), 2);
    set_concurrency(f, "echo", 0);
    crash_and_come_back(f);
    assert_int_equal(shelf_count(f->shelf), 1); /* for the config may say another thing */
    assert_int_equal(starts(f, second), 3);
    assert_int_equal(shelf_row(f->shelf, 0)->directive.limits.attempts, 7);
}

static void of_two_rows_of_a_limit_the_later_one_holds(void **state)
{
    struct fixture *f = *state;

    set_concurrency(f, "echo", 1);
    set_concurrency(f, "echo", 2);
    fixture_crash(f, shelf_last(f->shelf) - 1); /* before the first one was forgotten */
    assert_int_equal(shelf_count(f->shelf), 2);
    given_echo_again(f);
    assert_int_equal(starts(f, first), 2);
    crash_and_come_back(f);
    assert_int_equal(shelf_count(f->shelf), 1);
    assert_int_equal(starts(f, second), 2);
}

static void each_scope_has_its_own(void **state)
{
    struct control tenant = said(CONTROL_LIMIT, ""), key = said(CONTROL_LIMIT, "echo");
    struct fixture *f = *state;

    tenant.tenant = span_from_text("default");
    tenant.limits.concurrency = 2;
    say_it(f, &tenant);
    key.key = span_from_text("ann");
    key.limits.weight = 3;
    say_it(f, &key);
    set_concurrency(f, "echo", 5);
    crash_and_come_back(f);
    assert_int_equal(shelf_count(f->shelf), 3);
    assert_int_equal(starts(f, first), 2);
}

static void a_pause_goes_on_and_ends_in_time(void **state)
{
    struct control pause = said(CONTROL_PAUSE, "echo");
    struct fixture *f = *state;

    pause.ms = 1000;
    say_it(f, &pause);
    f->now_ms += 600;
    crash_and_come_back(f);
    submit(f, "s1", "t1", "echo");
    advance_ms(f, 399);
    assert_false(trace_has(f, "TASK t1"));
    advance_ms(f, 1);
    assert_true(trace_has(f, "TASK t1"));
    f->now_ms += 600;
    crash_and_come_back(f);
    assert_int_equal(starts(f, first), 3);
    crash(f);
    assert_int_equal(shelf_count(f->shelf), 0);
}

static void a_pause_without_an_end_has_one_when_it_is_resumed(void **state)
{
    struct control pause = said(CONTROL_PAUSE, "echo"), resume = said(CONTROL_RESUME, "echo");
    struct fixture *f = *state;

    say_it(f, &resume);
    pause.key = span_from_text("ann"); /* which means nothing here */
    say_it(f, &pause);
    crash_and_come_back(f);
    assert_int_equal(starts(f, first), 0);
    say_it(f, &resume);
    crash_and_come_back(f);
    assert_int_equal(starts(f, second), 3);
    assert_int_equal(shelf_count(f->shelf), 0);
}

static void a_drained_service_stays_drained(void **state)
{
    struct control drain = said(CONTROL_DRAIN, "echo"), undrain = said(CONTROL_UNDRAIN, "echo");
    struct fixture *f = *state;

    say_it(f, &drain);
    crash_and_come_back(f);
    submit(f, "s1", "t1", "echo");
    expect_trace(f, trace_has(f, "RESULT t1 refused code=draining") ? f->trace : "a refusal");
    say_it(f, &undrain);
    crash_and_come_back(f);
    assert_int_equal(starts(f, first), 3);
}

static void a_drained_broker_is_another_one_next_time(void **state)
{
    struct control drain = said(CONTROL_DRAIN, "");
    struct fixture *f = *state;

    say_it(f, &drain);
    crash_and_come_back(f);
    assert_int_equal(starts(f, first), 3);
}

static void there_is_an_end_to_what_is_kept(void **state)
{
    struct control one_more = said(CONTROL_PAUSE, "echo");
    struct fixture *f = *state;

    for (unsigned i = 0; i < DIRECTIVES_MAX; i++) {
        set_concurrency(f, numbered("s", i), 1);
    }
    say_control(f, &one_more);
    assert_true(trace_has(f, "REPLY 9 failed code=limit_exceeded"));
    set_concurrency(f, "s0", 2);
}

static void set_key(struct fixture *f, const char *key, uint64_t concurrency)
{
    struct control control = said(CONTROL_LIMIT, "echo");

    control.key = span_from_text(key);
    control.limits.concurrency = concurrency;
    say_control(f, &control);
}

static void what_is_no_limit_any_more_takes_no_place(void **state)
{
    struct fixture *f = *state;

    f->quiet = true;
    for (unsigned i = 0; i < DIRECTIVES_MAX; i++) {
        const char *key = numbered("k", i);

        set_key(f, key, 1);
        set_key(f, key, 0);
    }
    f->quiet = false;
    set_key(f, "another", 1);
    expect_trace(f, "[   0] s1 <- REPLY 9 ok\n");
}

/* That there is no limit is kept where the config has one. */
static void a_limit_of_the_config_that_was_taken_away_stays_away(void **state)
{
    static const struct limit_values values = {.concurrency = 1};
    struct fixture *f = *state;

    f->quiet = true;
    for (unsigned i = 0; i < DIRECTIVES_MAX; i++) {
        const char *key = numbered("k", i);

        assert_true(i > 0 || broker_configure_limit(f->broker, span_from_text("echo"),
                                                    span_of(NULL, 0), span_from_text(key),
                                                    &values));
        set_key(f, key, 1);
        set_key(f, key, 0);
    }
    set_key(f, "another", 1);
    f->quiet = false;
    crash(f);
    assert_int_equal(shelf_count(f->shelf), 2);
    assert_true(span_equal(shelf_row(f->shelf, 0)->directive.key, span_from_text("k0")));
}

static void a_pause_that_is_over_takes_no_place(void **state)
{
    struct fixture *f = *state;
    struct control pause = said(CONTROL_PAUSE, "");

    pause.ms = 1;
    f->quiet = true;
    for (unsigned i = 0; i < DIRECTIVES_MAX; i++) {
        const char *peer = numbered("w", 10 + i / 200), *name = numbered("s", i);

        if (i % 200 == 0) {
            hello(f, peer);
        }
        offer(f, peer, name, 1);
        pause.service = span_from_text(name);
        say_control(f, &pause);
    }
    advance_ms(f, 100);
    f->quiet = false;
    set_key(f, "another", 1);
    expect_trace(f, "[ 100] s1 <- REPLY 9 ok\n");
}

/* Those who offered had the places that nobody may have who only waits. */
static void as_many_services_as_there_were_fit_again(void **state)
{
    struct fixture *f = *state;

    f->options.services_max = 8;
    crash_and_come_back(f);
    for (unsigned i = 0; i < 7; i++) {
        const char *name = numbered("s", i);
        struct control control = said(i == 6 ? CONTROL_PAUSE : CONTROL_DRAIN, name);

        offer(f, "w1", name, 1);
        if (i % 2 == 0 && i < 6) {
            set_concurrency(f, name, 1);
        } else {
            say_it(f, &control);
        }
    }
    crash_and_come_back(f);
    offer(f, "w1", "s6", 1);
    submit(f, "s1", "t1", "s6");
    assert_int_equal(stats_of(f).ready, 1);
}

static void without_room_for_its_service_the_broker_does_not_start(void **state)
{
    struct fixture *f = *state;
    struct store_row row = {.key = 1000, .peer = span_from_text("ann"), .is_directive = true};

    f->options.services_max = 1;
    crash(f);
    row.directive = said(CONTROL_DRAIN, "echo");
    assert_true(broker_restore(f->broker, &row));
    row.key++;
    row.directive = said(CONTROL_DRAIN, "another");
    assert_false(broker_restore(f->broker, &row));
}

/* The row of the first is still there, for that it is forgotten was not stored. */
static void of_two_pauses_the_later_one_has_ended_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct control pause = said(CONTROL_PAUSE, "echo");

    say_it(f, &pause);
    pause.ms = 100;
    say_it(f, &pause);
    assert_int_equal(shelf_last(f->shelf), 3);
    f->now_ms += 200; /* it is down for so long */
    fixture_crash(f, 2);
    given_echo_again(f);
    assert_int_equal(starts(f, first), 3);
}

#define STORED(name) cmocka_unit_test_setup_teardown(name, fixture_setup_stored, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORED(a_limit_holds_after_a_crash),
        STORED(what_was_said_last_of_each_limit_holds),
        STORED(of_two_rows_of_a_limit_the_later_one_holds),
        STORED(each_scope_has_its_own),
        STORED(a_pause_goes_on_and_ends_in_time),
        STORED(a_pause_without_an_end_has_one_when_it_is_resumed),
        STORED(of_two_pauses_the_later_one_has_ended_meanwhile),
        STORED(a_drained_service_stays_drained),
        STORED(a_drained_broker_is_another_one_next_time),
        STORED(there_is_an_end_to_what_is_kept),
        STORED(what_is_no_limit_any_more_takes_no_place),
        STORED(a_limit_of_the_config_that_was_taken_away_stays_away),
        STORED(a_pause_that_is_over_takes_no_place),
        STORED(as_many_services_as_there_were_fit_again),
        STORED(without_room_for_its_service_the_broker_does_not_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
