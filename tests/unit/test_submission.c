/* links: runtime */
/* The peer machine's promise: every submission ends once, whatever happens. */
#include "tests/unit/peer_trace.h"

/* ---- window --------------------------------------------------------------- */

static void tasks_beyond_the_window_wait_in_order(void **state)
{
    struct fixture *f = *state;

    given_session(f, 2);
    for (char letter = 'a'; letter <= 'd'; letter++) {
        submit(f, letter);
    }
    expect_trace(f, "-> SUBMIT a s\n-> SUBMIT b s\n");
    assert_int_equal(peer_room(f->peer, false), 0);
    receive(f, result_of('b', OUTCOME_DONE, "", 0));
    expect_trace(f, "!! result b done\n-> SUBMIT c s\n");
    receive(f, result_of('a', OUTCOME_FAILED, "oops", 0));
    expect_trace(f, "!! result a failed oops\n-> SUBMIT d s\n");
}

static void what_an_upcall_submits_waits_for_its_turn(void **state)
{
    struct fixture *f = *state;

    given_session(f, 1);
    submit(f, 'a');
    submit(f, 'b');
    f->next = 'c';
    receive(f, result_of('a', OUTCOME_DONE, "", 0));
    peer_check(f->peer);
    receive(f, result_of('b', OUTCOME_DONE, "", 0));
    f->next = 'd'; /* for which nobody waits */
    receive(f, result_of('c', OUTCOME_DONE, "", 0));
    expect_trace(f, "-> SUBMIT a s\n!! result a done\n-> SUBMIT b s\n!! result b done\n"
                    "-> SUBMIT c s\n!! result c done\n-> SUBMIT d s\n");
}

static void bytes_fill_the_window_too(void **state)
{
    static uint8_t bytes[600];
    struct fixture *f = *state;
    struct submit submit = {.id = id_of('a'),
                            .service = span_from_text("s"),
                            .payload = {.bytes = span_of(bytes, sizeof bytes)}};

    given_session(f, 10);
    submit_with(f, &submit, (struct submission_options){0});
    submit.id = id_of('b');
    submit_with(f, &submit, (struct submission_options){0});
    expect_trace(f, "-> SUBMIT a s bytes=600\n");
    receive(f, result_of('a', OUTCOME_DONE, "", 0));
    expect_trace(f, "!! result a done\n-> SUBMIT b s bytes=600\n");
}

static void room_is_told_once_to_who_wants_it(void **state)
{
    struct fixture *f = *state;

    given_session(f, 1);
    submit(f, 'a');
    peer_want_room(f->peer);
    forget_trace(f);
    receive(f, result_of('a', OUTCOME_DONE, "", 0));
    expect_trace(f, "!! result a done\n!! room\n");
    receive(f, (struct message){.command = COMMAND_PONG});
    expect_trace(f, "");
}

static void what_may_not_wait_is_refused_at_once(void **state)
{
    struct fixture *f = *state;
    struct submit submit_b = {.id = id_of('b'), .service = span_from_text("s")};

    given_session(f, 1);
    submit(f, 'a');
    assert_null(submit_with(f, &submit_b, (struct submission_options){.no_wait = true}));
    expect_trace(f, "-> SUBMIT a s\n!! result b refused window_exceeded\n");
}

static void what_waits_in_the_peer_is_bounded(void **state)
{
    struct fixture *f = *state;

    for (char letter = 'a'; letter < 'a' + 8; letter++) {
        assert_non_null(submit(f, letter));
    }
    assert_null(submit(f, 'z'));
    expect_trace(f, "!! result z refused window_exceeded\n");
}

