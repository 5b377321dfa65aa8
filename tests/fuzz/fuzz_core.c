/* links: core */
/* The broker's whole core through structured events.
 *
 * The bytes choose limits, then events from a few connections about a few sessions, services and
 * tasks, so that everything collides with everything; the clock moves by small steps, to
 * the next deadline, and far. Some events are bytes of the wire, as the codec reads them.
 *
 * After every step broker_check holds, the next deadline is not in the past, and what was sent
 * went to a connection that had spoken, can be written by the codec and read by a peer, ends no
 * task twice. At the end everybody is lost and all must end; broker_free CHECKs what is left. */
#include "tests/fuzz/core_options.h"

#include "broker/core/broker.h"
#include "common/check.h"
#include "proto/codec.h"
#include "tests/fuzz/readable.h"

#include <stdlib.h>

#define CONNECTIONS 8
#define TASKS 24
#define SESSIONS 6
#define SERVICES 5
#define STEPS_MAX 400     /* an input that does more is cut: a finding should be readable */
#define END_STEPS_MAX 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct input input;
    struct broker *broker;
    struct broker_options options;
    uint64_t now_ms;
    unsigned resumes, losses;     /* so far */
    connection_id greeting;       /* that says HELLO in this step; 0: none */
    bool spoken[CONNECTIONS + 1]; /* has said something, and was not forgotten since */
    uint64_t recorded, stored;    /* sequences of the store */
    struct codec_writer writer;
};

/* ---- effects ----------------------------------------------------------- */

/* Whatever the shell can say of a numbered session, in turn. */
static enum resume on_resume(void *context, const struct resume_request *request, uint64_t *start)
{
    static const enum resume known[] = {RESUME_GOES_ON, RESUME_GOES_ON, RESUME_ANEW,
                                        RESUME_GOES_ON, RESUME_STALE,   RESUME_GOES_ON,
                                        RESUME_REFUSED};
    struct world *world = context;
    unsigned turn = world->resumes++;

    *start = request->received;
    if (request->numbered) {
        return known[turn % (sizeof known / sizeof known[0])];
    }
    return turn % 8 == 7 ? RESUME_REFUSED : RESUME_ANEW;
}

static void on_send(void *context, connection_id to, const struct message *message)
{
    struct world *world = context;

    CHECK(to >= 1 && to <= CONNECTIONS);
    CHECK(world->spoken[to]);
    check_readable(&world->writer, message);
}

static void on_forget(void *context, connection_id connection)
{
    struct world *world = context;

    CHECK(connection >= 1 && connection <= CONNECTIONS);
    CHECK(world->spoken[connection]);
    world->spoken[connection] = connection == world->greeting;
}

static void on_store(void *context, const struct store_record *record)
{
    struct world *world = context;

    CHECK(record->sequence == world->recorded + 1);
    CHECK(record->key > 0);
    world->recorded = record->sequence;
}

/* ---- what the bytes choose --------------------------------------------- */

static struct id id_of(uint8_t kind, unsigned number)
{
    struct id id = {{kind, (uint8_t)number}};

    return id;
}

static struct id take_task(struct world *world)
{
    return id_of(0xa0, take_below(&world->input, TASKS));
}

static struct span take_service(struct world *world)
{
    static const char *const names[SERVICES] = {"a", "b", "c.d", "echo", "z-9"};

    return span_from_text(names[take_below(&world->input, SERVICES)]);
}

static struct span take_text(struct world *world)
{
    static const char *const texts[] = {"", "x", "a reason", "\xc3\xa9", "w1"};

    return span_from_text(texts[take_below(&world->input, 5)]);
}

/* Durations at which the timers of small_options meet. */
static uint64_t take_duration(struct world *world)
{
    static const uint64_t durations[] = {0, 1, 10, 50, 100, 1000, 60000, DURATION_MS_MAX};

    return durations[take_below(&world->input, 8)];
}

static uint64_t take_bounded(struct world *world, uint64_t max)
{
    uint64_t number = take_number(&world->input);

    return number < max ? number : max;
}

/* `blob` is set when the bytes are as if attached: unref it after the step. */
static struct payload take_payload(struct world *world)
{
    static uint8_t large[16384];
    uint8_t code = take_byte(&world->input);
    struct payload payload = {.bytes = span_of(large, 0)};

