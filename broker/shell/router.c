#include "broker/shell/router.h"

#include "common/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <zmq.h>

/* Messages, not bytes: what a peer may have on its way to us, and we to it, inside
 * libzmq. A message is a batch, so few are many. */
#define PIPE_MESSAGES_MAX 64

#define LISTEN_BACKLOG 1024
#define LINGER_MS 500 /* for what libzmq still holds when the socket is closed */

static void set_option(struct router *router, int option, int value)
{
    int rc = zmq_setsockopt(router->socket, option, &value, sizeof value);

    CHECK(rc == 0);
}

static void set_options(struct router *router, const struct broker_options *options)
{
    int64_t frame_bytes_max = (int64_t)options->payload_max + BATCH_BYTES_MAX;
    int rc;

    /* A send to a connection that is gone or full must fail, not vanish. */
    set_option(router, ZMQ_ROUTER_MANDATORY, 1);
    set_option(router, ZMQ_LINGER, LINGER_MS);
    set_option(router, ZMQ_SNDHWM, PIPE_MESSAGES_MAX);
    set_option(router, ZMQ_RCVHWM, PIPE_MESSAGES_MAX);
    set_option(router, ZMQ_BACKLOG, LISTEN_BACKLOG);
    /* Liveness is the protocol's business; ZMTP's own can abort a process when a
     * pipe is full. The kernel finds the dead connections of silent hosts. */
    set_option(router, ZMQ_HEARTBEAT_IVL, 0);
    set_option(router, ZMQ_TCP_KEEPALIVE, 1);
    set_option(router, ZMQ_TCP_KEEPALIVE_IDLE, 30);
    set_option(router, ZMQ_TCP_KEEPALIVE_INTVL, 10);
    set_option(router, ZMQ_TCP_KEEPALIVE_CNT, 3);
    /* A peer whose host takes no bytes for as long as a peer may be silent is lost. */
    set_option(router, ZMQ_TCP_MAXRT, (int)options->silence_ms);
    rc = zmq_setsockopt(router->socket, ZMQ_MAXMSGSIZE, &frame_bytes_max, sizeof frame_bytes_max);
    CHECK(rc == 0);
}

/* libzmq numbers connections from rand(), which it does not seed. Were the numbers
 * predictable, a peer could take the next one as its own routing id, and libzmq
 * would abort when it gives that number to somebody else. */
static bool seed_connection_numbers(struct problem *problem)
{
    unsigned seed;

    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        problem_set(problem, "the system gives no random bytes");
        return false;
    }
    srand(seed);
    return true;
}

static bool open_socket(struct router *router, struct problem *problem)
{
    router->context = zmq_ctx_new();
    if (router->context != NULL) {
        router->socket = zmq_socket(router->context, ZMQ_ROUTER);
    }
    if (router->socket == NULL) {
        problem_set(problem, "cannot make a socket: %s", zmq_strerror(zmq_errno()));
        return false;
    }
    return true;
}

static bool bind_endpoints(struct router *router, const struct config *config,
                           struct problem *problem)
{
    size_t used = 0;

    for (size_t i = 0; i < config->endpoint_count; i++) {
        char bound[ENDPOINT_TEXT_MAX];

        if (!endpoint_bind(&config->endpoints[i], router->socket, bound, problem->text,
                           sizeof problem->text)) {
            return false;
        }
        used += (size_t)snprintf(router->bound + used, sizeof router->bound - used, "%s%s",
                                 i == 0 ? "" : " ", bound);
    }
    return true;
}

bool router_open(struct router *router, const struct config *config, struct problem *problem)
{
    memset(router, 0, sizeof *router);
    if (seed_connection_numbers(problem) && open_socket(router, problem)) {
        set_options(router, &config->broker);
        if (bind_endpoints(router, config, problem)) {
            return true;
        }
    }
    router_close(router);
    return false;
}

void router_close(struct router *router)
{
    if (router->socket != NULL) {
        zmq_close(router->socket);
    }
    if (router->context != NULL) {
        zmq_ctx_term(router->context);
    }
    memset(router, 0, sizeof *router);
}
