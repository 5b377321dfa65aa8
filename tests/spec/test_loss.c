/* The promise: a lost worker, connection or broker loses no task. */
#include "tests/spec/fixture.h"

static void a_lost_workers_tasks_go_to_another_in_order(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 2);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    submit(f, "s1", "t3", "echo");
    hello(f, "w2");
    drop_trace(f);
    lose(f, "w1");
    expect_trace(f, "");
    offer(f, "w2", "echo", 3);
    expect_trace(f, "[   0] w2 <- TASK t1 attempt=2\n"
                    "[   0] w2 <- TASK t2 attempt=2\n"
                    "[   0] w2 <- TASK t3 attempt=1\n");
}

static void a_task_whose_workers_all_die_fails_with_the_cause(void **state)
{
    struct fixture *f = *state;
    struct submit once = {.attempts = 1};

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &once);
    drop_trace(f);
    lose(f, "w1");
    expect_trace(f, "[   0] s1 <- RESULT t1 failed attempt=1 code=worker_lost\n");
}

static void a_silent_worker_is_lost(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    advance_ms(f, 14000);
    ping(f, "s1");
    assert_int_equal(stats_of(f).leased, 1);
    advance_ms(f, 1000);
    assert_int_equal(stats_of(f).leased, 0);
    assert_int_equal(stats_of(f).peers_lost, 1);
}

static void a_worker_with_leases_is_probed_and_an_idle_one_is_not(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    advance_ms(f, 2000);
    ping(f, "w1");
    drop_trace(f);
    submit(f, "s1", "t1", "echo");
    drop_trace(f);
    advance_ms(f, 1100);
    expect_trace(f, "[2500] w1 <- PONG\n"
                    "[3000] w1 <- PONG\n");
}

/* What w1 says is read after the clock has jumped: the broker slept, not the worker. */
static void a_broker_that_slept_loses_nobody(void **state)
{
    struct fixture *f = *state;
    struct submit leased = {.lease_ms = 1000};

    given_echo(f, 2);
    hello(f, "s2");
    submit_with(f, "s1", "t1", "echo", "", &leased);
    submit(f, "s2", "t2", "echo");
    lose(f, "s2");
    drop_trace(f);
    f->now_ms = 60000;
    ping(f, "w1");
    ping(f, "s1");
    hello(f, "s2");
    done(f, "w1", "t1", 1, "");
    done(f, "w1", "t2", 1, "");
    expect_trace(f, "[60000] w1 <- PONG\n"
                    "[60000] w1 <- PONG\n"
                    "[60000] s1 <- PONG\n"
                    "[60000] s2 <- WELCOME known\n"
                    "[60000] s1 <- RESULT t1 done attempt=1\n"
                    "[60000] s2 <- RESULT t2 done attempt=1\n");
    advance_ms(f, 14999);
    assert_int_equal(stats_of(f).peers, 3);
    advance_ms(f, 1);
    assert_int_equal(stats_of(f).peers, 0);
}

static void a_result_lost_with_its_connection_is_told_again(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    done(f, "w1", "t1", 1, "once");
    lose(f, "s1"); /* nothing is unfinished: but was the RESULT read? */
    drop_trace(f);
    hello_from(f, "s1", connection_of("s9"));
    submit(f, "s9", "t1", "echo");
    expect_trace(f, "[   0] s9 <- WELCOME\n"
                    "[   0] s9 <- RESULT t1 done attempt=1 payload=once\n");
}

static void a_submitter_that_comes_back_finds_its_tasks(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    drop_trace(f);
    lose(f, "s1");
    done(f, "w1", "t1", 1, "kept");
    expect_trace(f, "");
    advance_ms(f, 9000);
    ping(f, "w1");
    drop_trace(f);
    hello_from(f, "s1", connection_of("s9"));
    submit(f, "s9", "t1", "echo");
    expect_trace(f, "[9000] s9 <- WELCOME known\n"
                    "[9000] s9 <- RESULT t1 done attempt=1 payload=kept\n");
}

static void a_submitter_that_stays_away_has_its_tree_cancelled(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    drop_trace(f);
    lose(f, "s1");
    advance_ms(f, 9000);
    ping(f, "w1");
    drop_trace(f);
    advance_ms(f, 1000);
    expect_trace(f, "[9500] w1 <- PONG\n"
                    "[10000] w1 <- CANCEL t1 attempt=1 reason=cancelled\n");
    fail_task(f, "w1", "t1", 1, "cancelled", false);
    assert_int_equal(stats_of(f).cancelled, 2);
    assert_int_equal(stats_of(f).tasks, 0);
}

