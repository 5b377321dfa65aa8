#include "tests/bench/core_world.h"

#include "cli/bench_result.h"
#include "common/check.h"
#include "tests/bench/heap_calls.h"

#include <stdio.h>
#include <stdlib.h>

#define AHEAD 16 /* as in broker/shell/server.c */

void world_fail(const char *what)
{
    fprintf(stderr, "sluice-bench-core: %s\n", what);
    exit(1);
}

/* ---- links ------------------------------------------------------------- */

static struct codec_writer *link_next_batch(struct world_link *link)
{
    if (link->used == link->made) {
        struct codec_writer *grown =
            realloc(link->batches, (link->made + 1) * sizeof *link->batches);

        if (grown == NULL) {
            world_fail("no memory");
        }
        link->batches = grown;
        codec_writer_init(&link->batches[link->made++]);
    }
    return &link->batches[link->used++];
}

static void link_write(struct world_link *link, const struct message *message)
{
    struct codec_writer *batch =
        link->used > 0 ? &link->batches[link->used - 1] : link_next_batch(link);
    enum codec_write_result result = codec_write(batch, message);

    if (result == CODEC_FULL) {
        result = codec_write(link_next_batch(link), message);
    }
    if (result != CODEC_WRITTEN) {
        world_fail("no memory for a batch");
    }
}

static void link_clear(struct world_link *link)
{
    for (size_t i = 0; i < link->used; i++) {
        codec_writer_clear(&link->batches[i]);
    }
    link->used = 0;
}

static void link_deinit(struct world_link *link)
{
    for (size_t i = 0; i < link->made; i++) {
        codec_writer_deinit(&link->batches[i]);
    }
    free(link->batches);
}

static void batch_read(struct codec_reader *reader, const struct codec_writer *batch)
{
    codec_reader_init(reader, span_of(batch->data, batch->size), batch->frames,
                      batch->frame_count);
}

/* ---- the broker's side ------------------------------------------------- */

static void effect_send(void *context, connection_id to, const struct message *message)
{
    struct world *world = context;

    CHECK(to >= 1 && to <= WORLD_PEERS);
    link_write(&world->peers[to - 1].down, message);
}

static void effect_forget(void *context, connection_id connection)
{
    (void)context;
    (void)connection;
}

static void effect_log(void *context, const struct log_record *record)
{
    (void)context;
    fprintf(stderr, "sluice-bench-core: the core says %s\n", record->event);
}

static void step(struct world *world, const struct event *event)
{
    world->steps++;
    broker_step(world->broker, event);
}

static void step_batch(struct world *world, connection_id from, const struct codec_writer *batch)
{
    struct message messages[AHEAD];
    struct event events[AHEAD];
    struct codec_reader reader;
    enum codec_result result;
    struct codec_error error;

    batch_read(&reader, batch);
    do {
        size_t count = codec_read_some(&reader, CODEC_AT_BROKER, messages, AHEAD, &result,
                                       &error);

        for (size_t i = 0; i < count; i++) {
            events[i] = (struct event){.kind = EVENT_MESSAGE,
                                       .now_ms = world->now_ms,
                                       .from = from,
                                       .message = &messages[i]};
        }
        broker_expect(world->broker, events, count);
        for (size_t i = 0; i < count; i++) {
            step(world, &events[i]);
        }
    } while (result == CODEC_OK);
    if (result != CODEC_END) {
        world_fail("a peer's command cannot be read");
    }
}

__attribute__((noinline, used)) void measured_broker(struct world *world)
{
    for (size_t i = 0; i < WORLD_PEERS; i++) {
        struct world_peer *peer = &world->peers[i];

        for (size_t k = 0; k < peer->up.used; k++) {
            step_batch(world, peer->connection, &peer->up.batches[k]);
        }
        link_clear(&peer->up);
    }
    if (broker_deadline(world->broker) <= world->now_ms) {
        step(world, &(struct event){.kind = EVENT_TICK, .now_ms = world->now_ms});
    }
}

void world_turn(struct world *world)
{
    uint64_t calls = heap_calls();
    double cpu_s = bench_cpu_s(0);

    measured_broker(world);
    world->cpu_s += bench_cpu_s(0) - cpu_s;
    world->heap_calls += heap_calls() - calls;
    world->turns++;
    world->now_ms += world->turns % WORLD_TURNS_PER_MS == 0;
}

/* ---- peers ------------------------------------------------------------- */

void world_say(struct world *world, size_t peer, const struct message *message)
{
    link_write(&world->peers[peer].up, message);
}

void world_hear(struct world *world, size_t peer,
                void (*listener)(void *context, const struct message *message), void *context)
{
    struct world_link *down = &world->peers[peer].down;

    for (size_t i = 0; i < down->used; i++) {
        struct codec_reader reader;
        struct codec_error error;
        struct message message;
        enum codec_result result;

        batch_read(&reader, &down->batches[i]);
        while ((result = codec_read(&reader, CODEC_AT_PEER, &message, &error)) == CODEC_OK) {
            listener(context, &message);
        }
        if (result != CODEC_END) {
            world_fail("a command of the broker cannot be read");
        }
    }
    link_clear(down);
}

static void expect_welcome(void *context, const struct message *message)
{
    (void)context;
    CHECK(message->command == COMMAND_WELCOME);
}

static void greet(struct world *world)
{
    for (size_t i = 0; i < WORLD_PEERS; i++) {
        struct message hello = {.command = COMMAND_HELLO};

        world->peers[i].connection = (connection_id)i + 1;
        hello.hello.version = PROTOCOL_VERSION;
        hello.hello.session.bytes[0] = (uint8_t)(i + 1);
        hello.hello.name = span_from_text(i == WORLD_SUBMITTER ? "submitter" : "worker");
        world_say(world, i, &hello);
    }
    world_turn(world);
    for (size_t i = 0; i < WORLD_PEERS; i++) {
        world_hear(world, i, expect_welcome, NULL);
    }
}

void world_init(struct world *world, uint64_t seed)
{
    struct broker_options options = broker_options_default();
    struct effects effects = {.context = world,
                              .send = effect_send,
                              .forget = effect_forget,
                              .log = effect_log,
                              .log_level = LOG_ERROR};

    *world = (struct world){0};
    options.hash_seed = seed;
    options.broker.bytes[0] = 0xb0;
    /* Bounds that a workload could meet are not what is measured. */
    options.offers_per_peer_max = options.services_max;
    options.window_tasks = options.service.max_tasks = options.tasks_max;
    options.window_bytes = options.service.max_bytes = options.memory_max = 1ULL << 40;
    world->broker = broker_new(&options, &effects, 0);
    if (world->broker == NULL) {
        world_fail("no memory for a broker");
    }
    greet(world);
}

void world_deinit(struct world *world)
{
    broker_free(world->broker);
    for (size_t i = 0; i < WORLD_PEERS; i++) {
        link_deinit(&world->peers[i].up);
        link_deinit(&world->peers[i].down);
    }
}
