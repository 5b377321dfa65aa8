/* links: runtime */
/* Who goes when something that stood in the way is cancelled. */
#include "tests/unit/peer_trace.h"

#include "agents/runtime/peer_state.h"

static struct submission *submission_of(struct fixture *f, char letter)
{
    struct id id = id_of(letter);

    return submission_find(f->peer, &id);
}

/* B is too large for what A leaves, C would fit. */
static void what_is_cancelled_stands_in_nobodys_way(void **state)
{
    static uint8_t bytes[600];
    struct fixture *f = *state;
    struct submit large = {.id = id_of('a'),
                           .service = span_from_text("s"),
                           .payload = {.bytes = span_of(bytes, sizeof bytes)}};

    given_session(f, 10);
    submit_with(f, &large, (struct submission_options){0});
    large.id = id_of('b');
    submit_with(f, &large, (struct submission_options){0});
    submit(f, 'c');
    forget_trace(f);
    peer_cancel(f->peer, submission_of(f, 'b'), span_of(NULL, 0));
    expect_trace(f, "!! result b cancelled cancelled\n"); /* and no other upcall */
    assert_true(peer_deadline(f->peer) <= f->now_ms);
    advance_to(f, f->now_ms);
    expect_trace(f, "-> SUBMIT c s\n");
    assert_true(peer_deadline(f->peer) > f->now_ms);
    submit_with(f, &large, (struct submission_options){0});
    submit(f, 'd');
    peer_abandon(f->peer, submission_of(f, 'b'));
    advance_to(f, f->now_ms);
    expect_trace(f, "-> SUBMIT d s\n");
}

static void what_is_cancelled_before_it_is_sent_again_stands_in_nobodys_way(void **state)
{
    static uint8_t bytes[600];
    struct fixture *f = *state;
    struct submit large = {.id = id_of('b'),
                           .service = span_from_text("s"),
                           .payload = {.bytes = span_of(bytes, sizeof bytes)}};

    given_session(f, 10);
    submit(f, 'a');
    submit_with(f, &large, (struct submission_options){0});
    submit_held(f, 'c');
    receive(f, hello_required());
    receive(f, welcome_of('B', true, 1)); /* there is room for A alone, and for what is held */
    forget_trace(f);
    peer_cancel(f->peer, submission_of(f, 'b'), span_of(NULL, 0));
    expect_trace(f, "-> CANCEL b confirm\n");
    advance_to(f, f->now_ms);
    expect_trace(f, "-> SUBMIT c s held wait\n");
}

static void room_that_a_cancel_makes_is_told(void **state)
{
    struct fixture *f = *state;

    given_session(f, 2);
    submit(f, 'a');
    receive(f, result_of('a', OUTCOME_REFUSED, "queue_full", 100));
    submit(f, 'b');
    peer_want_room(f->peer);
    forget_trace(f);
    peer_cancel(f->peer, submission_of(f, 'a'), span_of(NULL, 0));
    expect_trace(f, "!! result a cancelled cancelled\n");
    advance_to(f, f->now_ms);
    expect_trace(f, "!! room\n");
    assert_true(peer_deadline(f->peer) > f->now_ms);
}

static void a_forgotten_task_leaves_its_room_to_others(void **state)
{
    struct fixture *f = *state;
    struct submit detached = {
        .id = id_of('a'), .service = span_from_text("s"), .detached = true};

    given_session(f, 1);
    submit_with(f, &detached, (struct submission_options){0});
    submit(f, 'b');
    peer_forget(f->peer, submission_of(f, 'a'));
    advance_to(f, f->now_ms);
    expect_trace(f, "-> SUBMIT a s\n-> SUBMIT b s\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_cancelled_stands_in_nobodys_way),
        TEST(what_is_cancelled_before_it_is_sent_again_stands_in_nobodys_way),
        TEST(room_that_a_cancel_makes_is_told),
        TEST(a_forgotten_task_leaves_its_room_to_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
