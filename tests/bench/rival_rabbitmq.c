/* What `sluice bench durable` is measured against: RabbitMQ, a durable classic queue, persistent
 * messages, publisher confirms; consumers with a prefetch of the window, who acknowledge many at
 * once. The submitter is one process, each worker another: see tests/bench/rival.h.
 *
 * A confirm means that the message was synced to disk, or was consumed and acknowledged before
 * that: with workers that are fast, many are never written. */
#include "tests/bench/rabbitmq_link.h"
#include "tests/bench/rival.h"

#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define QUEUE "bench"
#define CHANNEL RABBITMQ_CHANNEL
#define BURST 64      /* publishes between looks for confirms */
#define ACK_BATCH 250 /* a quarter of the prefetch */

struct queue {
    amqp_connection_state_t connection;
    uint64_t published; /* in all passes: delivery tags count on */
    uint64_t window;
};

static const struct rival_kind rabbitmq;

static void fail(const char *what, const char *why)
{
    rival_fail(&rabbitmq, what, why);
}

static struct queue *connect_queue(const struct rival *rival)
{
    struct queue *queue = calloc(1, sizeof(*queue));

    if (queue == NULL) {
        fail("connect", "no memory");
    }
    rabbitmq_link_init(fail);
    queue->window = rival->window;
    queue->connection = rabbitmq_connect(rival->port);
    return queue;
}

static void *rabbitmq_open(const struct rival *rival)
{
    struct queue *queue = connect_queue(rival);

    amqp_queue_declare(queue->connection, CHANNEL, amqp_cstring_bytes(QUEUE), 0, 1, 0, 0,
                       amqp_empty_table);
    rabbitmq_expect_reply(amqp_get_rpc_reply(queue->connection), "queue");
    amqp_confirm_select(queue->connection, CHANNEL);
    rabbitmq_expect_reply(amqp_get_rpc_reply(queue->connection), "confirms");
    return queue;
}

static void publish(struct queue *queue, struct rival *rival, uint64_t sequence, uint8_t *payload)
{
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
                                          .delivery_mode = AMQP_DELIVERY_PERSISTENT};
    amqp_bytes_t body = {rival->payload_bytes, payload};

    rival_fill(rival, sequence, payload);
    rabbitmq_expect_ok(amqp_basic_publish(queue->connection, CHANNEL, amqp_empty_bytes,
                                 amqp_cstring_bytes(QUEUE), 0, 0, &properties, body),
              "publish");
}

/* Tag n of the pass, or all up to it that have not been confirmed. `*lowest`: no lower one is
 * missing. */
static void confirm(struct rival *rival, uint64_t tag, bool multiple, uint64_t *lowest)
{
    if (!multiple) {
        rival_confirm(rival, tag - 1);
        return;
    }
    for (; *lowest < tag; (*lowest)++) {
        rival_confirm(rival, *lowest);
    }
}

/* Reads confirms: all that came or, if told to wait, at least one. */
static void take_confirms(struct queue *queue, struct rival *rival, bool wait, uint64_t *lowest)
{
    uint64_t before = rival->confirmed;

    for (;;) {
        struct timeval patience = {wait ? RIVAL_STALL_MS / 1000 : 0, 0};
        amqp_frame_t frame;
        int status = amqp_simple_wait_frame_noblock(queue->connection, &frame, &patience);

        if (status == AMQP_STATUS_TIMEOUT && !wait) {
            return;
        }
        rabbitmq_expect_ok(status, "confirms");
        if (frame.frame_type != AMQP_FRAME_METHOD ||
            frame.payload.method.id != AMQP_BASIC_ACK_METHOD) {
            rival_fail(&rabbitmq, "confirms", "the server says something else");
        }
        amqp_basic_ack_t *ack = frame.payload.method.decoded;

        confirm(rival, ack->delivery_tag - queue->published, ack->multiple, lowest);
        wait = wait && rival->confirmed == before;
    }
}

static void rabbitmq_submit(void *arg, struct rival *rival)
{
    struct queue *queue = arg;
    uint8_t *payload = malloc(rival->payload_bytes);
    uint64_t sent = 0, lowest = 0;

    if (payload == NULL) {
        rival_fail(&rabbitmq, "submit", "no memory");
    }
    while (rival->confirmed < rival->tasks) {
        for (int i = 0; i < BURST && sent < rival->tasks && sent - rival->confirmed < rival->window;
             i++) {
            publish(queue, rival, sent++, payload);
        }
        take_confirms(queue, rival,
                      sent == rival->tasks || sent - rival->confirmed == rival->window, &lowest);
        amqp_maybe_release_buffers(queue->connection);
    }
    queue->published += sent;
    free(payload);
}

static uint64_t rabbitmq_left(void *arg)
{
    struct queue *queue = arg;
    amqp_queue_declare_ok_t *declared = amqp_queue_declare(
        queue->connection, CHANNEL, amqp_cstring_bytes(QUEUE), 1, 1, 0, 0, amqp_empty_table);

    rabbitmq_expect_reply(amqp_get_rpc_reply(queue->connection), "queue");
    return declared->message_count;
}

static void rabbitmq_close(void *arg)
{
    struct queue *queue = arg;

    amqp_queue_delete(queue->connection, CHANNEL, amqp_cstring_bytes(QUEUE), 0, 0);
    rabbitmq_expect_reply(amqp_get_rpc_reply(queue->connection), "removing the queue");
    rabbitmq_disconnect(queue->connection);
    free(queue);
}

static void *rabbitmq_attach(const struct rival *rival)
{
    struct queue *queue = connect_queue(rival);

    rabbitmq_prefetch(queue->connection, queue->window);
    amqp_basic_consume(queue->connection, CHANNEL, amqp_cstring_bytes(QUEUE), amqp_empty_bytes, 0,
                       0, 0, amqp_empty_table);
    rabbitmq_expect_reply(amqp_get_rpc_reply(queue->connection), "consume");
    return queue;
}

static uint64_t rabbitmq_serve(void *arg, struct rival *rival)
{
    struct queue *queue = arg;
    uint64_t count = 0, tag = 0;

    amqp_maybe_release_buffers(queue->connection);
    while (count < ACK_BATCH) {
        amqp_envelope_t envelope;

        if (!rabbitmq_consume(queue->connection, &envelope, count == 0 ? RIVAL_WAIT_MS : 0)) {
            break;
        }
        rival_judge(rival, envelope.message.body.bytes, envelope.message.body.len);
        tag = envelope.delivery_tag;
        amqp_destroy_envelope(&envelope);
        count++;
    }
    if (count > 0) {
        rabbitmq_expect_ok(amqp_basic_ack(queue->connection, CHANNEL, tag, 1), "ack");
    }
    return count;
}

/* The channel works off what it gets in order: what it answers comes after the acks before it. */
static void rabbitmq_settle(void *arg)
{
    struct queue *queue = arg;

    rabbitmq_prefetch(queue->connection, queue->window);
}

static const struct rival_kind rabbitmq = {
    .name = "rabbitmq",
    .open = rabbitmq_open,
    .submit = rabbitmq_submit,
    .left = rabbitmq_left,
    .close = rabbitmq_close,
    .attach = rabbitmq_attach,
    .serve = rabbitmq_serve,
    .settle = rabbitmq_settle,
};

int main(int argc, char **argv)
{
    return rival_main(&rabbitmq, argc, argv);
}
