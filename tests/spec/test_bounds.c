/* The promise: everything is bounded. */
#include "tests/spec/fixture.h"

#include <string.h>

static void a_full_queue_refuses_with_retry_after(void **state)
{
    struct fixture *f = *state;

    f->options.service.max_tasks = 2;
    fixture_restart(f);
    given_echo(f, 0);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    submit(f, "s1", "t3", "echo");
    expect_trace(f, "[   0] s1 <- RESULT t3 refused code=queue_full retry_after_ms=1000\n");
    /* A refusal leaves no trace: the same id is welcome when there is room. */
    offer(f, "w1", "echo", 1);
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n");
    submit(f, "s1", "t3", "echo");
    expect_trace(f, "");
    assert_int_equal(stats_of(f).ready, 2);
}

static void a_queue_is_bounded_by_bytes_too(void **state)
{
    struct fixture *f = *state;

    f->options.service.max_bytes = 10;
    fixture_restart(f);
    given_echo(f, 0);
    submit_with(f, "s1", "t1", "echo", "12345678", NULL);
    submit_with(f, "s1", "t2", "echo", "12", NULL);
    expect_trace(f, "");
    submit_with(f, "s1", "t3", "echo", "1", NULL);
    expect_trace(f, "[   0] s1 <- RESULT t3 refused code=queue_full retry_after_ms=1000\n");
}

static void an_idle_queue_takes_one_task_above_its_bytes(void **state)
{
    struct fixture *f = *state;

    f->options.service.max_bytes = 4;
    fixture_restart(f);
    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "12345678", NULL);
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1 payload=12345678\n");
}

static void a_submitter_is_bounded_by_its_window(void **state)
{
    struct fixture *f = *state;

    f->options.window_tasks = 1;
    fixture_restart(f);
    given_echo(f, 5);
    hello(f, "s2");
    drop_trace(f);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    submit(f, "s2", "t3", "echo");
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n"
                    "[   0] s1 <- RESULT t2 refused code=window_exceeded retry_after_ms=100\n"
                    "[   0] w1 <- TASK t3 attempt=1\n");
    done(f, "w1", "t1", 1, "");
    submit(f, "s1", "t2", "echo");
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1\n"
                    "[   0] w1 <- TASK t2 attempt=1\n");
}

static void a_parent_may_always_have_one_child(void **state)
{
    struct fixture *f = *state;
    struct submit child = {.parent = id_of("p1"), .parent_attempt = 1};

    f->options.window_tasks = 1;
    fixture_restart(f);
    given_echo(f, 3);
    submit(f, "w1", "p1", "echo");
    drop_trace(f);
    /* The window is full of the parent, which would wait for ever for a child it cannot have. */
    submit_with(f, "w1", "c1", "echo", "", &child);
    submit_with(f, "w1", "c2", "echo", "", &child);
    expect_trace(f, "[   0] w1 <- TASK c1 attempt=1\n"
                    "[   0] w1 <- RESULT c2 refused code=window_exceeded retry_after_ms=100\n");
    done(f, "w1", "c1", 1, "");
    drop_trace(f);
    submit_with(f, "w1", "c2", "echo", "", &child);
    expect_trace(f, "[   0] w1 <- TASK c2 attempt=1\n");
}

static void a_window_is_bounded_by_bytes_too(void **state)
{
    struct fixture *f = *state;

    f->options.window_bytes = 5;
    fixture_restart(f);
    given_echo(f, 0);
    submit_with(f, "s1", "t1", "echo", "1234", NULL);
    submit_with(f, "s1", "t2", "echo", "12", NULL);
    expect_trace(f, "[   0] s1 <- RESULT t2 refused code=window_exceeded retry_after_ms=100\n");
}

