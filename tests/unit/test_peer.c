/* links: runtime */
/* The peer machine's session: handshake, liveness, serving, asking, leaving. */
#include "tests/unit/peer_trace.h"

/* ---- handshake ---------------------------------------------------------- */

static void hello_answers_hello_required(void **state)
{
    struct fixture *f = *state;

    receive(f, hello_required());
    expect_trace(f, "-> HELLO\n");
    assert_false(peer_connected(f->peer));
    receive(f, welcome_of('B', false, 10));
    expect_trace(f, "!! connected\n");
    assert_true(peer_connected(f->peer));
}

static void hello_is_said_unasked_when_no_answer_comes(void **state)
{
    struct fixture *f = *state;

    advance_to(f, 999);
    expect_trace(f, "");
    advance_to(f, 1000);
    expect_trace(f, "-> HELLO\n");
    advance_to(f, 2000);
    expect_trace(f, "-> HELLO\n");
}

static void offers_come_before_tasks_after_welcome(void **state)
{
    struct fixture *f = *state;

    submit(f, 'a');
    given_offer(f, "one", 2);
    given_offer(f, "two", 3);
    submit(f, 'b');
    expect_trace(f, "");
    receive(f, welcome_of('B', false, 10));
    expect_trace(f, "-> OFFER one credit=2\n"
                    "-> OFFER two credit=3\n"
                    "-> SUBMIT a s\n"
                    "-> SUBMIT b s\n"
                    "!! connected\n");
}

static void a_window_without_a_bound_is_none(void **state)
{
    struct fixture *f = *state;
    struct message welcome = welcome_of('B', false, 10);

    welcome.welcome.window_tasks = UINT64_MAX;
    given_offer(f, "one", 2);
    submit(f, 'a');
    receive(f, welcome);
    expect_trace(f, "-> OFFER one credit=2\n"
                    "-> SUBMIT a s\n"
                    "!! connected\n");
}

static struct message welcome_to(uint64_t greeting)
{
    struct message message = welcome_of('B', true, 10);

    message.welcome.greeting = greeting;
    return message;
}

/* Late, over the connection before this one: what comes with it is of before, too. */
static void a_welcome_to_an_earlier_hello_does_not_answer_the_last(void **state)
{
    struct fixture *f = *state;
    uint64_t first;

    given_offer(f, "s", 1);
    receive(f, hello_required());
    first = f->greeting;
    receive(f, hello_required());
    assert_int_not_equal(f->greeting, first);
    expect_trace(f, "-> HELLO\n"
                    "-> HELLO\n");
    receive(f, welcome_to(first));
    receive(f, task_of('t', 1, "s"));
    expect_trace(f, "");
    receive(f, welcome_to(f->greeting));
    expect_trace(f, "-> OFFER s credit=1\n"
                    "!! connected\n");
    receive(f, task_of('t', 2, "s"));
    receive(f, welcome_to(first));
    expect_trace(f, "!! task t/2\n");
}

/* The broker answers later than we ask again: the answer to the first time is as good. */
static void a_hello_said_again_for_lack_of_an_answer_is_the_same(void **state)
{
    struct fixture *f = *state;
    uint64_t first;

    receive(f, hello_required());
    first = f->greeting;
    advance_to(f, 1000);
    assert_int_equal(f->greeting, first);
    receive(f, welcome_to(first));
    receive(f, welcome_to(first));
    expect_trace(f, "-> HELLO\n"
                    "-> HELLO\n"
                    "!! connected\n");
}

static void a_new_connection_loses_the_tasks_in_hand(void **state)
{
    struct fixture *f = *state;
    struct lease *lease;

    given_session(f, 10);
    given_offer(f, "s", 1);
    receive(f, task_of('t', 1, "s"));
    lease = f->lease;
    receive(f, hello_required());
    expect_trace(f, "-> OFFER s credit=1\n"
                    "!! task t/1\n"
                    "!! disconnected\n"
                    "-> HELLO\n");
    receive(f, welcome_of('B', true, 10));
    expect_trace(f, "!! cancel t worker_lost lost\n"
                    "-> OFFER s credit=1\n"
                    "!! connected\n");
    /* Nobody waits for the answer of the old handler, and the new attempt is another lease. */
    receive(f, task_of('t', 2, "s"));
    peer_done(f->peer, lease, (struct payload){.blob = NULL});
    peer_done(f->peer, f->lease, (struct payload){.blob = NULL});
    expect_trace(f, "!! task t/2\n"
                    "-> DONE t/2\n");
}

