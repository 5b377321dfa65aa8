#include "tests/sim/hostile.h"

#include "common/check.h"
#include "tests/sim/outbound.h"

#include <stdio.h>
#include <stdlib.h>

#define KEPT 8       /* packets kept to be replayed */
#define FLOOD_CHUNKS 100
#define HELD 32      /* tasks it was given, to answer wrongly */
#define PACKET_MAX 65536

struct kept {
    uint8_t *data;
    size_t size;
};

struct hostile {
    struct world *world;
    unsigned index;
    struct random random, streams, numbers;
    struct node node;
    struct id sessions[2];
    struct kept kept[KEPT];
    struct id held[HELD];
    uint64_t attempts[HELD];
    uint64_t said[HELD];
    uint64_t kept_count, held_count;
    uint64_t number, heard; /* its own last one in a numbered session, the broker's */
    struct id asked; /* argument of the QUERY under way */
    bool stopped;
};

static struct id some_id(struct hostile *hostile)
{
    uint64_t n = hostile->held_count < HELD ? hostile->held_count : HELD;

    if (n > 0 && random_chance(&hostile->random, 500)) {
        return hostile->held[random_below(&hostile->random, n)];
    }
    if (random_chance(&hostile->random, 700)) {
        return world_some_id(hostile->world, &hostile->random);
    }
    return random_id(&hostile->random);
}

static struct span some_service(struct hostile *hostile)
{
    return span_from_text(world_service((unsigned)random_below(&hostile->random, 5)));
}

static void draw_answer(struct hostile *hostile, struct message *message)
{
    uint64_t n = hostile->held_count < HELD ? hostile->held_count : HELD;
    uint64_t at = random_below(&hostile->random, n);
    struct id id = n > 0 ? hostile->held[at] : some_id(hostile);
    uint64_t attempt = n > 0 && random_chance(&hostile->random, 600)
                           ? hostile->attempts[at]
                           : random_below(&hostile->random, 5);

    switch (random_below(&hostile->random, 3)) {
    case 0:
        message->command = COMMAND_DONE;
        message->done.id = id;
        message->done.attempt = attempt;
        message->done.payload.bytes = span_from_text("nonsense");
        break;
    case 1:
        message->command = COMMAND_FAIL;
        message->fail.id = id;
        message->fail.attempt = attempt;
        message->fail.error.code = span_from_text("spite");
        message->fail.error.message = span_from_text("because");
        message->fail.error.retryable = random_chance(&hostile->random, 500);
        break;
    default:
        message->command = COMMAND_PROGRESS;
        message->progress.id = id;
        message->progress.attempt = attempt;
        message->progress.payload.bytes = span_from_text("x");
    }
}

static void draw_submit(struct hostile *hostile, struct submit *submit, uint8_t *needs)
{
    struct random *random = &hostile->random;

    submit->priority = PRIORITY_DEFAULT;
    submit->id = random_chance(random, 300) ? some_id(hostile) : random_id(random);
    world_saw_id(hostile->world, &submit->id);
    if (random_chance(random, 300)) {
        submit->join = random_chance(random, 500) ? JOIN_ALL : JOIN_SETTLED;
        submit->needs = needs;
        submit->needs_stride = ID_BYTES;
        submit->needs_count = random_below(random, 4);
        for (size_t i = 0; i < submit->needs_count; i++) {
            struct id id = some_id(hostile);

            memcpy(needs + i * ID_BYTES, id.bytes, ID_BYTES);
        }
    } else {
        submit->service = some_service(hostile);
        submit->payload.bytes = span_from_text("some payload");
    }
    submit->held = random_chance(random, 300);
    submit->receipts = random_chance(random, 300);
    submit->deadline_ms = random_chance(random, 300) ? random_below(random, 5000) : 0;
    submit->lease_ms = random_chance(random, 200) ? random_below(random, 500) : 0;
    submit->attempts = random_below(random, 4);
    submit->if_absent = random_chance(random, 500) ? IF_ABSENT_WAIT : IF_ABSENT_REFUSE;
    if (random_chance(random, 300)) {
        submit->parent = some_id(hostile);
        submit->parent_attempt = random_between(random, 1, 3);
    }
}

static void draw_chunk(struct hostile *hostile, struct chunk *chunk)
{
    struct random *random = &hostile->streams;
    uint64_t n = hostile->held_count < HELD ? hostile->held_count : HELD;
    bool last = n > 0 && random_chance(random, 700);
    uint64_t at = last ? (hostile->held_count - 1) % HELD : random_below(random, n);

    chunk->id = n > 0 ? hostile->held[at] : random_id(random);
    chunk->attempt = random_chance(random, 900) ? hostile->attempts[at] : random_below(random, 5);
    chunk->sequence = random_chance(random, 900) ? hostile->said[at]++ : random_below(random, 5);
    chunk->payload.bytes = span_of("anything", random_below(random, 9));
}

