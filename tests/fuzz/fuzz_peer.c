/* links: runtime */
/* The runtime's peer machine under any broker and any application.
 *
 * The bytes are events: messages that a codec would let through, calls of the
 * application, time, new connections. Upcalls call back, as handlers do. After every event
 * peer_check holds and the deadline is not in the past; a submission ends once, also when there
 * is no broker any more; what the peer sends can be written by the codec and read by a broker. */
#include "tests/fuzz/input.h"

#include "agents/runtime/peer.h"
#include "common/check.h"
#include "proto/codec.h"

#include <stdlib.h>

#define TASKS_MAX 128
#define LEASES_MAX 32
#define REQUESTS_MAX 32
#define OFFERINGS 3
#define STEPS_MAX 400
#define DEADLINE_MS_MAX 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct task {
    struct submission *submission; /* NULL: ended, or abandoned */
    bool abandoned;
    unsigned results;
};

struct world {
    struct input input;
    struct peer *peer;
    uint64_t now_ms;
    struct task tasks[TASKS_MAX]; /* every submission ever; its id is its index */
    size_t task_count;
    struct lease *leases[LEASES_MAX];
    size_t lease_count;
    struct request *requests[REQUESTS_MAX];
    size_t request_count;
    struct offering *offerings[OFFERINGS];
    struct codec_writer writer;
};

static struct id id_of(uint8_t kind, size_t number)
{
    struct id id = {{kind, (uint8_t)number}};

    return id;
}

/* ---- upcalls ----------------------------------------------------------- */

static void on_send(void *context, const struct message *message)
{
    struct world *world = context;
    struct codec_reader reader;
    struct codec_error error;
    struct message back;

    codec_writer_clear(&world->writer);
    CHECK(codec_write(&world->writer, message) == CODEC_WRITTEN);
    codec_reader_init(&reader, span_of(world->writer.data, world->writer.size),
                      world->writer.frames, world->writer.frame_count);
    CHECK(codec_read(&reader, CODEC_AT_BROKER, &back, &error) == CODEC_OK);
    CHECK(back.command == message->command);
    if (message->command == COMMAND_SUBMIT) {
        const struct task *task = &world->tasks[message->submit.id.bytes[1]];

        CHECK(task->results == 0); /* nothing is sent for what has ended */
        CHECK(!task->abandoned);
    }
}

static void on_connected(void *context, const struct welcome *welcome)
{
}

static void on_disconnected(void *context, bool silent)
{
}

static void drop_lease(struct world *world, size_t index)
{
    world->leases[index] = world->leases[--world->lease_count];
}

static void end_lease(struct world *world, struct lease *lease)
{
    struct error error = {.code = span_from_text("oops")};

    if (take_bool(&world->input)) {
        peer_done(world->peer, lease, (struct payload){.bytes = span_from_text("done")});
    } else {
        peer_fail(world->peer, lease, &error);
    }
}

static void on_task(void *context, struct lease *lease, const struct task_message *task)
{
    struct world *world = context;

    CHECK(id_equal(peer_lease_id(lease), &task->id));
    CHECK(peer_lease_attempt(lease) == task->attempt);
    CHECK(!peer_lease_lost(lease));
    if (world->lease_count == LEASES_MAX || take_below(&world->input, 4) == 0) {
        end_lease(world, lease); /* at once, as a synchronous handler does */
        return;
    }
    world->leases[world->lease_count++] = lease;
}

static void on_cancel(void *context, struct lease *lease, struct span reason)
{
    struct world *world = context;

    for (size_t i = 0; i < world->lease_count; i++) {
        if (world->leases[i] == lease) {
            if (take_bool(&world->input)) {
                drop_lease(world, i);
                end_lease(world, lease);
            }
            return;
        }
    }
    CHECK(!"a cancel for a lease that is not ours");
}

static void on_result(void *context, struct submission *submission, const struct result *result)
{
    struct task *task = peer_submission_user(submission);

    CHECK(!task->abandoned);
    CHECK(task->results++ == 0);
    task->submission = NULL;
    CHECK(id_equal(peer_submission_id(submission), &result->record.id));
}

static void check_live(struct submission *submission)
{
    struct task *task = peer_submission_user(submission);

    CHECK(task->submission == submission);
}