static struct message numbered_welcome(bool resumed, uint64_t received)
{
    struct message message = welcome_of('B', true, 10);

    message.welcome.resume = true;
    message.welcome.resumed = resumed;
    message.welcome.received = received;
    return message;
}

static void given_numbered_lease(struct fixture *f)
{
    receive(f, numbered_welcome(false, 100));
    given_offer(f, "s", 1);
    receive(f, task_of('t', 1, "s"));
    submit(f, 'a');
    receive(f, hello_required());
    forget_trace(f);
}

static void a_session_that_goes_on_keeps_what_it_holds_and_submits_nothing_again(void **state)
{
    struct fixture *f = *state;

    given_numbered_lease(f);
    /* Said while there is no connection: the shell below keeps it. */
    peer_done(f->peer, f->lease, (struct payload){.blob = NULL});
    submit(f, 'b'); /* waits */
    expect_trace(f, "-> DONE t/1\n");
    receive(f, numbered_welcome(true, 101));
    expect_trace(f, "!! connected\n"
                    "-> SUBMIT b s\n");
}

static void a_failure_between_two_connections_is_said(void **state)
{
    struct fixture *f = *state;
    struct error error = {.code = span_from_text("cancelled")};

    given_numbered_lease(f);
    peer_fail(f->peer, f->lease, &error);
    expect_trace(f, "-> FAIL t/1 cancelled\n");
    receive(f, numbered_welcome(true, 101));
    expect_trace(f, "!! connected\n");
}

static void a_numbered_session_that_begins_anew_is_like_any_other(void **state)
{
    struct fixture *f = *state;

    given_numbered_lease(f);
    receive(f, numbered_welcome(false, 200));
    expect_trace(f, "!! cancel t worker_lost lost\n"
                    "-> OFFER s credit=1\n"
                    "-> SUBMIT a s wait\n"
                    "!! connected\n");
    /* A second WELCOME with the same number answers a HELLO too many, one with another does not. */
    receive(f, numbered_welcome(false, 200));
    expect_trace(f, "");
    receive(f, numbered_welcome(false, 300));
    expect_trace(f, "-> OFFER s credit=1\n"
                    "-> SUBMIT a s wait\n"
                    "!! connected\n");
    peer_done(f->peer, f->lease, (struct payload){.blob = NULL});
}

static void the_answer_to_a_hello_too_many_takes_nothing_back(void **state)
{
    struct fixture *f = *state;

    given_offer(f, "s", 1);
    receive(f, hello_required());
    receive(f, hello_required());
    receive(f, welcome_of('B', false, 10));
    receive(f, task_of('t', 1, "s"));
    expect_trace(f, "-> HELLO\n-> HELLO\n-> OFFER s credit=1\n!! connected\n!! task t/1\n");
    receive(f, welcome_of('B', true, 10));
    expect_trace(f, "");
    /* But another broker has forgotten everything. */
    receive(f, welcome_of('C', false, 10));
    expect_trace(f, "!! cancel t worker_lost lost\n-> OFFER s credit=1\n!! connected\n");
    peer_done(f->peer, f->lease, (struct payload){.blob = NULL});
    expect_trace(f, "");
}

static void a_broker_that_leaves_is_waited_for(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    submit(f, 'a');
    receive(f, (struct message){.command = COMMAND_BYE});
    expect_trace(f, "-> SUBMIT a s\n!! disconnected\n");
    advance_to(f, 1000);
    expect_trace(f, "-> HELLO\n");
    receive(f, welcome_of('C', false, 10));
    expect_trace(f, "-> SUBMIT a s wait\n!! connected\n");
}

/* ---- liveness ------------------------------------------------------------ */