static void memory_is_bounded_and_ended_tasks_make_room(void **state)
{
    struct fixture *f = *state;

    f->options.memory_max = 16 * 1024;
    fixture_restart(f);
    given_echo(f, 1);
    for (int i = 0; i < 200; i++) {
        const char *name = numbered("e", i);

        submit_with(f, "s1", name, "echo", "some payload", NULL);
        done(f, "w1", name, 1, "some result");
        assert_true(stats_of(f).memory_bytes <= f->options.memory_max);
    }
    assert_int_equal(f->refused, 0);
    drop_trace(f);
    f->quiet = true;
    for (int i = 0; i < 200; i++) {
        submit_with(f, "s1", numbered("q", i), "echo", "some payload", NULL);
        assert_true(stats_of(f).memory_bytes <= f->options.memory_max);
    }
    assert_in_range(f->refused, 100, 199);
    assert_int_equal(f->retry_after_ms, 100);
}

static void peers_services_and_offers_are_bounded(void **state)
{
    struct fixture *f = *state;

    f->options.peers_max = 1;
    f->options.services_max = 1;
    fixture_restart(f);
    hello(f, "w1");
    hello(f, "w2");
    expect_trace(f, "[   0] w1 <- WELCOME\n"
                    "[   0] w2 <- ERROR code=limit_exceeded field=session\n");
    offer(f, "w1", "a", 1);
    offer(f, "w1", "b", 1);
    expect_trace(f, "[   0] w1 <- ERROR code=limit_exceeded field=service\n");
}

static void retained_results_are_bounded_by_count_and_time(void **state)
{
    struct fixture *f = *state;

    f->options.retain_tasks = 10;
    f->options.retain_ms = 1000;
    fixture_restart(f);
    given_echo(f, 1);
    for (int i = 0; i < 50; i++) {
        const char *name = numbered("e", i);

        submit(f, "s1", name, "echo");
        done(f, "w1", name, 1, "result");
        assert_true(stats_of(f).retained <= 10);
    }
    assert_int_equal(stats_of(f).retained, 10);
    advance_ms(f, 999);
    assert_int_equal(stats_of(f).retained, 10);
    advance_ms(f, 1);
    assert_int_equal(stats_of(f).retained, 0);
    assert_int_equal(stats_of(f).memory_bytes, 0);
}

static void retained_results_are_bounded_by_bytes(void **state)
{
    static char large[1001];
    struct fixture *f = *state;

    memset(large, 'x', sizeof large - 1);
    f->options.retain_bytes = 5000;
    fixture_restart(f);
    given_echo(f, 1);
    for (int i = 0; i < 10; i++) {
        const char *name = numbered("e", i);

        submit(f, "s1", name, "echo");
        done(f, "w1", name, 1, large);
    }
    assert_in_range(stats_of(f).retained, 3, 4);
}

static void tasks_are_bounded_and_ended_ones_make_room(void **state)
{
    struct fixture *f = *state;

    f->options.tasks_max = 2;
    fixture_restart(f);
    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    submit(f, "s1", "t3", "echo");
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n"
                    "[   0] s1 <- RESULT t3 refused code=memory_full retry_after_ms=100\n");
    done(f, "w1", "t1", 1, "");
    submit(f, "s1", "t3", "echo");
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1\n"
                    "[   0] w1 <- TASK t2 attempt=1\n");
    assert_int_equal(stats_of(f).retained, 0);
}

/* Both parents of a full broker wait for a child. One tree at a time has the reserve: it gets on,
 * ends, and the other is next. */
