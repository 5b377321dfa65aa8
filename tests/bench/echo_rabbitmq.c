/* What `sluice bench echo` is measured against: RabbitMQ, remote calls by direct reply-to. Tasks go
 * to a transient queue and are not confirmed; workers consume with a prefetch of the window and
 * acknowledge many at once, after their replies; replies take the server's way without a queue,
 * and are not acknowledged. A task whose worker dies comes again; a reply may be lost. */
#include "tests/bench/echo_rival.h"
#include "tests/bench/rabbitmq_link.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHANNEL RABBITMQ_CHANNEL
#define REPLY_TO "amq.rabbitmq.reply-to"
#define ACK_BATCH 250

struct link {
    amqp_connection_state_t connection;
    uint8_t *payload;
};

static char queue[64]; /* its name, the same in all processes */
static struct echo_rival *self;

static void fail(const char *what, const char *why)
{
    echo_rival_fail(self, what, why);
}

static amqp_connection_state_t connect_server(struct echo_rival *rival)
{
    self = rival;
    rabbitmq_link_init(fail);
    return rabbitmq_connect(rival->port);
}

static void publish(amqp_connection_state_t connection, amqp_bytes_t to, amqp_bytes_t reply_to,
                    amqp_bytes_t body)
{
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
                                          .delivery_mode = AMQP_DELIVERY_NONPERSISTENT};

    if (reply_to.len > 0) {
        properties._flags |= AMQP_BASIC_REPLY_TO_FLAG;
        properties.reply_to = reply_to;
    }
    rabbitmq_expect_ok(amqp_basic_publish(connection, CHANNEL, amqp_empty_bytes, to, 0, 0,
                                          &properties, body),
                       "publish");
}

/* Answers what is there, after waiting for the first, and acknowledges it. */
static void serve_some(amqp_connection_state_t connection)
{
    amqp_envelope_t envelope;
    uint64_t tag = 0;

    amqp_maybe_release_buffers(connection);
    for (int i = 0; i < ACK_BATCH; i++) {
        if (!rabbitmq_consume(connection, &envelope, i == 0 ? ECHO_RIVAL_STALL_MS : 0)) {
            break;
        }
        publish(connection, envelope.message.properties.reply_to, amqp_empty_bytes,
                envelope.message.body);
        tag = envelope.delivery_tag;
        amqp_destroy_envelope(&envelope);
    }
    if (tag > 0) {
        rabbitmq_expect_ok(amqp_basic_ack(connection, CHANNEL, tag, 1), "ack");
    }
}

static void rabbitmq_serve(struct echo_rival *rival)
{
    amqp_connection_state_t connection = connect_server(rival);

    /* It goes with its last consumer. */
    amqp_queue_declare(connection, CHANNEL, amqp_cstring_bytes(queue), 0, 0, 0, 1,
                       amqp_empty_table);
    rabbitmq_expect_reply(amqp_get_rpc_reply(connection), "queue");
    rabbitmq_prefetch(connection, rival->window);
    amqp_basic_consume(connection, CHANNEL, amqp_cstring_bytes(queue), amqp_empty_bytes, 0, 0, 0,
                       amqp_empty_table);
    rabbitmq_expect_reply(amqp_get_rpc_reply(connection), "consume");
    echo_rival_ready(rival);
    for (;;) {
        serve_some(connection);
    }
}

static void *rabbitmq_open(struct echo_rival *rival)
{
    struct link *link = calloc(1, sizeof(*link));

    if (link == NULL || (link->payload = malloc(rival->payload_bytes)) == NULL) {
        echo_rival_fail(rival, "submitter", "no memory");
    }
    link->connection = connect_server(rival);
    amqp_basic_consume(link->connection, CHANNEL, amqp_cstring_bytes(REPLY_TO), amqp_empty_bytes,
                       0, 1, 0, amqp_empty_table);
    rabbitmq_expect_reply(amqp_get_rpc_reply(link->connection), "replies");
    return link;
}

static void rabbitmq_send(void *arg, struct echo_rival *rival, uint64_t sequence)
{
    struct link *link = arg;
    amqp_bytes_t body = {rival->payload_bytes, link->payload};

    echo_rival_fill(rival, sequence, link->payload);
    publish(link->connection, amqp_cstring_bytes(queue), amqp_cstring_bytes(REPLY_TO), body);
}

static void rabbitmq_receive(void *arg, struct echo_rival *rival, int wait_ms)
{
    struct link *link = arg;
    amqp_envelope_t envelope;

    amqp_maybe_release_buffers(link->connection);
    for (int i = 0; i < ECHO_RIVAL_BURST; i++) {
        if (!rabbitmq_consume(link->connection, &envelope, i == 0 ? wait_ms : 0)) {
            break;
        }
        echo_rival_reply(rival, envelope.message.body.bytes, envelope.message.body.len);
        amqp_destroy_envelope(&envelope);
    }
}

static void rabbitmq_close(void *arg)
{
    struct link *link = arg;

    rabbitmq_disconnect(link->connection);
    free(link->payload);
    free(link);
}

static const struct echo_rival_kind rabbitmq = {
    .program = "sluice-bench-echo-rabbitmq",
    .name = "rabbitmq",
    .about = "Echo through RabbitMQ, by direct reply-to.",
    .serve = rabbitmq_serve,
    .open = rabbitmq_open,
    .send = rabbitmq_send,
    .receive = rabbitmq_receive,
    .close = rabbitmq_close,
};

int main(int argc, char **argv)
{
    snprintf(queue, sizeof(queue), "sluice.bench.%d", (int)getpid());
    return echo_rival_main(&rabbitmq, argc, argv);
}
