/* links: runtime */
/* What a peer watches: a window of events, kept open, and over a new session. */
#include "tests/unit/peer_trace.h"

static struct message event_of(uint64_t request, uint64_t sequence, const char *kind)
{
    return (struct message){
        .command = COMMAND_EVENT,
        .event = {.request = request, .sequence = sequence, .kind = span_from_text(kind)}};
}

static struct watching *given_watching(struct fixture *f, const char *service, uint64_t window)
{
    return peer_watching_open(f->peer, span_from_text(service), NULL, window, NULL);
}

static void half_of_the_window_is_asked_for_again(void **state)
{
    struct fixture *f = *state;
    struct watching *watching;

    given_session(f, 10);
    watching = given_watching(f, "echo", 4);
    expect_trace(f, "-> WATCH 1 credit=4 echo\n");
    for (uint64_t i = 1; i <= 3; i++) {
        receive(f, event_of(1, i, "done"));
    }
    expect_trace(f, "!! event 1 done\n!! event 2 done\n!! event 3 done\n");
    peer_watching_taken(f->peer, watching);
    expect_trace(f, "");
    peer_watching_taken(f->peer, watching); /* one of four still waits here */
    expect_trace(f, "-> WATCH 1 credit=3 echo\n");
    peer_watching_close(f->peer, watching);
    expect_trace(f, "-> WATCH 1 credit=0 echo\n");
    receive(f, event_of(1, 4, "done")); /* was on its way */
    expect_trace(f, "");
}

static void a_new_session_watches_again(void **state)
{
    struct fixture *f = *state;

    given_watching(f, "", 4); /* before there is a session */
    expect_trace(f, "");
    receive(f, welcome_of('B', false, 10));
    expect_trace(f, "-> WATCH 1 credit=4 \n!! connected\n");
    receive(f, event_of(1, 1, "offered"));
    forget_trace(f);
    receive(f, hello_required());
    receive(f, welcome_of('C', false, 10));
    expect_trace(f, "!! disconnected\n-> HELLO\n-> WATCH 1 credit=3 \n!! connected\n");
    receive(f, event_of(1, 1, "offered"));
    receive(f, event_of(1, 2, "withdrawn"));
    expect_trace(f, "!! event 1 offered restarted\n!! event 2 withdrawn\n");
}

static void a_refused_watch_is_over(void **state)
{
    struct fixture *f = *state;
    struct message reply = {.command = COMMAND_REPLY, .reply = {.request = 1, .ok = true}};

    given_session(f, 10);
    given_watching(f, "echo", 4);
    forget_trace(f);
    receive(f, reply);
    expect_trace(f, "");
    reply.reply.ok = false;
    reply.reply.error.code = span_from_text("limit_exceeded");
    receive(f, reply);
    expect_trace(f, "!! watch over limit_exceeded\n");
    receive(f, event_of(1, 1, "done"));
    receive(f, reply);
    expect_trace(f, "");
}

static void watches_are_few(void **state)
{
    struct fixture *f = *state;

    given_session(f, 10);
    for (unsigned i = 0; i < PEER_WATCHINGS_MAX; i++) {
        assert_non_null(given_watching(f, "echo", 1));
    }
    assert_null(given_watching(f, "echo", 1));
}

#define PEER(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PEER(half_of_the_window_is_asked_for_again),
        PEER(a_new_session_watches_again),
        PEER(a_refused_watch_is_over),
        PEER(watches_are_few),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