static void on_started(void *context, struct submission *submission,
                       const struct started *started)
{
    check_live(submission);
}

static void on_progress(void *context, struct submission *submission, struct span payload)
{
    check_live(submission);
}

static void on_reply(void *context, struct request *request, const struct reply *reply)
{
    struct world *world = context;

    for (size_t i = 0; i < world->request_count; i++) {
        if (world->requests[i] == request) {
            world->requests[i] = world->requests[--world->request_count];
            return;
        }
    }
    CHECK(!"a reply to nobody's question");
}

static void submit_one(struct world *world);

static void on_room(void *context)
{
    struct world *world = context;

    CHECK(peer_room(world->peer, true) > 0);
    if (take_bool(&world->input)) {
        submit_one(world);
    }
}

static void on_log(void *context, const struct log_record *record)
{
    char line[512];

    CHECK(log_format(record, line, sizeof line) < sizeof line);
}

/* ---- the application --------------------------------------------------- */

static struct span take_service(struct world *world)
{
    static const char *const names[] = {"mine", "mine.too", "other", "nobody"};

    return span_from_text(names[take_below(&world->input, 4)]);
}

static void submit_one(struct world *world)
{
    size_t number = world->task_count;
    struct task *task = &world->tasks[number];
    unsigned flags = take_byte(&world->input), more = take_byte(&world->input);
    struct submit submit = {.id = id_of(0xa0, number),
                            .deadline_ms = 1 + (uint64_t)take_byte(&world->input) * 79,
                            .queue_ttl_ms = flags & 1 ? 1 + take_byte(&world->input) * 10U : 0,
                            .held = flags & 2,
                            .receipts = flags & 4,
                            .if_absent = flags & 8 ? IF_ABSENT_WAIT : IF_ABSENT_REFUSE};
    struct submission_options options = {.user = task, .no_wait = flags & 16};
    struct id needs[4];
    struct blob *blob = NULL;
    static uint8_t large[20000];

    if (number == TASKS_MAX) {
        return;
    }
    world->task_count++;
    if (flags & 32 && world->lease_count > 0) {
        options.parent = world->leases[take_byte(&world->input) % world->lease_count];
    }
    if (more & 1 && number > 0) {
        submit.join = more & 2 ? JOIN_ALL : JOIN_SETTLED;
        submit.held = false;
        submit.needs_count = more / 4 % 5;
        for (size_t i = 0; i < submit.needs_count; i++) {
            needs[i] = id_of(0xa0, take_byte(&world->input) % number);
        }
        submit.needs = needs[0].bytes;
        submit.needs_stride = sizeof needs[0];
    } else {
        submit.service = take_service(world);
        submit.payload.bytes = span_of(large, (more & 64 ? 128U : 1U) * (more >> 2 & 15));
        if (more & 128) {
            blob = blob_new(span_of(large, sizeof large));
            submit.payload = (struct payload){.bytes = blob_span(blob), .blob = blob};
        }
    }
    task->submission = peer_submit(world->peer, &submit, &options);
    CHECK((task->submission == NULL) == (task->results == 1));
    blob_unref(blob);
}

static void ask(struct world *world)
{
    struct id id = id_of(0xa0, take_byte(&world->input));
    uint64_t timeout_ms = 1 + take_byte(&world->input) * 10U;
    struct request *request;

    if (world->request_count == REQUESTS_MAX) {
        return;
    }
    if (take_bool(&world->input)) {
        request = peer_cancel_id(world->peer, &id, span_from_text("enough"), timeout_ms, NULL);
    } else {
        request = peer_query(world->peer, QUERY_STATS, span_of(NULL, 0), timeout_ms, NULL);
    }
    if (request != NULL) {
        world->requests[world->request_count++] = request;
    }
}

static void act_on_task(struct world *world, struct task *task)
{
    struct submission *submission = task->submission;

    if (submission == NULL) {
        return;
    }
    if (take_bool(&world->input)) {
        peer_cancel(world->peer, submission, span_from_text("why"));
        return;
    }
    task->abandoned = true;
    task->submission = NULL;
    peer_abandon(world->peer, submission);
}