static void ping_is_sent_after_silence_of_either_side(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    advance_to(f, 600);
    submit(f, 'a'); /* we spoke, but have heard nothing */
    forget_trace(f);
    advance_to(f, 999);
    expect_trace(f, "");
    advance_to(f, 1000);
    expect_trace(f, "-> PING\n");
    receive(f, (struct message){.command = COMMAND_PONG});
    advance_to(f, 1900);
    receive(f, (struct message){.command = COMMAND_PONG}); /* we heard, but have said nothing */
    advance_to(f, 2000);
    expect_trace(f, "-> PING\n");
}

static void a_silent_broker_is_given_up(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    for (uint64_t ms = 1000; ms < 5000; ms += 500) {
        advance_to(f, ms);
    }
    expect_trace(f, "-> PING\n-> PING\n-> PING\n-> PING\n");
    advance_to(f, 5000);
    expect_trace(f, "!! disconnected silent\n");
    assert_false(peer_connected(f->peer));
}

/* A machine that slept finds an old clock, and a broker that is well. */
static void silence_counts_only_after_asking(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    advance_to(f, 3600000);
    expect_trace(f, "-> PING\n");
    receive(f, (struct message){.command = COMMAND_PONG});
    advance_to(f, 3600500);
    expect_trace(f, "");
    assert_true(peer_connected(f->peer));
}

static void the_deadline_names_the_next_moment_to_act(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    assert_int_equal(peer_deadline(f->peer), 1000);
    submit_for(f, 'a', 300);
    assert_int_equal(peer_deadline(f->peer), 300);
    receive(f, result_of('a', OUTCOME_DONE, "", 0));
    assert_int_equal(peer_deadline(f->peer), 1000);
}

/* ---- serving --------------------------------------------------------------- */

/* A broker sends none twice: it has taken the first back, ended and forgotten it, and was asked
 * for the same task again. Nobody waits for the old handler's answer. */
static void the_same_attempt_again_is_another_life(void **state)
{
    struct fixture *f = *state;
    struct lease *old;

    given_session(f, 10);
    given_offer(f, "s", 2);
    forget_trace(f);
    receive(f, task_of('t', 2, "s"));
    old = f->lease;
    receive(f, task_of('t', 2, "s"));
    receive(f, task_of('t', 1, "s")); /* late, and older */
    expect_trace(f, "!! task t/2\n"
                    "!! cancel t worker_lost lost\n"
                    "!! task t/2\n");
    assert_int_equal(peer_lease_count(f->peer), 1);
    peer_done(f->peer, old, (struct payload){.blob = NULL});
    expect_trace(f, "");
}

static void a_newer_attempt_ends_the_older_one(void **state)
{
    struct fixture *f = *state;
    struct lease *old;

    given_session(f, 10);
    given_offer(f, "s", 2);
    receive(f, task_of('t', 1, "s"));
    old = f->lease;
    forget_trace(f);
    receive(f, task_of('t', 2, "s"));
    expect_trace(f, "!! cancel t lease_expired lost\n!! task t/2\n");
    /* The result is stale, but until it comes the broker counts our credit as taken. */
    peer_done(f->peer, old, (struct payload){.blob = NULL});
    expect_trace(f, "-> DONE t/1\n");
}

static void a_task_of_no_service_of_ours_is_turned_down(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    receive(f, task_of('t', 1, "other"));
    expect_trace(f, "-> FAIL t/1 unknown_service\n");
}

static void cancel_reaches_the_attempt_it_names(void **state)
{
    struct fixture *f = *state;
    struct message cancel = {
        .command = COMMAND_CANCEL_OUT,
        .cancel_out = {.id = id_of('t'), .attempt = 1, .reason = span_from_text("expired")}};

    given_session(f, 10);
    given_offer(f, "s", 2);
    receive(f, task_of('t', 2, "s"));
    forget_trace(f);
    receive(f, cancel);
    expect_trace(f, "");
    cancel.cancel_out.attempt = 2;
    receive(f, cancel);
    expect_trace(f, "!! cancel t expired\n");
}

