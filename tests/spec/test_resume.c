/* The promise: a session whose messages are numbered does not notice that it lost its
 * connection, if it is back in time. */
#include "tests/spec/fixture.h"

/* As given_echo, but both are numbered. */
static void given_numbered_echo(struct fixture *f, uint64_t credit)
{
    hello_resume(f, "w1", connection_of("w1"));
    offer(f, "w1", "echo", credit);
    hello_resume(f, "s1", connection_of("s1"));
    drop_trace(f);
}

static void a_session_is_numbered_if_it_asks(void **state)
{
    struct fixture *f = *state;

    hello(f, "w1");
    hello_resume(f, "w2", connection_of("w2"));
    expect_trace(f, "[   0] w1 <- WELCOME\n"
                    "[   0] w2 <- WELCOME numbered\n");
    assert_false(f->asked.numbered);
    assert_int_equal(f->asked.received, 7);
}

static void a_worker_that_is_back_in_time_works_on(void **state)
{
    struct fixture *f = *state;

    given_numbered_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    drop_trace(f);
    lose(f, "w1");
    advance_ms(f, 999);
    expect_trace(f, "");
    hello_resume(f, "w1", connection_of("w9"));
    assert_true(f->asked.numbered);
    assert_int_equal(f->asked.old, connection_of("w1"));
    done(f, "w9", "t1", 1, "kept");
    expect_trace(f, "[ 999] w9 <- WELCOME known numbered resumed\n"
                    "[ 999] s1 <- RESULT t1 done attempt=1 payload=kept\n");
    submit(f, "s1", "t2", "echo"); /* its offer stands */
    expect_trace(f, "[ 999] w9 <- TASK t2 attempt=1\n");
    assert_int_equal(stats_of(f).peers_lost, 0);
    assert_int_equal(stats_of(f).retries, 0);
}

static void a_suspended_worker_gets_nothing_new_and_others_not_what_it_holds(void **state)
{
    struct fixture *f = *state;

    given_numbered_echo(f, 2);
    submit(f, "s1", "t1", "echo");
    lose(f, "w1");
    drop_trace(f);
    submit(f, "s1", "t2", "echo");
    expect_trace(f, "");
    hello(f, "w2");
    offer(f, "w2", "echo", 2);
    expect_trace(f, "[   0] w2 <- WELCOME\n"
                    "[   0] w2 <- TASK t2 attempt=1\n");
    submit(f, "s1", "t3", "echo");
    submit(f, "s1", "t4", "echo");
    drop_trace(f);
    hello_resume(f, "w1", connection_of("w9"));
    expect_trace(f, "[   0] w9 <- WELCOME known numbered resumed\n"
                    "[   0] w9 <- TASK t4 attempt=1\n");
}

static void a_worker_that_is_away_too_long_is_lost(void **state)
{
    struct fixture *f = *state;

    given_numbered_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    hello(f, "w2");
    offer(f, "w2", "echo", 1);
    lose(f, "w1");
    drop_trace(f);
    advance_ms(f, 999);
    expect_trace(f, "");
    advance_ms(f, 1);
    expect_trace(f, "[1000] w2 <- TASK t1 attempt=2\n");
    assert_int_equal(stats_of(f).peers_lost, 1);
    hello_resume(f, "w1", connection_of("w9"));
    assert_false(f->asked.numbered);
    expect_trace(f, "[1000] w9 <- WELCOME numbered\n");
}

/* One that also submitted: its own tasks are kept for longer than its leases. */
static void what_a_lost_worker_submitted_is_kept(void **state)
{
    struct fixture *f = *state;

    given_numbered_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    submit(f, "w1", "t2", "echo");
    lose(f, "w1");
    advance_ms(f, 9999);
    ping(f, "s1");
    drop_trace(f);
    hello_resume(f, "w1", connection_of("w9"));
    expect_trace(f, "[9999] w9 <- WELCOME known numbered\n");
    lose(f, "s1");
    bye(f, "w9");
    assert_int_equal(stats_of(f).peers, 1);
}

static void a_submitter_is_told_later_what_happened_meanwhile(void **state)
{
    struct fixture *f = *state;

    given_numbered_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    lose(f, "s1");
    drop_trace(f);
    done(f, "w1", "t1", 1, "kept");
    /* To the connection that is gone: the shell keeps it. */
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1 payload=kept\n");
    advance_ms(f, 9999);
    drop_trace(f);
    hello_resume(f, "s1", connection_of("s9"));
    expect_trace(f, "[9999] s9 <- WELCOME known numbered resumed\n");
}