static void act_on_lease(struct world *world)
{
    size_t index = take_byte(&world->input) % world->lease_count;
    struct lease *lease = world->leases[index];

    if (take_below(&world->input, 3) == 0) {
        peer_progress(world->peer, lease, span_from_text("half"));
        return;
    }
    drop_lease(world, index);
    end_lease(world, lease);
}

static void offer_one(struct world *world)
{
    unsigned number = take_below(&world->input, OFFERINGS);
    static const char *const names[OFFERINGS] = {"mine", "mine.too", "third"};
    struct offer_message offer = {.service = span_from_text(names[number]),
                                  .credit = take_below(&world->input, 6)};

    if (world->offerings[number] != NULL && take_bool(&world->input)) {
        peer_withdraw(world->peer, world->offerings[number]);
        return;
    }
    world->offerings[number] = peer_offer(world->peer, &offer, NULL);
    CHECK(world->offerings[number] != NULL);
}

static void act(struct world *world)
{
    switch (take_below(&world->input, 10)) {
    case 0:
    case 1:
    case 2:
        submit_one(world);
        break;
    case 3:
    case 4:
        if (world->task_count > 0) {
            act_on_task(world, &world->tasks[take_byte(&world->input) % world->task_count]);
        }
        break;
    case 5:
        if (world->lease_count > 0) {
            act_on_lease(world);
        }
        break;
    case 6:
        ask(world);
        break;
    case 7:
        offer_one(world);
        break;
    case 8:
        if (world->request_count > 0) {
            peer_request_drop(world->peer, world->requests[--world->request_count]);
        }
        break;
    default:
        peer_want_room(world->peer);
        peer_flush(world->peer);
        break;
    }
}

/* ---- the broker -------------------------------------------------------- */

static struct error take_error(struct world *world)
{
    unsigned number = take_byte(&world->input);
    struct error error = {.retry_after_ms = number & 128 ? take_byte(&world->input) * 4U : 0,
                          .retryable = number & 64};

    error.code = span_from_text(error_code_name(1 + number % (ERROR_CODE_COUNT - 1)));
    return error;
}

/* Of any task that was submitted, or a little beyond. */
static struct id take_id(struct world *world)
{
    return id_of(0xa0, take_byte(&world->input) % (world->task_count + 2));
}

static struct welcome take_welcome(struct world *world)
{
    unsigned flags = take_byte(&world->input);

    return (struct welcome){.version = 1,
                            .known = flags & 1,
                            .broker = id_of(0xb0, flags >> 1 & 1),
                            .ping_ms = flags & 4 ? take_number(&world->input) % DURATION_MS_MAX : 100,
                            .silence_ms = flags & 8 ? take_number(&world->input) % DURATION_MS_MAX : 500,
                            .resume_ms = 1000,
                            .greeting = world->now_ms % 4,
                            .window_tasks = flags & 16 ? take_number(&world->input) : 8,
                            .window_bytes = flags & 32 ? take_number(&world->input) : 4000,
                            .payload_bytes = flags & 64 ? take_number(&world->input) : 16384};
}

static struct result take_result(struct world *world)
{
    struct result result = {.record = {.id = take_id(world)}};

    result.record.outcome = (enum outcome)take_below(&world->input, OUTCOME_COUNT);
    if (result.record.outcome != OUTCOME_DONE) {
        result.record.error = take_error(world);
    }
    return result;
}