static void waiting_handlers_give_their_credit_back(void **state)
{
    struct fixture *f = *state;
    struct offering *offering;

    given_session(f, 10);
    offering = given_offer(f, "s", 1);
    forget_trace(f);
    peer_credit_give(f->peer, offering, 1);
    peer_credit_give(f->peer, offering, 1);
    expect_trace(f, "");
    peer_flush(f->peer);
    expect_trace(f, "-> CREDIT s 3\n");
    peer_credit_give(f->peer, offering, -1);
    peer_credit_give(f->peer, offering, 1);
    peer_flush(f->peer); /* nothing has changed: nothing is said */
    expect_trace(f, "");
    /* A new session hears the level of now. */
    receive(f, hello_required());
    receive(f, welcome_of('B', true, 10));
    expect_trace(f, "!! disconnected\n-> HELLO\n-> OFFER s credit=3\n!! connected\n");
}

static void an_offer_that_was_refused_is_made_again(void **state)
{
    struct fixture *f = *state;
    struct message refused = {.command = COMMAND_ERROR};

    given_session(f, 10);
    given_offer(f, "s", 3);
    refused.error.error.code = span_from_text("limit_exceeded");
    refused.error.error.retryable = true;
    refused.error.command = COMMAND_OFFER;
    forget_trace(f);
    receive(f, refused);
    advance_to(f, f->now_ms + 999);
    forget_trace(f);
    advance_to(f, f->now_ms + 1);
    assert_non_null(strstr(f->trace, "-> OFFER s credit=3\n"));
    forget_trace(f);
    advance_to(f, f->now_ms + 5000);
    assert_null(strstr(f->trace, "OFFER"));
}

static void a_mailbox_that_somebody_reads_is_waited_for(void **state)
{
    struct fixture *f = *state;
    struct message refused = {.command = COMMAND_ERROR};

    given_session(f, 10);
    given_offer(f, "s", 3);
    refused.error.error.code = span_from_text("conflict");
    refused.error.command = COMMAND_OFFER;
    for (int round = 0; round < 3; round++) {
        forget_trace(f);
        receive(f, refused);
        advance_to(f, f->now_ms + 1000);
        assert_non_null(strstr(f->trace, "-> OFFER s credit=3\n"));
    }
}

static void a_withdrawn_service_is_not_offered_again(void **state)
{
    struct fixture *f = *state;
    struct offering *offering;

    given_session(f, 10);
    offering = given_offer(f, "s", 1);
    forget_trace(f);
    peer_withdraw(f->peer, offering);
    receive(f, task_of('t', 1, "s")); /* was under way: it is still done */
    expect_trace(f, "-> WITHDRAW s\n!! task t/1\n");
    peer_done(f->peer, f->lease, (struct payload){.blob = NULL});
    receive(f, hello_required());
    receive(f, welcome_of('B', true, 10));
    expect_trace(f, "-> DONE t/1\n!! disconnected\n-> HELLO\n!! connected\n");
}

/* ---- probing ------------------------------------------------------------------ */

static struct message pong_to(uint64_t nonce)
{
    return (struct message){.command = COMMAND_PONG, .pong = {.nonce = nonce}};
}

static void a_probe_is_over_when_it_is_answered(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    advance_to(f, 1000);
    expect_trace(f, "-> PING\n");
    peer_probe(f->peer);
    expect_trace(f, "-> PING\n");
    receive(f, pong_to(1)); /* to the one before */
    assert_false(peer_probed(f->peer));
    receive(f, pong_to(2));
    assert_true(peer_probed(f->peer));
}

static void a_probe_is_over_with_its_session(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    peer_probe(f->peer);
    receive(f, hello_required());
    assert_true(peer_probed(f->peer));
    receive(f, welcome_of('C', false, 10));
    assert_true(peer_connected(f->peer));
    assert_true(peer_probed(f->peer));
}

/* What had come before is read only now. */
static void a_probe_is_over_with_its_connection(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    given_offer(f, "s", 1);
    peer_probe(f->peer);
    peer_cut(f->peer);
    assert_true(peer_probed(f->peer));
    receive(f, task_of('t', 1, "s"));
    assert_true(peer_connected(f->peer));
    assert_true(peer_probed(f->peer));
}