/* Were the window full of parents, their children could never be sent. */
static void children_have_half_of_a_workers_window(void **state)
{
    struct fixture *f = *state;
    struct submit child = {.id = id_of('c'), .service = span_from_text("s")};

    given_session(f, 2);
    given_offer(f, "s", 1);
    receive(f, task_of('t', 3, "s"));
    forget_trace(f);
    submit(f, 'a');
    submit(f, 'b');
    expect_trace(f, "-> SUBMIT a s\n");
    assert_int_equal(peer_room(f->peer, false), 0);
    submit_with(f, &child, (struct submission_options){.parent = f->lease});
    child.id = id_of('d');
    submit_with(f, &child, (struct submission_options){.parent = f->lease});
    expect_trace(f, "-> SUBMIT c s parent=t/3\n");
    receive(f, result_of('a', OUTCOME_DONE, "", 0)); /* children first */
    expect_trace(f, "!! result a done\n-> SUBMIT d s parent=t/3\n");
    receive(f, result_of('c', OUTCOME_DONE, "", 0));
    receive(f, result_of('d', OUTCOME_DONE, "", 0));
    expect_trace(f, "!! result c done\n!! result d done\n-> SUBMIT b s\n");
}

/* Else a window full of parents would wait for ever: PROTOCOL.md, SUBMIT 4. */
static void a_parent_may_always_have_one_child(void **state)
{
    struct fixture *f = *state;
    struct submit child = {.id = id_of('c'), .service = span_from_text("s")};
    struct submission_options of_t = {0}, of_u = {0};

    given_session(f, 1);
    given_offer(f, "s", 2);
    receive(f, task_of('t', 1, "s"));
    of_t.parent = f->lease;
    receive(f, task_of('u', 1, "s"));
    of_u.parent = f->lease;
    submit(f, 'a');
    forget_trace(f);
    submit_with(f, &child, of_t);
    child.id = id_of('d');
    submit_with(f, &child, of_t); /* a second one has to wait, */
    child.id = id_of('e');
    submit_with(f, &child, of_u); /* but not in the way of another's first */
    expect_trace(f, "-> SUBMIT c s parent=t/1\n-> SUBMIT e s parent=u/1\n");
    receive(f, result_of('c', OUTCOME_DONE, "", 0));
    expect_trace(f, "!! result c done\n-> SUBMIT d s parent=t/1\n");
}

static void a_payload_beyond_the_brokers_bound_is_refused(void **state)
{
    static uint8_t bytes[2001];
    struct fixture *f = *state;
    struct submit large = {.id = id_of('a'),
                           .service = span_from_text("s"),
                           .payload = {.bytes = span_of(bytes, sizeof bytes)}};

    submit_with(f, &large, (struct submission_options){0}); /* the bound is not known yet */
    receive(f, welcome_of('B', false, 10));
    expect_trace(f, "!! result a refused too_large\n!! connected\n");
}

/* ---- refusals ---------------------------------------------------------------- */

static void a_refusal_that_may_pass_is_tried_again_later_each_time(void **state)
{
    struct fixture *f = *state;
    uint64_t first, second;

    given_session(f, 10);
    submit(f, 'a');
    receive(f, result_of('a', OUTCOME_REFUSED, "queue_full", 100));
    expect_trace(f, "-> SUBMIT a s\n");
    first = peer_deadline(f->peer);
    assert_in_range(first, 100, 125);
    advance_to(f, first - 1);
    expect_trace(f, "");
    advance_to(f, first);
    expect_trace(f, "-> SUBMIT a s\n");
    receive(f, result_of('a', OUTCOME_REFUSED, "memory_full", 100));
    second = peer_deadline(f->peer) - first;
    assert_in_range(second, 200, 250);
}

static void a_refusal_ends_it_when_it_may_not_wait(void **state)
{
    struct fixture *f = *state;
    struct submit plain = {.id = id_of('a'), .service = span_from_text("s")};

    given_session(f, 10);
    submit_with(f, &plain, (struct submission_options){.no_wait = true});
    receive(f, result_of('a', OUTCOME_REFUSED, "queue_full", 100));
    expect_trace(f, "-> SUBMIT a s\n!! result a refused queue_full\n");
}

static void an_unknown_service_ends_it_unless_told_to_wait(void **state)
{
    struct fixture *f = *state;
    struct submit waiter = {
        .id = id_of('b'), .service = span_from_text("s"), .if_absent = IF_ABSENT_WAIT};

    given_session(f, 10);
    submit(f, 'a');
    submit_with(f, &waiter, (struct submission_options){0});
    receive(f, result_of('a', OUTCOME_REFUSED, "unknown_service", 0));
    receive(f, result_of('b', OUTCOME_REFUSED, "unknown_service", 10));
    expect_trace(f, "-> SUBMIT a s\n-> SUBMIT b s wait\n"
                    "!! result a refused unknown_service\n");
    advance_to(f, peer_deadline(f->peer));
    expect_trace(f, "-> SUBMIT b s wait\n");
}

