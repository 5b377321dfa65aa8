/* The promise: every accepted task ends exactly once, and receipts mean what they say. */
#include "tests/spec/fixture.h"

#include "common/blob.h"

static void an_unknown_service_is_refused_or_waited_for(void **state)
{
    struct fixture *f = *state;
    struct submit wait = {.if_absent = IF_ABSENT_WAIT};

    hello(f, "w1");
    hello(f, "s1");
    drop_trace(f);
    submit(f, "s1", "t1", "nobody");
    expect_trace(f, "[   0] s1 <- RESULT t1 refused code=unknown_service retry_after_ms=100\n");
    submit_with(f, "s1", "t1", "nobody", "", &wait);
    expect_trace(f, "");
    offer(f, "w1", "nobody", 1);
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n");
}

static void one_who_waits_makes_a_service_known_to_nobody_else(void **state)
{
    struct fixture *f = *state;
    struct submit wait = {.if_absent = IF_ABSENT_WAIT};

    hello(f, "w1");
    hello(f, "s1");
    submit_with(f, "s1", "t1", "nobody", "", &wait);
    drop_trace(f);
    submit(f, "s1", "t2", "nobody");
    expect_trace(f, "[   0] s1 <- RESULT t2 refused code=unknown_service retry_after_ms=100\n");
    offer(f, "w1", "nobody", 1);
    drop_trace(f);
    submit(f, "s1", "t2", "nobody");
    expect_trace(f, "");
}

static void resubmitting_changes_nothing_and_repeats_the_result(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 2);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t1", "echo");
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n");
    done(f, "w1", "t1", 1, "r");
    submit(f, "s1", "t1", "echo");
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1 payload=r\n"
                    "[   0] s1 <- RESULT t1 done attempt=1 payload=r\n");
    assert_int_equal(stats_of(f).done, 1);
}

static void an_id_belongs_to_its_session(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 0);
    hello(f, "s2");
    submit(f, "s1", "t1", "echo");
    drop_trace(f);
    submit(f, "s2", "t1", "echo");
    expect_trace(f, "[   0] s2 <- RESULT t1 refused code=conflict\n");
}

static void stale_answers_are_ignored(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    hello(f, "w2");
    offer(f, "w2", "echo", 1);
    submit(f, "s1", "t1", "echo");
    drop_trace(f);
    done(f, "w2", "t1", 1, "not mine");
    done(f, "w1", "t1", 2, "not yet");
    done(f, "s1", "t1", 1, "not a worker");
    expect_trace(f, "");
    assert_int_equal(stats_of(f).stale, 3);
    done(f, "w1", "t1", 1, "right");
    done(f, "w1", "t1", 1, "again");
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1 payload=right\n");
}

static void a_final_failure_is_final_at_once(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    fail_task(f, "w1", "t1", 1, "no_such_file", false);
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n"
                    "[   0] s1 <- RESULT t1 failed attempt=1 code=no_such_file\n");
}

static void a_retryable_failure_is_retried_after_backoff(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    f->transitions = true;
    submit(f, "s1", "t1", "echo");
    drop_trace(f);
    fail_task(f, "w1", "t1", 1, "busy", true);
    advance_ms(f, 99);
    expect_trace(f, "[   0] t1 leased -> delayed\n");
    advance_ms(f, 1);
    expect_trace(f, "[ 100] t1 delayed -> ready\n"
                    "[ 100] t1 ready -> leased\n"
                    "[ 100] w1 <- TASK t1 attempt=2\n");
    fail_task(f, "w1", "t1", 2, "busy", true);
    advance_ms(f, 200);
    fail_task(f, "w1", "t1", 3, "busy", true);
    expect_trace(f, "[ 100] t1 leased -> delayed\n"
                    "[ 300] t1 delayed -> ready\n"
                    "[ 300] t1 ready -> leased\n"
                    "[ 300] w1 <- TASK t1 attempt=3\n"
                    "[ 300] t1 leased -> failed\n"
                    "[ 300] s1 <- RESULT t1 failed attempt=3 code=busy\n");
}


static void receipts_come_in_order_and_only_if_asked_for(void **state)
{
    struct fixture *f = *state;
    struct submit receipts = {.receipts = true};

    given_echo(f, 0);
    submit_with(f, "s1", "t1", "echo", "", &receipts);
    expect_trace(f, "[   0] s1 <- ACCEPTED t1\n");
    offer(f, "w1", "echo", 1);
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n"
                    "[   0] s1 <- STARTED t1 attempt=1 worker=w1\n");
}

/* s1 was away for too long, and w1 never said that it stopped. Now s1 is back, and w1 holds the
 * task twice: the numbers of the attempts go on, so that each answer finds its own. */
