/* The promise: a failed attempt is tried again as its task, its service or the broker says, and
 * no more often. */
#include "tests/spec/fixture.h"

static void fail_later(struct fixture *f, const char *task, uint64_t attempt, uint64_t ms)
{
    struct message message = {.command = COMMAND_FAIL};

    message.fail.id = id_of(task);
    message.fail.attempt = attempt;
    message.fail.error.raw = message.fail.error.code = span_from_text("busy");
    message.fail.error.retryable = true;
    message.fail.error.retry_after_ms = ms;
    say(f, "w1", &message);
}

/* Keeps both alive while time passes. */
static void pass_ms(struct fixture *f, uint64_t ms)
{
    while (ms > 0) {
        uint64_t step_ms = ms < 400 ? ms : 400;

        advance_ms(f, step_ms);
        ping(f, "w1");
        ping(f, "s1");
        ms -= step_ms;
    }
}

static void a_tasks_own_backoff_doubles_up_to_its_ceiling(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.attempts = 5, .backoff_ms = 10, .backoff_max_ms = 25};
    const uint64_t delays_ms[] = {10, 20, 25, 25};

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &options);
    for (unsigned i = 0; i < 4; i++) {
        fail_task(f, "w1", "t1", i + 1, "busy", true);
        pass_ms(f, delays_ms[i] - 1);
        assert_int_equal(stats_of(f).delayed, 1);
        pass_ms(f, 1);
        assert_int_equal(stats_of(f).leased, 1);
    }
    drop_trace(f);
    fail_task(f, "w1", "t1", 5, "busy", true);
    assert_true(trace_has(f, "s1 <- RESULT t1 failed attempt=5 code=busy\n"));
}

static void a_services_backoff_holds_where_a_task_has_none(void **state)
{
    struct fixture *f = *state;
    struct service_limits limits = {.attempts = 3, .backoff_ms = 7, .backoff_max_ms = 9};

    assert_true(broker_configure_service(f->broker, span_from_text("echo"), &limits));
    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    fail_task(f, "w1", "t1", 1, "busy", true);
    pass_ms(f, 6);
    assert_int_equal(stats_of(f).delayed, 1);
    pass_ms(f, 1);
    assert_int_equal(stats_of(f).leased, 1);
    fail_task(f, "w1", "t1", 2, "busy", true);
    pass_ms(f, 8);
    assert_int_equal(stats_of(f).delayed, 1);
    pass_ms(f, 1);
    assert_int_equal(stats_of(f).leased, 1);
}

static void a_workers_retry_after_wins_over_the_backoff(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.backoff_ms = 10};

    f->options.jitter = true;
    fixture_restart(f);
    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &options);
    fail_later(f, "t1", 1, 300);
    pass_ms(f, 299);
    assert_int_equal(stats_of(f).delayed, 1);
    pass_ms(f, 1);
    assert_int_equal(stats_of(f).leased, 1);
}

/* With full jitter each delay is in [1, ceiling], and all of that is used. */
static void jitter_spreads_over_the_whole_backoff(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.attempts = 2, .backoff_ms = 16};
    unsigned seen[17] = {0};

    f->options.jitter = true;
    fixture_restart(f);
    given_echo(f, 1);
    f->quiet = true;
    for (unsigned i = 0; i < 400; i++) {
        uint64_t before_ms = f->now_ms;
        const char *name = numbered("t", i);

        submit_with(f, "s1", name, "echo", "", &options);
        fail_task(f, "w1", name, 1, "busy", true);
        assert_int_equal(stats_of(f).delayed, 1);
        while (stats_of(f).delayed == 1) {
            pass_ms(f, 1);
        }
        assert_in_range(f->now_ms - before_ms, 1, 16);
        seen[f->now_ms - before_ms]++;
        done(f, "w1", name, 2, "");
    }
    for (unsigned ms = 1; ms <= 16; ms++) {
        assert_in_range(seen[ms], 5, 60);
    }
}

static void codes_decide_where_a_failure_says_otherwise(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.attempts = 9,
                             .backoff_ms = 1,
                             .retry_on = span_from_text("http_404 timeout"),
                             .final_on = span_from_text("bad_key  worker_lost")};

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &options);
    fail_task(f, "w1", "t1", 1, "timeout", false);
    pass_ms(f, 1);
    fail_task(f, "w1", "t1", 2, "http_404", false);
    pass_ms(f, 2);
    drop_trace(f);
    /* No code of the list is this one, though two begin with it. */
    fail_task(f, "w1", "t1", 3, "time", false);
    expect_trace(f, "[   3] s1 <- RESULT t1 failed attempt=3 code=time\n");
    submit_with(f, "s1", "t2", "echo", "", &options);
    drop_trace(f);
    fail_task(f, "w1", "t2", 1, "bad_key", true);
    expect_trace(f, "[   3] s1 <- RESULT t2 failed attempt=1 code=bad_key\n");
    submit_with(f, "s1", "t3", "echo", "", &options);
    drop_trace(f);
    lose(f, "w1"); /* at most once */
    expect_trace(f, "[   3] s1 <- RESULT t3 failed attempt=1 code=worker_lost\n");
}

