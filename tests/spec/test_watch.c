/* WATCH and EVENT: what happens is told to whoever has credit, and counted for whoever has not. */
#include "tests/spec/fixture.h"

static void watch(struct fixture *f, const char *peer, uint64_t request, uint64_t credit,
                  const char *service, const char *task)
{
    struct message message = {.command = COMMAND_WATCH};

    message.watch.request = request;
    message.watch.credit = credit;
    message.watch.service = span_from_text(service);
    if (task != NULL) {
        message.watch.task = id_of(task);
    }
    say(f, peer, &message);
}

static void given_watcher(struct fixture *f, uint64_t credit)
{
    given_echo(f, 1);
    hello(f, "o1");
    watch(f, "o1", 3, credit, "", NULL);
    drop_trace(f);
}

static void a_watcher_sees_a_tasks_life(void **state)
{
    struct fixture *f = *state;

    given_watcher(f, 100);
    submit(f, "s1", "t1", "echo");
    done(f, "w1", "t1", 1, "yes");
    expect_trace(f, "[   0] o1 <- EVENT 3 #1 submitted t1 peer=s1 detail=ready\n"
                    "[   0] o1 <- EVENT 3 #2 started t1 attempt=1 peer=w1\n"
                    "[   0] w1 <- TASK t1 attempt=1\n"
                    "[   0] o1 <- EVENT 3 #3 done t1 attempt=1 peer=w1\n"
                    "[   0] s1 <- RESULT t1 done attempt=1 payload=yes\n");
}

static void a_failure_names_its_code(void **state)
{
    struct fixture *f = *state;

    given_watcher(f, 100);
    submit(f, "s1", "t1", "echo");
    drop_trace(f);
    fail_task(f, "w1", "t1", 1, "busted", false);
    assert_true(trace_has(f, "EVENT 3 #3 failed t1 attempt=1 peer=w1 detail=busted\n"));
    submit(f, "s1", "t2", "nowhere");
    assert_true(trace_has(f, "EVENT 3 #4 refused t2 peer=s1 detail=unknown_service\n"));
    submit(f, "s1", "t3", "echo");
    drop_trace(f);
    cancel(f, "s1", "t3", 0);
    assert_true(trace_has(f, "EVENT 3 #7 cancel_requested t3 attempt=1 peer=s1\n"));
    assert_true(trace_has(f, "EVENT 3 #8 cancelling t3 attempt=1 peer=w1\n"));
}

