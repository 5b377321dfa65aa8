/* links: runtime */
/* Who waits for room in the window, and who must not: what is called while tasks are sent or
 * ended would suspend the fiber that does it. */
#include "agents/runtime/future.h"
#include "agents/runtime/peer_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define FUTURES_MAX 8
#define PAYLOAD_MAX 10000 /* of the broker's */
#define TURNS 20

struct fixture {
    struct sluice *sluice;
    struct sluice_future *futures[FUTURES_MAX]; /* the first is sent, and fills the window */
    size_t count;
    struct sluice_future *blocking; /* waits for room, in the way of all others */
    unsigned called;                /* times that a callback has submitted */
    bool over;                      /* the fiber is */
};

static struct sluice_future *submit(struct fixture *f, const struct sluice_submit_options *options)
{
    struct sluice_future *future = sluice_submit_json(f->sluice, "s", NULL, options);

    assert_in_range(f->count, 0, FUTURES_MAX - 1);
    assert_non_null(future);
    return f->futures[f->count++] = future;
}

static void submit_one_more(struct fixture *f)
{
    submit(f, NULL);
    f->called++;
}

static void on_ended(struct sluice_future *future, void *arg)
{
    (void)future;
    submit_one_more(arg);
}

static void on_release(void *owner)
{
    submit_one_more(owner);
}

static void connect_peer(struct fixture *f)
{
    struct message welcome = {
        .command = COMMAND_WELCOME,
        .welcome = {.version = 1, .window_tasks = 1, .payload_bytes = PAYLOAD_MAX}};

    peer_receive(f->sluice->peer, &welcome);
}

static void run_all(struct fixture *f, sluice_fiber_fn *fn)
{
    assert_int_equal(sluice_spawn(f->sluice, fn, f), 0);
    strands_run(f->sluice, TURNS);
}

static void receive_result(struct fixture *f, size_t i)
{
    struct message result = {.command = COMMAND_RESULT,
                             .result = {.record = {.id = f->futures[i]->id}}};

    peer_receive(f->sluice->peer, &result);
    assert_int_equal(sluice_future_outcome(f->futures[i]), SLUICE_DONE);
}

/* The first has its room; another gets it, if anything is sent at all. */
static void expect_sending(struct fixture *f)
{
    assert_true(f->over);
    assert_false(peer_pumping(f->sluice->peer));
    receive_result(f, 0);
    assert_int_equal(f->sluice->peer->window_used, 1);
    peer_check(f->sluice->peer);
}

static void submit_when_full(struct sluice *sluice, void *arg)
{
    struct fixture *f = arg;

    (void)sluice;
    submit(f, NULL);
    f->over = true;
}

static void a_fiber_waits_for_room(void **state)
{
    struct fixture *f = *state;

    connect_peer(f);
    run_all(f, submit_when_full);
    receive_result(f, 0);
    strands_run(f->sluice, TURNS);
    assert_false(f->over);
    receive_result(f, 1);
    strands_run(f->sluice, TURNS);
    assert_true(f->over);
}

/* What is too large for the broker ends when its turn has come: in there. */
static void submit_and_send(struct sluice *sluice, void *arg)
{
    struct sluice_submit_options held = {.held = true};
    struct fixture *f = arg;

    (void)sluice;
    sluice_cancel(f->blocking, "");
    submit(f, &held);
    f->over = true;
}

static void what_ends_while_tasks_are_sent_does_not_wait_for_room(void **state)
{
    struct fixture *f = *state;
    static uint8_t bytes[PAYLOAD_MAX + 1];
    struct sluice_submit_options large = {.held = true, .on_ended = on_ended, .arg = f};

    f->futures[f->count++] =
        sluice_submit(f->sluice, "s", (struct sluice_bytes){bytes, sizeof bytes}, &large);
    submit(f, NULL);
    connect_peer(f);
    assert_int_equal(f->called, 0);
    run_all(f, submit_and_send);
    assert_int_equal(f->called, 1);
    expect_sending(f);
}

static void what_is_released_while_tasks_are_sent_does_not_wait_for_room(void **state)
{
    struct fixture *f = *state;
    static uint8_t bytes[PAYLOAD_MAX + 1];
    struct sluice_submit_options large = {.held = true};

    f->futures[f->count++] =
        sluice_submit_owned(f->sluice, "s", (struct sluice_bytes){bytes, sizeof bytes}, on_release,
                            f, &large);
    submit(f, NULL);
    connect_peer(f);
    assert_int_equal(f->called, 0);
    run_all(f, submit_and_send);
    assert_int_equal(f->called, 1);
    expect_sending(f);
}

static void cancel(struct sluice *sluice, void *arg)
{
    struct fixture *f = arg;

    (void)sluice;
    sluice_cancel(f->futures[f->count - 1], "");
    f->over = true;
}

static void what_a_fiber_cancels_does_not_wait_for_room(void **state)
{
    struct fixture *f = *state;
    struct sluice_submit_options told = {.on_ended = on_ended, .arg = f};

    submit(f, &told);
    connect_peer(f);
    run_all(f, cancel);
    assert_int_equal(f->called, 1);
    expect_sending(f);
}

static int setup(void **state)
{
    struct sluice_options options = {
        .broker = "ipc:///nonexistent/sluice.sock", .name = "p", .quiet = true};
    struct fixture *f = calloc(1, sizeof *f);

    f->sluice = sluice_new(&options);
    submit(f, NULL);
    f->blocking = submit(f, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    sluice_free(f->sluice);
    for (size_t i = 0; i < f->count; i++) {
        sluice_future_free(f->futures[i]);
    }
    free(f);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_fiber_waits_for_room),
        TEST(what_ends_while_tasks_are_sent_does_not_wait_for_room),
        TEST(what_is_released_while_tasks_are_sent_does_not_wait_for_room),
        TEST(what_a_fiber_cancels_does_not_wait_for_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