static void a_submitter_that_stays_away_has_its_tasks_cancelled(void **state)
{
    struct fixture *f = *state;

    given_numbered_echo(f, 0);
    submit(f, "s1", "t1", "echo");
    lose(f, "s1");
    advance_ms(f, 9999);
    assert_int_equal(stats_of(f).ready, 1);
    advance_ms(f, 1);
    assert_int_equal(stats_of(f).ready, 0);
    assert_int_equal(stats_of(f).cancelled, 1);
    assert_int_equal(stats_of(f).peers_lost, 1);
}

static void leases_and_deadlines_run_on_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct submit leased = {.lease_ms = 500};

    given_numbered_echo(f, 2);
    submit_with(f, "s1", "t1", "echo", "", &leased);
    hello(f, "w2");
    offer(f, "w2", "echo", 1);
    drop_trace(f);
    lose(f, "w1");
    advance_ms(f, 500);
    expect_trace(f, "[ 500] w1 <- CANCEL t1 attempt=1 reason=lease_expired\n"
                    "[ 500] w2 <- TASK t1 attempt=2\n");
    hello_resume(f, "w1", connection_of("w9"));
    drop_trace(f);
    fail_task(f, "w9", "t1", 1, "cancelled", false);
    done(f, "w2", "t1", 2, "other");
    expect_trace(f, "[ 500] s1 <- RESULT t1 done attempt=2 payload=other\n");
}

/* Stopped for a while, it talks on over the connection that it has. */
static void a_silent_worker_that_speaks_again_is_back(void **state)
{
    struct fixture *f = *state;

    given_numbered_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    advance_ms(f, 14000);
    ping(f, "s1");
    advance_ms(f, 1500);
    drop_trace(f);
    done(f, "w1", "t1", 1, "kept");
    submit(f, "s1", "t2", "echo");
    expect_trace(f, "[15500] s1 <- RESULT t1 done attempt=1 payload=kept\n"
                    "[15500] w1 <- TASK t2 attempt=1\n");
    assert_int_equal(stats_of(f).peers_lost, 0);
}

static void what_a_dead_connection_still_delivers_is_taken(void **state)
{
    struct fixture *f = *state;

    given_numbered_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    drop_trace(f);
    lose(f, "w1");
    done(f, "w1", "t1", 1, "late");
    submit(f, "s1", "t2", "echo"); /* not for a connection that is gone */
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1 payload=late\n");
    hello_resume(f, "w1", connection_of("w9"));
    expect_trace(f, "[   0] w9 <- WELCOME known numbered resumed\n"
                    "[   0] w9 <- TASK t2 attempt=1\n");
}

/* Its answer came late, over the connection that is gone: then it has as long as any submitter. */
static void a_suspended_worker_that_has_answered_is_waited_for_longer(void **state)
{
    struct fixture *f = *state;

    given_numbered_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    lose(f, "w1");
    done(f, "w1", "t1", 1, "late");
    drop_trace(f);
    advance_ms(f, 9999);
    ping(f, "s1");
    hello_resume(f, "w1", connection_of("w9"));
    submit(f, "s1", "t2", "echo");
    expect_trace(f, "[9999] s1 <- PONG\n"
                    "[9999] w9 <- WELCOME known numbered resumed\n"
                    "[9999] w9 <- TASK t2 attempt=1\n");
    assert_int_equal(stats_of(f).peers_lost, 0);
}

/* Silence alone would be over with its next word; a connection that is gone is not. */
static void a_silent_worker_whose_connection_goes_too_is_not_back_with_a_late_word(void **state)
{
    struct fixture *f = *state;

    given_numbered_echo(f, 2);
    submit(f, "s1", "t1", "echo");
    advance_ms(f, 14900);
    ping(f, "s1");
    advance_ms(f, 100);
    lose(f, "w1"); /* suspended already */
    lose(f, "w1");
    drop_trace(f);
    done(f, "w1", "t1", 1, "late");
    submit(f, "s1", "t2", "echo");
    expect_trace(f, "[15000] s1 <- RESULT t1 done attempt=1 payload=late\n");
    hello_resume(f, "w1", connection_of("w9"));
    expect_trace(f, "[15000] w9 <- WELCOME known numbered resumed\n"
                    "[15000] w9 <- TASK t2 attempt=1\n");
}

