/* links: runtime starved */
/* The promise: what libsluice has no memory for it refuses, or says so. The nth allocation fails,
 * for every n of what comes; nobody is handed less than that without a word. */
#include "agents/runtime/runtime.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES 5000 /* more than there is a stock for */
#define TRIES 20   /* more allocations than any of it has */
#define MEMBERS 20 /* of a join: more than there is a stock for */

static unsigned until_failure; /* allocations; 0: none fails */

/* What the linker puts in place of the runtime's, and those themselves. */
void *__wrap_malloc(size_t bytes);
void *__real_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__real_calloc(size_t count, size_t bytes);

static bool fails_now(void)
{
    return until_failure > 0 && --until_failure == 0;
}

void *__wrap_malloc(size_t bytes)
{
    return fails_now() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails_now() ? NULL : __real_calloc(count, bytes);
}

static const struct id task_id = {{1}};
static uint8_t bytes[BYTES];

struct fixture {
    struct sluice *sluice;
    int said;                  /* by what was asked last */
    struct sluice_bytes given; /* to a handler or reader */
    unsigned whole, refused;   /* times */
    unsigned cancelled;        /* tasks */
};

static struct payload payload(void)
{
    return (struct payload){.bytes = span_of(bytes, sizeof bytes)};
}

static void receive(struct fixture *f, struct message message)
{
    peer_receive(f->sluice->peer, &message);
}

/* The nth allocation of it fails. False: it has none. */
static bool receive_starved(struct fixture *f, struct message message, unsigned nth)
{
    bool failed;

    until_failure = nth;
    receive(f, message);
    failed = until_failure == 0;
    until_failure = 0;
    return failed;
}

static struct message task_of(const char *service, unsigned attempt)
{
    return (struct message){.command = COMMAND_TASK,
                            .task = {.id = task_id, .attempt = attempt,
                                     .service = span_from_text(service),
                                     .checkpoint = payload()}};
}

static void run_all(struct fixture *f)
{
    tasks_start(f->sluice, TRIES);
    while (strands_run(f->sluice, TRIES)) {
    }
}

/* All of it, or it was refused with that. */
static void count(struct fixture *f, int refusal)
{
    if (f->said == refusal) {
        f->refused++;
        return;
    }
    assert_in_range(f->said, 0, 1);
    assert_int_equal(f->given.size, sizeof bytes);
    f->whole++;
}

static void take_chunk(struct sluice *sluice, void *arg)
{
    struct fixture *f = sluice->main_arg;
    struct sluice_chunk chunk;

    f->said = sluice_next_chunk(arg, &chunk);
    f->given = chunk.bytes;
}

static void a_chunk_without_memory_ends_its_stream(void **state)
{
    struct fixture *f = *state;
    struct message chunk = {.command = COMMAND_CHUNK_OUT,
                            .chunk = {.id = task_id, .attempt = 1, .payload = payload()}};
    struct message end = {.command = COMMAND_RESULT, .result = {.record = {.id = task_id}}};
    bool failed = true;

    for (unsigned nth = 1; failed; nth++) {
        struct sluice_stream *stream =
            sluice_read(f->sluice, (const struct sluice_id *)&task_id, 4);

        assert_in_range(nth, 1, TRIES);
        failed = receive_starved(f, chunk, nth);
        receive(f, end);
        assert_int_equal(sluice_spawn(f->sluice, take_chunk, stream), 0);
        run_all(f);
        count(f, -ENOMEM);
        sluice_stream_free(stream);
    }
    assert_int_equal(f->refused, 2);
    assert_int_equal(f->whole, 1);
}

static void serve_checkpoint(struct sluice_task *task, void *arg)
{
    struct fixture *f = arg;

    f->given = sluice_task_checkpoint(task);
    f->said = 0;
    sluice_done_json(task, NULL);
}

static void try_checkpoints(struct fixture *f, const struct sluice_service *service)
{
    bool failed = true;

    assert_int_equal(sluice_serve(f->sluice, service), 0);
    receive(f, task_of(service->name, 1)); /* a lease is kept for those that follow */
    run_all(f);
    for (unsigned nth = 1; failed; nth++) {
        assert_in_range(nth, 1, TRIES);
        f->said = -ENOMEM;
        failed = receive_starved(f, task_of(service->name, nth), nth);
        run_all(f);
        count(f, -ENOMEM);
        assert_int_equal(peer_lease_count(f->sluice->peer), 0); /* it was answered */
    }
}

static void without_memory_for_its_checkpoint_an_attempt_does_not_begin(void **state)
{
    struct fixture *f = *state;
    struct sluice_service service = {.name = "s", .handler = serve_checkpoint, .arg = f};

    try_checkpoints(f, &service);
    assert_int_equal(f->refused, 3); /* the task, its payload, its checkpoint */
    assert_int_equal(f->whole, 1);
}

static void a_sync_handler_needs_no_memory_for_its_checkpoint(void **state)
{
    struct fixture *f = *state;
    struct sluice_service service = {
        .name = "s", .handler = serve_checkpoint, .arg = f, .sync = true};

    try_checkpoints(f, &service);
    assert_int_equal(f->refused, 0);
    assert_in_range(f->whole, 1, TRIES);
}

static void serve_signal(struct sluice_task *task, void *arg)
{
    struct fixture *f = arg;

    f->said = sluice_signal_wait(task, 0, &f->given);
    sluice_done_json(task, NULL);
}

