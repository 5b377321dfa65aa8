/* The promise: cancel reaches everything below it, and says when it has. */
#include "tests/spec/fixture.h"

#include <stdio.h>
#include <string.h>

static void cancel_of_a_queued_task_ends_it_at_once(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 0);
    submit(f, "s1", "t1", "echo");
    cancel(f, "s1", "t1", 5);
    expect_trace(f, "[   0] s1 <- RESULT t1 cancelled code=cancelled\n"
                    "[   0] s1 <- REPLY 5 ok state=cancelled stopped=1\n");
}

static void cancel_of_a_tree_is_confirmed_when_all_of_it_has_stopped(void **state)
{
    struct fixture *f = *state;

    given_parent(f);
    submit_child(f, "w1", "c1", "leaf", "p1", 1);
    submit_child(f, "w1", "c2", "leaf", "p1", 1);
    drop_trace(f);
    cancel(f, "s1", "p1", 5);
    expect_trace(f, "[   0] w1 <- CANCEL p1 attempt=1 reason=cancelled\n"
                    "[   0] w2 <- CANCEL c1 attempt=1 reason=cancelled\n"
                    "[   0] w1 <- RESULT c2 cancelled code=cancelled\n");
    fail_task(f, "w1", "p1", 1, "cancelled", false);
    expect_trace(f, "");
    fail_task(f, "w2", "c1", 1, "cancelled", false);
    expect_trace(f, "[   0] w1 <- RESULT c1 cancelled attempt=1 code=cancelled\n"
                    "[   0] s1 <- RESULT p1 cancelled attempt=1 code=cancelled\n"
                    "[   0] s1 <- REPLY 5 ok state=cancelled stopped=3\n");
}

static void a_result_after_cancel_counts_as_stopped(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    cancel(f, "s1", "t1", 0);
    drop_trace(f);
    done(f, "w1", "t1", 1, "too late");
    expect_trace(f, "[   0] s1 <- RESULT t1 cancelled attempt=1 code=cancelled\n");
}

static void a_worker_that_does_not_confirm_cannot_hold_up_a_cancel(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    cancel(f, "s1", "t1", 0);
    advance_ms(f, 9000);
    ping(f, "w1");
    drop_trace(f);
    advance_ms(f, 1000);
    assert_true(trace_has(f, "[10000] s1 <- RESULT t1 cancelled attempt=1 code=cancelled"
                             " unconfirmed=1\n"));
    /* It still takes the worker's credit, for the worker may still be at it. */
    assert_int_equal(stats_of(f).ready, 1);
    drop_trace(f);
    done(f, "w1", "t1", 1, "");
    expect_trace(f, "[10000] w1 <- TASK t2 attempt=1\n");
}

static void a_join_that_needs_its_own_parent_still_ends(void **state)
{
    struct fixture *f = *state;
    struct submit held = {.held = true};
    struct submit join = {.join = JOIN_ALL,
                          .parent = id_of("p1"),
                          .parent_attempt = 1,
                          .needs_count = 1,
                          .needs_stride = sizeof(struct id)};
    struct id need = id_of("p1");

    given_echo(f, 1);
    submit_with(f, "w1", "p1", "echo", "", &held);
    join.needs = need.bytes;
    submit_with(f, "w1", "j1", "", "", &join);
    cancel(f, "w1", "j1", 5);
    fail_task(f, "w1", "p1", 1, "cancelled", false);
    drop_trace(f);
    advance_ms(f, 9999);
    ping(f, "w1");
    expect_trace(f, "[9999] w1 <- PONG\n");
    advance_ms(f, 2);
    assert_true(trace_has(f, "w1 <- RESULT j1 cancelled code=cancelled unconfirmed=1"));
    assert_int_equal(stats_of(f).tasks, 0);
}

static void a_cancelled_parent_gets_no_new_children(void **state)
{
    struct fixture *f = *state;

    given_parent(f);
    cancel(f, "s1", "p1", 0);
    drop_trace(f);
    submit_child(f, "w1", "c1", "leaf", "p1", 1);
    expect_trace(f, "[   0] w1 <- RESULT c1 refused code=cancelled\n");
    submit_child(f, "w1", "c2", "leaf", "p9", 1);
    expect_trace(f, "[   0] w1 <- RESULT c2 refused code=not_found\n");
}