    payload.bytes.size = code < 128 ? code / 8 : (size_t)(code - 127) * 127;
    if (code & 1) {
        payload.blob = blob_new(payload.bytes);
        payload.bytes = blob_span(payload.blob);
    }
    return payload;
}

static struct error take_error(struct world *world)
{
    static const char *const codes[] = {"oops", "worker_lost", "a.b", "lease_expired"};
    unsigned flags = take_byte(&world->input);
    struct error error = {.code = span_from_text(codes[flags & 3]),
                          .message = span_from_text("why"),
                          .retryable = flags & 4};

    error.retry_after_ms = flags & 8 ? take_duration(world) : 0;
    return error;
}

static struct hello take_hello(struct world *world)
{
    unsigned number = take_byte(&world->input);
    struct hello hello = {.version = number < 250,
                          .session = id_of(0x50, number % SESSIONS),
                          .name = span_from_text(number & 64 ? "w1" : "peer")};

    hello.agent = span_from_text(number & 128 ? "c 0.1" : "");
    hello.resume = number & 32;
    hello.received = hello.greeting = number;
    return hello;
}

static struct offer_message take_offer(struct world *world)
{
    struct offer_message offer = {.service = take_service(world)};
    unsigned flags = take_byte(&world->input);

    offer.credit = flags % 4;
    if (flags & 4) {
        offer.credit = take_bounded(world, CREDIT_MAX);
    }
    if (flags & 8) {
        offer.schema = span_from_text("{\"type\":\"object\"}");
        offer.version = span_from_text("1");
        offer.about = span_from_text("what it does");
    }
    if (flags & 16) {
        offer.max_tasks = take_number(&world->input);
        offer.max_bytes = take_number(&world->input);
    }
    if (flags & 32) {
        offer.lease_ms = take_duration(world);
    }
    if (flags & 64) {
        offer.attempts = take_bounded(world, ATTEMPTS_MAX);
    }
    return offer;
}

static struct span take_key(struct world *world)
{
    static const char *const keys[] = {"", "a", "b", "c"};

    return span_from_text(keys[take_below(&world->input, 4)]);
}

static struct span take_codes(struct world *world)
{
    static const char *const codes[] = {"", "oops", "worker_lost lease_expired", "a.b oops"};

    return span_from_text(codes[take_below(&world->input, 4)]);
}

/* What few submits have, each within what the codec lets through. */
static void take_policies(struct world *world, struct submit *submit)
{
    unsigned flags = take_byte(&world->input), more = take_byte(&world->input);

    submit->priority = flags & 1 ? take_below(&world->input, PRIORITY_MAX + 1) : PRIORITY_DEFAULT;
    submit->key = flags & 2 ? take_key(world) : span_of(NULL, 0);
    submit->order = flags & 4 ? take_key(world) : span_of(NULL, 0);
    submit->cost = flags & 8 ? take_bounded(world, COST_MAX) : 0;
    submit->delay_ms = flags & 16 ? take_duration(world) : 0;
    submit->max_run_ms = flags & 32 ? take_duration(world) : 0;
    submit->backoff_ms = flags & 64 ? take_duration(world) : 0;
    submit->backoff_max_ms = flags & 128 ? take_duration(world) : 0;
    submit->retry_on = more & 1 ? take_codes(world) : span_of(NULL, 0);
    submit->final_on = more & 2 ? take_codes(world) : span_of(NULL, 0);
    submit->dead_letter = more & 4;
    submit->detached = more & 8;
    submit->retain_ms = more & 16 ? 1 + take_byte(&world->input) * 16U : 0;
    submit->stream = more & 32 ? take_bounded(world, STREAM_CREDIT_MAX) : 0;
    submit->idempotency_key = more & 64 && more & 128 ? take_key(world) : span_of(NULL, 0);
    submit->cache_ms = submit->idempotency_key.size > 0 && more & 1 ? 1000 : 0;
    submit->durable = more & 128;
    submit->affinity = span_from_text(more & 64 ? "" : more & 1 ? "here" : more & 2 ? "there" : "");
}

#define NEEDS_TAKEN_MAX 20

