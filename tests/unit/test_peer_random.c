/* links: runtime */
/* The peer machine under a broker that says anything, an application that does anything, and
 * a clock that jumps: its invariants hold, and every submission ends at most once,
 * and exactly once when it has a deadline. A failure prints its seed. */
#include "agents/runtime/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TASKS_MAX 400
#define LEASES_MAX 64
#define STEPS 4000
#define SEEDS 60
#define DEADLINE_MS_MAX 20000

struct task {
    struct submission *submission; /* NULL: ended, or abandoned */
    bool abandoned;
    unsigned results;
};

struct world {
    struct peer *peer;
    uint64_t random;
    uint64_t now_ms;
    struct task tasks[TASKS_MAX];
    size_t task_count;
    struct lease *leases[LEASES_MAX];
    size_t lease_count;
    size_t pings;
};

static uint64_t pick(struct world *world, uint64_t below)
{
    world->random = world->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (world->random >> 33) % below;
}

static struct id task_id(size_t number)
{
    struct id id = {{0xa0, (uint8_t)(number >> 8), (uint8_t)number}};

    return id;
}

/* ---- upcalls ---- */

static void on_send(void *context, const struct message *message)
{
    struct world *world = context;

    world->pings += message->command == COMMAND_PING;
    if (message->command == COMMAND_SUBMIT) {
        /* Nothing is sent for a task that has ended. */
        size_t number = (size_t)message->submit.id.bytes[1] << 8 | message->submit.id.bytes[2];

        assert_int_equal(world->tasks[number].results, 0);
        assert_false(world->tasks[number].abandoned);
    }
}

static void on_result(void *context, struct submission *submission, const struct result *result)
{
    struct task *task = peer_submission_user(submission);

    (void)context;
    (void)result;
    assert_false(task->abandoned);
    task->results++;
    task->submission = NULL;
    assert_int_equal(task->results, 1);
}

static void on_task(void *context, struct lease *lease, const struct task_message *message)
{
    struct world *world = context;
    struct error error = {.code = span_from_text("full")};

    (void)message;
    if (world->lease_count == LEASES_MAX || pick(world, 4) == 0) {
        peer_fail(world->peer, lease, &error); /* at once, as a sync handler does */
        return;
    }
    world->leases[world->lease_count++] = lease;
}

static void on_cancel(void *context, struct lease *lease, struct span reason)
{
    (void)context;
    (void)lease;
    (void)reason;
}

static void on_reply(void *context, struct request *request, const struct reply *reply)
{
    (void)context;
    (void)request;
    (void)reply;
}

static void on_connected(void *context, const struct welcome *welcome)
{
    (void)context;
    (void)welcome;
}

static void on_disconnected(void *context, bool silent)
{
    (void)context;
    (void)silent;
}

static void on_started(void *context, struct submission *submission, const struct started *started)
{
    (void)context;
    (void)started;
    assert_non_null(((struct task *)peer_submission_user(submission))->submission);
}

static void on_progress(void *context, struct submission *submission, struct span payload)
{
    (void)context;
    (void)payload;
    assert_non_null(((struct task *)peer_submission_user(submission))->submission);
}

static void on_room(void *context)
{
    struct world *world = context;

    assert_true(peer_room(world->peer, true) > 0);
}

/* ---- what the application does ---- */

static void submit_one(struct world *world, uint64_t deadline_ms)
{
    size_t number = world->task_count;
    struct task *task = &world->tasks[number];
    struct id needs[3];
    struct submit submit = {.id = task_id(number),
                            .service = span_from_text(pick(world, 2) ? "mine" : "other"),
                            .deadline_ms = deadline_ms,
                            .queue_ttl_ms = pick(world, 5) == 0 ? 1 + pick(world, 3000) : 0,
                            .held = pick(world, 4) == 0,
                            .if_absent = pick(world, 2) ? IF_ABSENT_WAIT : IF_ABSENT_REFUSE};
    struct submission_options options = {.user = task, .no_wait = pick(world, 6) == 0};

    if (number == TASKS_MAX) {
        return;
    }
    world->task_count++;
    if (world->lease_count > 0 && pick(world, 3) == 0) {
        options.parent = world->leases[pick(world, world->lease_count)];
    }
    if (number > 3 && pick(world, 6) == 0) {
        for (size_t i = 0; i < 3; i++) {
            needs[i] = task_id(pick(world, number));
        }
        submit.join = JOIN_SETTLED;
        submit.service = span_of(NULL, 0);
        submit.needs = needs[0].bytes;
        submit.needs_count = 3;
        submit.needs_stride = sizeof needs[0];
        submit.held = false;
    }
    task->submission = peer_submit(world->peer, &submit, &options);
    assert_true((task->submission == NULL) == (task->results == 1));
}

