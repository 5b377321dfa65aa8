/* The promise: time goes on while the broker is down, and nothing ends for want of it that only
 * begins when the broker is back. */
#include "tests/spec/fixture.h"

static const struct submit durable = {.durable = true, .receipts = true, .attempts = 3};

#define DURABLE(name) cmocka_unit_test_setup_teardown(name, fixture_setup_stored, fixture_teardown)

/* A task waits for so long, and no longer. */
static void assert_expires_in(struct fixture *f, uint64_t ms)
{
    advance_ms(f, ms - 1);
    stored(f);
    assert_int_equal(stats_of(f).expired, 0);
    advance_ms(f, 1);
    stored(f);
    assert_int_equal(stats_of(f).expired, 1);
}

/* They were said of the task, and have passed while it was a letter. */
static void times_of_a_retried_letter_begin_anew(void **state)
{
    struct fixture *f = *state;
    struct control retry = {.what = CONTROL_RETRY, .task = id_of("t1")};
    struct submit options = durable;

    options.dead_letter = true;
    options.deadline_ms = 60000;
    options.queue_ttl_ms = 1000;
    submit_with(f, "s1", "t1", "echo", "x", &options);
    fail_task(f, "w1", "t1", 1, "broken", false);
    stored(f);
    f->now_ms = 120000;
    crash(f);
    given_echo_again(f);
    offer(f, "w1", "echo", 0);
    drop_trace(f);
    say_control(f, &retry);
    advance_ms(f, 999);
    stored(f);
    assert_int_equal(stats_of(f).dead, 0);
    offer(f, "w1", "echo", 1);
    assert_true(trace_has(f, "TASK t1 attempt=2 deadline_ms=59001"));
}

/* It begins when a task is ready: no worker has had a moment to come back. */
static void a_queue_ttl_begins_anew(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;

    options.queue_ttl_ms = 1000;
    submit_with(f, "s1", "t1", "echo", "", &options);
    assert_true(trace_has(f, "TASK t1 attempt=1")); /* it has not waited at all */
    stored(f);
    f->now_ms = 5000;
    crash(f);
    assert_expires_in(f, 1000);
}

static void it_begins_after_the_delay(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;

    options.queue_ttl_ms = 1000;
    options.delay_ms = 10000;
    options.detached = true;
    submit_with(f, "s1", "t1", "echo", "", &options);
    stored(f);
    f->now_ms = 5000;
    crash(f);
    assert_expires_in(f, 6000);
}

static void it_begins_when_the_needs_have_ended(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable, step = durable;
    struct id need = id_of("t1");

    submit_with(f, "s1", "t1", "echo", "", &options);
    step.join = JOIN_ALL;
    step.needs = need.bytes;
    step.needs_count = 1;
    step.needs_stride = sizeof need;
    step.queue_ttl_ms = 1000;
    submit_with(f, "s1", "t2", "echo", "", &step);
    stored(f);
    f->now_ms = 5000;
    crash(f);
    hello(f, "s1");
    hello(f, "w1");
    offer(f, "w1", "echo", 1);
    done(f, "w1", "t1", 1, "x");
    offer(f, "w1", "echo", 0);
    stored(f);
    advance_ms(f, 999);
    offer(f, "w1", "echo", 1);
    assert_true(trace_has(f, "TASK t2 attempt=1"));
}

/* What was said to last an hour does, whatever the clock was when the broker began. */
static void a_clock_that_was_set_changes_no_deadline(void **state)
{
    const uint64_t hour_ms = 3600 * 1000, unix_ms = 1000000000000;
    struct fixture *f = *state;
    struct submit options = {
        .durable = true, .detached = true, .deadline_ms = hour_ms, .delay_ms = hour_ms / 2};
    struct event clock = {.kind = EVENT_CLOCK};

    f->options.started_unix_ms = unix_ms - 2 * hour_ms;
    fixture_restart(f);
    store_is(f, STORE_OPEN);
    given_echo_again(f);
    clock.unix_ms = unix_ms + f->now_ms;
    event(f, &clock);
    submit_with(f, "s1", "t1", "echo", "", &options);
    stored(f);
    crash(f);
    assert_int_equal(stats_of(f).delayed, 1);
    advance_ms(f, hour_ms / 2);
    given_echo_again(f);
    assert_int_equal(stats_of(f).leased, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DURABLE(times_of_a_retried_letter_begin_anew),
        DURABLE(a_queue_ttl_begins_anew),
        DURABLE(it_begins_after_the_delay),
        DURABLE(it_begins_when_the_needs_have_ended),
        DURABLE(a_clock_that_was_set_changes_no_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