/* A join of any policy, with a service or without. */
static void take_join(struct world *world, struct submit *submit)
{
    submit->join = JOIN_ALL + take_below(&world->input, JOIN_K);
    if (submit->needs_count == 0 && (submit->join == JOIN_ANY || submit->join == JOIN_K)) {
        submit->join = JOIN_SETTLED;
    }
    if (submit->join == JOIN_K) {
        submit->k = 1 + take_below(&world->input, submit->needs_count);
    }
    submit->run_if = (enum run_if)take_below(&world->input, RUN_IF_ALWAYS + 1);
    submit->no_inputs = take_bool(&world->input);
    if (take_bool(&world->input)) {
        submit->service = take_service(world);
        submit->payload = take_payload(world);
    }
}

/* `needs` is the caller's: room for NEEDS_TAKEN_MAX ids. */
static struct submit take_submit(struct world *world, struct id *needs)
{
    struct submit submit = {.id = take_task(world)};
    unsigned flags = take_byte(&world->input), more = take_byte(&world->input);

    submit.receipts = flags & 1;
    submit.held = flags & 2;
    submit.if_absent = flags & 4 ? IF_ABSENT_WAIT : IF_ABSENT_REFUSE;
    submit.deadline_ms = flags & 8 ? take_duration(world) : 0;
    submit.queue_ttl_ms = flags & 16 ? take_duration(world) : 0;
    submit.lease_ms = flags & 32 ? take_duration(world) : 0;
    submit.attempts = flags & 64 ? take_bounded(world, ATTEMPTS_MAX) : 0;
    if (flags & 128) {
        submit.parent = take_task(world);
        submit.parent_attempt = 1 + take_below(&world->input, 3);
    }
    if (more & 1) {
        submit.needs_count = more / 4 % (NEEDS_TAKEN_MAX + 1);
        for (size_t i = 0; i < submit.needs_count; i++) {
            needs[i] = take_task(world);
        }
        submit.needs = needs[0].bytes;
        submit.needs_stride = sizeof needs[0];
        take_join(world, &submit);
    } else {
        submit.service = take_service(world);
        submit.payload = take_payload(world);
    }
    if (more & 2) {
        take_policies(world, &submit);
    } else {
        submit.priority = PRIORITY_DEFAULT;
    }
    return submit;
}

static struct query take_query(struct world *world)
{
    static struct id argument; /* outlives the message */
    struct query query = {.request = take_number(&world->input),
                          .what = (enum query_what)take_below(&world->input, QUERY_WHAT_COUNT)};

    switch (query.what) {
    case QUERY_CATALOG:
        query.argument = take_bool(&world->input) ? take_service(world) : span_of(NULL, 0);
        break;
    case QUERY_PEERS:
    case QUERY_LIST:
    case QUERY_DEAD:
    case QUERY_LIMITS:
        query.argument = take_text(world);
        break;
    case QUERY_STATS:
        break;
    case QUERY_STATUS:
    case QUERY_WHY:
    case QUERY_TREE:
    case QUERY_RESULT:
    case QUERY_LETTER:
        argument = take_task(world);
        query.argument = span_of(argument.bytes, ID_BYTES);
        break;
    }
    return query;
}

/* ---- events ------------------------------------------------------------ */

static void check_step(struct world *world)
{
    broker_check(world->broker);
    CHECK(broker_deadline(world->broker) >= world->now_ms);
}

static void step(struct world *world, struct event event)
{
    event.now_ms = world->now_ms;
    if (event.from != 0 && event.kind != EVENT_LOST && event.kind != EVENT_BROKEN) {
        world->spoken[event.from] = true;
    }
    world->greeting = event.kind == EVENT_MESSAGE && event.message->command == COMMAND_HELLO
                          ? event.from : 0;
    broker_step(world->broker, &event);
    check_step(world);
}

static void say(struct world *world, connection_id from, const struct message *message)
{
    step(world, (struct event){.kind = EVENT_MESSAGE, .from = from, .message = message});
}

