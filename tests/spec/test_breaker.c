/* The promise: a breaker opens when its threshold is crossed, and for that alone. */
#include "tests/spec/fixture.h"

#include <stdio.h>

/* A task of one attempt, which fails; or is done. */
static void attempt(struct fixture *f, const char *task, bool fails)
{
    struct submit options = {.attempts = 1};

    submit_with(f, "s1", task, "echo", "", &options);
    if (fails) {
        fail_task(f, "w1", task, 1, "x", true);
    } else {
        done(f, "w1", task, 1, "");
    }
}

static bool gate_is(struct fixture *f, const char *state)
{
    struct message message = {.command = COMMAND_QUERY};
    char text[32];

    message.query.request = 8;
    message.query.what = QUERY_CATALOG;
    drop_trace(f);
    say(f, "s1", &message);
    snprintf(text, sizeof text, "gate=%s", state);
    return trace_has(f, text);
}

static bool open(struct fixture *f)
{
    return gate_is(f, "open");
}

static void a_share_of_failures_opens_it(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 10);
    values.breaker_percent = 50;
    values.breaker_min = 4;
    values.breaker_ms = 900;
    limit_of(f, "echo", "", "", &values);
    attempt(f, "t1", true);
    attempt(f, "t2", false);
    attempt(f, "t3", true);
    assert_false(open(f)); /* too few to tell */
    advance_ms(f, 1000);
    attempt(f, "t4", true);
    assert_false(open(f)); /* and those are forgotten */
    attempt(f, "t5", false);
    attempt(f, "t6", false);
    assert_false(open(f));
    attempt(f, "t7", true);
    assert_true(open(f));
}

/* What was counted under one window says nothing about another. */
static void another_window_counts_anew(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 10);
    values.breaker_percent = 50;
    values.breaker_min = 5;
    values.breaker_ms = 90;
    limit_of(f, "echo", "", "", &values);
    advance_ms(f, 120);
    attempt(f, "t1", true);
    attempt(f, "t2", true);
    attempt(f, "t3", true);
    attempt(f, "t4", true);
    values.breaker_ms = 9000;
    limit_of(f, "echo", "", "", &values);
    advance_ms(f, 12000 - 120);
    attempt(f, "t5", true);
    assert_false(open(f)); /* the four failed twelve seconds ago */
    attempt(f, "t6", true);
    attempt(f, "t7", true);
    attempt(f, "t8", true);
    assert_false(open(f));
    attempt(f, "t9", true);
    assert_true(open(f)); /* five of the new window, t5 to t9 */
}

/* Whatever became of those who waited. */
static void when_nothing_waits_any_more_it_is_closed(void **state)
{
    struct fixture *f = *state;
    struct control pause = {.what = CONTROL_PAUSE, .service = span_from_text("echo"), .ms = 10};

    given_echo(f, 0);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    drop_trace(f);
    say_control(f, &pause);
    assert_true(trace_has(f, "REPLY 9 ok"));
    advance_ms(f, 10);
    assert_true(gate_is(f, "resuming"));
    cancel(f, "s1", "t1", 0);
    assert_true(gate_is(f, "resuming"));
    cancel(f, "s1", "t2", 0);
    assert_false(gate_is(f, "resuming"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(a_share_of_failures_opens_it),
        SPEC(another_window_counts_anew),
        SPEC(when_nothing_waits_any_more_it_is_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
