/* One test, or a few, for each promise of README.md that this broker makes. */
#include "tests/spec/fixture.h"

#include <stdio.h>
#include <string.h>

static void given_echo(struct fixture *f, uint64_t credit)
{
    hello(f, "w1");
    hello(f, "s1");
    offer(f, "w1", "echo", credit);
    drop_trace(f);
}

/* A task held by w1 whose handler submits children. */
static void given_parent(struct fixture *f)
{
    given_echo(f, 1);
    submit(f, "s1", "p1", "echo");
    hello(f, "w2");
    offer(f, "w2", "leaf", 1);
    drop_trace(f);
}

static void submit_child(struct fixture *f, const char *peer, const char *task,
                         const char *service, const char *parent, uint64_t attempt)
{
    struct submit options = {.parent = id_of(parent), .parent_attempt = attempt};

    submit_with(f, peer, task, service, "", &options);
}

/* ---- 1: everything is bounded ------------------------------------------------- */

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
    char name[16];

    f->options.memory_max = 16 * 1024;
    fixture_restart(f);
    given_echo(f, 1);
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "e%d", i);
        submit_with(f, "s1", name, "echo", "some payload", NULL);
        done(f, "w1", name, 1, "some result");
        assert_true(stats_of(f).memory_bytes <= f->options.memory_max);
    }
    assert_int_equal(f->refused, 0);
    drop_trace(f);
    f->quiet = true;
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "q%d", i);
        submit_with(f, "s1", name, "echo", "some payload", NULL);
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
    char name[16];

    f->options.retain_tasks = 10;
    f->options.retain_ms = 1000;
    fixture_restart(f);
    given_echo(f, 1);
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "e%d", i);
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

/* ---- 2: every accepted task ends exactly once ----------------------------------- */

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

/* ---- 3: receipts ---------------------------------------------------------------- */

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

/* ---- 4: a lost worker, connection or broker loses no task --------------------------- */

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

/* ---- 5: joins always end ------------------------------------------------------------- */

static void submit_held(struct fixture *f, const char *task)
{
    struct submit held = {.held = true};

    submit_with(f, "s1", task, "echo", "", &held);
}

static void a_join_of_all_brings_every_result_in_order(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 3);
    submit_held(f, "a1");
    submit_held(f, "a2");
    submit_join(f, "s1", "j1", JOIN_ALL, 0, (const char *const[]){"a1", "a2", NULL});
    drop_trace(f);
    done(f, "w1", "a2", 1, "two");
    expect_trace(f, "");
    done(f, "w1", "a1", 1, "one");
    expect_trace(f, "[   0] s1 <- RESULT j1 done | a1 done attempt=1 payload=one"
                    " | a2 done attempt=1 payload=two\n");
}

static void a_join_of_all_fails_fast_and_keeps_what_is_finished(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 2);
    submit_held(f, "a1");
    submit_held(f, "a2");
    submit_held(f, "a3");
    submit_join(f, "s1", "j1", JOIN_ALL, 0, (const char *const[]){"a1", "a2", "a3", NULL});
    done(f, "w1", "a1", 1, "one");
    drop_trace(f);
    fail_task(f, "w1", "a2", 1, "broken", false);
    expect_trace(f, "[   0] s1 <- RESULT j1 failed code=dependency_failed id=a2 outcome=1"
                    " | a1 done attempt=1 payload=one | a2 failed attempt=1 code=broken"
                    " | a3 cancelled attempt=1 code=cancelled\n"
                    "[   0] w1 <- CANCEL a3 attempt=1 reason=cancelled\n");
}

static void a_settled_join_waits_for_every_end(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 2);
    submit_held(f, "a1");
    submit_held(f, "a2");
    submit_join(f, "s1", "j1", JOIN_SETTLED, 0, (const char *const[]){"a1", "a2", NULL});
    drop_trace(f);
    fail_task(f, "w1", "a1", 1, "broken", false);
    expect_trace(f, "");
    done(f, "w1", "a2", 1, "two");
    expect_trace(f, "[   0] s1 <- RESULT j1 done | a1 failed attempt=1 code=broken"
                    " | a2 done attempt=1 payload=two\n");
}