/* As it comes from the wire, where an error is a map and its parts: by way of the codec. */
static void say_fail(struct world *world, connection_id from, const struct fail *fail)
{
    struct message message = {.command = COMMAND_FAIL, .fail = *fail};
    struct codec_writer writer;
    struct codec_reader reader;
    struct codec_error error;

    codec_writer_init(&writer);
    CHECK(codec_write(&writer, &message) == CODEC_WRITTEN);
    codec_reader_init(&reader, span_of(writer.data, writer.size), NULL, 0);
    CHECK(codec_read(&reader, CODEC_AT_BROKER, &message, &error) == CODEC_OK);
    say(world, from, &message);
    codec_writer_deinit(&writer);
}

static struct control take_control(struct world *world)
{
    struct control control = {.request = 1 + take_below(&world->input, 4),
                              .what = (enum control_what)take_below(&world->input,
                                                                    CONTROL_WHAT_COUNT)};
    uint64_t *value = (uint64_t *)&control.limits;
    size_t values = sizeof control.limits / sizeof *value;

    for (size_t i = 0; i < values; i++) {
        value[i] = LIMIT_UNCHANGED;
    }
    for (unsigned left = take_below(&world->input, 4); left > 0; left--) {
        value[take_below(&world->input, (unsigned)values)] = take_below(&world->input, 5);
    }
    if (take_bool(&world->input)) {
        control.service = take_service(world);
    }
    if (take_bool(&world->input)) {
        control.task = take_task(world);
    }
    control.ms = take_bool(&world->input) ? take_duration(world) : 0;
    if (control.what == CONTROL_LIMIT) {
        control.key = take_bool(&world->input) ? span_from_text("*") : take_key(world);
        control.tenant = span_from_text(take_below(&world->input, 4) == 0 ? "default" : "");
    }
    if (control.what == CONTROL_DRAIN || control.what == CONTROL_UNDRAIN) {
        control.peer = take_below(&world->input, 16);
    }
    return control;
}

/* Many answers and many submits: they are what moves the state. */
static const enum command commands[] = {
    COMMAND_SUBMIT,  COMMAND_SUBMIT, COMMAND_SUBMIT, COMMAND_DONE,     COMMAND_DONE,
    COMMAND_FAIL,    COMMAND_CANCEL, COMMAND_OFFER,  COMMAND_WITHDRAW, COMMAND_CREDIT,
    COMMAND_PROGRESS, COMMAND_QUERY, COMMAND_PING,   COMMAND_BYE,      COMMAND_HELLO,
    COMMAND_CHUNK,   COMMAND_READ,   COMMAND_CHECKPOINT, COMMAND_SIGNAL, COMMAND_WATCH,
    COMMAND_CONTROL,
};

static void say_something(struct world *world, connection_id from)
{
    struct message message = {
        .command = commands[take_below(&world->input, sizeof commands / sizeof commands[0])]};
    struct id needs[NEEDS_TAKEN_MAX];
    struct blob *blob = NULL;

    switch (message.command) {
    case COMMAND_SUBMIT:
        message.submit = take_submit(world, needs);
        blob = message.submit.payload.blob;
        break;
    case COMMAND_DONE:
        message.done = (struct done){.id = take_task(world),
                                     .attempt = 1 + take_below(&world->input, 3),
                                     .payload = take_payload(world)};
        blob = message.done.payload.blob;
        break;
    case COMMAND_FAIL:
        message.fail = (struct fail){.id = take_task(world),
                                     .attempt = 1 + take_below(&world->input, 3),
                                     .error = take_error(world)};
        say_fail(world, from, &message.fail);
        return;
    case COMMAND_CANCEL:
        message.cancel = (struct cancel){.id = take_task(world),
                                         .reason = take_text(world),
                                         .request = take_below(&world->input, 4)};
        break;
    case COMMAND_OFFER:
        message.offer = take_offer(world);
        break;
    case COMMAND_WITHDRAW:
        message.withdraw.service = take_service(world);
        break;
    case COMMAND_CREDIT:
        message.credit.service = take_service(world);
        message.credit.credit = take_bounded(world, CREDIT_MAX);
        break;
    case COMMAND_PROGRESS:
        message.progress = (struct progress){.id = take_task(world),
                                             .attempt = 1 + take_below(&world->input, 3)};
        break;
    case COMMAND_QUERY:
        message.query = take_query(world);
        break;
    case COMMAND_CHUNK:
        message.chunk = (struct chunk){.id = take_task(world),
                                       .attempt = 1 + take_below(&world->input, 3),
                                       .sequence = take_below(&world->input, 8),
                                       .payload = take_payload(world)};
        blob = message.chunk.payload.blob;
        break;
    case COMMAND_READ:
        message.read = (struct read){.id = take_task(world),
                                     .attempt = take_below(&world->input, 3),
                                     .sequence = take_below(&world->input, 8),
                                     .credit = take_bounded(world, STREAM_CREDIT_MAX)};
        break;
    case COMMAND_CHECKPOINT:
        message.checkpoint = (struct checkpoint){.id = take_task(world),
                                                 .attempt = 1 + take_below(&world->input, 3),
                                                 .payload = take_payload(world)};
        blob = message.checkpoint.payload.blob;
        break;
    case COMMAND_SIGNAL:
        message.signal = (struct signal){.request = take_below(&world->input, 4),
                                         .id = take_task(world),
                                         .payload = take_payload(world)};
        blob = message.signal.payload.blob;
        break;
    case COMMAND_WATCH:
        message.watch = (struct watch){.request = 1 + take_below(&world->input, 4),
                                       .credit = take_below(&world->input, 8)};
        if (take_bool(&world->input)) {
            message.watch.service = take_service(world);
        }
        break;
    case COMMAND_CONTROL:
        message.control = take_control(world);
        break;
    case COMMAND_PING:
        message.ping.nonce = take_number(&world->input);
        break;
    case COMMAND_HELLO:
        message.hello = take_hello(world);
        break;
    default:
        message.bye.reason = take_text(world);
        break;
    }
    say(world, from, &message);
    blob_unref(blob);
}