static void a_suspended_worker_is_told_to_stop_and_lost_with_its_session(void **state)
{
    struct fixture *f = *state;

    given_numbered_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    lose(f, "w1");
    drop_trace(f);
    cancel(f, "s1", "t1", 0);
    expect_trace(f, "[   0] w1 <- CANCEL t1 attempt=1 reason=cancelled\n");
    advance_ms(f, 1000);
    expect_trace(f, "[1000] s1 <- RESULT t1 cancelled attempt=1 code=cancelled\n");
}

/* What it had said before its connection went may come after that. */
static void a_late_bye_ends_a_suspended_session(void **state)
{
    struct fixture *f = *state;

    given_numbered_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    lose(f, "w1");
    bye(f, "w1");
    assert_int_equal(stats_of(f).peers, 1);
    drop_trace(f);
    hello_resume(f, "w1", connection_of("w9"));
    offer(f, "w9", "echo", 1);
    expect_trace(f, "[   0] w9 <- WELCOME numbered\n"
                    "[   0] w9 <- TASK t1 attempt=2\n");
}

static void a_drained_worker_is_drained_when_it_is_back(void **state)
{
    struct fixture *f = *state;
    struct message drain = {.command = COMMAND_CONTROL,
                            .control = {.request = 1, .what = CONTROL_DRAIN}};

    given_numbered_echo(f, 1);
    lose(f, "w1");
    drain.control.peer = 1; /* as QUERY peers numbers it */
    say(f, "s1", &drain);
    hello_resume(f, "w1", connection_of("w9"));
    submit(f, "s1", "t1", "echo");
    assert_int_equal(f->sent[COMMAND_TASK], 0);
    drain.control.what = CONTROL_UNDRAIN;
    say(f, "s1", &drain);
    assert_int_equal(f->sent[COMMAND_TASK], 1);
}

/* There is no room for what would have to be kept. */
static void a_session_that_cannot_be_numbered_any_more_begins_anew(void **state)
{
    struct fixture *f = *state;

    given_numbered_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    drop_trace(f);
    f->resume = RESUME_REFUSED;
    hello_resume(f, "w1", connection_of("w9"));
    offer(f, "w9", "echo", 1);
    expect_trace(f, "[   0] w9 <- WELCOME known\n"
                    "[   0] w9 <- TASK t1 attempt=2\n");
    lose(f, "w9"); /* lost at once */
    assert_int_equal(stats_of(f).ready, 1);
}

static void a_shell_without_numbers_refuses_them(void **state)
{
    struct fixture *f = *state;

    f->no_numbers = true;
    f->log_level = LOG_ERROR;
    fixture_restart(f);
    hello_resume(f, "w1", connection_of("w1"));
    expect_trace(f, "[   0] w1 <- WELCOME\n");
}

static void nothing_is_logged_of_it_that_nobody_wants(void **state)
{
    struct fixture *f = *state;

    f->log_level = LOG_ERROR;
    fixture_restart(f);
    given_numbered_echo(f, 1);
    lose(f, "w1");
    hello_resume(f, "w1", connection_of("w9"));
    expect_trace(f, "[   0] w9 <- WELCOME known numbered resumed\n");
    assert_int_equal(f->logged, 0);
}

static void a_session_whose_output_was_dropped_begins_anew(void **state)
{
    struct fixture *f = *state;

    given_numbered_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    drop_trace(f);
    lose(f, "w1");
    lose_output(f, "w1");
    hello(f, "w2");
    offer(f, "w2", "echo", 1);
    lose_output(f, "s1");
    hello_resume(f, "s1", connection_of("s9"));
    expect_trace(f, "[   0] w2 <- WELCOME\n"
                    "[   0] w2 <- TASK t1 attempt=2\n"
                    "[   0] s9 <- WELCOME known numbered\n");
    assert_int_equal(stats_of(f).peers_lost, 2);
}

static void a_session_that_cannot_go_on_begins_anew(void **state)
{
    struct fixture *f = *state;

    given_numbered_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    drop_trace(f);
    f->resume = RESUME_ANEW;
    hello_resume(f, "w1", connection_of("w1")); /* on the connection that it has */
    offer(f, "w1", "echo", 1);
    expect_trace(f, "[   0] w1 <- WELCOME known numbered\n"
                    "[   0] w1 <- TASK t1 attempt=2\n");
    hello_from(f, "w1", connection_of("w9")); /* as one that does not ask */
    offer(f, "w9", "echo", 1);
    expect_trace(f, "[   0] w9 <- WELCOME known\n"
                    "[   0] w9 <- TASK t1 attempt=3\n");
}