static void a_final_code_wins_over_one_to_retry(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.retry_on = span_from_text("a b"), .final_on = span_from_text("b c")};

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &options);
    drop_trace(f);
    fail_task(f, "w1", "t1", 1, "b", true);
    expect_trace(f, "[   0] s1 <- RESULT t1 failed attempt=1 code=b\n");
}

static void a_lease_that_runs_out_may_be_final(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.lease_ms = 300, .final_on = span_from_text("lease_expired")};

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &options);
    drop_trace(f);
    advance_ms(f, 300);
    expect_trace(f, "[ 300] w1 <- CANCEL t1 attempt=1 reason=lease_expired\n"
                    "[ 300] s1 <- RESULT t1 failed attempt=1 code=lease_expired\n");
}

static void say_progress(struct fixture *f, const char *task, uint64_t attempt)
{
    struct message message = {.command = COMMAND_PROGRESS};

    message.progress.id = id_of(task);
    message.progress.attempt = attempt;
    say(f, "w1", &message);
}

static void max_run_ends_an_attempt_whatever_its_progress(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.attempts = 2, .lease_ms = 200, .max_run_ms = 450};

    given_echo(f, 2);
    submit_with(f, "s1", "t1", "echo", "", &options);
    for (unsigned i = 0; i < 4; i++) {
        pass_ms(f, 100);
        say_progress(f, "t1", 1);
    }
    drop_trace(f);
    pass_ms(f, 49);
    assert_false(trace_has(f, "CANCEL"));
    pass_ms(f, 1);
    assert_true(trace_has(f, "[ 450] w1 <- CANCEL t1 attempt=1 reason=lease_expired\n"
                             "[ 450] w1 <- TASK t1 attempt=2\n"));
    for (unsigned i = 0; i < 3; i++) {
        pass_ms(f, 150);
        say_progress(f, "t1", 2);
    }
    assert_true(trace_has(
        f, "[ 900] s1 <- RESULT t1 failed attempt=2 code=lease_expired max_run=1\n"));
}

static void a_lease_is_over_before_max_run(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.attempts = 1, .lease_ms = 200, .max_run_ms = 450};

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &options);
    drop_trace(f);
    pass_ms(f, 200);
    assert_true(trace_has(f, "s1 <- RESULT t1 failed attempt=1 code=lease_expired\n"));
}

static void offers_and_services_have_a_max_run_too(void **state)
{
    struct fixture *f = *state;
    struct service_limits limits = {.attempts = 1, .max_run_ms = 300};
    struct message message = {.command = COMMAND_OFFER};

    assert_true(broker_configure_service(f->broker, span_from_text("echo"), &limits));
    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    pass_ms(f, 299);
    assert_int_equal(stats_of(f).leased, 1);
    pass_ms(f, 1);
    assert_int_equal(stats_of(f).failed, 1);
    message.offer.service = span_from_text("echo");
    message.offer.credit = 2;
    message.offer.max_run_ms = 100;
    say(f, "w1", &message);
    submit(f, "s1", "t2", "echo");
    pass_ms(f, 99);
    assert_int_equal(stats_of(f).leased, 1);
    pass_ms(f, 1);
    assert_int_equal(stats_of(f).failed, 2);
}

/* The worker's DONE may be among what has yet to be read. */
static void a_broker_that_slept_waits_for_what_ran_too_long(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.attempts = 1, .max_run_ms = 1000};

    given_echo(f, 2);
    submit_with(f, "s1", "t1", "echo", "", &options);
    submit_with(f, "s1", "t2", "echo", "", &options);
    f->now_ms = 60000;
    ping(f, "w1");
    ping(f, "s1");
    drop_trace(f);
    done(f, "w1", "t1", 1, "");
    expect_trace(f, "[60000] s1 <- RESULT t1 done attempt=1\n");
    pass_ms(f, f->options.ping_ms);
    assert_true(trace_has(f, "s1 <- RESULT t2 failed attempt=1 code=lease_expired max_run=1\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(a_tasks_own_backoff_doubles_up_to_its_ceiling),
        SPEC(a_services_backoff_holds_where_a_task_has_none),
        SPEC(a_workers_retry_after_wins_over_the_backoff),
        SPEC(jitter_spreads_over_the_whole_backoff),
        SPEC(codes_decide_where_a_failure_says_otherwise),
        SPEC(a_final_code_wins_over_one_to_retry),
        SPEC(a_lease_that_runs_out_may_be_final),
        SPEC(max_run_ends_an_attempt_whatever_its_progress),
        SPEC(a_lease_is_over_before_max_run),
        SPEC(offers_and_services_have_a_max_run_too),
        SPEC(a_broker_that_slept_waits_for_what_ran_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
