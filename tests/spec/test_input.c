/* The promise: no input stops the broker. */
#include "tests/spec/fixture.h"

#include <stdio.h>
#include <string.h>

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

static void an_answer_that_cannot_be_read_still_ends_its_task(void **state)
{
    struct fixture *f = *state;
    struct malformed malformed = {.code = ERROR_TOO_LARGE,
                                  .command = COMMAND_FAIL,
                                  .field = "message",
                                  .message = "is longer than its bound",
                                  .id = id_of("t1")};
    struct event bad = {
        .kind = EVENT_MALFORMED, .from = connection_of("s1"), .malformed = &malformed};

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    drop_trace(f);
    event(f, &bad);
    expect_trace(f, "[   0] s1 <- ERROR code=too_large field=message\n");
    bad.from = connection_of("w1");
    event(f, &bad);
    expect_trace(f, "[   0] w1 <- ERROR code=too_large field=message\n"
                    "[   0] s1 <- RESULT t1 failed attempt=1 code=bad_message\n");
}

/* What w1 says of t1. */
static void done_without_payload(struct fixture *f)
{
    struct malformed malformed = {.code = ERROR_BAD_MESSAGE,
                                  .command = COMMAND_DONE,
                                  .field = "payload",
                                  .message = "is missing",
                                  .id = id_of("t1")};
    struct event bad = {
        .kind = EVENT_MALFORMED, .from = connection_of("w1"), .malformed = &malformed};

    event(f, &bad);
}

static void an_answer_that_cannot_be_read_frees_the_credit_of_who_sent_it(void **state)
{
    struct fixture *f = *state;
    struct submit lease = {.lease_ms = 1000};

    given_echo(f, 1);
    hello(f, "w2");
    submit_with(f, "s1", "t1", "echo", "", &lease);
    advance_ms(f, 1000);
    offer(f, "w2", "echo", 1);
    advance_ms(f, 1000);
    /* Both leases have run out, and both workers still owe an answer: attempt 2 is w2's. */
    drop_trace(f);
    done_without_payload(f);
    expect_trace(f, "[2000] w1 <- ERROR code=bad_message field=payload\n"
                    "[2000] w1 <- TASK t1 attempt=3\n");
}

/* Whatever it says: who was told to stop has answered. */
static void an_answer_that_cannot_be_read_confirms_a_cancel(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    cancel(f, "s1", "t1", 0);
    drop_trace(f);
    done_without_payload(f);
    expect_trace(f, "[   0] w1 <- ERROR code=bad_message field=payload\n"
                    "[   0] s1 <- RESULT t1 cancelled attempt=1 code=cancelled\n");
}

static void a_connection_keeps_its_session(void **state)
{
    struct fixture *f = *state;

    hello(f, "s1");
    drop_trace(f);
    hello_from(f, "s2", connection_of("s1"));
    expect_trace(f, "[   0] s1 <- ERROR code=conflict field=session\n");
}

static void a_version_that_never_was_is_refused(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_HELLO};

    message.hello.session = id_of("s1");
    say(f, "s1", &message);
    expect_trace(f, "[   0] s1 <- ERROR code=unsupported field=version\n");
    assert_int_equal(stats_of(f).peers, 0);
}

static void a_command_that_is_not_for_the_broker_is_refused(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_WELCOME};

    hello(f, "s1");
    drop_trace(f);
    say(f, "s1", &message);
    expect_trace(f, "[   0] s1 <- ERROR code=unsupported\n");
    assert_int_equal(stats_of(f).bad_messages, 1);
}

/* The codec refuses longer ones; nothing here relies on it. */
static void names_are_cut_at_their_bound(void **state)
{
    static char name[101], shown[128];
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_HELLO};
    struct message query = {.command = COMMAND_QUERY};

    memset(name, 'n', sizeof name - 1);
    message.hello.version = PROTOCOL_VERSION;
    message.hello.session = id_of("s1");
    message.hello.name = message.hello.agent = span_from_text(name);
    say(f, "s1", &message);
    drop_trace(f);
    query.query.what = QUERY_PEERS;
    say(f, "s1", &query);
    snprintf(shown, sizeof shown, " name=%.64s agent=", name);
    assert_true(trace_has(f, shown));
    snprintf(shown, sizeof shown, " agent=%.64s state=", name);
    assert_true(trace_has(f, shown));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(nothing_counts_before_hello),
        SPEC(a_probe_asks_for_hello),
        SPEC(a_malformed_message_is_answered_by_field),
        SPEC(an_answer_that_cannot_be_read_still_ends_its_task),
        SPEC(an_answer_that_cannot_be_read_frees_the_credit_of_who_sent_it),
        SPEC(an_answer_that_cannot_be_read_confirms_a_cancel),
        SPEC(a_connection_keeps_its_session),
        SPEC(a_version_that_never_was_is_refused),
        SPEC(a_command_that_is_not_for_the_broker_is_refused),
        SPEC(names_are_cut_at_their_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
