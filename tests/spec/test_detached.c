/* The promise: detached work outlives who submitted it, and its outcome waits to be asked for. */
#include "tests/spec/fixture.h"

static const struct submit detached = {.detached = true};

static void pass_ms(struct fixture *f, uint64_t ms)
{
    while (ms > 0) {
        uint64_t step_ms = ms < 5000 ? ms : 5000;

        advance_ms(f, step_ms);
        ping(f, "w1");
        ping(f, "s2");
        ms -= step_ms;
    }
}

static void query_list(struct fixture *f, const char *service, const char *state)
{
    struct message message = {.command = COMMAND_QUERY};

    message.query.request = 7;
    message.query.what = QUERY_LIST;
    message.query.service = span_from_text(service);
    message.query.state = span_from_text(state);
    drop_trace(f);
    say(f, "s2", &message);
}

static void await_result(struct fixture *f, const char *peer, const char *task)
{
    struct message message = {.command = COMMAND_QUERY};
    struct id id = id_of(task);

    message.query.request = 9;
    message.query.what = QUERY_RESULT;
    message.query.argument = span_of(id.bytes, sizeof id.bytes);
    message.query.state = span_from_text("ended");
    say(f, peer, &message);
}

static void given_two(struct fixture *f, uint64_t credit)
{
    given_echo(f, credit);
    hello(f, "s2");
    drop_trace(f);
}

static void it_outlives_its_submitter(void **state)
{
    struct fixture *f = *state;

    given_two(f, 1);
    submit_with(f, "s1", "t1", "echo", "in", &detached);
    submit_with(f, "s1", "t2", "echo", "in", &detached);
    submit(f, "s1", "t3", "echo");
    bye(f, "s1");
    assert_int_equal(stats_of(f).cancelled, 1);
    assert_int_equal(stats_of(f).tasks, 2);
    drop_trace(f);
    done(f, "w1", "t1", 1, "out");
    expect_trace(f, "[   0] w1 <- TASK t2 attempt=1 payload=in\n");
    query_task(f, "s2", QUERY_RESULT, "t1");
    expect_trace(f, "[   0] s2 <- RESULT t1 done attempt=1 payload=out\n"
                    "[   0] s2 <- REPLY 7 ok id=t1 state=done ended=1\n");
    query_task(f, "s2", QUERY_RESULT, "t2");
    expect_trace(f, "[   0] s2 <- REPLY 7 ok id=t2 state=leased ended=0\n");
}

static void its_submitter_back_gets_its_result(void **state)
{
    struct fixture *f = *state;

    given_two(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &detached);
    bye(f, "s1");
    hello(f, "s1");
    submit_with(f, "s1", "t1", "echo", "", &detached);
    drop_trace(f);
    done(f, "w1", "t1", 1, "out");
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1 payload=out\n");
    bye(f, "s1");
    hello(f, "s1");
    drop_trace(f);
    submit_with(f, "s1", "t1", "echo", "", &detached);
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1 payload=out\n");
}

static void it_fills_the_window_while_the_session_lives(void **state)
{
    struct fixture *f = *state;

    f->options.window_tasks = 1;
    fixture_restart(f);
    given_two(f, 0);
    submit_with(f, "s1", "t1", "echo", "", &detached);
    drop_trace(f);
    submit(f, "s1", "t2", "echo");
    expect_trace(f, "[   0] s1 <- RESULT t2 refused code=window_exceeded retry_after_ms=100\n");
    bye(f, "s1");
    hello(f, "s1");
    drop_trace(f);
    submit(f, "s1", "t2", "echo");
    expect_trace(f, "");
}

/* What a handler detaches is not cancelled with its task, and has no deadline from it. */
static void it_has_no_parent(void **state)
{
    struct fixture *f = *state;
    struct submit child = {.detached = true, .parent = id_of("p1"), .parent_attempt = 1};

    given_parent(f);
    submit_with(f, "w1", "c1", "leaf", "", &child);
    done(f, "w1", "p1", 1, "");
    assert_int_equal(stats_of(f).leased, 1);
    drop_trace(f);
    submit_with(f, "w1", "c2", "leaf", "", &child);
    expect_trace(f, "[   0] w1 <- RESULT c2 refused code=cancelled\n");
}

