/* post_fixture: what the tests of the post share: a ROUTER, DEALERs that the post knows, a clock. */
#ifndef SLUICE_TESTS_UNIT_POST_FIXTURE_H
#define SLUICE_TESTS_UNIT_POST_FIXTURE_H

#include "broker/shell/post.h"
#include "common/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <zmq.h>

#include <cmocka.h>

#define MIB (1024 * 1024)
#define DEALERS 2
#define PATIENCE_MS 10000

struct fixture {
    void *context;
    void *router;
    void *dealers[DEALERS];
    connection_id connections[DEALERS];
    struct journal journal;
    struct post *post;
    uint64_t start; /* of a session's numbers */
    uint64_t now_ms;
};

/* One that holds `held` messages. */
static inline void *open_socket(void *context, int type, int held)
{
    void *socket = zmq_socket(context, type);
    int zero = 0;

    assert_non_null(socket);
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &held, sizeof held);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &held, sizeof held);
    return socket;
}

static inline void wait_readable(void *socket)
{
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};

    assert_int_equal(zmq_poll(&item, 1, PATIENCE_MS), 1);
}

static inline void connect_dealer(struct fixture *f, size_t at, int held)
{
    uint8_t id[ROUTING_ID_BYTES], body[8];

    f->dealers[at] = open_socket(f->context, ZMQ_DEALER, held);
    assert_int_equal(zmq_connect(f->dealers[at], "inproc://post"), 0);
    assert_int_equal(zmq_send(f->dealers[at], "x", 1, 0), 1);
    wait_readable(f->router);
    assert_int_equal(zmq_recv(f->router, id, sizeof id, 0), sizeof id);
    assert_int_equal(zmq_recv(f->router, body, sizeof body, 0), 1);
    assert_true(routing_id_read(span_of(id, sizeof id), &f->connections[at]));
}

static inline int post_setup(void **state, int held)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct post_options options = {.connections_max = 8, .bytes_max = 64 * MIB};
    int one = 1;

    assert_non_null(f);
    f->context = zmq_ctx_new();
    f->router = open_socket(f->context, ZMQ_ROUTER, held);
    zmq_setsockopt(f->router, ZMQ_ROUTER_MANDATORY, &one, sizeof one);
    assert_int_equal(zmq_bind(f->router, "inproc://post"), 0);
    for (size_t i = 0; i < DEALERS; i++) {
        connect_dealer(f, i, held);
    }
    journal_init(&f->journal, stderr, LOG_ERROR);
    options.router = f->router;
    f->post = post_new(&options, &f->journal);
    assert_non_null(f->post);
    *state = f;
    return 0;
}

static inline int post_teardown(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < DEALERS; i++) {
        zmq_close(f->dealers[i]);
    }
    zmq_close(f->router);
    zmq_ctx_term(f->context);
    post_free(f->post); /* CHECKs that nothing is in flight */
    free(f);
    return 0;
}

#endif
