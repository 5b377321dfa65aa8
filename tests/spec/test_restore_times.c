/* The promise: time goes on while the broker is down, and nothing ends for want of it that only
 * begins when the broker is back. */
#include "tests/spec/fixture.h"

static const struct submit durable = {.durable = true, .receipts = true, .attempts = 3};

#define DURABLE(name) cmocka_unit_test_setup_teardown(name, fixture_setup_stored, fixture_teardown)

/* They were said of the task, and have passed while it was a letter. */
static void times_of_a_retried_letter_begin_anew(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_CONTROL};
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
    message.control.request = 9;
    message.control.what = CONTROL_RETRY;
    message.control.task = id_of("t1");
    say(f, "s1", &message);
    advance_ms(f, 999);
    stored(f);
    assert_int_equal(stats_of(f).dead, 0);
    offer(f, "w1", "echo", 1);
    assert_true(trace_has(f, "TASK t1 attempt=2 deadline_ms=59001"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DURABLE(times_of_a_retried_letter_begin_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
