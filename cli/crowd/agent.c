#include "cli/crowd/agent.h"

#include "common/id.h"

#include <stdio.h>
#include <string.h>
#include <zmq.h>

#define LINGER_MS 1000 /* for what is said at the end */
#define SENT_MAX 16    /* messages that the connection has not taken: they may be large */

static void send_one(struct agent *agent, struct agent_world *world, const struct message *message)
{
    if (codec_write(&world->writer, message) != CODEC_WRITTEN ||
        zmq_send(agent->socket, world->writer.data, world->writer.size, ZMQ_DONTWAIT) < 0) {
        world->report.failed++;
    }
    codec_writer_clear(&world->writer);
}

static void say_hello(struct agent *agent, struct agent_world *world)
{
    struct message message = {.command = COMMAND_HELLO,
                              .hello = {.version = PROTOCOL_VERSION, .session = agent->session,
                                        .name = span_from_text(agent->name)}};

    agent->state = AGENT_JOINING;
    send_one(agent, world, &message);
}

static void say_ping(struct agent *agent, struct agent_world *world)
{
    struct message message = {.command = COMMAND_PING, .ping = {.nonce = ++agent->pinged}};

    world->report.pings++;
    send_one(agent, world, &message);
}

static void say_offer(struct agent *agent, struct agent_world *world)
{
    struct message message = {.command = COMMAND_OFFER,
                              .offer = {.service = span_from_text(agent->name), .credit = 1}};

    agent->state = AGENT_OFFERING;
    send_one(agent, world, &message);
    say_ping(agent, world);
}

bool agent_open(struct agent *agent, struct agent_world *world, const char *name)
{
    int keepalive = 1, linger_ms = LINGER_MS, sent_max = SENT_MAX;

    *agent = (struct agent){.session = id_new()};
    snprintf(agent->name, sizeof(agent->name), "%s", name);
    agent->socket = zmq_socket(world->zmq_context, ZMQ_DEALER);
    if (agent->socket == NULL) {
        return false;
    }
    /* As the runtime's connections are. */
    zmq_setsockopt(agent->socket, ZMQ_TCP_KEEPALIVE, &keepalive, sizeof(keepalive));
    zmq_setsockopt(agent->socket, ZMQ_LINGER, &linger_ms, sizeof(linger_ms));
    zmq_setsockopt(agent->socket, ZMQ_SNDHWM, &sent_max, sizeof(sent_max));
    if (zmq_connect(agent->socket, world->endpoint) != 0) {
        zmq_close(agent->socket);
        return false;
    }
    say_hello(agent, world);
    return true;
}

void agent_close(struct agent *agent, struct agent_world *world)
{
    struct message message = {.command = COMMAND_BYE};

    send_one(agent, world, &message);
    zmq_close(agent->socket);
    agent->socket = NULL;
}

static void take(struct agent *agent, struct agent_world *world, const struct message *message)
{
    switch (message->command) {
    case COMMAND_WELCOME:
        world->ping_ms = message->welcome.ping_ms;
        if (world->silent) {
            agent->state = AGENT_JOINED;
        } else {
            say_offer(agent, world);
        }
        break;
    case COMMAND_PONG:
        /* One with nonce 0 is unasked. */
        if (message->pong.nonce > agent->answered && message->pong.nonce <= agent->pinged) {
            agent->answered = message->pong.nonce;
            world->report.pongs++;
        }
        if (agent->state == AGENT_OFFERING && agent->answered == agent->pinged) {
            agent->state = AGENT_JOINED;
            world->report.joined++;
        }
        break;
    case COMMAND_ERROR:
        world->report.lost++;
        world->report.joined -= agent->state == AGENT_JOINED;
        say_hello(agent, world);
        break;
    default:
        world->report.lost++; /* nothing else is ours */
        break;
    }
}

static void take_batch(struct agent *agent, struct agent_world *world, struct span batch)
{
    struct codec_reader reader;
    struct codec_error error;
    struct message message;
    enum codec_result result;

    codec_reader_init(&reader, batch, NULL, 0);
    while ((result = codec_read(&reader, CODEC_AT_PEER, &message, &error)) != CODEC_END) {
        if (result == CODEC_OK) {
            take(agent, world, &message);
        } else {
            world->report.lost++;
        }
    }
}

void agent_receive(struct agent *agent, struct agent_world *world)
{
    zmq_msg_t frame;

    zmq_msg_init(&frame);
    while (zmq_msg_recv(&frame, agent->socket, ZMQ_DONTWAIT) >= 0) {
        take_batch(agent, world, span_of(zmq_msg_data(&frame), zmq_msg_size(&frame)));
    }
    zmq_msg_close(&frame);
}

void agent_ping(struct agent *agent, struct agent_world *world)
{
    world->report.missed += agent->answered != agent->pinged;
    say_ping(agent, world);
}