static void a_settled_join_ends_at_its_deadline_with_what_it_has(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 2);
    submit_held(f, "a1");
    submit_held(f, "a2");
    submit_join(f, "s1", "j1", JOIN_SETTLED, 300, (const char *const[]){"a1", "a2", NULL});
    done(f, "w1", "a1", 1, "one");
    drop_trace(f);
    advance_ms(f, 299);
    expect_trace(f, "");
    advance_ms(f, 1);
    expect_trace(f, "[ 300] s1 <- RESULT j1 done | a1 done attempt=1 payload=one"
                    " | a2 expired attempt=1 code=expired\n"
                    "[ 300] w1 <- CANCEL a2 attempt=1 reason=cancelled\n");
}

static void a_join_of_nothing_or_of_ended_tasks_ends_at_once(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    submit_join(f, "s1", "j1", JOIN_ALL, 0, (const char *const[]){NULL});
    expect_trace(f, "[   0] s1 <- RESULT j1 done\n");
    submit_held(f, "a1");
    done(f, "w1", "a1", 1, "one");
    drop_trace(f);
    submit_join(f, "s1", "j2", JOIN_ALL, 0, (const char *const[]){"a1", "a1", NULL});
    expect_trace(f, "[   0] s1 <- RESULT j2 done | a1 done attempt=1 payload=one"
                    " | a1 done attempt=1 payload=one\n");
}

static void a_join_of_an_unknown_task_is_refused(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    submit_join(f, "s1", "j1", JOIN_ALL, 0, (const char *const[]){"a1", NULL});
    expect_trace(f, "[   0] s1 <- RESULT j1 refused code=not_found\n");
}

static void joins_of_joins_end_without_recursion(void **state)
{
    struct fixture *f = *state;
    char name[16] = "j0", next[16];

    given_echo(f, 1);
    f->quiet = true;
    submit_held(f, "a1");
    submit_join(f, "s1", "j0", JOIN_ALL, 0, (const char *const[]){"a1", NULL});
    for (int i = 1; i < 20000; i++) {
        snprintf(next, sizeof next, "j%d", i);
        submit_join(f, "s1", next, JOIN_ALL, 0, (const char *const[]){name, NULL});
        strcpy(name, next);
    }
    done(f, "w1", "a1", 1, "");
    assert_int_equal(stats_of(f).done, 20001);
    assert_int_equal(stats_of(f).tasks, 0);
}

static void a_finished_need_is_kept_until_its_join_has_ended(void **state)
{
    struct fixture *f = *state;

    f->options.retain_tasks = 0;
    fixture_restart(f);
    given_echo(f, 2);
    submit_held(f, "a1");
    submit_held(f, "a2");
    submit_join(f, "s1", "j1", JOIN_ALL, 0, (const char *const[]){"a1", "a2", NULL});
    done(f, "w1", "a1", 1, "one");
    advance_ms(f, 1000);
    ping(f, "w1");
    drop_trace(f);
    done(f, "w1", "a2", 1, "two");
    expect_trace(f, "[1000] s1 <- RESULT j1 done | a1 done attempt=1 payload=one"
                    " | a2 done attempt=1 payload=two\n");
    assert_int_equal(stats_of(f).memory_bytes, 0);
}

/* ---- 6: cancel reaches everything below it ---------------------------------------------- */

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
    submit_held(f, "a1");
    submit_held(f, "a2");
    submit_join(f, "s1", "j1", JOIN_ALL, 0, (const char *const[]){"a1", "a2", NULL});
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

/* ---- 7: deadlines are inherited --------------------------------------------------------------- */

static void a_task_expires_at_its_deadline_wherever_it_is(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.deadline_ms = 400};

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &options);
    submit_with(f, "s1", "t2", "echo", "", &options);
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1 deadline_ms=400\n");
    advance_ms(f, 399);
    expect_trace(f, "");
    advance_ms(f, 1);
    expect_trace(f, "[ 400] w1 <- CANCEL t1 attempt=1 reason=expired\n"
                    "[ 400] s1 <- RESULT t1 expired attempt=1 code=expired\n"
                    "[ 400] s1 <- RESULT t2 expired code=expired\n");
}