/* What the shell makes of a batch. */
static void say_bytes(struct world *world, connection_id from)
{
    struct span batch = take_span(&world->input, take_byte(&world->input));
    struct codec_reader reader;

    codec_reader_init(&reader, batch, NULL, 0);
    for (;;) {
        struct message message;
        struct codec_error error;
        enum codec_result result = codec_read(&reader, CODEC_AT_BROKER, &message, &error);
        struct malformed malformed;

        if (result == CODEC_END) {
            return;
        }
        if (result == CODEC_OK) {
            if (message.command == COMMAND_SUBMIT) {
                message.submit.retain_ms %= 4096; /* services stay, and look, as long as tasks */
                /* Under an id that nobody could cancel or drop. */
                message.submit.detached = message.submit.dead_letter = false;
            }
            say(world, from, &message);
            continue;
        }
        malformed = (struct malformed){.code = error.code,
                                       .command = error.command,
                                       .field = error.field,
                                       .message = error.message,
                                       .id = error.id};
        step(world, (struct event){.kind = EVENT_MALFORMED, .from = from, .malformed = &malformed});
    }
}

/* A garbled DONE or FAIL ends an attempt, so it is worth a shorter way than say_bytes. */
static void say_garbled(struct world *world, connection_id from)
{
    struct malformed malformed = {.code = ERROR_BAD_MESSAGE,
                                  .command = take_bool(&world->input) ? COMMAND_DONE : COMMAND_FAIL,
                                  .field = "payload",
                                  .message = "must be bin or a frame's number",
                                  .id = take_task(world)};

    step(world, (struct event){.kind = EVENT_MALFORMED, .from = from, .malformed = &malformed});
}

static void pass_time(struct world *world)
{
    uint64_t deadline_ms = broker_deadline(world->broker);
    unsigned how = take_byte(&world->input);

    if (how < 128) {
        world->now_ms += how;
    } else if (how < 224 && deadline_ms != BROKER_NEVER) {
        world->now_ms = deadline_ms;
    } else {
        world->now_ms += 1ULL << (how % 32);
    }
    step(world, (struct event){.kind = EVENT_TICK});
}

static void store_to(struct world *world, uint64_t sequence)
{
    world->stored = sequence;
    step(world, (struct event){.kind = EVENT_STORED, .stored = sequence});
}

static void store_all(struct world *world)
{
    while (world->stored < world->recorded) {
        store_to(world, world->recorded);
    }
}