static void a_paused_task_leaves_its_room_to_others(void **state)
{
    struct fixture *f = *state;

    given_session(f, 1);
    submit(f, 'a');
    submit(f, 'b');
    receive(f, result_of('a', OUTCOME_REFUSED, "queue_full", 100));
    expect_trace(f, "-> SUBMIT a s\n-> SUBMIT b s\n");
}

static void a_malformed_task_ends_with_the_brokers_word(void **state)
{
    struct fixture *f = *state;
    struct message error = {
        .command = COMMAND_ERROR,
        .error = {.error = {.code = span_from_text("bad_message")},
                  .command = COMMAND_SUBMIT,
                  .id = id_of('a')}};

    given_session(f, 10);
    submit(f, 'a');
    receive(f, error);
    expect_trace(f, "-> SUBMIT a s\n!! result a refused bad_message\n");
}

/* ---- deadlines ----------------------------------------------------------------- */

static void a_task_that_was_never_sent_expires(void **state)
{
    struct fixture *f = *state;

    submit_for(f, 'a', 200);
    advance_to(f, 199);
    expect_trace(f, "");
    advance_to(f, 200);
    expect_trace(f, "!! result a expired expired\n");
}

static void a_task_expires_while_the_broker_refuses_it(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    submit_for(f, 'a', 200);
    receive(f, result_of('a', OUTCOME_REFUSED, "queue_full", 5000));
    advance_to(f, 200);
    expect_trace(f, "-> SUBMIT a s deadline=200\n!! result a expired expired\n");
}

static void the_broker_has_the_first_word_about_a_deadline(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    submit_for(f, 'a', 200);
    submit_for(f, 'b', 200);
    forget_trace(f);
    advance_to(f, 200);
    expect_trace(f, "");
    receive(f, result_of('a', OUTCOME_DONE, "", 0)); /* was under way */
    expect_trace(f, "!! result a done\n");
    advance_to(f, 1200);
    expect_trace(f, "-> PING\n!! result b expired expired\n");
}

static void a_deadline_holds_when_the_broker_is_gone(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    submit_for(f, 'a', 200);
    advance_to(f, 100);
    peer_restart(f->peer);
    forget_trace(f);
    advance_to(f, 200);
    expect_trace(f, "!! result a expired expired\n");
}

static void queue_ttl_counts_what_was_waited_here(void **state)
{
    struct fixture *f = *state;
    struct submit plain = {
        .id = id_of('a'), .service = span_from_text("s"), .queue_ttl_ms = 500};

    submit_with(f, &plain, (struct submission_options){0});
    advance_to(f, 200);
    receive(f, welcome_of('B', false, 10));
    expect_trace(f, "-> SUBMIT a s ttl=300\n!! connected\n");
}

static void queue_ttl_begins_when_the_delay_is_over(void **state)
{
    struct fixture *f = *state;
    struct submit plain = {.id = id_of('a'),
                           .service = span_from_text("s"),
                           .delay_ms = 5000,
                           .queue_ttl_ms = 500};

    submit_with(f, &plain, (struct submission_options){0});
    plain.id = id_of('b');
    plain.delay_ms = 1000;
    submit_with(f, &plain, (struct submission_options){0});
    plain.id = id_of('c');
    plain.delay_ms = 2800;
    submit_with(f, &plain, (struct submission_options){0});
    advance_to(f, 1499);
    assert_null(strstr(f->trace, "result"));
    forget_trace(f);
    advance_to(f, 1500);
    expect_trace(f, "!! result b expired expired\n");
    advance_to(f, 3000);
    forget_trace(f);
    receive(f, welcome_of('B', false, 10));
    expect_trace(f, "-> SUBMIT a s ttl=500 delay=2000\n-> SUBMIT c s ttl=300\n!! connected\n");
}

