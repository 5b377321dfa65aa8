/* The promise: a submit to all workers is a task for each worker that is there, for it alone, and
 * ends when each of them has ended. */
#include "tests/spec/fixture.h"

#include <string.h>

static void scatter(struct fixture *f, const char *task, const struct submit *options)
{
    struct submit all = options != NULL ? *options : (struct submit){0};

    all.route = ROUTE_ALL;
    submit_with(f, "s1", task, "echo", "", &all);
}

/* s1, and w1 to w3 that offer echo, each for one task at a time. */
static void given_three(struct fixture *f)
{
    hello(f, "s1");
    for (unsigned i = 1; i <= 3; i++) {
        const char *name = numbered("w", i);

        hello(f, name);
        offer(f, name, "echo", 1);
    }
    drop_trace(f);
}

static void each_worker_gets_one(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    scatter(f, "t1", NULL);
    expect_trace(f, "[   0] w1 <- TASK #0 attempt=1\n"
                    "[   0] w2 <- TASK #1 attempt=1\n"
                    "[   0] w3 <- TASK #2 attempt=1\n");
    done(f, "w2", "#1", 1, "two");
    fail_task(f, "w3", "#2", 1, "broken", false);
    expect_trace(f, "");
    done(f, "w1", "#0", 1, "one");
    expect_trace(f, "[   0] s1 <- RESULT t1 done | #0 done attempt=1 payload=one "
                    "| #1 done attempt=1 payload=two | #2 failed attempt=1 code=broken\n");
}

/* A busy worker's part waits for it, though others are idle; and holds nobody. */
static void a_part_waits_for_its_worker(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    submit(f, "s1", "a1", "echo");
    drop_trace(f);
    scatter(f, "t1", NULL);
    expect_trace(f, "[   0] w2 <- TASK #0 attempt=1\n"
                    "[   0] w3 <- TASK #1 attempt=1\n");
    done(f, "w2", "#0", 1, "");
    submit(f, "s1", "a2", "echo");
    expect_trace(f, "[   0] w2 <- TASK a2 attempt=1\n");
    done(f, "w1", "a1", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT a1 done attempt=1\n"
                    "[   0] w1 <- TASK #2 attempt=1\n");
    fail_task(f, "w1", "#2", 1, "busy", true);
    drop_trace(f);
    done(f, "w2", "a2", 1, "");
    advance_ms(f, 100);
    expect_trace(f, "[   0] s1 <- RESULT a2 done attempt=1\n"
                    "[ 100] w1 <- TASK #2 attempt=2\n");
}

static void a_lost_workers_part_fails(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    submit(f, "s1", "a1", "echo");
    scatter(f, "t1", NULL);
    done(f, "w2", "#0", 1, "");
    fail_task(f, "w3", "#1", 1, "busy", true);
    drop_trace(f);
    bye(f, "w3"); /* before the next attempt */
    advance_ms(f, 100);
    expect_trace(f, "");
    bye(f, "w1"); /* before the first; and what any worker may do goes on */
    expect_trace(f, "[ 100] s1 <- RESULT t1 done | #2 failed code=worker_lost "
                    "| #0 done attempt=1 | #1 failed attempt=1 code=worker_lost\n"
                    "[ 100] w2 <- TASK a1 attempt=2\n");
}

static void a_part_that_waits_for_its_next_attempt_fails_with_its_worker(void **state)
{
    static const struct submit later = {.delay_ms = 3600 * 1000};
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_FAIL};

    given_echo(f, 10);
    scatter(f, "t1", NULL);
    scatter(f, "t2", &later);
    message.fail.id = id_of("#0");
    message.fail.attempt = 1;
    message.fail.error.raw = message.fail.error.code = span_from_text("busy");
    message.fail.error.retryable = true;
    message.fail.error.retry_after_ms = 24 * 3600 * 1000;
    say(f, "w1", &message);
    drop_trace(f);
    bye(f, "w1");
    expect_trace(f, "[   0] s1 <- RESULT t2 done | #1 failed code=worker_lost\n"
                    "[   0] s1 <- RESULT t1 done | #0 failed attempt=1 code=worker_lost\n");
}

static void a_leased_part_of_a_lost_worker_fails(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    bye(f, "w3");
    scatter(f, "t1", NULL);
    done(f, "w2", "#1", 1, "");
    drop_trace(f);
    lose(f, "w1");
    expect_trace(f, "[   0] s1 <- RESULT t1 done | #0 failed attempt=1 code=worker_lost "
                    "| #1 done attempt=1\n");
}

static void a_worker_that_withdraws_may_finish(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_WITHDRAW};

    given_three(f);
    scatter(f, "t1", NULL);
    message.withdraw.service = span_from_text("echo");
    say(f, "w1", &message);
    say(f, "w2", &message);
    done(f, "w1", "#0", 1, "");
    fail_task(f, "w2", "#1", 1, "busy", true); /* nobody is left to try it again */
    drop_trace(f);
    done(f, "w3", "#2", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT t1 done | #0 done attempt=1 "
                    "| #1 failed attempt=1 code=busy | #2 done attempt=1\n");
}