static void an_old_hello_that_comes_late_changes_nothing(void **state)
{
    struct fixture *f = *state;

    given_numbered_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    drop_trace(f);
    f->resume = RESUME_STALE;
    hello_resume(f, "w1", connection_of("w8"));
    done(f, "w1", "t1", 1, "kept");
    expect_trace(f, "[   0] w8 <- ERROR code=conflict field=received\n"
                    "[   0] s1 <- RESULT t1 done attempt=1 payload=kept\n");
}

/* Of several under way, a peer must know which one is answered. */
static void a_welcome_says_which_hello_it_answers(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_HELLO,
                              .hello = {.version = PROTOCOL_VERSION,
                                        .session = id_of("w1"),
                                        .name = span_from_text("w1")}};

    message.hello.greeting = 3;
    say(f, "w1", &message);
    message.hello.greeting = 4;
    message.hello.resume = true;
    say(f, "w1", &message);
    message.hello.greeting = 0;
    say(f, "w1", &message);
    expect_trace(f, "[   0] w1 <- WELCOME greeting=3\n"
                    "[   0] w1 <- WELCOME numbered greeting=4\n"
                    "[   0] w1 <- WELCOME numbered resumed\n");
}

/* The first answer was lost, or came too late: the peer must not take the session for the one that it
 * had, and wait for tasks that have been cancelled with it. */
static void a_session_is_known_when_more_than_hello_was_said_in_it(void **state)
{
    struct fixture *f = *state;

    hello(f, "s1");
    hello_from(f, "s1", connection_of("s9"));
    expect_trace(f, "[   0] s1 <- WELCOME\n"
                    "[   0] s9 <- WELCOME\n");
    ping(f, "s9");
    hello_from(f, "s1", connection_of("s9"));
    expect_trace(f, "[   0] s9 <- PONG\n"
                    "[   0] s9 <- WELCOME known\n");
}

/* The broker slept, and with it the clock of those that it was waiting for. */
static void a_broker_that_slept_waits_for_the_suspended_anew(void **state)
{
    struct fixture *f = *state;

    given_numbered_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    lose(f, "w1");
    drop_trace(f);
    f->now_ms = 60000;
    ping(f, "s1");
    hello_resume(f, "w1", connection_of("w9"));
    done(f, "w9", "t1", 1, "");
    expect_trace(f, "[60000] s1 <- PONG\n"
                    "[60000] w9 <- WELCOME known numbered resumed\n"
                    "[60000] s1 <- RESULT t1 done attempt=1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(a_session_is_numbered_if_it_asks),
        SPEC(a_worker_that_is_back_in_time_works_on),
        SPEC(a_suspended_worker_gets_nothing_new_and_others_not_what_it_holds),
        SPEC(a_worker_that_is_away_too_long_is_lost),
        SPEC(what_a_lost_worker_submitted_is_kept),
        SPEC(a_submitter_is_told_later_what_happened_meanwhile),
        SPEC(a_submitter_that_stays_away_has_its_tasks_cancelled),
        SPEC(leases_and_deadlines_run_on_meanwhile),
        SPEC(a_silent_worker_that_speaks_again_is_back),
        SPEC(what_a_dead_connection_still_delivers_is_taken),
        SPEC(a_suspended_worker_that_has_answered_is_waited_for_longer),
        SPEC(a_silent_worker_whose_connection_goes_too_is_not_back_with_a_late_word),
        SPEC(a_suspended_worker_is_told_to_stop_and_lost_with_its_session),
        SPEC(a_late_bye_ends_a_suspended_session),
        SPEC(a_drained_worker_is_drained_when_it_is_back),
        SPEC(a_session_that_cannot_be_numbered_any_more_begins_anew),
        SPEC(a_shell_without_numbers_refuses_them),
        SPEC(nothing_is_logged_of_it_that_nobody_wants),
        SPEC(a_session_whose_output_was_dropped_begins_anew),
        SPEC(a_session_that_cannot_go_on_begins_anew),
        SPEC(an_old_hello_that_comes_late_changes_nothing),
        SPEC(a_welcome_says_which_hello_it_answers),
        SPEC(a_session_is_known_when_more_than_hello_was_said_in_it),
        SPEC(a_broker_that_slept_waits_for_the_suspended_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
