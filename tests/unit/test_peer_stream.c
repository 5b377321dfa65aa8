/* links: runtime */
/* The peer machine's streams: a reader says what it has, a worker goes on when it may. */
#include "tests/unit/peer_trace.h"

static struct message chunk_of(char letter, uint64_t attempt, uint64_t sequence)
{
    return (struct message){
        .command = COMMAND_CHUNK_OUT,
        .chunk = {.id = id_of(letter), .attempt = attempt, .sequence = sequence}};
}

/* A task of ours whose stream we read with `credit`. */
static void given_own_stream(struct fixture *f, char letter, uint64_t credit)
{
    struct submit submit = {
        .id = id_of(letter), .service = span_from_text("s"), .stream = credit};

    submit_with(f, &submit, (struct submission_options){0});
    assert_non_null(peer_read(f->peer, &submit.id, credit, true, NULL));
    forget_trace(f);
}

static void take(struct fixture *f, uint64_t sequence)
{
    peer_reading_taken(f->peer, f->reading, 1, sequence);
}

static void half_of_the_credit_is_said_at_once(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    given_own_stream(f, 'a', 4);
    receive(f, chunk_of('a', 1, 0));
    receive(f, chunk_of('a', 1, 1));
    receive(f, chunk_of('a', 1, 2));
    forget_trace(f);
    take(f, 0);
    expect_trace(f, "");
    take(f, 1);
    expect_trace(f, "-> READ a/1 from=2 credit=4\n");
}

/* A ring that holds less than half of the credit: the worker waits until we say what we have. */
static void a_reader_that_has_taken_all_says_so_by_the_end_of_the_turn(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    given_own_stream(f, 'a', 100);
    receive(f, chunk_of('a', 1, 0));
    receive(f, chunk_of('a', 1, 1));
    forget_trace(f);
    take(f, 0);
    peer_flush(f->peer); /* one is left */
    expect_trace(f, "");
    take(f, 1);
    expect_trace(f, "");
    peer_flush(f->peer);
    expect_trace(f, "-> READ a/1 from=2 credit=100\n");
    peer_flush(f->peer); /* it is said */
    expect_trace(f, "");
}

/* The rest comes without credit when the task has ended. To say READ then would have the broker
 * send what it has kept again, once for each READ. */
static void what_comes_beyond_the_credit_is_the_end_and_needs_no_answer(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    given_own_stream(f, 'a', 2);
    for (uint64_t i = 0; i < 6; i++) {
        receive(f, chunk_of('a', 1, i));
    }
    forget_trace(f);
    for (uint64_t i = 0; i < 6; i++) {
        take(f, i);
        peer_flush(f->peer);
    }
    expect_trace(f, "");
    receive(f, chunk_of('a', 2, 0)); /* another attempt: it goes on */
    forget_trace(f);
    peer_reading_taken(f->peer, f->reading, 2, 0);
    expect_trace(f, "-> READ a/2 from=1 credit=2\n");
}

static void one_that_slows_nobody_says_half_of_its_credit_only(void **state)
{
    struct fixture *f = *state;
    struct id id = id_of('x');

    given_session(f, 10);
    assert_non_null(peer_read(f->peer, &id, 100, false, NULL));
    receive(f, chunk_of('x', 1, 0));
    forget_trace(f);
    take(f, 0);
    peer_flush(f->peer);
    expect_trace(f, "");
}

/* The broker has forgotten how it ended, and takes it for a new one: its first chunk is ours,
 * though its attempt has the number of the one before. */
static void a_task_that_begins_anew_is_read_from_its_beginning(void **state)
{
    struct fixture *f = *state;
    struct message forgotten = {
        .command = COMMAND_ERROR,
        .error = {.error = {.code = span_from_text("not_found")},
                  .command = COMMAND_READ,
                  .id = id_of('a')}};

    given_session(f, 10);
    given_own_stream(f, 'a', 2);
    receive(f, chunk_of('a', 1, 0));
    receive(f, chunk_of('a', 1, 1));
    receive(f, chunk_of('a', 1, 2));
    take(f, 0);
    receive(f, hello_required());
    receive(f, welcome_of('B', true, 10));
    expect_trace(f, "!! chunk a/1 0 lost=0\n"
                    "!! chunk a/1 1 lost=0\n"
                    "!! chunk a/1 2 lost=0\n"
                    "!! disconnected\n"
                    "-> HELLO\n"
                    "-> READ a/1 from=3 credit=1\n"
                    "-> SUBMIT a s stream=2 wait\n"
                    "!! connected\n");
    receive(f, forgotten);
    receive(f, chunk_of('a', 1, 0));
    expect_trace(f, "!! chunk a/1 0 lost=0\n");
    take(f, 2); /* late, of what came before: no more is said than what has come */
    expect_trace(f, "-> READ a/1 from=1 credit=2\n");
}