/* Chunks beyond what it may, or out of turn; others' streams; watches and signals. */
static void draw_stream_command(struct hostile *hostile, struct message *message)
{
    struct random *random = &hostile->streams;
    uint64_t n = hostile->held_count < HELD ? hostile->held_count : HELD;
    uint64_t at = random_below(random, n);
    struct id other = world_some_id(hostile->world, random);

    switch (random_below(random, 8)) {
    case 0:
        message->command = COMMAND_READ;
        message->read.id = other;
        message->read.attempt = random_below(random, 3);
        message->read.sequence = random_chance(random, 900) ? random_below(random, 20)
                                                            : random_next(random);
        message->read.credit = random_below(random, 12);
        break;
    case 1:
        message->command = COMMAND_SIGNAL;
        message->signal.id = other;
        message->signal.request = random_below(random, 2);
        message->signal.payload.bytes = span_of("anything", random_below(random, 9));
        break;
    case 2:
        message->command = COMMAND_CHECKPOINT;
        message->checkpoint.id = n > 0 ? hostile->held[at] : other;
        message->checkpoint.attempt = n > 0 ? hostile->attempts[at] : 1;
        message->checkpoint.payload.bytes = span_of("anything", random_below(random, 9));
        break;
    case 3:
        message->command = COMMAND_WATCH;
        message->watch.request = random_below(random, 20);
        message->watch.credit = random_below(random, 5);
        break;
    default:
        message->command = COMMAND_CHUNK;
        draw_chunk(hostile, &message->chunk);
    }
}

/* Sometimes what it has to say, to get into a numbered session at all. */
static void draw_numbers(struct hostile *hostile, struct hello *hello)
{
    struct random *random = &hostile->numbers;

    hello->resume = random_chance(random, hostile->world->options.numbered);
    hello->greeting = random_below(random, 5);
    hello->received = random_chance(random, 700)   ? hostile->heard
                      : random_chance(random, 700) ? hostile->heard + random_below(random, 20) - 10
                                                   : random_next(random);
}

static void draw_sequence(struct hostile *hostile, struct sequence *sequence)
{
    struct random *random = &hostile->numbers;

    sequence->number = random_chance(random, 850)   ? ++hostile->number
                       : random_chance(random, 700) ? hostile->number - random_below(random, 4)
                                                    : random_below(random, 3);
    sequence->acknowledged = random_chance(random, 900) ? hostile->heard : random_next(random);
}

static void draw_command(struct hostile *hostile, struct message *message, uint8_t *needs)
{
    struct random *random = &hostile->random;

    *message = (struct message){.command = COMMAND_PING};
    if (random_chance(&hostile->streams, hostile->world->options.streams)) {
        draw_stream_command(hostile, message);
        return;
    }
    switch (random_below(random, 12)) {
    case 0:
        message->command = COMMAND_HELLO;
        message->hello.version = 1;
        message->hello.session = hostile->sessions[random_below(random, 2)];
        message->hello.name = span_from_text("hostile");
        draw_numbers(hostile, &message->hello);
        break;
    case 1:
        message->command = COMMAND_OFFER;
        message->offer.service = some_service(hostile);
        message->offer.credit = random_below(random, 4);
        message->offer.max_tasks = 0;
        break;
    case 2:
        message->command = COMMAND_WITHDRAW;
        message->withdraw.service = some_service(hostile);
        break;
    case 3:
        message->command = COMMAND_CREDIT;
        message->credit.service = some_service(hostile);
        message->credit.credit = random_below(random, 8);
        break;
    case 4:
    case 5:
        message->command = COMMAND_SUBMIT;
        draw_submit(hostile, &message->submit, needs);
        break;
    case 6:
        message->command = COMMAND_CANCEL;
        message->cancel.id = some_id(hostile);
        message->cancel.request = random_below(random, 3);
        break;
    case 7:
        message->command = COMMAND_QUERY;
        message->query.request = 1;
        message->query.what = (enum query_what)random_below(random, QUERY_WHAT_COUNT);
        if (message->query.what != QUERY_CATALOG && message->query.what != QUERY_PEERS &&
            message->query.what != QUERY_STATS) {
            hostile->asked = some_id(hostile);
            message->query.argument = span_of(hostile->asked.bytes, sizeof hostile->asked.bytes);
        }
        break;
    case 8:
        message->command = random_chance(random, 100) ? COMMAND_BYE : COMMAND_PING;
        break;
    default:
        draw_answer(hostile, message);
    }
}

static void keep(struct hostile *hostile, const uint8_t *data, size_t size)
{
    struct kept *kept = &hostile->kept[hostile->kept_count++ % KEPT];

    free(kept->data);
    kept->data = malloc(size + 1);
    CHECK(kept->data != NULL);
    memcpy(kept->data, data, size);
    kept->size = size;
}

static void mutate(struct hostile *hostile, uint8_t *data, size_t *size)
{
    uint64_t times = random_between(&hostile->random, 1, 4);

    for (uint64_t i = 0; i < times && *size > 0; i++) {
        size_t at = random_below(&hostile->random, *size);

        switch (random_below(&hostile->random, 3)) {
        case 0:
            data[at] ^= (uint8_t)(1U << random_below(&hostile->random, 8));
            break;
        case 1:
            data[at] = (uint8_t)random_next(&hostile->random);
            break;
        default:
            *size = at;
        }
    }
}