/* Only the broker knows when those are ready. */
static void queue_ttl_of_what_waits_for_others_or_for_a_date_is_the_brokers(void **state)
{
    struct fixture *f = *state;
    struct id need = id_of('x');
    struct submit dated = {
        .id = id_of('a'), .service = span_from_text("s"), .queue_ttl_ms = 500};
    struct submit join = {.id = id_of('j'),
                          .service = span_from_text("s"),
                          .join = JOIN_ALL,
                          .needs = need.bytes,
                          .needs_count = 1,
                          .needs_stride = ID_BYTES,
                          .queue_ttl_ms = 500};

    submit_with(f, &dated, (struct submission_options){.run_at_ms = 7000});
    submit_with(f, &join, (struct submission_options){0});
    advance_to(f, 1000);
    forget_trace(f);
    receive(f, welcome_of('B', false, 10));
    expect_trace(f, "-> SUBMIT a s ttl=500 delay=7000\n"
                    "-> SUBMIT j s ttl=500 join=all of x\n!! connected\n");
}

static void queue_ttl_goes_on_while_the_broker_refuses(void **state)
{
    struct fixture *f = *state;
    struct submit plain = {
        .id = id_of('a'), .service = span_from_text("s"), .queue_ttl_ms = 500};
    char again[64];
    uint64_t at_ms;

    given_session(f, 10);
    submit_with(f, &plain, (struct submission_options){0});
    forget_trace(f);
    receive(f, result_of('a', OUTCOME_REFUSED, "queue_full", 100));
    at_ms = peer_deadline(f->peer);
    advance_to(f, at_ms);
    snprintf(again, sizeof again, "-> SUBMIT a s ttl=%d\n", (int)(500 - at_ms));
    expect_trace(f, again);
    receive(f, result_of('a', OUTCOME_REFUSED, "queue_full", 5000));
    advance_to(f, 499);
    expect_trace(f, "");
    advance_to(f, 500);
    expect_trace(f, "!! result a expired expired\n");
}

/* It may have been started in time, and nobody here knows. */
static void queue_ttl_begins_anew_when_the_broker_may_have_had_it(void **state)
{
    struct fixture *f = *state;
    struct submit plain = {
        .id = id_of('a'), .service = span_from_text("s"), .queue_ttl_ms = 500};

    given_session(f, 10);
    submit_with(f, &plain, (struct submission_options){0});
    advance_to(f, 600);
    peer_restart(f->peer);
    receive(f, hello_required());
    forget_trace(f);
    receive(f, welcome_of('C', false, 10));
    expect_trace(f, "-> SUBMIT a s ttl=500 wait\n!! connected\n");
    receive(f, result_of('a', OUTCOME_REFUSED, "queue_full", 5000));
    advance_to(f, 1099);
    expect_trace(f, "");
    advance_to(f, 1100);
    expect_trace(f, "!! result a expired expired\n");
}

/* ---- policies ----------------------------------------------------------------- */

static void policies_are_sent_again_with_the_time_that_is_left(void **state)
{
    char key[] = "gold", order[] = "order-7", codes[] = "busy timeout";
    struct fixture *f = *state;
    struct submit plain = {.id = id_of('a'),
                           .service = span_from_text("s"),
                           .key = span_from_text(key),
                           .order = span_from_text(order),
                           .retry_on = span_from_text(codes),
                           .delay_ms = 500};

    given_session(f, 10);
    submit_with(f, &plain, (struct submission_options){0});
    memset(key, 'x', 4); /* the peer has copies */
    memset(order, 'x', 7);
    memset(codes, 'x', 12);
    expect_trace(f, "-> SUBMIT a s delay=500 key=gold order=order-7 retry_on=busy timeout\n");
    advance_to(f, 200);
    peer_restart(f->peer);
    receive(f, hello_required());
    forget_trace(f);
    receive(f, welcome_of('B', false, 10));
    expect_trace(f, "-> SUBMIT a s delay=300 key=gold order=order-7 retry_on=busy timeout wait\n"
                    "!! connected\n");
    advance_to(f, 700); /* its time has come */
    peer_restart(f->peer);
    receive(f, hello_required());
    forget_trace(f);
    receive(f, welcome_of('B', false, 10));
    expect_trace(f, "-> SUBMIT a s key=gold order=order-7 retry_on=busy timeout wait\n"
                    "!! connected\n");
}