static void a_queue_ttl_ends_only_what_never_started(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.queue_ttl_ms = 400};

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &options);
    submit_with(f, "s1", "t2", "echo", "", &options);
    drop_trace(f);
    advance_ms(f, 400);
    expect_trace(f, "[ 400] s1 <- RESULT t2 expired code=expired\n");
    lose(f, "w1");
    advance_ms(f, 5000);
    assert_int_equal(stats_of(f).ready, 1);
}

static void a_child_never_outlives_what_its_parent_has_left(void **state)
{
    struct fixture *f = *state;
    struct submit parent = {.deadline_ms = 1000};
    struct submit child = {.parent = id_of("p1"), .parent_attempt = 1, .deadline_ms = 9000};

    given_echo(f, 1);
    hello(f, "w2");
    offer(f, "w2", "leaf", 1);
    submit_with(f, "s1", "p1", "echo", "", &parent);
    advance_ms(f, 400);
    drop_trace(f);
    submit_with(f, "w1", "c1", "leaf", "", &child);
    expect_trace(f, "[ 400] w2 <- TASK c1 attempt=1 deadline_ms=600\n");
    advance_ms(f, 600);
    assert_true(trace_has(f, "[1000] w1 <- RESULT c1 expired"));
    assert_true(trace_has(f, "[1000] s1 <- RESULT p1 expired"));
}

/* ---- 8: every wait explains itself ---------------------------------------------------------------- */

static void expect_why(struct fixture *f, const char *task, const char *reason)
{
    char wanted[64];

    drop_trace(f);
    query_task(f, "s1", QUERY_WHY, task);
    snprintf(wanted, sizeof wanted, " reason=%s ", reason);
    if (!trace_has(f, wanted)) {
        fail_msg("wanted %s in %s", wanted, f->trace);
    }
}

static void why_names_the_one_reason(void **state)
{
    struct fixture *f = *state;
    struct submit wait = {.if_absent = IF_ABSENT_WAIT};

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "absent", "", &wait);
    expect_why(f, "t1", "no_worker");
    submit(f, "s1", "t2", "echo");
    expect_why(f, "t2", "running");
    submit(f, "s1", "t3", "echo");
    expect_why(f, "t3", "no_credit");
    submit_join(f, "s1", "j1", JOIN_ALL, 0, (const char *const[]){"t2", "t3", NULL});
    expect_why(f, "j1", "needs");
    fail_task(f, "w1", "t2", 1, "busy", true);
    expect_why(f, "t2", "not_before");
    cancel(f, "s1", "t3", 0);
    expect_why(f, "t3", "stopping");
    fail_task(f, "w1", "t3", 1, "cancelled", false);
    expect_why(f, "t3", "ended");
    drop_trace(f);
    query_task(f, "s1", QUERY_WHY, "t9");
    expect_trace(f, "[   0] s1 <- REPLY 7 failed code=not_found\n");
}

/* ---- 9: no input stops the broker -------------------------------------------------------------------- */

static void nothing_counts_before_hello(void **state)
{
    struct fixture *f = *state;

    offer(f, "x1", "echo", 1);
    submit(f, "x1", "t1", "echo");
    done(f, "x1", "t1", 1, "");
    bye(f, "x1");
    expect_trace(f, "[   0] x1 <- ERROR code=hello_required\n"
                    "[   0] x1 <- ERROR code=hello_required\n"
                    "[   0] x1 <- ERROR code=hello_required\n"
                    "[   0] x1 <- ERROR code=hello_required\n");
    assert_int_equal(stats_of(f).services, 0);
}

static void a_probe_asks_for_hello(void **state)
{
    struct fixture *f = *state;
    struct event probe = {.kind = EVENT_PROBE, .from = connection_of("x1")};

    event(f, &probe);
    expect_trace(f, "[   0] x1 <- ERROR code=hello_required\n");
    hello(f, "x1");
    drop_trace(f);
    event(f, &probe);
    expect_trace(f, "");
}