static void a_task_that_starts_anew_is_not_ended_by_its_old_lease(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 2);
    submit(f, "s1", "t1", "echo");
    bye(f, "s1");
    for (int i = 0; i < 10; i++) {
        advance_ms(f, 1000);
        ping(f, "w1");
    }
    hello(f, "s1");
    drop_trace(f);
    submit(f, "s1", "t1", "echo");
    expect_trace(f, "[10000] w1 <- TASK t1 attempt=2\n");
    done(f, "w1", "t1", 2, "new");
    expect_trace(f, "[10000] s1 <- RESULT t1 done attempt=2 payload=new\n");
    submit(f, "s1", "t2", "echo");
    submit(f, "s1", "t3", "echo");
    expect_trace(f, "[10000] w1 <- TASK t2 attempt=1\n");
    fail_task(f, "w1", "t1", 1, "cancelled", false); /* the old one has stopped at last */
    expect_trace(f, "[10000] w1 <- TASK t3 attempt=1\n");
}

static void backoff_has_a_ceiling(void **state)
{
    static const uint64_t delays_ms[] = {100, 200, 300, 300, 300};
    struct fixture *f = *state;
    struct submit stubborn = {.attempts = 100};

    f->options.backoff_max_ms = 300;
    fixture_restart(f);
    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &stubborn);
    for (size_t i = 0; i < sizeof delays_ms / sizeof *delays_ms; i++) {
        drop_trace(f);
        fail_task(f, "w1", "t1", i + 1, "busy", true);
        advance_ms(f, delays_ms[i] - 1);
        expect_trace(f, "");
        advance_ms(f, 1);
        assert_true(trace_has(f, "w1 <- TASK t1 attempt="));
    }
}

static void a_payload_that_came_in_a_frame_is_passed_on_uncopied(void **state)
{
    struct fixture *f = *state;
    struct blob *blob = blob_new(span_from_text("in a frame"));
    struct message message = {.command = COMMAND_DONE};

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    drop_trace(f);
    message.done.id = id_of("t1");
    message.done.attempt = 1;
    message.done.payload = (struct payload){.bytes = blob_span(blob), .blob = blob};
    say(f, "w1", &message);
    blob_unref(blob);
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1 payload=in a frame\n");
    submit(f, "s1", "t1", "echo"); /* the broker has it still */
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1 payload=in a frame\n");
}

static const struct submit run_out = {.attempts = 100, .lease_ms = 1, .retain_ms = 1};

/* An id is used again and again, and each time a worker answers all leases that ran out but the
 * last. */
static void attempt_numbers_do_not_repeat(void **state)
{
    struct fixture *f = *state;
    uint64_t answered = 0;

    given_echo(f, CREDIT_MAX);
    f->quiet = true;
    for (unsigned life = 0; life < 700 && f->refused == 0; life++) {
        submit_with(f, "s1", "t1", "echo", "", &run_out);
        advance_ms(f, 110);
        while (answered + 1 < stats_of(f).attempts) {
            done(f, "w1", "t1", ++answered, "");
        }
        ping(f, "s1");
    }
    assert_int_equal(f->refused, 1);
    assert_in_range(stats_of(f).attempts, 60000, 65535);
    f->quiet = false;
    submit_with(f, "s1", "t1", "echo", "", &run_out);
    assert_true(trace_has(f, "RESULT t1 refused code=limit_exceeded"));
    bye(f, "w1");
    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &run_out);
    assert_true(trace_has(f, "TASK t1 attempt=1\n"));
}

/* Each answer has to be found among them. */
static void leases_of_an_id_that_ran_out_are_bounded(void **state)
{
    struct fixture *f = *state;

    given_echo(f, CREDIT_MAX);
    for (unsigned life = 0; life < 3; life++) {
        submit_with(f, "s1", "t1", "echo", "", &run_out);
        advance_ms(f, 110);
    }
    assert_int_equal(stats_of(f).attempts, 300);
    drop_trace(f);
    submit_with(f, "s1", "t1", "echo", "", &run_out);
    submit(f, "s1", "t2", "echo");
    assert_true(trace_has(f, "RESULT t1 refused code=limit_exceeded"));
    assert_true(trace_has(f, "TASK t2 attempt=1"));
    for (unsigned attempt = 1; attempt <= 100; attempt++) {
        done(f, "w1", "t1", attempt, "");
    }
    submit_with(f, "s1", "t1", "echo", "", &run_out);
    assert_true(trace_has(f, "TASK t1 attempt=301"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(an_unknown_service_is_refused_or_waited_for),
        SPEC(one_who_waits_makes_a_service_known_to_nobody_else),
        SPEC(resubmitting_changes_nothing_and_repeats_the_result),
        SPEC(an_id_belongs_to_its_session),
        SPEC(stale_answers_are_ignored),
        SPEC(a_final_failure_is_final_at_once),
        SPEC(a_retryable_failure_is_retried_after_backoff),
        SPEC(receipts_come_in_order_and_only_if_asked_for),
        SPEC(a_task_that_starts_anew_is_not_ended_by_its_old_lease),
        SPEC(backoff_has_a_ceiling),
        SPEC(a_payload_that_came_in_a_frame_is_passed_on_uncopied),
        SPEC(attempt_numbers_do_not_repeat),
        SPEC(leases_of_an_id_that_ran_out_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