static void run_at_is_a_time_of_the_brokers_clock(void **state)
{
    struct fixture *f = *state;
    struct submit plain = {.id = id_of('a'), .service = span_from_text("s")};
    struct message welcome = welcome_of('B', false, 10);

    welcome.welcome.time_ms = 1000000;
    submit_with(f, &plain, (struct submission_options){.run_at_ms = 1000900});
    advance_to(f, 400); /* where it is 1,000,000 */
    receive(f, hello_required());
    forget_trace(f);
    receive(f, welcome);
    expect_trace(f, "-> SUBMIT a s delay=900\n!! connected\n");
    advance_to(f, 500);
    plain.id = id_of('b');
    submit_with(f, &plain, (struct submission_options){.run_at_ms = 1000900});
    plain.id = id_of('c');
    submit_with(f, &plain, (struct submission_options){.run_at_ms = 7});
    expect_trace(f, "-> SUBMIT b s delay=800\n-> SUBMIT c s\n");
}

static void the_cost_goes_with_the_answer(void **state)
{
    struct error error = {.code = span_from_text("oops")};
    struct fixture *f = *state;

    given_session(f, 10);
    given_offer(f, "s", 2);
    receive(f, task_of('a', 1, "s"));
    forget_trace(f);
    peer_lease_set_cost(f->lease, 0);
    peer_done(f->peer, f->lease, (struct payload){.blob = NULL});
    expect_trace(f, "-> DONE a/1 cost=0\n");
    receive(f, task_of('b', 1, "s"));
    peer_lease_set_cost(f->lease, UINT64_C(7));
    peer_fail(f->peer, f->lease, &error);
    receive(f, task_of('c', 1, "s")); /* in the same memory */
    peer_done(f->peer, f->lease, (struct payload){.blob = NULL});
    expect_trace(f, "!! task b/1\n-> FAIL b/1 oops cost=7\n!! task c/1\n-> DONE c/1\n");
}

/* ---- a broker that forgets --------------------------------------------------------- */

static void everything_without_a_result_is_sent_again_in_order(void **state)
{
    struct fixture *f = *state;

    given_session(f, 3);
    submit_for(f, 'a', 5000);
    for (char letter = 'b'; letter <= 'e'; letter++) {
        submit(f, letter);
    }
    receive(f, result_of('b', OUTCOME_DONE, "", 0)); /* lets d out */
    receive(f, result_of('c', OUTCOME_REFUSED, "queue_full", 700)); /* lets e out */
    forget_trace(f);
    advance_to(f, 400);
    receive(f, hello_required());
    receive(f, welcome_of('C', false, 3));
    expect_trace(f, "!! disconnected\n-> HELLO\n"
                    "-> SUBMIT a s deadline=4600 wait\n"
                    "-> SUBMIT d s wait\n"
                    "-> SUBMIT e s wait\n"
                    "!! connected\n");
    receive(f, result_of('a', OUTCOME_DONE, "", 0));
    advance_to(f, 1000); /* c's pause is over */
    expect_trace(f, "!! result a done\n-> SUBMIT c s wait\n");
}

static void a_result_is_told_once(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    submit(f, 'a');
    receive(f, result_of('a', OUTCOME_DONE, "", 0));
    receive(f, result_of('a', OUTCOME_DONE, "", 0));
    receive(f, result_of('x', OUTCOME_DONE, "", 0));
    expect_trace(f, "-> SUBMIT a s\n!! result a done\n");
}

/* The window holds one, and a child that waits stands in front of a grandchild: the
 * grandchild's parent has no child yet, so it goes all the same. */