static void a_malformed_message_is_answered_by_field(void **state)
{
    struct fixture *f = *state;
    struct malformed malformed = {.code = ERROR_BAD_MESSAGE,
                                  .command = COMMAND_SUBMIT,
                                  .field = "needs",
                                  .message = "not an array"};
    struct event bad = {
        .kind = EVENT_MALFORMED, .from = connection_of("s1"), .malformed = &malformed};

    given_echo(f, 1);
    event(f, &bad);
    expect_trace(f, "[   0] s1 <- ERROR code=bad_message field=needs\n");
    assert_int_equal(stats_of(f).bad_messages, 1);
}

static void a_connection_keeps_its_session(void **state)
{
    struct fixture *f = *state;

    hello(f, "s1");
    drop_trace(f);
    hello_from(f, "s2", connection_of("s1"));
    expect_trace(f, "[   0] s1 <- ERROR code=conflict field=session\n");
}

/* ---- choosing, credit, draining --------------------------------------------------------------------------- */

static void the_least_loaded_worker_is_chosen(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 10);
    hello(f, "w2");
    offer(f, "w2", "echo", 10);
    drop_trace(f);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    submit(f, "s1", "t3", "echo");
    done(f, "w2", "t2", 1, "");
    submit(f, "s1", "t4", "echo");
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n"
                    "[   0] w2 <- TASK t2 attempt=1\n"
                    "[   0] w1 <- TASK t3 attempt=1\n"
                    "[   0] s1 <- RESULT t2 done attempt=1\n"
                    "[   0] w2 <- TASK t4 attempt=1\n");
}

static void credit_is_a_level_of_tasks_held(void **state)
{
    struct fixture *f = *state;
    struct message more = {.command = COMMAND_CREDIT};

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    submit(f, "s1", "t3", "echo");
    drop_trace(f);
    more.credit.service = span_from_text("echo");
    more.credit.credit = 2;
    say(f, "w1", &more);
    expect_trace(f, "[   0] w1 <- TASK t2 attempt=1\n");
    more.credit.credit = 1;
    say(f, "w1", &more);
    done(f, "w1", "t2", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT t2 done attempt=1\n");
    done(f, "w1", "t1", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1\n"
                    "[   0] w1 <- TASK t3 attempt=1\n");
}

static void a_withdrawn_offer_finishes_what_it_holds(void **state)
{
    struct fixture *f = *state;
    struct message withdraw = {.command = COMMAND_WITHDRAW};

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    drop_trace(f);
    withdraw.withdraw.service = span_from_text("echo");
    say(f, "w1", &withdraw);
    done(f, "w1", "t1", 1, "last");
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1 payload=last\n");
    assert_int_equal(stats_of(f).offers, 0);
    say(f, "w1", &withdraw);
    expect_trace(f, "[   0] w1 <- ERROR code=not_found field=service\n");
}

static void a_draining_broker_finishes_what_it_has(void **state)
{
    struct fixture *f = *state;
    struct event drain = {.kind = EVENT_DRAIN};

    given_parent(f);
    event(f, &drain);
    submit(f, "s1", "t2", "echo");
    expect_trace(f, "[   0] s1 <- RESULT t2 refused code=draining retry_after_ms=100\n");
    submit_child(f, "w1", "c1", "leaf", "p1", 1);
    expect_trace(f, "[   0] w2 <- TASK c1 attempt=1\n");
    assert_false(broker_drained(f->broker));
    done(f, "w2", "c1", 1, "");
    done(f, "w1", "p1", 1, "");
    assert_true(broker_drained(f->broker));
}

static void a_service_is_forgotten_when_nobody_needs_it(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    bye(f, "w1");
    advance_ms(f, 59999);
    assert_int_equal(stats_of(f).services, 1);
    advance_ms(f, 1);
    assert_int_equal(stats_of(f).services, 0);
}

static void the_operators_limits_stand_against_offers(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_OFFER};
    struct service_limits limits = {.max_tasks = 1};

    assert_true(broker_configure_service(f->broker, span_from_text("echo"), &limits));
    hello(f, "w1");
    hello(f, "s1");
    message.offer.service = span_from_text("echo");
    message.offer.max_tasks = 100;
    say(f, "w1", &message);
    drop_trace(f);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    expect_trace(f, "[   0] s1 <- RESULT t2 refused code=queue_full retry_after_ms=1000\n");
}

