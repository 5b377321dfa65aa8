#include "cli/crowd/agent.h"

#include "cli/bench_result.h"
#include "common/id.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#define TICK_MS 50
#define BATCH_COMMANDS 224 /* of a message, as libsluice's */

struct pile {
    struct agent_world world;
    struct agent agent;
    struct submit submit; /* of all */
    uint64_t left;
    uint64_t pinged_ns;
};

/* Blocks while the connection is full. False: it is broken. */
static bool send_part(const struct pile *pile, struct span part, bool more)
{
    return zmq_send(pile->agent.socket, part.data, part.size, more ? ZMQ_SNDMORE : 0) >= 0;
}

static bool send_batch(struct pile *pile)
{
    struct codec_writer *writer = &pile->world.writer;
    bool sent = send_part(pile, span_of(writer->data, writer->size), writer->frame_count > 0);

    for (size_t i = 0; sent && i < writer->frame_count; i++) {
        sent = send_part(pile, blob_span(writer->frames[i]), i + 1 < writer->frame_count);
    }
    codec_writer_clear(writer);
    return sent;
}

static bool send_some(struct pile *pile)
{
    struct message message = {.command = COMMAND_SUBMIT, .submit = pile->submit};

    for (int i = 0; i < BATCH_COMMANDS && pile->left > 0; i++) {
        enum codec_write_result result;

        message.submit.id = id_new();
        result = codec_write(&pile->world.writer, &message);
        if (result == CODEC_FULL) {
            break;
        }
        if (result != CODEC_WRITTEN) {
            fprintf(stderr, "sluice bench-crowd: out of memory\n");
            return false;
        }
        pile->left--;
    }
    return send_batch(pile);
}

/* Until the time has passed, the broker has answered (true) or standard input has ended. */
static bool wait_ms(const struct pile *pile, long ms, bool *ended)
{
    zmq_pollitem_t items[] = {{.socket = pile->agent.socket, .events = ZMQ_POLLIN},
                              {.fd = STDIN_FILENO, .events = ZMQ_POLLIN}};
    int count = zmq_poll(items, 2, ms);

    *ended = items[1].revents != 0;
    return count > 0 && items[0].revents != 0;
}

static void ping(struct pile *pile)
{
    uint64_t now_ns = bench_now_ns();

    if (now_ns - pile->pinged_ns >= pile->world.ping_ms * 1000000) {
        pile->pinged_ns = now_ns;
        agent_ping(&pile->agent, &pile->world);
    }
}

static bool live(struct pile *pile)
{
    bool ended = false, sent = true;

    while (!ended && sent && pile->world.report.lost == 0) {
        bool joined = pile->agent.state == AGENT_JOINED;

        if (wait_ms(pile, joined && pile->left > 0 ? 0 : TICK_MS, &ended)) {
            agent_receive(&pile->agent, &pile->world);
        }
        if (joined && pile->left > 0) {
            sent = send_some(pile);
        }
        if (joined) {
            ping(pile);
        }
    }
    return ended && pile->left == 0;
}

bool crowd_pile(const char *endpoint, const struct crowd_pile_plan *plan)
{
    struct pile pile = {.world = {.endpoint = endpoint, .ping_ms = CROWD_PING_MS, .silent = true},
                        .left = plan->tasks};
    uint8_t *payload = calloc(1, plan->payload_bytes);
    bool whole = false;

    pile.submit = (struct submit){
        .service = span_from_text(plan->service),
        .payload = {.bytes = span_of(payload, plan->payload_bytes)},
        .if_absent = IF_ABSENT_WAIT, .priority = PRIORITY_DEFAULT, .delay_ms = plan->delay_ms};
    pile.world.zmq_context = zmq_ctx_new();
    codec_writer_init(&pile.world.writer);
    if (payload != NULL && pile.world.zmq_context != NULL &&
        agent_open(&pile.agent, &pile.world, "bench-pile")) {
        whole = live(&pile);
        if (!whole) {
            fprintf(stderr, "sluice bench-crowd: of %llu tasks the broker has not all\n",
                    (unsigned long long)plan->tasks);
        }
        agent_close(&pile.agent, &pile.world);
    } else {
        fprintf(stderr, "sluice bench-crowd: no memory, or no connection to %s\n", endpoint);
    }
    codec_writer_deinit(&pile.world.writer);
    free(payload);
    zmq_ctx_term(pile.world.zmq_context);
    return whole;
}
