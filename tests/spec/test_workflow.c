/* The promise: any, k of n, and tasks that wait for others come out as their needs say. */
#include "tests/spec/fixture.h"

static void submit_needs(struct fixture *f, const char *task, const char *service,
                         struct submit options, const char *const *needs)
{
    struct id ids[16];

    options.needs_stride = sizeof(struct id);
    for (; needs[options.needs_count] != NULL; options.needs_count++) {
        assert_true(options.needs_count < 16);
        ids[options.needs_count] = id_of(needs[options.needs_count]);
    }
    options.needs = ids[0].bytes;
    submit_with(f, "s1", task, service, "", &options);
}
#define NEEDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Three tasks of `echo` at w1, whose results are for joins; `sum` is served by w2. */
static void given_three(struct fixture *f)
{
    given_echo(f, 3);
    hello(f, "w2");
    offer(f, "w2", "sum", 1);
    submit_held(f, "a1");
    submit_held(f, "a2");
    submit_held(f, "a3");
    drop_trace(f);
}

static void the_first_done_of_any_wins_and_the_losers_stop(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    submit_join(f, "s1", "j1", JOIN_ANY, 0, NEEDS("a1", "a2", "a3"));
    fail_task(f, "w1", "a1", 1, "broken", false);
    expect_trace(f, "");
    done(f, "w1", "a3", 1, "three");
    expect_trace(f, "[   0] s1 <- RESULT j1 done | a1 failed attempt=1 code=broken"
                    " | a2 cancelled attempt=1 code=cancelled"
                    " | a3 done attempt=1 payload=three\n"
                    "[   0] w1 <- CANCEL a2 attempt=1 reason=cancelled\n");
}

static void any_fails_with_the_last_of_its_needs(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    submit_join(f, "s1", "j1", JOIN_ANY, 0, NEEDS("a1", "a2"));
    fail_task(f, "w1", "a2", 1, "broken", false);
    expect_trace(f, "");
    fail_task(f, "w1", "a1", 1, "broken", false);
    expect_trace(f, "[   0] s1 <- RESULT j1 failed code=dependency_failed id=a1 outcome=1 done=0"
                    " | a1 failed attempt=1 code=broken | a2 failed attempt=1 code=broken\n");
}

static void submit_two_of_three(struct fixture *f, const char *task, const char *service)
{
    submit_needs(f, task, service, (struct submit){.join = JOIN_K, .k = 2},
                 NEEDS("a1", "a2", "a3"));
}

static void two_of_three_end_with_the_second(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    submit_two_of_three(f, "j1", "");
    done(f, "w1", "a1", 1, "one");
    expect_trace(f, "");
    done(f, "w1", "a2", 1, "two");
    expect_trace(f, "[   0] s1 <- RESULT j1 done | a1 done attempt=1 payload=one"
                    " | a2 done attempt=1 payload=two"
                    " | a3 cancelled attempt=1 code=cancelled\n"
                    "[   0] w1 <- CANCEL a3 attempt=1 reason=cancelled\n");
}

static void two_of_three_fail_as_soon_as_that_is_impossible(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    submit_two_of_three(f, "j1", "");
    fail_task(f, "w1", "a1", 1, "broken", false);
    expect_trace(f, "");
    fail_task(f, "w1", "a2", 1, "broken", false);
    expect_trace(f, "[   0] s1 <- RESULT j1 failed code=dependency_failed id=a2 outcome=1 done=0"
                    " | a1 failed attempt=1 code=broken | a2 failed attempt=1 code=broken"
                    " | a3 cancelled attempt=1 code=cancelled\n"
                    "[   0] w1 <- CANCEL a3 attempt=1 reason=cancelled\n");
}

static void needs_that_have_ended_count_at_once(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    done(f, "w1", "a1", 1, "one");
    done(f, "w1", "a2", 1, "two");
    submit_two_of_three(f, "j1", "");
    expect_trace(f, "[   0] s1 <- RESULT j1 done | a1 done attempt=1 payload=one"
                    " | a2 done attempt=1 payload=two"
                    " | a3 cancelled attempt=1 code=cancelled\n"
                    "[   0] w1 <- CANCEL a3 attempt=1 reason=cancelled\n");
}

static void a_join_without_inputs_tells_how_it_ended_alone(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    submit_needs(f, "j1", "", (struct submit){.join = JOIN_ANY, .no_inputs = true},
                 NEEDS("a1", "a2"));
    done(f, "w1", "a1", 1, "one");
    expect_trace(f, "[   0] w1 <- CANCEL a2 attempt=1 reason=cancelled\n"
                    "[   0] s1 <- RESULT j1 done\n");
}