static void every_parent_may_have_one_child(void **state)
{
    struct fixture *f = *state;
    struct submit child = {.service = span_from_text("s")};
    struct lease *parent;

    given_session(f, 1);
    given_offer(f, "s", 4);
    receive(f, task_of('t', 1, "s"));
    parent = f->lease;
    forget_trace(f);
    child.id = id_of('a');
    submit_with(f, &child, (struct submission_options){.parent = parent});
    child.id = id_of('b');
    submit_with(f, &child, (struct submission_options){.parent = parent});
    expect_trace(f, "-> SUBMIT a s parent=t/1\n");
    receive(f, task_of('a', 1, "s"));
    forget_trace(f);
    child.id = id_of('c');
    submit_with(f, &child, (struct submission_options){.parent = f->lease});
    expect_trace(f, "-> SUBMIT c s parent=a/1\n");
    receive(f, result_of('c', OUTCOME_DONE, "", 0));
    forget_trace(f);
    receive(f, result_of('a', OUTCOME_DONE, "", 0));
    expect_trace(f, "!! result a done\n-> SUBMIT b s parent=t/1\n");
}

/* The parent was taken back with the session: its next attempt submits anew. */
static void children_of_a_lost_lease_are_cancelled(void **state)
{
    struct fixture *f = *state;
    struct submit child = {.id = id_of('c'), .service = span_from_text("s")};

    given_session(f, 10);
    given_offer(f, "s", 1);
    receive(f, task_of('t', 1, "s"));
    submit_with(f, &child, (struct submission_options){.parent = f->lease});
    forget_trace(f);
    receive(f, hello_required());
    receive(f, welcome_of('C', false, 10));
    expect_trace(f, "!! disconnected\n-> HELLO\n"
                    "!! cancel t worker_lost lost\n"
                    "-> OFFER s credit=1\n"
                    "!! result c cancelled cancelled\n"
                    "!! connected\n");
    child.id = id_of('d');
    assert_null(submit_with(f, &child, (struct submission_options){.parent = f->lease}));
    expect_trace(f, "!! result d cancelled cancelled\n");
}

/* ---- cancel ---------------------------------------------------------------------- */

static void cancel_before_sending_ends_it_here(void **state)
{
    struct fixture *f = *state;

    peer_cancel(f->peer, submit(f, 'a'), span_of(NULL, 0));
    expect_trace(f, "!! result a cancelled cancelled\n");
}

static void cancel_waits_for_the_brokers_result(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    peer_cancel(f->peer, submit(f, 'a'), span_of(NULL, 0));
    peer_cancel(f->peer, f->submission, span_of(NULL, 0));
    expect_trace(f, "-> SUBMIT a s\n-> CANCEL a\n");
    receive(f, result_of('a', OUTCOME_CANCELLED, "cancelled", 0));
    expect_trace(f, "!! result a cancelled cancelled\n");
}

static void cancel_is_repeated_to_a_broker_that_knows_the_task(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    peer_cancel(f->peer, submit(f, 'a'), span_of(NULL, 0));
    peer_cancel(f->peer, submit(f, 'b'), span_of(NULL, 0));
    forget_trace(f);
    receive(f, hello_required());
    receive(f, welcome_of('B', true, 10));
    expect_trace(f, "!! disconnected\n-> HELLO\n"
                    "-> CANCEL a confirm\n-> CANCEL b confirm\n!! connected\n");
    receive(f, (struct message){.command = COMMAND_REPLY, .reply = {.request = 1, .ok = true}});
    expect_trace(f, "!! result a cancelled cancelled\n");
    receive(f, hello_required());
    receive(f, welcome_of('C', false, 10)); /* does not know it: it is over */
    expect_trace(f, "!! disconnected\n-> HELLO\n!! result b cancelled cancelled\n!! connected\n");
}

/* The broker has it, though it has yet to be submitted again: a CANCEL that is lost with the
 * connection would leave it there, and nobody that reads its stream. */
static void cancel_of_a_task_that_waits_to_be_sent_again_is_repeated(void **state)
{
    struct fixture *f = *state;
    struct submission *second;

    given_session(f, 10);
    submit(f, 'a');
    second = submit(f, 'b');
    receive(f, hello_required());
    receive(f, welcome_of('B', true, 1));
    forget_trace(f);
    peer_cancel(f->peer, second, span_of(NULL, 0));
    peer_check(f->peer);
    expect_trace(f, "-> CANCEL b confirm\n");
    receive(f, hello_required());
    receive(f, welcome_of('B', true, 1));
    expect_trace(f, "!! disconnected\n-> HELLO\n"
                    "-> CANCEL b confirm\n!! connected\n");
    receive(f, (struct message){.command = COMMAND_REPLY, .reply = {.request = 1, .ok = true}});
    expect_trace(f, "!! result b cancelled cancelled\n-> SUBMIT a s wait\n");
    peer_check(f->peer);
}

