/* The promise: an attempt starts with the last checkpoint that was taken, and with the signals
 * that came before it, in their order. */
#include "tests/spec/fixture.h"

#include <string.h>

static void checkpoint_of(struct fixture *f, uint64_t attempt, struct span bytes)
{
    struct message message = {.command = COMMAND_CHECKPOINT};

    message.checkpoint.id = id_of("t1");
    message.checkpoint.attempt = attempt;
    message.checkpoint.payload.bytes = bytes;
    say(f, "w1", &message);
}

static void signal_of(struct fixture *f, uint64_t request, const char *payload)
{
    struct message message = {.command = COMMAND_SIGNAL};

    message.signal.request = request;
    message.signal.id = id_of("t1");
    message.signal.payload.bytes = span_from_text(payload);
    say(f, "s1", &message);
}

/* All of `texts`, one after another, after `first`. */
static void expect_order(const struct fixture *f, const char *first, const char *const *texts)
{
    const char *at = strstr(f->trace, first);

    for (; at != NULL && *texts != NULL; texts++) {
        at = strstr(at, *texts);
    }
    assert_non_null(at);
}

static void the_next_attempt_gets_the_last_checkpoint(void **state)
{
    struct submit options = {.lease_ms = 100};
    struct fixture *f = *state;

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &options);
    checkpoint_of(f, 1, span_from_text("one"));
    advance_ms(f, 80); /* taken, it renews the lease */
    checkpoint_of(f, 1, span_from_text("two"));
    advance_ms(f, 80);
    checkpoint_of(f, 7, span_from_text("stale"));
    drop_trace(f);
    fail_task(f, "w1", "t1", 1, "flaky", true);
    advance_ms(f, 1000);
    assert_true(trace_has(f, "w1 <- TASK t1 attempt=2 checkpoint: payload=two\n"));
    done(f, "w1", "t1", 2, "");
    assert_int_equal(stats_of(f).checkpoints, 2);
}

static void a_checkpoint_too_large_leaves_the_old_one(void **state)
{
    static uint8_t bytes[CHECKPOINT_MAX + 1];
    struct fixture *f = *state;

    f->options.memory_max = CHECKPOINT_MAX;
    fixture_restart(f);
    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    checkpoint_of(f, 1, span_from_text("small"));
    drop_trace(f);
    checkpoint_of(f, 1, span_of(bytes, CHECKPOINT_MAX + 1));
    expect_trace(f, "[   0] w1 <- ERROR code=too_large field=payload\n");
    checkpoint_of(f, 1, span_of(bytes, CHECKPOINT_MAX));
    expect_trace(f, "[   0] w1 <- ERROR code=memory_full field=payload\n");
    lose(f, "w1");
    hello(f, "w1");
    offer(f, "w1", "echo", 1);
    assert_true(trace_has(f, "attempt=2 checkpoint: payload=small"));
}

static void signals_wait_for_the_start(void **state)
{
    struct submit options = {.if_absent = IF_ABSENT_WAIT};
    struct fixture *f = *state;

    hello(f, "s1");
    hello(f, "w1");
    submit_with(f, "s1", "t1", "echo", "", &options);
    drop_trace(f);
    signal_of(f, 1, "a");
    signal_of(f, 0, "b");
    expect_trace(f, "[   0] s1 <- REPLY 1 ok delivered=0 kept=1\n");
    offer(f, "w1", "echo", 1);
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n"
                    "[   0] w1 <- SIGNAL t1 attempt=1 payload=a\n"
                    "[   0] w1 <- SIGNAL t1 attempt=1 payload=b\n");
    signal_of(f, 2, "c");
    expect_trace(f, "[   0] w1 <- SIGNAL t1 attempt=1 payload=c\n"
                    "[   0] s1 <- REPLY 2 ok delivered=1 kept=0\n");
    fail_task(f, "w1", "t1", 1, "flaky", true);
    signal_of(f, 0, "d");
    drop_trace(f);
    advance_ms(f, 150);
    expect_order(f, "TASK t1 attempt=2",
                 (const char *const[]){"=a\n", "=b\n", "=c\n", "=d\n", NULL});
}

static void signals_are_bounded(void **state)
{
    struct submit options = {.if_absent = IF_ABSENT_WAIT};
    struct fixture *f = *state;

    hello(f, "s1");
    hello(f, "w1");
    submit_with(f, "s1", "t1", "echo", "", &options);
    for (unsigned i = 0; i < SIGNALS_MAX; i++) {
        signal_of(f, 0, "x");
    }
    drop_trace(f);
    signal_of(f, 1, "y");
    expect_trace(f, "[   0] s1 <- REPLY 1 failed code=limit_exceeded\n");
    offer(f, "w1", "echo", 1);
    drop_trace(f);
    signal_of(f, 2, "z"); /* those that the attempt has had make room */
    expect_trace(f, "[   0] w1 <- SIGNAL t1 attempt=1 payload=z\n"
                    "[   0] s1 <- REPLY 2 ok delivered=1 kept=0\n");
    done(f, "w1", "t1", 1, "");
    drop_trace(f);
    signal_of(f, 3, "late");
    expect_trace(f, "[   0] s1 <- REPLY 3 failed code=not_found\n");
}

static void a_signal_too_large_is_refused(void **state)
{
    static uint8_t bytes[SIGNALS_BYTES_MAX + 1];
    struct message message = {.command = COMMAND_SIGNAL};
    struct fixture *f = *state;

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    drop_trace(f);
    message.signal.id = id_of("t1");
    message.signal.payload.bytes = span_of(bytes, sizeof bytes);
    say(f, "s1", &message);
    expect_trace(f, "[   0] s1 <- ERROR code=too_large field=payload\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(the_next_attempt_gets_the_last_checkpoint),
        SPEC(a_checkpoint_too_large_leaves_the_old_one),
        SPEC(signals_wait_for_the_start),
        SPEC(signals_are_bounded),
        SPEC(a_signal_too_large_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