static void hear_something(struct world *world)
{
    static const enum command commands[] = {
        COMMAND_WELCOME, COMMAND_RESULT,     COMMAND_RESULT, COMMAND_RESULT, COMMAND_TASK,
        COMMAND_TASK,    COMMAND_STARTED,    COMMAND_REPLY,  COMMAND_PONG,   COMMAND_PROGRESS_OUT,
        COMMAND_ERROR,   COMMAND_CANCEL_OUT, COMMAND_BYE,    COMMAND_ACCEPTED};
    struct message message = {
        .command = commands[take_below(&world->input, sizeof commands / sizeof commands[0])]};

    switch (message.command) {
    case COMMAND_WELCOME:
        message.welcome = take_welcome(world);
        break;
    case COMMAND_RESULT:
        message.result = take_result(world);
        break;
    case COMMAND_TASK:
        message.task = (struct task_message){.id = id_of(0xc0, take_below(&world->input, 24)),
                                             .attempt = 1 + take_below(&world->input, 3),
                                             .service = take_service(world)};
        break;
    case COMMAND_STARTED:
        message.started = (struct started){.id = take_id(world), .attempt = 1};
        break;
    case COMMAND_PROGRESS_OUT:
        message.progress = (struct progress){.id = take_id(world), .attempt = 1};
        break;
    case COMMAND_CANCEL_OUT:
        message.cancel_out = (struct cancel_out){.id = id_of(0xc0, take_below(&world->input, 24)),
                                                 .attempt = 1 + take_below(&world->input, 3),
                                                 .reason = span_from_text("expired")};
        break;
    case COMMAND_REPLY:
        message.reply = (struct reply){.request = take_byte(&world->input)};
        message.reply.ok = take_bool(&world->input);
        if (!message.reply.ok) {
            message.reply.error = take_error(world);
        }
        break;
    case COMMAND_PONG:
        message.pong.nonce = take_byte(&world->input);
        break;
    case COMMAND_ERROR:
        message.error = (struct error_message){.error = take_error(world),
                                               .command = take_below(&world->input, 45)};
        if (take_bool(&world->input)) {
            message.error.id = take_id(world);
        }
        break;
    case COMMAND_ACCEPTED:
        message.accepted.id = take_id(world);
        break;
    default:
        break;
    }
    peer_receive(world->peer, &message);
}

/* What comes off the wire, as the codec reads it. */
static void hear_bytes(struct world *world)
{
    struct span batch = take_span(&world->input, take_byte(&world->input));
    struct codec_reader reader;
    struct codec_error error;
    struct message message;
    enum codec_result result;

    codec_reader_init(&reader, batch, NULL, 0);
    while ((result = codec_read(&reader, CODEC_AT_PEER, &message, &error)) != CODEC_END) {
        if (result == CODEC_OK) {
            peer_receive(world->peer, &message);
        }
    }
}

/* ---- the clock --------------------------------------------------------- */

static void pass_time(struct world *world)
{
    unsigned how = take_byte(&world->input);
    uint64_t deadline_ms = peer_deadline(world->peer);

    if (how < 128) {
        world->now_ms += how;
    } else if (how < 224 && deadline_ms != TIMERS_NEVER && deadline_ms > world->now_ms) {
        world->now_ms = deadline_ms;
    } else {
        world->now_ms += 1ULL << (how % 24);
    }
    peer_advance(world->peer, world->now_ms);
    CHECK(peer_deadline(world->peer) > world->now_ms);
}

static void step(struct world *world)
{
    unsigned kind = take_byte(&world->input);

    switch (kind % 16) {
    default:
        hear_something(world);
        break;
    case 8:
    case 9:
    case 10:
    case 11:
    case 12:
        act(world);
        break;
    case 13:
        pass_time(world);
        break;
    case 14:
        hear_bytes(world);
        break;
    case 15:
        peer_restart(world->peer);
        break;
    }
    peer_check(world->peer);
}

/* There is no broker any more: what has a deadline ends, what was asked is answered. */
static void end_of_the_world(struct world *world)
{
    peer_restart(world->peer);
    world->now_ms += DEADLINE_MS_MAX + 60000;
    peer_advance(world->peer, world->now_ms);
    peer_check(world->peer);
    for (size_t i = 0; i < world->task_count; i++) {
        CHECK(world->tasks[i].results == 1 || world->tasks[i].abandoned);
    }
    CHECK(world->request_count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world world;
    static struct codec_writer writer; /* keeps its buffer from run to run */
    struct peer_options options = {
        .session = {{1}}, .name = "p", .agent = "fuzz", .seed = 7, .submissions_max = 40};
    struct peer_sink sink = {
        .context = &world,
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
        .log = on_log,
        .log_level = LOG_DEBUG,
    };

    world = (struct world){.input = input_of(data, size), .writer = writer};
    world.peer = peer_new(&options, &sink, 0);
    CHECK(world.peer != NULL);
    for (unsigned i = 0; i < STEPS_MAX && input_left(&world.input) > 0; i++) {
        step(&world);
    }
    end_of_the_world(&world);
    peer_free(world.peer);
    codec_writer_clear(&world.writer);
    writer = world.writer;
    return 0;
}