/* Some of what has been recorded is safe; or the disk is in another state, or the broker drains. */
static void store_some(struct world *world)
{
    unsigned choice = take_byte(&world->input);

    if (choice == 255) {
        step(world, (struct event){.kind = EVENT_DRAIN});
    } else if (choice < 16) {
        step(world, (struct event){.kind = EVENT_STORE, .store = choice % (STORE_LOST + 1)});
    } else if (world->recorded > world->stored) {
        store_to(world, world->stored + 1 + choice % (world->recorded - world->stored));
    }
}

static void one_event(struct world *world)
{
    unsigned kind = take_byte(&world->input);
    connection_id from = 1 + kind / 32;

    switch (kind % 32) {
    default:
        say_something(world, from);
        break;
    case 24:
    case 25:
    case 26:
        pass_time(world);
        break;
    case 27:
        step(world, (struct event){.kind = world->losses++ % 3 == 2 ? EVENT_BROKEN : EVENT_LOST,
                                   .from = from});
        break;
    case 28:
        step(world, (struct event){.kind = EVENT_PROBE, .from = from});
        break;
    case 29:
        say_garbled(world, from);
        break;
    case 30:
        say_bytes(world, from);
        break;
    case 31:
        store_some(world);
        break;
    }
}

/* ---- begin and end ----------------------------------------------------- */

static void all_leave(struct world *world, uint64_t until_ms)
{
    unsigned steps = 0;

    for (connection_id from = 1; from <= CONNECTIONS; from++) {
        step(world, (struct event){.kind = EVENT_LOST, .from = from});
    }
    store_all(world);
    while (broker_deadline(world->broker) < until_ms) {
        CHECK(steps++ < END_STEPS_MAX);
        world->now_ms = broker_deadline(world->broker);
        step(world, (struct event){.kind = EVENT_TICK});
        store_all(world);
    }
}

/* What is detached waits for workers for ever, unless somebody cancels it; dead letters stay. */
static void cancel_all(struct world *world)
{
    struct message message = {.command = COMMAND_HELLO};

    message.hello = (struct hello){
        .version = 1, .session = id_of(0x51, 0), .name = span_from_text("last")};
    say(world, 1, &message);
    for (unsigned i = 0; i < TASKS; i++) {
        message = (struct message){.command = COMMAND_CANCEL};
        message.cancel.id = id_of(0xa0, i);
        say(world, 1, &message);
        message = (struct message){.command = COMMAND_CONTROL};
        message.control = (struct control){.what = CONTROL_DROP, .task = id_of(0xa0, i)};
        say(world, 1, &message);
    }
}

/* Everybody is gone, and time goes on: whatever was accepted ends. */
static void end_of_the_world(struct world *world)
{
    struct broker_stats stats;

    all_leave(world, world->now_ms + 10000); /* then there is room for one more peer */
    cancel_all(world);
    all_leave(world, BROKER_NEVER);
    broker_stats(world->broker, &stats);
    CHECK(stats.tasks == 0);
    CHECK(stats.peers == 0);
    CHECK(stats.offers == 0);
    CHECK(stats.retained == 0);
    CHECK(stats.queued_bytes == 0);
    CHECK(stats.memory_bytes == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct codec_writer writer; /* keeps its buffer from run to run */
    struct world world = {.input = input_of(data, size), .writer = writer};
    struct effects effects = {.context = &world,
                              .send = on_send,
                              .forget = on_forget,
                              .resume = on_resume,
                              .log = check_line,
                              .log_level = LOG_DEBUG,
                              .store = on_store};
    struct service_limits limits = {.max_tasks = 3, .attempts = 2, .lease_ms = 20};

    world.options = take_options(&world.input);
    world.broker = broker_new(&world.options, &effects, 0);
    CHECK(world.broker != NULL);
    step(&world, (struct event){.kind = EVENT_STORE, .store = STORE_OPEN});
    if (take_bool(&world.input)) {
        CHECK(broker_configure_service(world.broker, span_from_text("a"), &limits));
    }
    for (unsigned i = 0; i < STEPS_MAX && input_left(&world.input) > 0; i++) {
        one_event(&world);
    }
    end_of_the_world(&world);
    broker_free(world.broker);
    codec_writer_clear(&world.writer);
    writer = world.writer;
    return 0;
}
