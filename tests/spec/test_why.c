/* The promise: every wait explains itself. A test for each reason of PROTOCOL.md, section 5, and
 * each ends by taking the reason away: it was the true one if the task goes on then. */
#include "tests/spec/fixture.h"

#include <stdio.h>
#include <string.h>

/* It says when that is over, too. */
static void expect_why_for(struct fixture *f, const char *task, const char *reason, uint64_t in_ms)
{
    char wanted[64];

    snprintf(wanted, sizeof wanted, " state=%s reason=%s ",
             strcmp(reason, "not_before") == 0 ? "delayed" : "ready", reason);
    expect_why(f, task, wanted);
    snprintf(wanted, sizeof wanted, " in_ms=%lu ", (unsigned long)in_ms);
    expect_has(f, wanted);
}

/* Nothing else has happened to it than that it has started. */
static void expect_start(struct fixture *f, const char *task)
{
    char wanted[32];

    snprintf(wanted, sizeof wanted, "<- TASK %s ", task);
    expect_has(f, wanted);
    drop_trace(f);
}

static void control(struct fixture *f, enum control_what what, uint64_t peer, uint64_t ms)
{
    struct control control = {.what = what,
                              .peer = peer,
                              .service = span_from_text(peer == 0 ? "echo" : ""),
                              .ms = ms};

    say_control(f, &control);
}

/* All but one value stay as they are. */
static void limit(struct fixture *f, struct limit_values values)
{
    struct control control = {.what = CONTROL_LIMIT, .service = span_from_text("echo")};
    uint64_t *value = (uint64_t *)&values;

    for (size_t i = 0; i < sizeof values / sizeof *value; i++) {
        value[i] = value[i] == 0 ? LIMIT_UNCHANGED : value[i];
    }
    control.limits = values;
    say_control(f, &control);
}

static void no_worker_that_offers_it(void **state)
{
    struct fixture *f = *state;
    struct submit wait = {.if_absent = IF_ABSENT_WAIT};

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "absent", "", &wait);
    expect_why(f, "t1", " state=ready reason=no_worker ");
    offer(f, "w1", "absent", 1);
    expect_start(f, "t1");
}

static void no_worker_whose_connection_is_there(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    hello_resume(f, "w1", connection_of("w1"));
    offer(f, "w1", "echo", 1);
    lose(f, "w1");
    submit(f, "s1", "t1", "echo");
    expect_why(f, "t1", " state=ready reason=no_worker ");
    hello_resume(f, "w1", connection_of("w2"));
    expect_start(f, "t1");
}

static void draining(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    control(f, CONTROL_DRAIN, 1, 0); /* w1 */
    submit(f, "s1", "t1", "echo");
    expect_why(f, "t1", " state=ready reason=draining ");
    control(f, CONTROL_UNDRAIN, 1, 0);
    expect_start(f, "t1");
}

static void no_credit(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    expect_why(f, "t2", " state=ready reason=no_credit ");
    done(f, "w1", "t1", 1, "");
    expect_start(f, "t2");
}

static void fairness(void **state)
{
    struct fixture *f = *state;
    struct submit urgent = {.priority = 9};

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    submit_with(f, "s1", "t3", "echo", "", &urgent);
    expect_why(f, "t3", " state=ready reason=no_credit ");
    expect_why(f, "t2", " state=ready reason=fairness ");
    done(f, "w1", "t1", 1, "");
    expect_start(f, "t3");
    expect_why(f, "t2", " state=ready reason=no_credit ");
}

static void order_key(void **state)
{
    struct fixture *f = *state;
    struct submit ordered = {.order = span_from_text("account-7")};

    given_echo(f, 9);
    submit_with(f, "s1", "t1", "echo", "", &ordered);
    submit_with(f, "s1", "t2", "echo", "", &ordered);
    expect_why(f, "t2", " state=ready reason=order_key ");
    done(f, "w1", "t1", 1, "");
    expect_start(f, "t2");
}

static void concurrency_cap(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 9);
    limit(f, (struct limit_values){.concurrency = 1});
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    expect_why(f, "t2", " state=ready reason=concurrency_cap ");
    done(f, "w1", "t1", 1, "");
    expect_start(f, "t2");
}

static void rate(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 9);
    limit(f, (struct limit_values){.rate = 1, .rate_ms = 300});
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    expect_why_for(f, "t2", "rate", 300);
    advance_ms(f, 299);
    expect_why_for(f, "t2", "rate", 1);
    drop_trace(f);
    advance_ms(f, 1);
    expect_start(f, "t2");
}

static void budget(void **state)
{
    struct fixture *f = *state;
    struct submit costly = {.cost = 6};

    given_echo(f, 9);
    limit(f, (struct limit_values){.budget = 10, .budget_ms = 1000});
    submit_with(f, "s1", "t1", "echo", "", &costly);
    submit_with(f, "s1", "t2", "echo", "", &costly);
    expect_why_for(f, "t2", "budget", 1000);
    drop_trace(f);
    advance_ms(f, 1000);
    expect_start(f, "t2");
}

static void paused(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 9);
    control(f, CONTROL_PAUSE, 0, 200);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    expect_why_for(f, "t1", "paused", 200);
    drop_trace(f);
    advance_ms(f, 200);
    expect_start(f, "t1");
    expect_why(f, "t2", " state=ready reason=paused "); /* it resumes one by one */
    done(f, "w1", "t1", 1, "");
    expect_start(f, "t2");
    control(f, CONTROL_PAUSE, 0, 0);
    submit(f, "s1", "t3", "echo");
    expect_why(f, "t3", " state=ready reason=paused ");
    assert_false(trace_has(f, "in_ms"));
    control(f, CONTROL_RESUME, 0, 0);
    drop_trace(f);
    advance_ms(f, 1);
    expect_start(f, "t3");
}