static void a_session_over_a_new_connection_is_probed_as_any(void **state)
{
    struct fixture *f = *state;

    receive(f, hello_required());
    receive(f, numbered_welcome(false, 0));
    peer_probe(f->peer);
    peer_cut(f->peer);
    receive(f, hello_required());
    receive(f, numbered_welcome(true, 0));
    assert_false(peer_probed(f->peer)); /* PING goes again, behind what the broker says again */
    receive(f, pong_to(1));
    assert_true(peer_probed(f->peer));
}

/* ---- asking, leaving ---------------------------------------------------------- */

static struct message reply_to(uint64_t request)
{
    return (struct message){.command = COMMAND_REPLY, .reply = {.request = request, .ok = true}};
}

static void a_question_survives_a_new_connection(void **state)
{
    struct fixture *f = *state;

    peer_query(f->peer, QUERY_STATS, span_of(NULL, 0), 5000, NULL);
    expect_trace(f, "");
    given_session(f, 10);
    receive(f, hello_required());
    receive(f, welcome_of('C', false, 10));
    expect_trace(f, "!! disconnected\n-> HELLO\n-> QUERY stats\n!! connected\n");
    receive(f, reply_to(1));
    receive(f, reply_to(1));
    expect_trace(f, "!! reply ok\n");
}

static void a_question_without_an_answer_ends(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    peer_query(f->peer, QUERY_STATS, span_of(NULL, 0), 500, NULL);
    forget_trace(f);
    advance_to(f, 500);
    expect_trace(f, "!! reply none\n");
    receive(f, reply_to(1));
    expect_trace(f, "");
}

static void nothing_is_said_after_bye(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    given_offer(f, "s", 1);
    receive(f, task_of('t', 1, "s"));
    forget_trace(f);
    peer_bye(f->peer, span_of(NULL, 0));
    expect_trace(f, "-> BYE\n");
    peer_done(f->peer, f->lease, (struct payload){.blob = NULL});
    submit(f, 'a');
    receive(f, hello_required());
    advance_to(f, 100000);
    expect_trace(f, "");
    assert_true(peer_deadline(f->peer) == TIMERS_NEVER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hello_answers_hello_required),
        TEST(hello_is_said_unasked_when_no_answer_comes),
        TEST(offers_come_before_tasks_after_welcome),
        TEST(a_window_without_a_bound_is_none),
        TEST(a_welcome_to_an_earlier_hello_does_not_answer_the_last),
        TEST(a_hello_said_again_for_lack_of_an_answer_is_the_same),
        TEST(a_new_connection_loses_the_tasks_in_hand),
        TEST(a_session_that_goes_on_keeps_what_it_holds_and_submits_nothing_again),
        TEST(a_failure_between_two_connections_is_said),
        TEST(a_numbered_session_that_begins_anew_is_like_any_other),
        TEST(the_answer_to_a_hello_too_many_takes_nothing_back),
        TEST(a_broker_that_leaves_is_waited_for),
        TEST(ping_is_sent_after_silence_of_either_side),
        TEST(a_silent_broker_is_given_up),
        TEST(silence_counts_only_after_asking),
        TEST(the_deadline_names_the_next_moment_to_act),
        TEST(the_same_attempt_again_is_another_life),
        TEST(a_newer_attempt_ends_the_older_one),
        TEST(a_task_of_no_service_of_ours_is_turned_down),
        TEST(cancel_reaches_the_attempt_it_names),
        TEST(waiting_handlers_give_their_credit_back),
        TEST(an_offer_that_was_refused_is_made_again),
        TEST(a_mailbox_that_somebody_reads_is_waited_for),
        TEST(a_withdrawn_service_is_not_offered_again),
        TEST(a_probe_is_over_when_it_is_answered),
        TEST(a_probe_is_over_with_its_session),
        TEST(a_probe_is_over_with_its_connection),
        TEST(a_session_over_a_new_connection_is_probed_as_any),
        TEST(a_question_survives_a_new_connection),
        TEST(a_question_without_an_answer_ends),
        TEST(nothing_is_said_after_bye),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
