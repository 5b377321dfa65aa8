/* The promise: a delayed task does not start before its time, and starts then. */
#include "tests/spec/fixture.h"

#include <stdio.h>
#include <time.h>

static void a_delayed_task_starts_at_its_time(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.delay_ms = 400};

    given_echo(f, 1);
    f->transitions = true;
    submit_with(f, "s1", "t1", "echo", "", &options);
    assert_int_equal(stats_of(f).delayed, 1);
    drop_trace(f);
    query_task(f, "s1", QUERY_WHY, "t1");
    assert_true(trace_has(f, "state=delayed reason=not_before message=its delay_ms has not passed "
                             "service=echo in_ms=400"));
    advance_ms(f, 399);
    drop_trace(f);
    advance_ms(f, 1);
    expect_trace(f, "[ 400] t1 delayed -> ready\n"
                    "[ 400] t1 ready -> leased\n"
                    "[ 400] w1 <- TASK t1 attempt=1\n");
}

static void a_delayed_task_counts_in_the_queue(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.delay_ms = 400};
    struct service_limits limits = {.max_tasks = 1};

    assert_true(broker_configure_service(f->broker, span_from_text("echo"), &limits));
    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &options);
    drop_trace(f);
    submit(f, "s1", "t2", "echo");
    expect_trace(f, "[   0] s1 <- RESULT t2 refused code=queue_full retry_after_ms=1000\n");
}

static void a_deadline_runs_from_receipt(void **state)
{
    struct fixture *f = *state;
    struct submit late = {.delay_ms = 400, .deadline_ms = 300};
    struct submit both = {.delay_ms = 200, .deadline_ms = 300};

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &late);
    submit_with(f, "s1", "t2", "echo", "", &both);
    advance_ms(f, 300);
    expect_trace(f, "[ 200] w1 <- TASK t2 attempt=1 deadline_ms=100\n"
                    "[ 300] s1 <- RESULT t1 expired code=expired\n"
                    "[ 300] w1 <- CANCEL t2 attempt=1 reason=expired\n"
                    "[ 300] s1 <- RESULT t2 expired attempt=1 code=expired\n");
}

static void a_queue_ttl_runs_from_when_it_is_ready(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.delay_ms = 400, .queue_ttl_ms = 100};

    given_echo(f, 0);
    submit_with(f, "s1", "t1", "echo", "", &options);
    advance_ms(f, 499);
    expect_trace(f, "");
    advance_ms(f, 1);
    expect_trace(f, "[ 500] s1 <- RESULT t1 expired code=expired\n");
}

static void a_delayed_task_can_be_cancelled(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.delay_ms = 400};

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &options);
    cancel(f, "s1", "t1", 5);
    expect_trace(f, "[   0] s1 <- RESULT t1 cancelled code=cancelled\n"
                    "[   0] s1 <- REPLY 5 ok state=cancelled stopped=1\n");
    advance_ms(f, 1000);
    assert_int_equal(stats_of(f).attempts, 0);
}

static struct id id_number(uint32_t number)
{
    struct id id = {{0xd}};

    memcpy(id.bytes + 4, &number, sizeof number);
    return id;
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A million timers: each at its own time, none lost, in the order of their times. What it costs
 * goes to stderr. */
static void a_million_delayed_tasks_start_on_time(void **state)
{
    enum { TASKS = 1000000, SPREAD_MS = 3600 * 1000 };
    struct fixture *f = *state;
    struct service_limits limits = {.max_tasks = TASKS, .max_bytes = 1};
    struct message message = {.command = COMMAND_SUBMIT};
    uint32_t draw = 1;
    double from, armed, fired;

    f->quiet = true;
    f->log_level = LOG_ERROR;
    f->options.window_tasks = TASKS;
    f->options.silence_ms = f->options.probe_ms = 2 * SPREAD_MS;
    fixture_restart(f);
    assert_true(broker_configure_service(f->broker, span_from_text("echo"), &limits));
    given_echo(f, 0);
    from = seconds();
    for (uint32_t i = 0; i < TASKS; i++) {
        draw = draw * 1664525 + 1013904223;
        message.submit = (struct submit){.id = id_number(i),
                                         .service = span_from_text("echo"),
                                         .delay_ms = 1 + draw % SPREAD_MS};
        say(f, "s1", &message);
    }
    armed = seconds();
    assert_int_equal(stats_of(f).delayed, TASKS);
    assert_int_equal(f->refused, 0);
    advance_ms(f, SPREAD_MS / 2);
    assert_in_range(stats_of(f).ready, TASKS / 2 - TASKS / 100, TASKS / 2 + TASKS / 100);
    advance_ms(f, SPREAD_MS / 2);
    fired = seconds();
    assert_int_equal(stats_of(f).delayed, 0);
    assert_int_equal(stats_of(f).ready, TASKS);
    broker_check(f->broker);
    fprintf(stderr, "# a million delayed tasks: %.0f ns to submit and arm, %.0f ns to fire\n",
            (armed - from) * 1e9 / TASKS, (fired - armed) * 1e9 / TASKS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(a_delayed_task_starts_at_its_time),
        SPEC(a_delayed_task_counts_in_the_queue),
        SPEC(a_deadline_runs_from_receipt),
        SPEC(a_queue_ttl_runs_from_when_it_is_ready),
        SPEC(a_delayed_task_can_be_cancelled),
        SPEC(a_million_delayed_tasks_start_on_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