static void events_without_credit_are_lost_and_counted(void **state)
{
    struct fixture *f = *state;

    given_watcher(f, 1);
    submit(f, "s1", "t1", "echo"); /* submitted is told, started is lost */
    done(f, "w1", "t1", 1, "");    /* lost, too */
    drop_trace(f);
    watch(f, "o1", 3, 1, "", NULL);
    expect_trace(f, "[   0] o1 <- REPLY 3 ok sequence=3 lost=2\n");
    submit(f, "s1", "t2", "echo");
    expect_trace(f, "[   0] o1 <- EVENT 3 #4 lost=2 submitted t2 peer=s1 detail=ready\n"
                    "[   0] w1 <- TASK t2 attempt=1\n");
    watch(f, "o1", 3, 0, "", NULL);
    expect_trace(f, "[   0] o1 <- REPLY 3 ok sequence=5 lost=1\n");
    done(f, "w1", "t2", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT t2 done attempt=1\n");
    watch(f, "o1", 3, 0, "", NULL);
    expect_trace(f, "[   0] o1 <- REPLY 3 failed code=not_found\n");
}

static void a_watch_may_be_of_one_service_or_one_task(void **state)
{
    struct fixture *f = *state;

    given_watcher(f, 100);
    watch(f, "o1", 3, 0, "", NULL);
    watch(f, "o1", 4, 100, "other", NULL);
    watch(f, "o1", 5, 100, "", "t2");
    drop_trace(f);
    submit(f, "s1", "t1", "echo");
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n");
    submit(f, "s1", "t2", "echo");
    expect_trace(f, "[   0] o1 <- EVENT 5 #1 submitted t2 peer=s1 detail=ready\n");
    offer(f, "w1", "other", 1);
    expect_trace(f, "[   0] o1 <- EVENT 4 #1 offered - peer=w1\n");
}

static void a_watch_ends_with_its_connection(void **state)
{
    struct fixture *f = *state;

    given_watcher(f, 100);
    hello(f, "o1");
    drop_trace(f);
    submit(f, "s1", "t1", "echo");
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n");
    watch(f, "o1", 3, 100, "", NULL);
    lose(f, "o1");
    drop_trace(f);
    done(f, "w1", "t1", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1\n");
}

static void watches_are_bounded(void **state)
{
    struct fixture *f = *state;

    given_watcher(f, 100);
    for (uint64_t i = 0; i < 15; i++) {
        watch(f, "o1", 100 + i, 1, "nothing", NULL);
    }
    drop_trace(f);
    watch(f, "o1", 200, 1, "", NULL);
    expect_trace(f, "[   0] o1 <- REPLY 200 failed code=limit_exceeded\n");
    watch(f, "o1", 3, 7, "", NULL); /* the old ones go on */
    expect_trace(f, "[   0] o1 <- REPLY 3 ok sequence=0 lost=0\n");
}

static void an_event_tells_what_an_operator_asked_for(void **state)
{
    struct fixture *f = *state;
    struct control control = {.what = CONTROL_LIMIT,
                              .tenant = span_from_text("default"),
                              .limits = limits_unchanged()};

    given_watcher(f, 100);
    control.limits.concurrency = 5;
    control.limits.rate = 0;
    say_control(f, &control);
    assert_true(trace_has(f, "limit_changed - peer=s1 detail=tenant=default concurrency=5 rate=0"));
    control = (struct control){.what = CONTROL_PAUSE, .service = span_from_text("echo"), .ms = 250};
    say_control(f, &control);
    assert_true(trace_has(f, "paused - peer=s1 detail=ms=250\n"));
    /* All there are do not fit: the words that do are whole. */
    control.what = CONTROL_LIMIT;
    control.ms = 0;
    control.limits = (struct limit_values){
        .max_tasks = 1000000000, .max_bytes = 1000000000, .concurrency = 1000000000,
        .rate = 1000000000, .rate_ms = 86400000, .burst = 1000000000, .budget = 1000000000,
        .budget_ms = 86400000, .weight = LIMIT_UNCHANGED, .breaker_failures = 1000000000,
        .breaker_min = 1000000000, .attempts = 3};
    say_control(f, &control);
    assert_true(trace_has(f, "detail=max_tasks=1000000000 max_bytes=1000000000 "));
    assert_false(trace_has(f, "breaker_open_ms"));
}

static void progress(struct fixture *f, const char *task)
{
    struct message message = {.command = COMMAND_PROGRESS};

    message.progress.id = id_of(task);
    message.progress.attempt = 1;
    say(f, "w1", &message);
}

static void progress_is_told_once_a_second(void **state)
{
    struct fixture *f = *state;

    given_watcher(f, 100);
    offer(f, "w1", "echo", 2);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    drop_trace(f);
    progress(f, "t1");
    progress(f, "t1");
    progress(f, "t2");
    expect_trace(f, "[   0] o1 <- EVENT 3 #5 progress t1 attempt=1 peer=w1\n"
                    "[   0] o1 <- EVENT 3 #6 progress t2 attempt=1 peer=w1\n");
    advance_ms(f, 999);
    drop_trace(f);
    progress(f, "t1");
    expect_trace(f, "");
    advance_ms(f, 1);
    drop_trace(f);
    progress(f, "t1");
    expect_trace(f, "[1000] o1 <- EVENT 3 #7 progress t1 attempt=1 peer=w1\n");
}

static void a_gate_tells_its_states(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_FAIL};

    given_watcher(f, 100);
    submit(f, "s1", "t1", "echo");
    message.fail.id = id_of("t1");
    message.fail.attempt = 1;
    message.fail.error.raw = message.fail.error.code = span_from_text("too_many");
    message.fail.error.retryable = message.fail.error.scope_service = true;
    message.fail.error.retry_after_ms = 50;
    say(f, "w1", &message);
    assert_true(trace_has(f, "gate_paused - detail=retry_after\n"));
    advance_ms(f, 60);
    assert_true(trace_has(f, "[  50] o1 <- EVENT 3 #6 gate_resuming - detail=retry_after\n"));
    done(f, "w1", "t1", 2, "");
    assert_true(trace_has(f, "gate_closed - detail=retry_after\n"));
}

static void dead_letters_are_told(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.dead_letter = true, .attempts = 1};

    f->options.dead_tasks = 1;
    fixture_restart(f);
    given_watcher(f, 100);
    submit_with(f, "s1", "t1", "echo", "", &options);
    fail_task(f, "w1", "t1", 1, "busted", false);
    assert_true(trace_has(f, "dead_letter t1 attempt=1 peer=w1 detail=busted\n"));
    submit_with(f, "s1", "t2", "echo", "", &options);
    drop_trace(f);
    fail_task(f, "w1", "t2", 1, "busted", false);
    assert_true(trace_has(f, "letter_forgotten t1\n"));
    assert_true(trace_has(f, "dead_letter t2 attempt=1 peer=w1 detail=busted\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(a_watcher_sees_a_tasks_life),
        SPEC(a_failure_names_its_code),
        SPEC(events_without_credit_are_lost_and_counted),
        SPEC(a_watch_may_be_of_one_service_or_one_task),
        SPEC(a_watch_ends_with_its_connection),
        SPEC(watches_are_bounded),
        SPEC(an_event_tells_what_an_operator_asked_for),
        SPEC(progress_is_told_once_a_second),
        SPEC(a_gate_tells_its_states),
        SPEC(dead_letters_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
