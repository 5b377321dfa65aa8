/* rabbitmq_link: connections to RabbitMQ on 127.0.0.1, with one channel each. One thread. */
#ifndef SLUICE_TESTS_BENCH_RABBITMQ_LINK_H
#define SLUICE_TESTS_BENCH_RABBITMQ_LINK_H

#include <amqp.h>
#include <amqp_framing.h>
#include <stdbool.h>
#include <stdint.h>

#define RABBITMQ_CHANNEL 1

/* Is told what went wrong, and does not return. */
typedef void rabbitmq_fail_fn(const char *what, const char *why);

/* Once, before all others. */
void rabbitmq_link_init(rabbitmq_fail_fn *fail);

/* Fails unless all is well. */
void rabbitmq_expect_ok(int status, const char *what);
void rabbitmq_expect_reply(amqp_rpc_reply_t reply, const char *what);

/* A connection, as the user that a new server has. */
amqp_connection_state_t rabbitmq_connect(uint64_t port);
void rabbitmq_disconnect(amqp_connection_state_t connection);

/* The server sends so many messages that have not been acknowledged; more than 65535: so many. */
void rabbitmq_prefetch(amqp_connection_state_t connection, uint64_t messages);

/* The next message; the caller destroys it. False: none within wait_ms. */
bool rabbitmq_consume(amqp_connection_state_t connection, amqp_envelope_t *envelope, int wait_ms);

#endif