/* Its worker might wait for us for ever. */
/* A durable task of another broker than before runs anew, with an attempt of the same number. */
static void what_another_broker_has_taken_up_is_read_from_its_beginning(void **state)
{
    struct fixture *f = *state;
    struct id id = id_of('x');

    given_session(f, 10);
    given_own_stream(f, 'a', 2);
    assert_non_null(peer_read(f->peer, &id, 100, false, NULL));
    receive(f, chunk_of('a', 1, 0));
    receive(f, chunk_of('x', 1, 0));
    receive(f, hello_required());
    forget_trace(f);
    receive(f, welcome_of('C', true, 10));
    expect_trace(f, "-> READ x/0 from=0 credit=99\n"
                    "-> SUBMIT a s stream=2 wait\n"
                    "!! connected\n");
    receive(f, chunk_of('a', 1, 0));
    receive(f, chunk_of('x', 1, 0));
    expect_trace(f, "!! chunk a/1 0 lost=0\n"
                    "!! chunk x/1 0 lost=0\n");
}

/* Its attempts begin again, and the refusal or the RESULT that would have told was lost. */
static void a_lower_attempt_is_of_the_tasks_next_life(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    given_own_stream(f, 'a', 2);
    receive(f, chunk_of('a', 2, 0));
    receive(f, chunk_of('a', 2, 1));
    forget_trace(f);
    receive(f, chunk_of('a', 1, 0));
    expect_trace(f, "!! chunk a/1 0 lost=0\n");
    take(f, 0);
    expect_trace(f, "-> READ a/1 from=1 credit=2\n");
}

static void a_chunk_that_nobody_reads_is_declined(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    receive(f, chunk_of('x', 2, 7));
    expect_trace(f, "-> READ x/2 from=7 credit=0\n");
}

/* The RESULT was under way while it was submitted again; if the broker has forgotten the task
 * meanwhile it began it anew, and nobody reads that. */
static void a_task_that_ends_after_it_was_submitted_again_is_read_no_more(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    given_own_stream(f, 'a', 2);
    receive(f, hello_required());
    receive(f, welcome_of('B', true, 10));
    forget_trace(f);
    receive(f, result_of('a', OUTCOME_DONE, "", 0));
    expect_trace(f, "-> READ a/0 from=0 credit=0\n"
                    "!! result a done\n");
}

/* It has sent all that we asked for, perhaps, and would wait for ever. */
static void the_worker_of_a_detached_task_is_told_that_nobody_reads_it_any_more(void **state)
{
    struct fixture *f = *state;
    struct submit detached = {
        .id = id_of('a'), .service = span_from_text("s"), .stream = 2, .detached = true};

    given_session(f, 10);
    submit_with(f, &detached, (struct submission_options){0});
    peer_read(f->peer, &detached.id, 2, true, NULL);
    receive(f, chunk_of('a', 1, 0));
    receive(f, chunk_of('a', 1, 1));
    forget_trace(f);
    peer_abandon(f->peer, f->submission);
    peer_unread(f->peer, f->reading);
    expect_trace(f, "-> READ a/1 from=2 credit=0\n");
    receive(f, hello_required());
    receive(f, welcome_of('B', true, 10));
    expect_trace(f, "!! disconnected\n-> HELLO\n-> SUBMIT a s wait\n!! connected\n");
}

static struct message numbered(bool resumed, uint64_t received)
{
    struct message message = welcome_of('B', true, 10);

    message.welcome.resume = true;
    message.welcome.resumed = resumed;
    message.welcome.received = received;
    return message;
}

/* Nothing is read anew when a numbered session goes on: what is said meanwhile has to be kept. */
static void what_is_taken_between_two_connections_is_said(void **state)
{
    struct fixture *f = *state;

    receive(f, numbered(false, 100));
    given_own_stream(f, 'a', 2);
    receive(f, chunk_of('a', 1, 0));
    receive(f, hello_required());
    forget_trace(f);
    take(f, 0);
    expect_trace(f, "-> READ a/1 from=1 credit=2\n");
}

static void a_worker_goes_on_with_its_session(void **state)
{
    struct fixture *f = *state;
    struct payload nothing = {.blob = NULL};

    receive(f, numbered(false, 100));
    given_offer(f, "s", 1);
    receive(f, task_of('t', 1, "s"));
    receive(f, hello_required());
    forget_trace(f);
    assert_false(peer_chunk_room(f->peer, f->lease));
    peer_checkpoint(f->peer, f->lease, nothing); /* kept below, as an answer would be */
    receive(f, numbered(true, 101));
    expect_trace(f, "-> CHECKPOINT\n"
                    "!! flow t\n"
                    "!! connected\n");
    assert_true(peer_chunk_room(f->peer, f->lease));
    peer_chunk(f->peer, f->lease, nothing);
    expect_trace(f, "-> CHUNK t/1 0\n");
    peer_done(f->peer, f->lease, nothing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(half_of_the_credit_is_said_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_reader_that_has_taken_all_says_so_by_the_end_of_the_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(
            what_comes_beyond_the_credit_is_the_end_and_needs_no_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_slows_nobody_says_half_of_its_credit_only, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_task_that_begins_anew_is_read_from_its_beginning, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            what_another_broker_has_taken_up_is_read_from_its_beginning, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lower_attempt_is_of_the_tasks_next_life, setup, teardown),
        cmocka_unit_test_setup_teardown(a_chunk_that_nobody_reads_is_declined, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_task_that_ends_after_it_was_submitted_again_is_read_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(
            the_worker_of_a_detached_task_is_told_that_nobody_reads_it_any_more, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_taken_between_two_connections_is_said, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_worker_goes_on_with_its_session, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