#define SPEC(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(a_full_queue_refuses_with_retry_after),
        SPEC(a_queue_is_bounded_by_bytes_too),
        SPEC(an_idle_queue_takes_one_task_above_its_bytes),
        SPEC(a_submitter_is_bounded_by_its_window),
        SPEC(a_window_is_bounded_by_bytes_too),
        SPEC(memory_is_bounded_and_ended_tasks_make_room),
        SPEC(peers_services_and_offers_are_bounded),
        SPEC(retained_results_are_bounded_by_count_and_time),
        SPEC(an_unknown_service_is_refused_or_waited_for),
        SPEC(resubmitting_changes_nothing_and_repeats_the_result),
        SPEC(an_id_belongs_to_its_session),
        SPEC(stale_answers_are_ignored),
        SPEC(a_final_failure_is_final_at_once),
        SPEC(a_retryable_failure_is_retried_after_backoff),
        SPEC(receipts_come_in_order_and_only_if_asked_for),
        SPEC(a_lost_workers_tasks_go_to_another_in_order),
        SPEC(a_task_whose_workers_all_die_fails_with_the_cause),
        SPEC(a_silent_worker_is_lost),
        SPEC(a_worker_with_leases_is_probed_and_an_idle_one_is_not),
        SPEC(a_submitter_that_comes_back_finds_its_tasks),
        SPEC(a_submitter_that_stays_away_has_its_tree_cancelled),
        SPEC(a_submitter_back_after_all_submits_afresh),
        SPEC(a_session_on_a_new_connection_gives_its_work_back),
        SPEC(a_lease_that_runs_out_moves_the_task_and_keeps_the_credit),
        SPEC(progress_renews_a_lease),
        SPEC(a_join_of_all_brings_every_result_in_order),
        SPEC(a_join_of_all_fails_fast_and_keeps_what_is_finished),
        SPEC(a_settled_join_waits_for_every_end),
        SPEC(a_settled_join_ends_at_its_deadline_with_what_it_has),
        SPEC(a_join_of_nothing_or_of_ended_tasks_ends_at_once),
        SPEC(a_join_of_an_unknown_task_is_refused),
        SPEC(joins_of_joins_end_without_recursion),
        SPEC(a_finished_need_is_kept_until_its_join_has_ended),
        SPEC(cancel_of_a_queued_task_ends_it_at_once),
        SPEC(cancel_of_a_tree_is_confirmed_when_all_of_it_has_stopped),
        SPEC(a_result_after_cancel_counts_as_stopped),
        SPEC(a_worker_that_does_not_confirm_cannot_hold_up_a_cancel),
        SPEC(a_cancelled_parent_gets_no_new_children),
        SPEC(children_end_with_their_parents_attempt),
        SPEC(cancel_of_a_join_cancels_what_only_it_waits_for),
        SPEC(a_deep_tree_is_cancelled_without_recursion),
        SPEC(a_task_expires_at_its_deadline_wherever_it_is),
        SPEC(a_queue_ttl_ends_only_what_never_started),
        SPEC(a_child_never_outlives_what_its_parent_has_left),
        SPEC(why_names_the_one_reason),
        SPEC(nothing_counts_before_hello),
        SPEC(a_probe_asks_for_hello),
        SPEC(a_malformed_message_is_answered_by_field),
        SPEC(a_connection_keeps_its_session),
        SPEC(the_least_loaded_worker_is_chosen),
        SPEC(credit_is_a_level_of_tasks_held),
        SPEC(a_withdrawn_offer_finishes_what_it_holds),
        SPEC(a_draining_broker_finishes_what_it_has),
        SPEC(a_service_is_forgotten_when_nobody_needs_it),
        SPEC(the_operators_limits_stand_against_offers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