static void a_memory_full_of_parents_lets_one_tree_through(void **state)
{
    struct fixture *f = *state;

    f->options.tasks_max = 2;
    fixture_restart(f);
    given_echo(f, 8);
    submit(f, "s1", "p1", "echo");
    submit(f, "s1", "p2", "echo");
    drop_trace(f);
    submit_child(f, "w1", "c1", "echo", "p1", 1);
    submit_child(f, "w1", "c2", "echo", "p2", 1);
    submit_child(f, "w1", "g1", "echo", "c1", 1);
    submit_child(f, "w1", "b1", "echo", "p1", 1);
    expect_trace(f, "[   0] w1 <- TASK c1 attempt=1\n"
                    "[   0] w1 <- RESULT c2 refused code=memory_full retry_after_ms=100\n"
                    "[   0] w1 <- TASK g1 attempt=1\n"
                    "[   0] w1 <- RESULT b1 refused code=memory_full retry_after_ms=100\n");
    done(f, "w1", "g1", 1, "");
    done(f, "w1", "c1", 1, "");
    drop_trace(f);
    submit_child(f, "w1", "c2", "echo", "p2", 1);
    expect_trace(f, "[   0] w1 <- TASK c2 attempt=1\n");
    done(f, "w1", "c2", 1, "");
    done(f, "w1", "p2", 1, "");
    done(f, "w1", "p1", 1, "");
    assert_int_equal(stats_of(f).tasks, 0);
}

static void the_reserve_of_a_tree_has_an_end(void **state)
{
    static char large[8193];
    struct fixture *f = *state;
    struct submit child = {.parent = id_of("p1"), .parent_attempt = 1};
    struct submit grandchild = {.parent = id_of("c1"), .parent_attempt = 1};

    memset(large, 'x', sizeof large - 1);
    f->options.memory_max = 32 * 1024;
    fixture_restart(f);
    given_echo(f, 8);
    submit(f, "s1", "p1", "echo");
    for (int i = 0; i < 4; i++) {
        submit_with(f, "s1", numbered("t", i), "echo", large, NULL);
    }
    assert_true(trace_has(f, "RESULT t3 refused code=memory_full"));
    drop_trace(f);
    /* Whatever its size: there may be nothing smaller that would help. */
    submit_with(f, "w1", "c1", "echo", large, &child);
    assert_true(trace_has(f, "w1 <- TASK c1"));
    drop_trace(f);
    submit_with(f, "w1", "g1", "echo", large, &grandchild);
    expect_trace(f, "[   0] w1 <- RESULT g1 refused code=memory_full retry_after_ms=100\n");
}

static void a_payload_is_bounded(void **state)
{
    struct fixture *f = *state;

    f->options.payload_max = 4;
    fixture_restart(f);
    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "12345", NULL);
    submit_with(f, "s1", "t2", "echo", "1234", NULL);
    expect_trace(f, "[   0] s1 <- RESULT t1 refused code=too_large\n"
                    "[   0] w1 <- TASK t2 attempt=1 payload=1234\n");
}

static void a_window_overdrawn_by_bytes_has_an_end(void **state)
{
    struct fixture *f = *state;
    struct submit child = {.parent = id_of("p1"), .parent_attempt = 1};
    struct submit grandchild = {.parent = id_of("c1"), .parent_attempt = 1};

    f->options.window_bytes = 5;
    fixture_restart(f);
    given_echo(f, 5);
    submit_with(f, "w1", "p1", "echo", "1234", NULL);
    submit_with(f, "w1", "c1", "echo", "12345678", &child);
    drop_trace(f);
    submit_with(f, "w1", "g1", "echo", "1", &grandchild);
    expect_trace(f, "[   0] w1 <- RESULT g1 refused code=window_exceeded retry_after_ms=100\n");
}

static void attempts_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct submit stubborn = {.attempts = 1000000};

    given_echo(f, 0);
    submit_with(f, "s1", "t1", "echo", "", &stubborn);
    query_task(f, "s1", QUERY_STATUS, "t1");
    assert_true(trace_has(f, " attempts=100 "));
}

static void a_fast_service_asks_for_a_short_wait(void **state)
{
    struct fixture *f = *state;

    f->options.service.max_tasks = 1;
    fixture_restart(f);
    given_echo(f, 1);
    for (int i = 0; i < 500; i++) {
        const char *name = numbered("e", i);

        submit(f, "s1", name, "echo");
        done(f, "w1", name, 1, "");
    }
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    drop_trace(f);
    submit(f, "s1", "t3", "echo");
    expect_trace(f, "[   0] s1 <- RESULT t3 refused code=queue_full retry_after_ms=5\n");
}