static void act(struct world *world)
{
    struct error error = {.code = span_from_text("oops")};
    struct task *task =
        world->task_count > 0 ? &world->tasks[pick(world, world->task_count)] : NULL;

    switch (pick(world, 7)) {
    case 0:
    case 1:
        submit_one(world, 1 + pick(world, DEADLINE_MS_MAX));
        break;
    case 2:
        if (task != NULL && task->submission != NULL) {
            peer_cancel(world->peer, task->submission, span_of(NULL, 0));
        }
        break;
    case 3:
        if (task != NULL && task->submission != NULL) {
            struct submission *submission = task->submission;

            task->abandoned = true;
            task->submission = NULL;
            peer_abandon(world->peer, submission);
        }
        break;
    case 4:
        if (world->lease_count > 0) {
            struct lease *lease = world->leases[--world->lease_count];

            if (pick(world, 2)) {
                peer_done(world->peer, lease, (struct payload){.blob = NULL});
            } else {
                peer_fail(world->peer, lease, &error);
            }
        }
        break;
    case 5:
        peer_query(world->peer, QUERY_STATS, span_of(NULL, 0), 1 + pick(world, 2000), NULL);
        break;
    default:
        peer_want_room(world->peer);
        peer_flush(world->peer);
        break;
    }
}

/* ---- what the broker says ---- */

static struct error any_error(struct world *world)
{
    struct error error = {.retry_after_ms = pick(world, 3) ? pick(world, 500) : 0};

    error.code = span_from_text(error_code_name(1 + (unsigned)pick(world, ERROR_CODE_COUNT - 1)));
    return error;
}

static struct message anything(struct world *world)
{
    static const enum command commands[] = {
        COMMAND_WELCOME, COMMAND_RESULT, COMMAND_RESULT, COMMAND_RESULT, COMMAND_TASK, COMMAND_TASK,
        COMMAND_STARTED, COMMAND_PROGRESS_OUT, COMMAND_CANCEL_OUT, COMMAND_REPLY, COMMAND_PONG,
        COMMAND_ERROR, COMMAND_BYE, COMMAND_ACCEPTED};
    struct id id = task_id(world->task_count > 0 ? pick(world, world->task_count) : 0);
    struct message message = {
        .command = commands[pick(world, sizeof commands / sizeof commands[0])]};

    switch (message.command) {
    case COMMAND_WELCOME:
        message.welcome = (struct welcome){.version = 1,
                                           .known = pick(world, 2),
                                           .broker = task_id(pick(world, 3)),
                                           .ping_ms = pick(world, 2000),
                                           .silence_ms = pick(world, 8000),
                                           .window_tasks = pick(world, 20),
                                           .window_bytes = pick(world, 1000),
                                           .payload_bytes = pick(world, 100000)};
        break;
    case COMMAND_RESULT:
        message.result.record.id = id;
        message.result.record.outcome = (enum outcome)pick(world, OUTCOME_COUNT);
        message.result.record.error = any_error(world);
        break;
    case COMMAND_TASK:
        message.task = (struct task_message){
            .id = {{0xb0, (uint8_t)pick(world, 40)}},
            .attempt = 1 + pick(world, 4),
            .service = span_from_text(pick(world, 5) ? "mine" : "nobody's")};
        break;
    case COMMAND_STARTED:
        message.started.id = id;
        break;
    case COMMAND_PROGRESS_OUT:
        message.progress.id = id;
        break;
    case COMMAND_CANCEL_OUT:
        message.cancel_out =
            (struct cancel_out){.id = {{0xb0, (uint8_t)pick(world, 40)}}, .attempt = 1};
        break;
    case COMMAND_REPLY:
        message.reply = (struct reply){.request = pick(world, 50), .ok = pick(world, 2)};
        break;
    case COMMAND_ERROR:
        message.error.error = any_error(world);
        message.error.command = pick(world, 45);
        message.error.id = pick(world, 2) ? id : (struct id){{0}};
        break;
    default:
        break;
    }
    return message;
}

static void step(struct world *world)
{
    struct message message;

    switch (pick(world, 4)) {
    case 0:
        act(world);
        break;
    case 1:
        world->now_ms += pick(world, 10) == 0 ? pick(world, 10000) : pick(world, 50);
        peer_advance(world->peer, world->now_ms);
        break;
    default:
        message = anything(world);
        peer_receive(world->peer, &message);
        break;
    }
    peer_check(world->peer);
}

static void run_seed(uint64_t seed)
{
    struct world *world = calloc(1, sizeof *world);
    struct peer_options options = {
        .session = {{1}}, .name = "p", .agent = "t", .seed = seed, .submissions_max = 100};
    struct peer_sink sink = {
        .context = world,
        .send = on_send,
        .connected = on_connected,
        .disconnected = on_disconnected,
        .task = on_task,
        .cancel = on_cancel,
        .result = on_result,
        .started = on_started,
        .progress = on_progress,
        .reply = on_reply,
        .room = on_room,
        .log_level = LOG_ERROR,
    };
    struct offer_message offer = {.service = span_from_text("mine"), .credit = 5};

    world->random = seed;
    world->peer = peer_new(&options, &sink, 0);
    peer_offer(world->peer, &offer, NULL);
    for (size_t i = 0; i < STEPS; i++) {
        step(world);
    }
    /* From here on there is no broker. */
    peer_restart(world->peer);
    world->now_ms += DEADLINE_MS_MAX + 60000;
    peer_advance(world->peer, world->now_ms);
    for (size_t i = 0; i < world->task_count; i++) {
        if (world->tasks[i].results != 1 && !world->tasks[i].abandoned) {
            fail_msg("seed %d: task %zu has %u results", (int)seed, i, world->tasks[i].results);
        }
    }
    peer_check(world->peer);
    peer_free(world->peer);
    free(world);
}

static void every_submission_ends_once_whatever_happens(void **state)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run_seed(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_submission_ends_once_whatever_happens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