static void children_end_with_their_parents_attempt(void **state)
{
    struct fixture *f = *state;

    given_parent(f);
    submit_child(f, "w1", "c1", "leaf", "p1", 1);
    drop_trace(f);
    fail_task(f, "w1", "p1", 1, "busy", true);
    expect_trace(f, "[   0] w2 <- CANCEL c1 attempt=1 reason=cancelled\n");
    fail_task(f, "w2", "c1", 1, "cancelled", false);
    advance_ms(f, 100);
    submit_child(f, "w1", "c2", "leaf", "p1", 2);
    drop_trace(f);
    done(f, "w1", "p1", 2, "");
    expect_trace(f, "[ 100] s1 <- RESULT p1 done attempt=2\n"
                    "[ 100] w2 <- CANCEL c2 attempt=1 reason=cancelled\n");
}

static void cancel_of_a_join_cancels_what_only_it_waits_for(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 2);
    submit_held_for(f, "j1", JOIN_ALL, 2);
    submit_join(f, "s1", "j2", JOIN_ALL, 0, (const char *const[]){"a2", NULL});
    drop_trace(f);
    cancel(f, "s1", "j1", 5);
    expect_trace(f, "[   0] w1 <- CANCEL a1 attempt=1 reason=cancelled\n");
    fail_task(f, "w1", "a1", 1, "cancelled", false);
    assert_true(trace_has(f, "s1 <- RESULT j1 cancelled code=cancelled"));
    assert_true(trace_has(f, "s1 <- REPLY 5 ok state=cancelled stopped=2"));
    drop_trace(f);
    done(f, "w1", "a2", 1, "two");
    expect_trace(f, "[   0] s1 <- RESULT j2 done | a2 done attempt=1 payload=two\n");
}

static void a_deep_tree_is_cancelled_without_recursion(void **state)
{
    struct fixture *f = *state;
    char parent[16] = "p0", child[16];

    given_echo(f, 60000);
    f->quiet = true;
    submit(f, "s1", "p0", "echo");
    for (int i = 1; i < 20000; i++) {
        snprintf(child, sizeof child, "p%d", i);
        submit_child(f, "w1", child, "echo", parent, 1);
        strcpy(parent, child);
    }
    cancel(f, "s1", "p0", 0);
    assert_int_equal(stats_of(f).cancelling, 20000);
    for (int i = 0; i < 20000; i++) {
        snprintf(child, sizeof child, "p%d", i);
        fail_task(f, "w1", child, 1, "cancelled", false);
    }
    assert_int_equal(stats_of(f).cancelled, 20000);
}

static void a_delayed_parent_is_cancelled_with_what_still_stops_below_it(void **state)
{
    struct fixture *f = *state;

    given_parent(f);
    submit_child(f, "w1", "c1", "leaf", "p1", 1);
    fail_task(f, "w1", "p1", 1, "busy", true); /* c1 belongs to the attempt that is over */
    assert_int_equal(stats_of(f).delayed, 1);
    drop_trace(f);
    cancel(f, "s1", "p1", 5);
    expect_trace(f, "");
    assert_int_equal(stats_of(f).cancelling, 2);
    fail_task(f, "w2", "c1", 1, "cancelled", false);
    expect_trace(f, "[   0] w1 <- RESULT c1 cancelled attempt=1 code=cancelled\n"
                    "[   0] s1 <- RESULT p1 cancelled attempt=1 code=cancelled\n"
                    "[   0] s1 <- REPLY 5 ok state=cancelled stopped=2\n");
}

static void questions_do_not_keep_a_cancel_away(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_QUERY};
    struct id id = id_of("t1");

    f->options.window_tasks = 4;
    fixture_restart(f);
    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    message.query.what = QUERY_RESULT;
    message.query.state = span_from_text("ended");
    message.query.argument = span_of(id.bytes, sizeof id.bytes);
    for (unsigned i = 0; i < 5; i++) {
        message.query.request = i + 1;
        say(f, "s1", &message);
    }
    assert_true(trace_has(f, "REPLY 5 failed code=limit_exceeded"));
    drop_trace(f);
    cancel(f, "s1", "t2", 9);
    expect_trace(f, "[   0] s1 <- RESULT t2 cancelled code=cancelled\n"
                    "[   0] s1 <- REPLY 9 ok state=cancelled stopped=1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(cancel_of_a_queued_task_ends_it_at_once),
        SPEC(cancel_of_a_tree_is_confirmed_when_all_of_it_has_stopped),
        SPEC(a_result_after_cancel_counts_as_stopped),
        SPEC(a_worker_that_does_not_confirm_cannot_hold_up_a_cancel),
        SPEC(a_join_that_needs_its_own_parent_still_ends),
        SPEC(a_cancelled_parent_gets_no_new_children),
        SPEC(children_end_with_their_parents_attempt),
        SPEC(cancel_of_a_join_cancels_what_only_it_waits_for),
        SPEC(a_deep_tree_is_cancelled_without_recursion),
        SPEC(a_delayed_parent_is_cancelled_with_what_still_stops_below_it),
        SPEC(questions_do_not_keep_a_cancel_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
