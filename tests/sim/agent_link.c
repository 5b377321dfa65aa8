/* What goes through an agent's link: as agents/runtime/connection.c does it over ZeroMQ. */
#include "tests/sim/agent_state.h"

#include "common/check.h"
#include "tests/sim/shadow_letter.h"

void agent_link_open(struct agent *agent)
{
    outbound_init(&agent->outbound);
    numbering_init(&agent->numbering);
}

void agent_link_shut(struct agent *agent)
{
    outbound_clear(&agent->outbound);
    numbering_stop(&agent->numbering);
}

static struct shadow_thread thread_of(const struct agent *agent, enum direction direction)
{
    return (struct shadow_thread){.session = agent->session,
                                  .start = agent->numbering.start,
                                  .direction = direction};
}

/* ---- out ------------------------------------------------------------------------------- */

static void say_hello(struct agent *agent, const struct message *message)
{
    struct message hello = *message;

    if (!numbering_greet(&agent->numbering, &hello.hello)) {
        outbound_clear(&agent->outbound); /* it is said again */
    }
    outbound_write_first(&agent->outbound, &hello);
}

void agent_say(struct agent *agent, const struct message *message)
{
    if (message->command == COMMAND_HELLO) {
        say_hello(agent, message);
    } else {
        outbound_write(&agent->outbound, message);
    }
}

static enum sent send_up(void *context, const struct packet *packet)
{
    struct agent *agent = context;

    return node_send(&agent->node, packet);
}

static void see_numbered(void *context, uint64_t number, uint64_t digest)
{
    struct agent *agent = context;
    struct shadow_thread thread = thread_of(agent, UP);

    shadow_letter_said(&agent->world->model, &thread, number, digest);
}

bool agent_link_flush(struct agent *agent)
{
    struct numbering *numbering = &agent->numbering;
    struct carrier carrier = {.context = agent,
                              .send = send_up,
                              .session = numbering->on ? &numbering->session : NULL,
                              .numbered = see_numbered};
    struct shadow_thread thread = thread_of(agent, UP);
    enum sent sent;

    if (numbering->on && !numbering->linked) {
        return outbound_flush_first(&agent->outbound, &carrier) == SENT_OK;
    }
    sent = outbound_flush(&agent->outbound, &carrier);
    if (numbering->on) {
        session_check(&numbering->session);
        shadow_letters_kept(&agent->world->model, &thread, &numbering->session);
    }
    return sent == SENT_OK;
}

void agent_link_renew(struct agent *agent)
{
    numbering_unlink(&agent->numbering);
    if (!agent->numbering.on) {
        outbound_clear(&agent->outbound);
    }
    node_reconnect(&agent->node);
}

/* ---- in -------------------------------------------------------------------------------- */

/* True: the rest of the message is for the peer. */
static bool take_number(struct agent *agent, const struct sequence *sequence,
                        const struct codec_reader *reader)
{
    struct span rest = span_of(reader->at, (size_t)(reader->end - reader->at));
    struct shadow_thread thread = thread_of(agent, DOWN);

    if (!numbering_take(&agent->numbering, sequence, codec_reader_bytes(reader))) {
        if (agent->numbering.missing) {
            shadow_letter_missing(&agent->world->model, &thread, sequence,
                                  &agent->numbering.session);
        }
        return false;
    }
    shadow_letter_taken(&agent->world->model, &thread, sequence->number,
                        outbound_digest(rest, reader->frames, reader->frame_count));
    return true;
}

static void take_welcome(struct agent *agent, const struct welcome *welcome)
{
    if (numbering_welcome(&agent->numbering, welcome) != NUMBERING_SAME) {
        outbound_clear_rest(&agent->outbound);
    }
}

void agent_link_receive(struct agent *agent, const struct packet *packet)
{
    struct codec_reader reader;
    struct message message;
    struct codec_error error;
    enum codec_result result;

    codec_reader_init(&reader, span_of(packet->data, packet->size), packet->frames,
                      packet->frame_count);
    while ((result = codec_read(&reader, CODEC_AT_PEER, &message, &error)) == CODEC_OK) {
        if (message.command == COMMAND_SEQUENCE) {
            if (!take_number(agent, &message.sequence, &reader)) {
                break;
            }
            continue;
        }
        if (message.command == COMMAND_WELCOME) {
            take_welcome(agent, &message.welcome);
        } else if (message.command == COMMAND_ERROR) {
            numbering_error(&agent->numbering, &message.error);
        }
        peer_receive(agent->peer, &message);
    }
    CHECK(result == CODEC_END || result == CODEC_OK); /* what a broker sends is well-formed */
    if (agent->numbering.missing) {
        peer_restart(agent->peer);
        agent_link_renew(agent);
    }
}