static void breaker_open(void **state)
{
    struct fixture *f = *state;
    struct submit once = {.attempts = 1};

    given_echo(f, 9);
    limit(f, (struct limit_values){.breaker_failures = 1, .breaker_open_ms = 400});
    submit_with(f, "s1", "t1", "echo", "", &once);
    fail_task(f, "w1", "t1", 1, "busy", true);
    submit(f, "s1", "t2", "echo");
    submit(f, "s1", "t3", "echo");
    expect_why_for(f, "t2", "breaker_open", 400);
    drop_trace(f);
    advance_ms(f, 400);
    expect_start(f, "t2");
    expect_why(f, "t3", " state=ready reason=breaker_open "); /* the probe has not come back */
    done(f, "w1", "t2", 1, "");
    expect_start(f, "t3");
}

static void same_key(void **state)
{
    struct fixture *f = *state;
    struct submit keyed = {.idempotency_key = span_from_text("order-12")};

    given_echo(f, 9);
    submit_with(f, "s1", "t1", "echo", "", &keyed);
    submit_with(f, "s1", "t2", "echo", "", &keyed);
    expect_why(f, "t2", " state=waiting reason=same_key ");
    drop_trace(f);
    done(f, "w1", "t1", 1, "");
    assert_true(trace_has(f, "RESULT t2 done"));
}

static void needs(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 9);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    submit_join(f, "s1", "j1", JOIN_ALL, 0, (const char *const[]){"t1", "t2", NULL});
    expect_why(f, "j1", " state=waiting reason=needs ");
    assert_true(trace_has(f, " needs_left=2"));
    done(f, "w1", "t1", 1, "");
    expect_why(f, "j1", " state=waiting reason=needs ");
    assert_true(trace_has(f, " needs_left=1"));
    drop_trace(f);
    done(f, "w1", "t2", 1, "");
    assert_true(trace_has(f, "RESULT j1 done"));
}

static void not_before(void **state)
{
    struct fixture *f = *state;
    struct submit delayed = {.delay_ms = 50};

    given_echo(f, 9);
    submit_with(f, "s1", "t1", "echo", "", &delayed);
    expect_why_for(f, "t1", "not_before", 50);
    drop_trace(f);
    advance_ms(f, 50);
    expect_start(f, "t1");
    fail_task(f, "w1", "t1", 1, "busy", true);
    expect_why_for(f, "t1", "not_before", 100); /* the backoff */
    drop_trace(f);
    advance_ms(f, 100);
    expect_start(f, "t1");
}

static void running_and_reader(void **state)
{
    struct fixture *f = *state;
    struct submit streamed = {.stream = 1};
    struct message chunk = {.command = COMMAND_CHUNK};
    struct message read = {.command = COMMAND_READ};

    f->options.stream_chunks = 1;
    fixture_restart(f);
    given_echo(f, 9);
    submit_with(f, "s1", "t1", "echo", "", &streamed);
    expect_why(f, "t1", " state=leased reason=running ");
    chunk.chunk.id = id_of("t1");
    chunk.chunk.attempt = 1;
    chunk.chunk.payload.bytes = span_from_text("a");
    say(f, "w1", &chunk);
    expect_why(f, "t1", " state=leased reason=reader ");
    drop_trace(f);
    read.read.id = id_of("t1");
    read.read.sequence = 1;
    read.read.credit = 1;
    say(f, "s1", &read);
    assert_true(trace_has(f, "w1 <- FLOW t1 "));
    expect_why(f, "t1", " state=leased reason=running ");
}

static void stopping_and_ended(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 9);
    submit(f, "s1", "t1", "echo");
    cancel(f, "s1", "t1", 0);
    expect_why(f, "t1", " state=cancelling reason=stopping ");
    fail_task(f, "w1", "t1", 1, "cancelled", false);
    expect_why(f, "t1", " state=cancelled reason=ended ");
    drop_trace(f);
    query_task(f, "s1", QUERY_WHY, "t9");
    expect_trace(f, "[   0] s1 <- REPLY 7 failed code=not_found\n");
}

/* Several hold at once: what is named is what would still hold if the ones after it did not. */
static void of_several_reasons_the_first_is_named(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    limit(f, (struct limit_values){.concurrency = 1, .rate = 1, .rate_ms = 5000});
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    control(f, CONTROL_PAUSE, 0, 0);
    expect_why(f, "t2", " state=ready reason=paused ");
    control(f, CONTROL_DRAIN, 1, 0);
    expect_why(f, "t2", " state=ready reason=draining ");
    bye(f, "w1");
    expect_why(f, "t2", " state=ready reason=no_worker ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(no_worker_that_offers_it),
        SPEC(no_worker_whose_connection_is_there),
        SPEC(draining),
        SPEC(no_credit),
        SPEC(fairness),
        SPEC(order_key),
        SPEC(concurrency_cap),
        SPEC(rate),
        SPEC(budget),
        SPEC(paused),
        SPEC(breaker_open),
        SPEC(same_key),
        SPEC(needs),
        SPEC(not_before),
        SPEC(running_and_reader),
        SPEC(stopping_and_ended),
        SPEC(of_several_reasons_the_first_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