static void after_a_signal_without_memory_none_is_heard(void **state)
{
    struct fixture *f = *state;
    struct sluice_service service = {.name = "s", .handler = serve_signal, .arg = f};
    bool failed = true;

    assert_int_equal(sluice_serve(f->sluice, &service), 0);
    for (unsigned nth = 1; failed; nth++) {
        struct message signal = {
            .command = COMMAND_SIGNAL_OUT,
            .signal_out = {.id = task_id, .attempt = nth, .payload = payload()}};

        assert_in_range(nth, 1, TRIES);
        f->said = -EAGAIN;
        receive(f, task_of("s", nth));
        run_all(f); /* it waits */
        failed = receive_starved(f, signal, nth);
        receive(f, signal);
        run_all(f);
        count(f, -ENOMEM);
        assert_int_equal(peer_lease_count(f->sluice->peer), 0);
    }
    assert_int_equal(f->refused, 2);
    assert_int_equal(f->whole, 1);
}

static void serve_anew(struct sluice_task *task, void *arg)
{
    struct fixture *f = arg;

    f->whole++;
    sluice_done_json(task, NULL);
}

/* Of a service that was withdrawn: what is still on its way goes to the handler from before. */
static void an_offer_without_memory_leaves_the_one_before(void **state)
{
    struct fixture *f = *state;
    struct sluice_service before = {.name = "s", .handler = serve_checkpoint, .arg = f};
    struct sluice_service after = {.name = "s", .handler = serve_anew, .arg = f};

    assert_int_equal(sluice_serve(f->sluice, &before), 0);
    assert_int_equal(sluice_withdraw(f->sluice, "s"), 0);
    until_failure = 1;
    assert_int_equal(sluice_serve(f->sluice, &after), -ENOSPC);
    assert_int_equal(until_failure, 0);
    assert_int_equal(sluice_withdraw(f->sluice, "s"), -ENOENT);
    f->said = -EAGAIN;
    receive(f, task_of("s", 1));
    run_all(f);
    assert_int_equal(f->said, 0);
    assert_int_equal(sluice_serve(f->sluice, &after), 0);
    receive(f, task_of("s", 2));
    run_all(f);
    assert_int_equal(f->whole, 1);
}

static void expect_cancelled(struct fixture *f, struct sluice_future **members)
{
    struct message reply = {.command = COMMAND_REPLY, .reply = {.ok = true}};

    peer_advance(f->sluice->peer, peer_now_ms(f->sluice->peer));
    for (size_t i = 0; i < MEMBERS; i++) {
        reply.reply.request = ++f->cancelled; /* of the CANCEL, if one was sent */
        receive(f, reply);
    }
    for (size_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(sluice_future_outcome(members[i]), SLUICE_CANCELLED);
    }
}

static void a_join_without_memory_leaves_no_member_waiting(void **state)
{
    struct fixture *f = *state;
    struct sluice_submit_options held = {.held = true};
    struct sluice_future *members[TRIES][MEMBERS], *join = NULL;
    unsigned tries = 0;

    while (join == NULL) {
        assert_in_range(tries, 0, TRIES - 1);
        for (size_t i = 0; i < MEMBERS; i++) {
            members[tries][i] = sluice_submit_json(f->sluice, "s", NULL, &held);
        }
        until_failure = tries + 1;
        join = sluice_join(f->sluice, members[tries], MEMBERS, SLUICE_JOIN_ALL, NULL);
        until_failure = 0;
        if (join == NULL) {
            expect_cancelled(f, members[tries]);
        }
        tries++;
    }
    assert_int_equal(tries, 4); /* without its ids, its future, what is sent; with all */
    assert_int_equal(sluice_future_outcome(members[tries - 1][0]), SLUICE_PENDING);
    sluice_future_free(join);
    while (tries-- > 0) {
        for (size_t i = 0; i < MEMBERS; i++) {
            sluice_future_free(members[tries][i]);
        }
    }
}

/* The same members again, at once: what one join left, another has. */
static void members_that_have_a_join_are_not_left(void **state)
{
    struct fixture *f = *state;
    struct sluice_submit_options held = {.held = true};
    struct sluice_future *member = sluice_submit_json(f->sluice, "s", NULL, &held), *join;

    until_failure = 1;
    assert_null(sluice_join(f->sluice, &member, 1, SLUICE_JOIN_ALL, NULL));
    join = sluice_join(f->sluice, &member, 1, SLUICE_JOIN_ALL, NULL);
    assert_non_null(join);
    peer_advance(f->sluice->peer, peer_now_ms(f->sluice->peer));
    receive(f, (struct message){.command = COMMAND_REPLY, .reply = {.request = 1, .ok = true}});
    assert_int_equal(sluice_future_outcome(member), SLUICE_PENDING);
    assert_true(peer_deadline(f->sluice->peer) > peer_now_ms(f->sluice->peer));
    sluice_future_free(join);
    sluice_future_free(member);
}

static int setup(void **state)
{
    struct sluice_options options = {
        .broker = "ipc:///nonexistent/sluice.sock", .name = "p", .quiet = true};
    struct fixture *f = calloc(1, sizeof *f);

    f->sluice = sluice_new(&options);
    f->sluice->main_arg = f;
    receive(f, (struct message){.command = COMMAND_WELCOME, .welcome = {.version = 1}});
    *state = f;
    return peer_connected(f->sluice->peer) ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    sluice_free(f->sluice);
    free(f);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_chunk_without_memory_ends_its_stream),
        TEST(without_memory_for_its_checkpoint_an_attempt_does_not_begin),
        TEST(a_sync_handler_needs_no_memory_for_its_checkpoint),
        TEST(after_a_signal_without_memory_none_is_heard),
        TEST(an_offer_without_memory_leaves_the_one_before),
        TEST(a_join_without_memory_leaves_no_member_waiting),
        TEST(members_that_have_a_join_are_not_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