static void a_submitter_back_after_all_submits_afresh(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 0);
    submit(f, "s1", "t1", "echo");
    lose(f, "s1");
    advance_ms(f, 10000);
    assert_int_equal(stats_of(f).cancelled, 1);
    hello_from(f, "s1", connection_of("s9"));
    drop_trace(f);
    submit(f, "s9", "t1", "echo");
    expect_trace(f, "");
    assert_int_equal(stats_of(f).ready, 1);
}

/* A gather of a session that was away too long is no different: its needs are not held back by
 * the join that was cancelled with them. */
static void a_join_submitted_afresh_waits_for_fresh_needs(void **state)
{
    struct fixture *f = *state;
    const char *const needs[] = {"a1", "a2", NULL};

    given_echo(f, 1);
    submit_held(f, "a1");
    submit_held(f, "a2");
    submit_join(f, "s1", "j1", JOIN_ALL, 0, needs);
    bye(f, "s1");
    hello(f, "s1");
    drop_trace(f);
    /* w1 has not stopped a1 yet: neither it nor the join can begin. */
    submit_held(f, "a1");
    submit_held(f, "a2");
    submit_join(f, "s1", "j1", JOIN_ALL, 0, needs);
    expect_trace(f, "[   0] s1 <- RESULT a1 refused code=conflict retry_after_ms=100\n"
                    "[   0] s1 <- RESULT a2 refused code=conflict retry_after_ms=100\n"
                    "[   0] s1 <- RESULT j1 refused code=conflict retry_after_ms=100\n");
    fail_task(f, "w1", "a1", 1, "cancelled", false);
    drop_trace(f);
    submit_join(f, "s1", "j1", JOIN_ALL, 0, needs);
    expect_trace(f, "[   0] s1 <- RESULT j1 refused code=conflict retry_after_ms=100\n");
    submit_held(f, "a1");
    submit_held(f, "a2");
    submit_join(f, "s1", "j1", JOIN_ALL, 0, needs);
    done(f, "w1", "a1", 1, "one");
    drop_trace(f);
    done(f, "w1", "a2", 1, "two");
    expect_trace(f, "[   0] s1 <- RESULT j1 done | a1 done attempt=1 payload=one"
                    " | a2 done attempt=1 payload=two\n");
}

static void a_task_still_stopping_is_refused_for_now(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    bye(f, "s1");
    hello(f, "s1");
    drop_trace(f);
    submit(f, "s1", "t1", "echo");
    expect_trace(f, "[   0] s1 <- RESULT t1 refused code=conflict retry_after_ms=100\n");
    fail_task(f, "w1", "t1", 1, "cancelled", false);
    submit(f, "s1", "t1", "echo");
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n");
}

static void a_session_on_a_new_connection_gives_its_work_back(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    drop_trace(f);
    hello_from(f, "w1", connection_of("w9"));
    done(f, "w1", "t1", 1, "from the old connection");
    offer(f, "w9", "echo", 1);
    expect_trace(f, "[   0] w9 <- WELCOME known\n"
                    "[   0] w1 <- ERROR code=hello_required\n"
                    "[   0] w9 <- TASK t1 attempt=2\n");
}

static void a_lease_that_runs_out_moves_the_task_and_keeps_the_credit(void **state)
{
    struct fixture *f = *state;
    struct submit lease = {.lease_ms = 1000};

    given_echo(f, 1);
    hello(f, "w2");
    submit_with(f, "s1", "t1", "echo", "", &lease);
    submit(f, "s1", "t2", "echo");
    drop_trace(f);
    advance_ms(f, 499);
    expect_trace(f, "");
    advance_ms(f, 501);
    expect_trace(f, "[ 500] w1 <- PONG\n"
                    "[1000] w1 <- CANCEL t1 attempt=1 reason=lease_expired\n");
    /* w1 has not answered: it gets nothing new. w2 takes over, the old first. */
    offer(f, "w2", "echo", 1);
    expect_trace(f, "[1000] w2 <- TASK t1 attempt=2\n");
    done(f, "w1", "t1", 1, "late");
    expect_trace(f, "[1000] w1 <- TASK t2 attempt=1\n");
    done(f, "w2", "t1", 2, "in time");
    expect_trace(f, "[1000] s1 <- RESULT t1 done attempt=2 payload=in time\n");
}

