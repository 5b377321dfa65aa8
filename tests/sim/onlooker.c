#include "tests/sim/onlooker.h"

#include "common/check.h"
#include "tests/sim/outbound.h"

#include <stdio.h>
#include <stdlib.h>

#define CURSORS 4
#define WATCHES 3

/* Where it stands in somebody's stream. */
struct cursor {
    struct id id; /* nil: in none */
    uint64_t attempt, next;
};

struct onlooker {
    struct world *world;
    struct random random;
    struct node node;
    struct outbound outbound;
    struct id session;
    bool open, stopped;
    uint64_t heard_ms;
    struct cursor cursors[CURSORS];
};

static void say(struct onlooker *onlooker, const struct message *message)
{
    outbound_write(&onlooker->outbound, message);
}

static void hello(struct onlooker *onlooker)
{
    struct message message = {.command = COMMAND_HELLO};

    message.hello.version = 1;
    message.hello.session = onlooker->session;
    message.hello.name = span_from_text("onlooker");
    onlooker->open = false;
    say(onlooker, &message);
}

static void watch(struct onlooker *onlooker)
{
    struct random *random = &onlooker->random;
    struct message message = {.command = COMMAND_WATCH};
    uint64_t services = onlooker->world->options.services;

    message.watch.request = random_between(random, 1, WATCHES);
    message.watch.credit = random_below(random, 8);
    if (message.watch.request == 2) {
        message.watch.service =
            span_from_text(world_service((unsigned)random_below(random, services)));
    } else if (message.watch.request == 3) {
        message.watch.task = world_some_id(onlooker->world, random);
    }
    say(onlooker, &message);
}

/* On in one of its streams, out of it (it may come back), or into another. */
static void read_on(struct onlooker *onlooker)
{
    struct random *random = &onlooker->random;
    struct cursor *cursor = &onlooker->cursors[random_below(random, CURSORS)];
    struct message message = {.command = COMMAND_READ};

    if (id_is_nil(&cursor->id) || random_chance(random, 50)) {
        *cursor = (struct cursor){.id = world_some_id(onlooker->world, random)};
        cursor->next = random_chance(random, 200) ? random_below(random, 10) : 0;
    }
    message.read.id = cursor->id;
    message.read.attempt = cursor->attempt;
    message.read.sequence = cursor->next;
    message.read.credit = random_chance(random, 150) ? 0 : random_between(random, 1, 10);
    say(onlooker, &message);
}

static void signal_some(struct onlooker *onlooker)
{
    struct message message = {.command = COMMAND_SIGNAL};
    uint64_t drawn = random_next(&onlooker->random);

    message.signal.request = random_below(&onlooker->random, 2);
    message.signal.id = world_some_id(onlooker->world, &onlooker->random);
    message.signal.payload.bytes = span_of(&drawn, random_below(&onlooker->random, 9));
    say(onlooker, &message);
}

static void act(void *context, uint64_t argument)
{
    struct onlooker *onlooker = context;
    struct random *random = &onlooker->random;
    uint64_t now_ms = world_now_ms(onlooker->world);

    if (onlooker->stopped) {
        return;
    }
    agenda_enter(&onlooker->world->agenda,
                 onlooker->world->agenda.now_us + 1000 + 1000 * random_wait(random, 150), act,
                 onlooker, 0);
    if (now_ms > onlooker->heard_ms + onlooker->world->options.silence_ms ||
        random_chance(random, 10)) {
        onlooker->heard_ms = now_ms;
        onlooker->open = false;
        outbound_clear(&onlooker->outbound);
        node_reconnect(&onlooker->node);
        return;
    }
    if (onlooker->open) {
        switch (random_below(random, 8)) {
        case 0:
            watch(onlooker);
            break;
        case 1:
            if (random_chance(random, onlooker->world->options.signals)) {
                signal_some(onlooker);
            }
            break;
        case 2:
            say(onlooker, &(struct message){.command = COMMAND_PING});
            break;
        default:
            read_on(onlooker);
        }
    }
    outbound_flush_up(&onlooker->outbound, &onlooker->node);
}

static void take(struct onlooker *onlooker, const struct message *message)
{
    const struct id *id = message->command == COMMAND_RESULT ? &message->result.record.id
                                                             : &message->chunk.id;

    for (unsigned i = 0; i < CURSORS; i++) {
        struct cursor *cursor = &onlooker->cursors[i];

        if (!id_equal(&cursor->id, id)) {
            continue;
        }
        if (message->command == COMMAND_RESULT) {
            *cursor = (struct cursor){.attempt = 0};
        } else if (message->chunk.attempt >= cursor->attempt) {
            cursor->attempt = message->chunk.attempt;
            cursor->next = message->chunk.sequence + 1;
        }
    }
}

static void on_receive(void *context, const struct packet *packet)
{
    struct onlooker *onlooker = context;
    struct codec_reader reader;
    struct message message;
    struct codec_error error;

    onlooker->heard_ms = world_now_ms(onlooker->world);
    codec_reader_init(&reader, span_of(packet->data, packet->size), packet->frames,
                      packet->frame_count);
    while (codec_read(&reader, CODEC_AT_PEER, &message, &error) == CODEC_OK) {
        if (message.command == COMMAND_WELCOME) {
            onlooker->open = true;
        } else if (message.command == COMMAND_ERROR &&
                   span_is(message.error.error.code, "hello_required")) {
            hello(onlooker);
        } else if (message.command == COMMAND_CHUNK_OUT || message.command == COMMAND_RESULT) {
            take(onlooker, &message);
        }
    }
    outbound_flush_up(&onlooker->outbound, &onlooker->node);
}

static void on_linked(void *context)
{
    struct onlooker *onlooker = context;

    onlooker->open = false;
}

struct onlooker *onlooker_new(struct world *world, unsigned index)
{
    struct onlooker *onlooker = calloc(1, sizeof *onlooker);

    CHECK(onlooker != NULL);
    onlooker->world = world;
    random_init(&onlooker->random, world->options.seed, "onlooker", index);
    onlooker->session = random_id(&onlooker->random);
    outbound_init(&onlooker->outbound);
    node_init(&onlooker->node, &world->net);
    onlooker->node.context = onlooker;
    onlooker->node.receive = on_receive;
    onlooker->node.linked = on_linked;
    node_connect(&onlooker->node, 1);
    act(onlooker, 0);
    return onlooker;
}

void onlooker_stop(struct onlooker *onlooker)
{
    if (!onlooker->stopped) {
        onlooker->stopped = true;
        node_end(&onlooker->node);
    }
}

void onlooker_free(struct onlooker *onlooker)
{
    outbound_clear(&onlooker->outbound);
    free(onlooker);
}