static void an_abandoned_task_is_cancelled_and_says_nothing(void **state)
{
    struct fixture *f = *state;

    given_session(f, 1);
    peer_abandon(f->peer, submit(f, 'a'));
    submit(f, 'b');
    expect_trace(f, "-> SUBMIT a s\n-> CANCEL a\n");
    receive(f, result_of('a', OUTCOME_CANCELLED, "cancelled", 0));
    expect_trace(f, "-> SUBMIT b s\n");
}

static void a_forgotten_task_is_neither_cancelled_nor_sent_again(void **state)
{
    struct fixture *f = *state;
    struct submit detached = {
        .id = id_of('a'), .service = span_from_text("s"), .detached = true};

    given_session(f, 1);
    peer_forget(f->peer, submit_with(f, &detached, (struct submission_options){0}));
    submit(f, 'b'); /* there is room for it in the window */
    expect_trace(f, "-> SUBMIT a s\n-> SUBMIT b s\n");
    detached.id = id_of('c');
    peer_forget(f->peer, submit_with(f, &detached, (struct submission_options){0}));
    receive(f, result_of('a', OUTCOME_DONE, "", 0)); /* nobody's */
    receive(f, hello_required());
    receive(f, welcome_of('B', true, 10));
    expect_trace(f, "!! disconnected\n-> HELLO\n-> SUBMIT b s wait\n!! connected\n");
    peer_check(f->peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_parent_may_have_one_child),
        TEST(tasks_beyond_the_window_wait_in_order),
        TEST(what_an_upcall_submits_waits_for_its_turn),
        TEST(bytes_fill_the_window_too),
        TEST(room_is_told_once_to_who_wants_it),
        TEST(what_may_not_wait_is_refused_at_once),
        TEST(what_waits_in_the_peer_is_bounded),
        TEST(children_have_half_of_a_workers_window),
        TEST(a_parent_may_always_have_one_child),
        TEST(a_payload_beyond_the_brokers_bound_is_refused),
        TEST(a_refusal_that_may_pass_is_tried_again_later_each_time),
        TEST(a_refusal_ends_it_when_it_may_not_wait),
        TEST(an_unknown_service_ends_it_unless_told_to_wait),
        TEST(a_paused_task_leaves_its_room_to_others),
        TEST(a_malformed_task_ends_with_the_brokers_word),
        TEST(a_task_that_was_never_sent_expires),
        TEST(a_task_expires_while_the_broker_refuses_it),
        TEST(the_broker_has_the_first_word_about_a_deadline),
        TEST(a_deadline_holds_when_the_broker_is_gone),
        TEST(queue_ttl_counts_what_was_waited_here),
        TEST(queue_ttl_begins_when_the_delay_is_over),
        TEST(queue_ttl_of_what_waits_for_others_or_for_a_date_is_the_brokers),
        TEST(queue_ttl_goes_on_while_the_broker_refuses),
        TEST(queue_ttl_begins_anew_when_the_broker_may_have_had_it),
        TEST(policies_are_sent_again_with_the_time_that_is_left),
        TEST(run_at_is_a_time_of_the_brokers_clock),
        TEST(the_cost_goes_with_the_answer),
        TEST(everything_without_a_result_is_sent_again_in_order),
        TEST(a_result_is_told_once),
        TEST(children_of_a_lost_lease_are_cancelled),
        TEST(cancel_before_sending_ends_it_here),
        TEST(cancel_waits_for_the_brokers_result),
        TEST(cancel_is_repeated_to_a_broker_that_knows_the_task),
        TEST(cancel_of_a_task_that_waits_to_be_sent_again_is_repeated),
        TEST(an_abandoned_task_is_cancelled_and_says_nothing),
        TEST(a_forgotten_task_is_neither_cancelled_nor_sent_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