static void a_reducer_gets_the_outcomes_of_its_needs_at_every_attempt(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    submit_needs(f, "r1", "sum", (struct submit){.join = JOIN_ALL, .attempts = 2},
                 NEEDS("a1", "a2"));
    query_task(f, "s1", QUERY_WHY, "r1");
    assert_true(trace_has(f, "reason=needs"));
    done(f, "w1", "a1", 1, "one");
    drop_trace(f);
    done(f, "w1", "a2", 1, "two");
    expect_trace(f, "[   0] w2 <- TASK r1 attempt=1 | a1 done attempt=1 payload=one"
                    " | a2 done attempt=1 payload=two\n");
    fail_task(f, "w2", "r1", 1, "busy", true);
    advance_ms(f, 100);
    expect_trace(f, "[ 100] w2 <- TASK r1 attempt=2 | a1 done attempt=1 payload=one"
                    " | a2 done attempt=1 payload=two\n");
    done(f, "w2", "r1", 2, "three");
    expect_trace(f, "[ 100] s1 <- RESULT r1 done attempt=2 payload=three\n");
}

static void a_reducer_of_any_starts_while_the_losers_stop(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    submit_needs(f, "r1", "sum", (struct submit){.join = JOIN_ANY}, NEEDS("a1", "a2"));
    done(f, "w1", "a2", 1, "two");
    expect_trace(f, "[   0] w1 <- CANCEL a1 attempt=1 reason=cancelled\n"
                    "[   0] w2 <- TASK r1 attempt=1 | a1 cancelled attempt=1 code=cancelled"
                    " | a2 done attempt=1 payload=two\n");
    fail_task(f, "w1", "a1", 1, "cancelled", false);
    done(f, "w2", "r1", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT r1 done attempt=1\n");
}

static void a_task_whose_needs_fail_does_not_run(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    submit_needs(f, "r1", "sum", (struct submit){.join = JOIN_ALL}, NEEDS("a1", "a2"));
    fail_task(f, "w1", "a1", 1, "broken", false);
    expect_trace(f, "[   0] w1 <- CANCEL a2 attempt=1 reason=cancelled\n"
                    "[   0] s1 <- RESULT r1 failed code=dependency_failed id=a1 outcome=1\n");
}

static void a_compensation_runs_only_when_its_needs_fail(void **state)
{
    struct fixture *f = *state;
    struct submit failed = {.join = JOIN_ALL, .run_if = RUN_IF_FAILED};

    given_three(f);
    submit_needs(f, "u1", "sum", failed, NEEDS("a1"));
    submit_needs(f, "u2", "sum", failed, NEEDS("a2"));
    fail_task(f, "w1", "a1", 1, "broken", false);
    expect_trace(f, "[   0] w2 <- TASK u1 attempt=1 | a1 failed attempt=1 code=broken\n");
    done(f, "w1", "a2", 1, "two");
    expect_trace(f, "[   0] s1 <- RESULT u2 cancelled code=skipped\n");
}

static void a_task_that_always_runs_runs_either_way(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    submit_needs(f, "r1", "sum", (struct submit){.join = JOIN_ALL, .run_if = RUN_IF_ALWAYS},
                 NEEDS("a1"));
    fail_task(f, "w1", "a1", 1, "broken", false);
    expect_trace(f, "[   0] w2 <- TASK r1 attempt=1 | a1 failed attempt=1 code=broken\n");
}

/* a1 -> b (skipped, for a1 is done) -> c (needs b: fails) -> d (compensates) */
static void a_skipped_need_is_not_done_down_the_levels(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    submit_needs(f, "b1", "sum",
                 (struct submit){.join = JOIN_ALL, .run_if = RUN_IF_FAILED, .held = true},
                 NEEDS("a1"));
    submit_needs(f, "c1", "sum", (struct submit){.join = JOIN_ALL}, NEEDS("b1", "a1"));
    submit_needs(f, "d1", "sum", (struct submit){.join = JOIN_ALL, .run_if = RUN_IF_FAILED},
                 NEEDS("c1"));
    done(f, "w1", "a1", 1, "one");
    expect_trace(f, "[   0] s1 <- RESULT c1 failed code=dependency_failed id=b1 outcome=2\n"
                    "[   0] w2 <- TASK d1 attempt=1 | c1 failed code=dependency_failed\n");
}

static void a_waiting_task_cancelled_takes_its_needs_along(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    submit_needs(f, "r1", "sum", (struct submit){.join = JOIN_ALL}, NEEDS("a1"));
    cancel(f, "s1", "r1", 1);
    fail_task(f, "w1", "a1", 1, "cancelled", false);
    expect_trace(f, "[   0] w1 <- CANCEL a1 attempt=1 reason=cancelled\n"
                    "[   0] s1 <- RESULT r1 cancelled code=cancelled\n"
                    "[   0] s1 <- REPLY 1 ok state=cancelled stopped=2\n");
}

static void a_running_reducer_can_be_cancelled(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    submit_needs(f, "r1", "sum", (struct submit){.join = JOIN_ANY}, NEEDS("a1", "a2"));
    done(f, "w1", "a1", 1, "one");
    drop_trace(f);
    cancel(f, "s1", "r1", 0);
    expect_trace(f, "[   0] w2 <- CANCEL r1 attempt=1 reason=cancelled\n");
    fail_task(f, "w2", "r1", 1, "cancelled", false);
    expect_trace(f, ""); /* a2 is still stopping */
    fail_task(f, "w1", "a2", 1, "cancelled", false);
    expect_trace(f, "[   0] s1 <- RESULT r1 cancelled attempt=1 code=cancelled\n");
}

static void a_deadline_ends_a_task_that_waits(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    submit_needs(f, "r1", "sum", (struct submit){.join = JOIN_SETTLED, .deadline_ms = 50},
                 NEEDS("a1"));
    advance_ms(f, 50);
    expect_trace(f, "[  50] w1 <- CANCEL a1 attempt=1 reason=cancelled\n"
                    "[  50] s1 <- RESULT r1 expired code=expired\n");
}

static void a_delay_holds_a_task_whose_needs_are_done(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    submit_needs(f, "r1", "sum", (struct submit){.join = JOIN_ALL, .delay_ms = 50}, NEEDS("a1"));
    done(f, "w1", "a1", 1, "");
    expect_trace(f, "");
    advance_ms(f, 50);
    expect_trace(f, "[  50] w2 <- TASK r1 attempt=1 | a1 done attempt=1\n");
}

/* Its queue's bound was looked at when it was submitted: what was accepted is not refused. */
static void an_accepted_task_gets_into_a_queue_that_has_filled_up(void **state)
{
    struct fixture *f = *state;

    f->options.service.max_tasks = 1;
    fixture_restart(f);
    given_echo(f, 1);
    submit_held(f, "a1");
    submit_needs(f, "r1", "echo", (struct submit){.join = JOIN_ALL}, NEEDS("a1"));
    submit(f, "s1", "t1", "echo");
    submit_needs(f, "r2", "echo", (struct submit){.join = JOIN_ALL}, NEEDS("a1"));
    assert_true(trace_has(f, "RESULT r2 refused code=queue_full"));
    drop_trace(f);
    done(f, "w1", "a1", 1, "");
    done(f, "w1", "t1", 1, "");
    assert_true(trace_has(f, "TASK r1 attempt=1 | a1 done"));
}

static void an_unknown_service_is_refused_before_the_wait(void **state)
{
    struct fixture *f = *state;

    given_three(f);
    submit_needs(f, "r1", "summ", (struct submit){.join = JOIN_ALL}, NEEDS("a1"));
    expect_trace(f, "[   0] s1 <- RESULT r1 refused code=unknown_service retry_after_ms=100\n");
}

/* What a reducer needed is kept until it has ended, and no longer. */
static void an_ended_reducer_lets_go_of_its_needs(void **state)
{
    struct fixture *f = *state;

    f->options.retain_ms = 1000;
    fixture_restart(f);
    given_three(f);
    submit_needs(f, "r1", "sum", (struct submit){.join = JOIN_ALL}, NEEDS("a1"));
    done(f, "w1", "a1", 1, "one");
    advance_ms(f, f->options.retain_ms + 1);
    query_task(f, "s1", QUERY_STATUS, "a1");
    assert_true(trace_has(f, "REPLY 7 ok"));
    done(f, "w2", "r1", 1, "");
    drop_trace(f);
    query_task(f, "s1", QUERY_STATUS, "a1");
    assert_true(trace_has(f, "REPLY 7 failed code=not_found"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(the_first_done_of_any_wins_and_the_losers_stop),
        SPEC(any_fails_with_the_last_of_its_needs),
        SPEC(two_of_three_end_with_the_second),
        SPEC(two_of_three_fail_as_soon_as_that_is_impossible),
        SPEC(needs_that_have_ended_count_at_once),
        SPEC(a_join_without_inputs_tells_how_it_ended_alone),
        SPEC(a_reducer_gets_the_outcomes_of_its_needs_at_every_attempt),
        SPEC(a_reducer_of_any_starts_while_the_losers_stop),
        SPEC(a_task_whose_needs_fail_does_not_run),
        SPEC(a_compensation_runs_only_when_its_needs_fail),
        SPEC(a_task_that_always_runs_runs_either_way),
        SPEC(a_skipped_need_is_not_done_down_the_levels),
        SPEC(a_waiting_task_cancelled_takes_its_needs_along),
        SPEC(a_running_reducer_can_be_cancelled),
        SPEC(a_deadline_ends_a_task_that_waits),
        SPEC(a_delay_holds_a_task_whose_needs_are_done),
        SPEC(an_accepted_task_gets_into_a_queue_that_has_filled_up),
        SPEC(an_unknown_service_is_refused_before_the_wait),
        SPEC(an_ended_reducer_lets_go_of_its_needs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