static void anybody_may_wait_for_its_result(void **state)
{
    struct fixture *f = *state;

    given_two(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &detached);
    bye(f, "s1");
    drop_trace(f);
    await_result(f, "s2", "t1");
    expect_trace(f, "");
    done(f, "w1", "t1", 1, "out");
    expect_trace(f, "[   0] s2 <- RESULT t1 done attempt=1 payload=out\n"
                    "[   0] s2 <- REPLY 9 ok id=t1 state=done ended=1\n");
    await_result(f, "s2", "t1");
    expect_trace(f, "[   0] s2 <- RESULT t1 done attempt=1 payload=out\n"
                    "[   0] s2 <- REPLY 9 ok id=t1 state=done ended=1\n");
}

static void its_outcome_is_kept_as_long_as_it_says(void **state)
{
    struct fixture *f = *state;
    struct submit briefly = {.retain_ms = 5000};
    struct submit longer = {.detached = true, .retain_ms = 100000};

    given_two(f, 3);
    submit_with(f, "s1", "t1", "echo", "", &briefly);
    submit_with(f, "s1", "t2", "echo", "", &longer);
    submit_with(f, "s1", "t3", "echo", "", &detached);
    done(f, "w1", "t1", 1, "");
    done(f, "w1", "t2", 1, "");
    done(f, "w1", "t3", 1, "");
    assert_int_equal(stats_of(f).remembered, 3);
    pass_ms(f, 4999);
    assert_int_equal(stats_of(f).remembered, 3);
    pass_ms(f, 1);
    assert_int_equal(stats_of(f).remembered, 2);
    pass_ms(f, 95000);
    assert_int_equal(stats_of(f).remembered, 1);
    pass_ms(f, 3600 * 1000 - 100000 - 1);
    assert_int_equal(stats_of(f).remembered, 1);
    pass_ms(f, 1);
    assert_int_equal(stats_of(f).remembered, 0);
    assert_int_equal(stats_of(f).detached, 0);
    assert_int_equal(stats_of(f).remembered_forgotten, 0);
}

static void a_flood_of_ordinary_results_does_not_push_it_out(void **state)
{
    struct fixture *f = *state;

    f->options.retain_tasks = 4;
    f->options.detached_retain_tasks = 2;
    fixture_restart(f);
    given_two(f, 1);
    submit_with(f, "s1", "d1", "echo", "", &detached);
    done(f, "w1", "d1", 1, "");
    for (unsigned i = 0; i < 20; i++) {
        const char *name = numbered("t", i);

        submit(f, "s1", name, "echo");
        done(f, "w1", name, 1, "");
    }
    assert_int_equal(stats_of(f).remembered, 1);
    for (unsigned i = 2; i < 4; i++) {
        const char *name = numbered("d", i);

        submit_with(f, "s1", name, "echo", "", &detached);
        done(f, "w1", name, 1, "");
    }
    assert_int_equal(stats_of(f).remembered, 2);
    assert_int_equal(stats_of(f).remembered_forgotten, 1);
    drop_trace(f);
    query_task(f, "s2", QUERY_STATUS, "d1");
    assert_true(trace_has(f, "code=not_found"));
}

static void a_list_shows_them_by_service_and_state(void **state)
{
    struct fixture *f = *state;
    struct submit wait = {.detached = true, .if_absent = IF_ABSENT_WAIT};

    given_two(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &detached);
    submit_with(f, "s1", "t2", "echo", "", &detached);
    submit_with(f, "s1", "t3", "other", "", &wait);
    submit(f, "s1", "t4", "echo");
    done(f, "w1", "t1", 1, "");
    query_list(f, "", "");
    assert_true(trace_has(f, "id=t1 service=echo state=done"));
    assert_true(trace_has(f, "id=t2 service=echo state=leased"));
    assert_true(trace_has(f, "id=t3 service=other state=ready"));
    assert_false(trace_has(f, "id=t4"));
    query_list(f, "echo", "ended");
    assert_true(trace_has(f, "id=t1"));
    assert_false(trace_has(f, "id=t2"));
    assert_false(trace_has(f, "id=t3"));
    query_list(f, "", "ready");
    assert_false(trace_has(f, "id=t1"));
    assert_true(trace_has(f, "id=t3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(it_outlives_its_submitter),
        SPEC(its_submitter_back_gets_its_result),
        SPEC(it_fills_the_window_while_the_session_lives),
        SPEC(it_has_no_parent),
        SPEC(anybody_may_wait_for_its_result),
        SPEC(its_outcome_is_kept_as_long_as_it_says),
        SPEC(a_flood_of_ordinary_results_does_not_push_it_out),
        SPEC(a_list_shows_them_by_service_and_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