static void progress_renews_a_lease(void **state)
{
    struct fixture *f = *state;
    struct submit lease = {.lease_ms = 400};
    struct message message = {.command = COMMAND_PROGRESS};

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &lease);
    advance_ms(f, 399);
    drop_trace(f);
    message.progress.id = id_of("t1");
    message.progress.attempt = 1;
    message.progress.payload.bytes = span_from_text("half");
    say(f, "w1", &message);
    expect_trace(f, "[ 399] s1 <- PROGRESS t1 attempt=1 payload=half\n");
    advance_ms(f, 399);
    assert_int_equal(stats_of(f).leased, 1);
    advance_ms(f, 1);
    assert_true(trace_has(f, "[ 799] w1 <- CANCEL t1 attempt=1 reason=lease_expired\n"));
}

static void a_broker_a_little_late_excuses_nobody(void **state)
{
    struct fixture *f = *state;
    struct event tick = {.kind = EVENT_TICK};

    given_echo(f, 1);
    advance_ms(f, f->options.silence_ms - 1);
    assert_int_equal(stats_of(f).peers, 2);
    f->now_ms += f->options.ping_ms;
    event(f, &tick);
    assert_int_equal(stats_of(f).peers, 0);
}

static void a_peer_may_come_back_under_another_name(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_HELLO};
    struct submit receipts = {.receipts = true};

    given_echo(f, 1);
    message.hello.version = PROTOCOL_VERSION;
    message.hello.session = id_of("w1");
    message.hello.name = span_from_text("better");
    say(f, "x1", &message);
    offer(f, "x1", "echo", 1);
    drop_trace(f);
    submit_with(f, "s1", "t1", "echo", "", &receipts);
    expect_trace(f, "[   0] s1 <- ACCEPTED t1\n"
                    "[   0] x1 <- TASK t1 attempt=1\n"
                    "[   0] s1 <- STARTED t1 attempt=1 worker=better\n");
}

static void given_peers(struct fixture *f, unsigned from, unsigned to)
{
    f->quiet = true;
    for (unsigned i = from; i <= to; i++) {
        hello(f, numbered("s", i));
    }
    f->quiet = false;
    drop_trace(f);
}

/* So that all of them wake the broker about 500 times a second, but none is lost for one PING. */
static void the_more_peers_there_are_the_rarer_each_pings(void **state)
{
    struct fixture *f = *state;

    given_peers(f, 1, 999);
    hello(f, "s1000");
    assert_int_equal(f->ping_ms, 2000);
    given_peers(f, 1001, 1499);
    hello(f, "s1500");
    assert_int_equal(f->ping_ms, 3000);
    given_peers(f, 1501, 2999);
    hello(f, "s3000");
    assert_int_equal(f->ping_ms, 5000);
    for (unsigned i = 1; i <= 3000; i++) {
        bye(f, numbered("s", i));
    }
    hello(f, "s1");
    assert_int_equal(f->ping_ms, 2000);
}

static void what_is_told_is_never_less_than_what_is_configured(void **state)
{
    struct fixture *f = *state;

    f->options.ping_ms = 7000; /* more than a third of its silence_ms */
    fixture_restart(f);
    given_peers(f, 1, 2999);
    hello(f, "s3000");
    assert_int_equal(f->ping_ms, 7000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(a_lost_workers_tasks_go_to_another_in_order),
        SPEC(a_task_whose_workers_all_die_fails_with_the_cause),
        SPEC(a_silent_worker_is_lost),
        SPEC(a_worker_with_leases_is_probed_and_an_idle_one_is_not),
        SPEC(a_broker_that_slept_loses_nobody),
        SPEC(a_result_lost_with_its_connection_is_told_again),
        SPEC(a_submitter_that_comes_back_finds_its_tasks),
        SPEC(a_submitter_that_stays_away_has_its_tree_cancelled),
        SPEC(a_submitter_back_after_all_submits_afresh),
        SPEC(a_join_submitted_afresh_waits_for_fresh_needs),
        SPEC(a_task_still_stopping_is_refused_for_now),
        SPEC(a_session_on_a_new_connection_gives_its_work_back),
        SPEC(a_lease_that_runs_out_moves_the_task_and_keeps_the_credit),
        SPEC(progress_renews_a_lease),
        SPEC(a_broker_a_little_late_excuses_nobody),
        SPEC(a_peer_may_come_back_under_another_name),
        SPEC(the_more_peers_there_are_the_rarer_each_pings),
        SPEC(what_is_told_is_never_less_than_what_is_configured),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