static void send_bytes(struct hostile *hostile, uint8_t *data, size_t size)
{
    struct packet packet = {.data = data, .size = size};

    node_send(&hostile->node, &packet); /* if the link is down or full: so be it */
}

/* More of them than anybody can have asked for. */
static void flood(struct hostile *hostile, struct codec_writer *writer, struct message *message)
{
    for (uint64_t i = random_below(&hostile->streams, FLOOD_CHUNKS); i > 0; i--) {
        message->chunk.sequence++;
        CHECK(codec_write(writer, message) == CODEC_WRITTEN);
    }
}

static void send_drawn(struct hostile *hostile, bool mutated)
{
    uint8_t needs[4 * ID_BYTES];
    struct codec_writer writer;
    uint64_t count = random_between(&hostile->random, 1, 5);

    codec_writer_init(&writer);
    if (random_chance(&hostile->numbers, hostile->world->options.numbered)) {
        struct message message = {.command = COMMAND_SEQUENCE};

        draw_sequence(hostile, &message.sequence);
        CHECK(codec_write(&writer, &message) == CODEC_WRITTEN);
    }
    for (uint64_t i = 0; i < count; i++) {
        struct message message;

        draw_command(hostile, &message, needs);
        CHECK(codec_write(&writer, &message) == CODEC_WRITTEN);
        if (message.command == COMMAND_CHUNK && random_chance(&hostile->streams, 100)) {
            flood(hostile, &writer, &message);
        }
    }
    if (writer.size < PACKET_MAX) {
        keep(hostile, writer.data, writer.size);
    }
    if (mutated) {
        mutate(hostile, writer.data, &writer.size);
    }
    send_bytes(hostile, writer.data, writer.size);
    codec_writer_deinit(&writer);
}

static void act(void *context, uint64_t argument)
{
    struct hostile *hostile = context;
    struct random *random = &hostile->random;
    uint64_t n = hostile->kept_count < KEPT ? hostile->kept_count : KEPT;
    uint8_t noise[64];

    if (hostile->stopped) {
        return;
    }
    agenda_enter(&hostile->world->agenda,
                 hostile->world->agenda.now_us + 1000 + 1000 * random_wait(random, 200), act,
                 hostile, 0);
    switch (random_below(random, 8)) {
    case 0:
        for (size_t i = 0; i < sizeof noise; i++) {
            noise[i] = (uint8_t)random_next(random);
        }
        send_bytes(hostile, noise, random_below(random, sizeof noise));
        break;
    case 1:
        send_drawn(hostile, true);
        break;
    case 2:
        if (n > 0) {
            struct kept *kept = &hostile->kept[random_below(random, n)];

            send_bytes(hostile, kept->data, kept->size);
        }
        break;
    case 3:
        if (random_chance(random, 50)) {
            node_pause(&hostile->node, !hostile->node.paused);
        } else if (random_chance(random, 50)) {
            node_reconnect(&hostile->node);
        }
        break;
    default:
        send_drawn(hostile, false);
    }
}

static void on_receive(void *context, const struct packet *packet)
{
    struct hostile *hostile = context;
    struct codec_reader reader;
    struct message message;
    struct codec_error error;

    codec_reader_init(&reader, span_of(packet->data, packet->size), packet->frames,
                      packet->frame_count);
    while (codec_read(&reader, CODEC_AT_PEER, &message, &error) == CODEC_OK) {
        if (message.command == COMMAND_SEQUENCE) {
            hostile->heard = message.sequence.number > 0 ? message.sequence.number : hostile->heard;
        } else if (message.command == COMMAND_WELCOME && !message.welcome.resumed) {
            hostile->number = hostile->heard = message.welcome.received;
        } else if (message.command == COMMAND_TASK) {
            uint64_t at = hostile->held_count++ % HELD;

            hostile->held[at] = message.task.id;
            hostile->attempts[at] = message.task.attempt;
            hostile->said[at] = 0;
        }
    }
}

static void on_linked(void *context)
{
}

struct hostile *hostile_new(struct world *world, unsigned index)
{
    struct hostile *hostile = calloc(1, sizeof *hostile);

    CHECK(hostile != NULL);
    hostile->world = world;
    hostile->index = index;
    random_init(&hostile->random, world->options.seed, "hostile", index);
    random_init(&hostile->streams, world->options.seed, "hostile streams", index);
    random_init(&hostile->numbers, world->options.seed, "hostile numbers", index);
    hostile->sessions[0] = random_id(&hostile->random);
    hostile->sessions[1] = random_id(&hostile->random);
    node_init(&hostile->node, &world->net);
    hostile->node.context = hostile;
    hostile->node.receive = on_receive;
    hostile->node.linked = on_linked;
    node_connect(&hostile->node, 1);
    act(hostile, 0);
    return hostile;
}

void hostile_stop(struct hostile *hostile)
{
    if (!hostile->stopped) {
        hostile->stopped = true;
        node_end(&hostile->node);
    }
}

void hostile_free(struct hostile *hostile)
{
    for (unsigned i = 0; i < KEPT; i++) {
        free(hostile->kept[i].data);
    }
    free(hostile);
}
