#include "tests/bench/rabbitmq_link.h"

#include <amqp_tcp_socket.h>
#include <sys/time.h>

static rabbitmq_fail_fn *fail_with;

void rabbitmq_link_init(rabbitmq_fail_fn *fail)
{
    fail_with = fail;
}

void rabbitmq_expect_ok(int status, const char *what)
{
    if (status != AMQP_STATUS_OK) {
        fail_with(what, amqp_error_string2(status));
    }
}

void rabbitmq_expect_reply(amqp_rpc_reply_t reply, const char *what)
{
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
        fail_with(what, amqp_error_string2(reply.library_error));
    } else if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        fail_with(what, "the server refuses");
    }
}

amqp_connection_state_t rabbitmq_connect(uint64_t port)
{
    amqp_connection_state_t connection = amqp_new_connection();
    amqp_socket_t *socket = connection != NULL ? amqp_tcp_socket_new(connection) : NULL;

    if (socket == NULL) {
        fail_with("connect", "no memory");
    }
    rabbitmq_expect_ok(amqp_socket_open(socket, "127.0.0.1", (int)port), "connect");
    rabbitmq_expect_reply(amqp_login(connection, "/", 0, AMQP_DEFAULT_FRAME_SIZE, 0,
                                     AMQP_SASL_METHOD_PLAIN, "guest", "guest"),
                          "login");
    amqp_channel_open(connection, RABBITMQ_CHANNEL);
    rabbitmq_expect_reply(amqp_get_rpc_reply(connection), "channel");
    return connection;
}

void rabbitmq_disconnect(amqp_connection_state_t connection)
{
    amqp_connection_close(connection, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(connection);
}

void rabbitmq_prefetch(amqp_connection_state_t connection, uint64_t messages)
{
    uint16_t count = messages < UINT16_MAX ? (uint16_t)messages : UINT16_MAX;

    amqp_basic_qos(connection, RABBITMQ_CHANNEL, 0, count, 0);
    rabbitmq_expect_reply(amqp_get_rpc_reply(connection), "prefetch");
}

bool rabbitmq_consume(amqp_connection_state_t connection, amqp_envelope_t *envelope, int wait_ms)
{
    struct timeval patience = {wait_ms / 1000, wait_ms % 1000 * 1000};
    amqp_rpc_reply_t reply = amqp_consume_message(connection, envelope, &patience, 0);

    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
        reply.library_error == AMQP_STATUS_TIMEOUT) {
        return false;
    }
    rabbitmq_expect_reply(reply, "consume");
    return true;
}