static void only_workers_that_are_there_are_asked(void **state)
{
    struct fixture *f = *state;
    struct message drain = {.command = COMMAND_CONTROL};
    struct submit version = {.version = span_from_text("2")};
    struct message two = {.command = COMMAND_OFFER};

    given_three(f);
    scatter(f, "t0", &version);
    expect_trace(f, "[   0] s1 <- RESULT t0 refused code=unknown_service retry_after_ms=100\n");
    drain.control.what = CONTROL_DRAIN;
    drain.control.peer = 4; /* w2; s1, w1 and echo came before */
    say(f, "s1", &drain);
    two.offer.service = span_from_text("echo");
    two.offer.credit = 1;
    two.offer.version = span_from_text("2");
    say(f, "w3", &two);
    drop_trace(f);
    scatter(f, "t1", NULL);
    expect_trace(f, "[   0] w1 <- TASK #0 attempt=1\n"
                    "[   0] w3 <- TASK #1 attempt=1\n");
    done(f, "w1", "#0", 1, "");
    done(f, "w3", "#1", 1, "");
    drop_trace(f);
    scatter(f, "t2", &version);
    expect_trace(f, "[   0] w3 <- TASK #2 attempt=1\n");
}

static void all_of_it_or_nothing(void **state)
{
    struct fixture *f = *state;

    f->options.window_tasks = 4; /* another task, three parts, and then the join is one too many */
    fixture_restart(f);
    given_three(f);
    submit(f, "s1", "a1", "echo");
    done(f, "w1", "a1", 1, "");
    hello(f, "w4");
    offer(f, "w4", "leaf", 1);
    submit(f, "s1", "a2", "leaf");
    drop_trace(f);
    scatter(f, "t1", NULL);
    expect_trace(f, "[   0] s1 <- RESULT t1 refused code=window_exceeded retry_after_ms=100\n");
    assert_int_equal(stats_of(f).leased, 1);
    assert_int_equal(stats_of(f).ready, 0);
    bye(f, "w3");
    drop_trace(f);
    scatter(f, "t1", NULL); /* not the id of what was refused */
    expect_trace(f, "[   0] w1 <- TASK #0 attempt=1\n"
                    "[   0] w2 <- TASK #1 attempt=1\n");
}

/* Making room for a part forgets the last ones that its worker had: it is for that worker still. */
static void parts_outlive_what_they_push_out(void **state)
{
    struct fixture *f = *state;
    static char large[3000];

    f->options.memory_max = 16 * 1024;
    fixture_restart(f);
    given_three(f);
    bye(f, "w3");
    memset(large, 'x', sizeof large - 1);
    for (unsigned i = 0; i < 6; i++) {
        drop_trace(f);
        scatter(f, numbered("t", i), NULL);
        assert_int_equal(stats_of(f).leased, 2);
        done(f, "w1", numbered("#", 2 * i), 1, large);
        done(f, "w2", numbered("#", 2 * i + 1), 1, large);
        assert_int_equal(stats_of(f).leased, 0);
    }
}

static void a_full_queue_refuses_all(void **state)
{
    struct fixture *f = *state;

    f->options.service.max_tasks = 2;
    fixture_restart(f);
    given_three(f);
    scatter(f, "t1", NULL);
    expect_trace(f, "[   0] s1 <- RESULT t1 refused code=too_large\n"); /* it never will */
    bye(f, "w3");
    submit(f, "s1", "a1", "echo");
    submit(f, "s1", "a2", "echo");
    submit(f, "s1", "a3", "echo");
    drop_trace(f);
    scatter(f, "t1", NULL);
    expect_trace(f, "[   0] s1 <- RESULT t1 refused code=queue_full retry_after_ms=500\n");
}

/* Its handler has the ordering key that the whole queue waits for. */
static void a_part_of_a_trees_head_is_let_into_a_full_queue(void **state)
{
    struct submit lane = {.order = span_from_text("o")};
    struct submit all = {.route = ROUTE_ALL, .parent = id_of("t0"), .parent_attempt = 1};
    struct fixture *f = *state;

    f->options.service.max_tasks = 2;
    fixture_restart(f);
    given_echo(f, 10);
    hello(f, "w2");
    offer(f, "w2", "echo", 10);
    submit_with(f, "s1", "t0", "echo", "", &lane);
    submit_with(f, "s1", "t1", "echo", "", &lane);
    submit_with(f, "s1", "t2", "echo", "", &lane);
    submit_with(f, "s1", "t3", "echo", "", &lane);
    assert_int_equal(f->refused, 1);
    drop_trace(f);
    submit_with(f, "w1", "c1", "echo", "", &all);
    expect_trace(f, "[   0] w1 <- TASK #0 attempt=1\n"
                    "[   0] w2 <- TASK #1 attempt=1\n");
    submit_with(f, "w1", "c2", "echo", "", &all); /* its tree goes on */
    expect_trace(f, "[   0] w1 <- RESULT c2 refused code=queue_full retry_after_ms=333\n");
    done(f, "w1", "#0", 1, "");
    done(f, "w2", "#1", 1, "");
    done(f, "w1", "t0", 1, "");
    assert_true(trace_has(f, "TASK t1 attempt=1"));
}