/* A join over a1, ..., a20, which all run. Returns an error code of which few fit. */
static const char *given_join_of_20(struct fixture *f)
{
    static char large[8193];

    memset(large, 'x', sizeof large - 1);
    f->options.memory_max = 64 * 1024;
    fixture_restart(f);
    given_echo(f, 20);
    submit_held_for(f, "j1", JOIN_SETTLED, 20);
    return large;
}

static void failures_that_a_join_keeps_are_bounded(void **state)
{
    struct fixture *f = *state;
    const char *large = given_join_of_20(f);

    for (int i = 1; i <= 20; i++) {
        drop_trace(f);
        fail_task(f, "w1", numbered("a", i), 1, large, false);
        assert_true(stats_of(f).memory_bytes <= 2 * f->options.memory_max);
    }
    assert_true(trace_has(f, "s1 <- RESULT j1 done"));
    assert_true(trace_has(f, "a1 failed attempt=1 code=xxx"));
    assert_true(trace_has(f, "a20 failed attempt=1 code=memory_full"));
}

static void a_failure_that_does_not_fit_is_retried_all_the_same(void **state)
{
    struct fixture *f = *state;
    const char *large = given_join_of_20(f);

    for (int i = 1; i < 20; i++) {
        fail_task(f, "w1", numbered("a", i), 1, large, false);
    }
    fail_task(f, "w1", "a20", 1, large, true);
    assert_true(stats_of(f).retries == 1);
    assert_false(trace_has(f, "RESULT j1"));
}

static void questions_that_wait_are_bounded_by_memory(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_QUERY};
    struct id id = id_of("t1");

    f->options.memory_max = 64 * 1024;
    fixture_restart(f);
    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    message.query.what = QUERY_RESULT;
    message.query.state = span_from_text("ended");
    message.query.argument = span_of(id.bytes, sizeof id.bytes);
    f->quiet = true;
    for (unsigned i = 0; i < 2000; i++) {
        message.query.request = i + 1;
        say(f, "s1", &message);
        assert_true(stats_of(f).memory_bytes <= f->options.memory_max);
    }
    assert_in_range(f->sent[COMMAND_REPLY], 100, 1999);
    f->quiet = false;
    drop_trace(f);
    message.query.request = 1;
    say(f, "s1", &message);
    expect_trace(f, "[   0] s1 <- REPLY 1 failed code=limit_exceeded\n");
    cancel(f, "s1", "t1", 5); /* it may wait all the same */
    assert_false(trace_has(f, "limit_exceeded"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(a_full_queue_refuses_with_retry_after),
        SPEC(a_queue_is_bounded_by_bytes_too),
        SPEC(an_idle_queue_takes_one_task_above_its_bytes),
        SPEC(a_submitter_is_bounded_by_its_window),
        SPEC(a_parent_may_always_have_one_child),
        SPEC(a_window_is_bounded_by_bytes_too),
        SPEC(memory_is_bounded_and_ended_tasks_make_room),
        SPEC(questions_that_wait_are_bounded_by_memory),
        SPEC(peers_services_and_offers_are_bounded),
        SPEC(retained_results_are_bounded_by_count_and_time),
        SPEC(retained_results_are_bounded_by_bytes),
        SPEC(tasks_are_bounded_and_ended_ones_make_room),
        SPEC(a_memory_full_of_parents_lets_one_tree_through),
        SPEC(the_reserve_of_a_tree_has_an_end),
        SPEC(a_payload_is_bounded),
        SPEC(a_window_overdrawn_by_bytes_has_an_end),
        SPEC(attempts_are_bounded),
        SPEC(a_fast_service_asks_for_a_short_wait),
        SPEC(failures_that_a_join_keeps_are_bounded),
        SPEC(a_failure_that_does_not_fit_is_retried_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