static void cancel_reaches_every_part(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    submit(f, "s1", "a1", "echo");
    scatter(f, "t1", NULL);
    drop_trace(f);
    cancel(f, "s1", "t1", 5);
    expect_trace(f, "[   0] w2 <- CANCEL #0 attempt=1 reason=cancelled\n"
                    "[   0] w3 <- CANCEL #1 attempt=1 reason=cancelled\n");
    fail_task(f, "w2", "#0", 1, "cancelled", false);
    fail_task(f, "w3", "#1", 1, "cancelled", false);
    expect_trace(f, "[   0] s1 <- RESULT t1 cancelled code=cancelled "
                    "| #2 cancelled code=cancelled | #0 cancelled attempt=1 code=cancelled "
                    "| #1 cancelled attempt=1 code=cancelled\n"
                    "[   0] s1 <- REPLY 5 ok state=cancelled stopped=4\n");
    assert_int_equal(stats_of(f).leased, 1);
}

static void a_deadline_ends_it_with_those_that_answered(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.deadline_ms = 50};

    given_three(f);
    bye(f, "w3");
    scatter(f, "t1", &options);
    done(f, "w2", "#1", 1, "");
    drop_trace(f);
    advance_ms(f, 50);
    expect_trace(f, "[  50] s1 <- RESULT t1 done | #0 expired attempt=1 code=expired "
                    "| #1 done attempt=1\n"
                    "[  50] w1 <- CANCEL #0 attempt=1 reason=expired\n");
}

static void a_handler_may_ask_all(void **state)
{
    struct fixture *f = *state;
    struct submit child = {.route = ROUTE_ALL, .parent = id_of("p1"), .parent_attempt = 1};

    given_parent(f);
    hello(f, "w3");
    offer(f, "w3", "leaf", 1);
    drop_trace(f);
    submit_with(f, "w1", "c1", "leaf", "", &child);
    expect_trace(f, "[   0] w2 <- TASK #0 attempt=1\n"
                    "[   0] w3 <- TASK #1 attempt=1\n");
    cancel(f, "s1", "p1", 5);
    assert_true(trace_has(f, "w2 <- CANCEL #0"));
    assert_true(trace_has(f, "w3 <- CANCEL #1"));
}

static void submitted_again_it_is_the_same(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    scatter(f, "t1", NULL);
    drop_trace(f);
    scatter(f, "t1", NULL);
    expect_trace(f, "");
    done(f, "w1", "#0", 1, "");
    done(f, "w2", "#1", 1, "");
    done(f, "w3", "#2", 1, "");
    drop_trace(f);
    scatter(f, "t1", NULL);
    expect_trace(f, "[   0] s1 <- RESULT t1 done | #0 done attempt=1 | #1 done attempt=1 "
                    "| #2 done attempt=1\n");
}

static void what_does_not_go_with_it_is_refused(void **state)
{
    struct fixture *f = *state;
    struct submit bad[] = {
        {.order = span_from_text("k")},
        {.affinity = span_from_text("k")},
        {.idempotency_key = span_from_text("k")},
        {.stream = 1},
        {.detached = true},
        {.dead_letter = true},
    };

    given_three(f);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        scatter(f, "t1", &bad[i]);
        expect_trace(f, "[   0] s1 <- RESULT t1 refused code=unsupported\n");
    }
    submit_with(f, "s1", "t2", "nobody", "", &(struct submit){.route = ROUTE_ALL,
                                                              .if_absent = IF_ABSENT_WAIT});
    expect_trace(f, "[   0] s1 <- RESULT t2 refused code=unknown_service retry_after_ms=100\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(each_worker_gets_one),
        SPEC(a_part_waits_for_its_worker),
        SPEC(a_lost_workers_part_fails),
        SPEC(a_part_that_waits_for_its_next_attempt_fails_with_its_worker),
        SPEC(a_leased_part_of_a_lost_worker_fails),
        SPEC(a_worker_that_withdraws_may_finish),
        SPEC(only_workers_that_are_there_are_asked),
        SPEC(all_of_it_or_nothing),
        SPEC(parts_outlive_what_they_push_out),
        SPEC(a_full_queue_refuses_all),
        SPEC(a_part_of_a_trees_head_is_let_into_a_full_queue),
        SPEC(cancel_reaches_every_part),
        SPEC(a_deadline_ends_it_with_those_that_answered),
        SPEC(a_handler_may_ask_all),
        SPEC(submitted_again_it_is_the_same),
        SPEC(what_does_not_go_with_it_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
