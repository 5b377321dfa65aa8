/* links: runtime interrupted */
/* The runtime's connection to a ROUTER of ours: a message arrives whole, whatever interrupts it. */
#include "agents/runtime/connection.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

#define FRAMES 3
#define FRAME_BYTES 9000 /* beyond what a message itself holds */

static unsigned interrupt_at; /* the nth call from now on; 0: none */

int __real_zmq_msg_send(zmq_msg_t *message, void *socket, int flags);
int __wrap_zmq_msg_send(zmq_msg_t *message, void *socket, int flags);

/* libzmq may say so, waiting or not, before it has taken the frame. */
int __wrap_zmq_msg_send(zmq_msg_t *message, void *socket, int flags)
{
    if (interrupt_at > 0 && --interrupt_at == 0) {
        errno = EINTR;
        return -1;
    }
    return __real_zmq_msg_send(message, socket, flags);
}

struct fixture {
    char endpoint[64];
    void *context, *router;
    uv_loop_t loop;
    struct connection connection;
    uint8_t payload[FRAMES][FRAME_BYTES];
};

static void ignore(void *context, const struct message *message)
{
    (void)context;
    (void)message;
}

static void ignore_bad(void *context, const struct codec_error *error)
{
    (void)context;
    (void)error;
}

/* Of the frames of the next message, after our name for who sent it: sizes and first bytes. */
static size_t receive(struct fixture *f, size_t sizes[FRAMES + 1], uint8_t first_bytes[FRAMES + 1])
{
    size_t count = 0;
    int more = 1;

    for (int i = 0; more; i++) {
        zmq_msg_t frame;

        zmq_msg_init(&frame);
        assert_true(zmq_msg_recv(&frame, f->router, 0) >= 0);
        more = zmq_msg_more(&frame);
        if (i > 0) {
            assert_true(count <= FRAMES);
            sizes[count] = zmq_msg_size(&frame);
            first_bytes[count] = sizes[count] > 0 ? *(uint8_t *)zmq_msg_data(&frame) : 0;
            count++;
        }
        zmq_msg_close(&frame);
    }
    return count;
}

/* Three answers with payloads in frames of their own. */
static void write_answers(struct fixture *f, uint8_t salt)
{
    for (size_t i = 0; i < FRAMES; i++) {
        struct message message = {.command = COMMAND_DONE};
        struct blob *blob;

        memset(f->payload[i], salt + (int)i, FRAME_BYTES);
        blob = blob_new(span_of(f->payload[i], FRAME_BYTES));
        assert_non_null(blob);
        message.done.id.bytes[0] = 1;
        message.done.attempt = 1;
        message.done.payload = (struct payload){blob_span(blob), blob};
        connection_write(&f->connection, &message);
        blob_unref(blob);
    }
}

static void a_message_that_is_interrupted_arrives_whole(void **state)
{
    struct fixture *f = *state;

    for (unsigned at = 0; at <= FRAMES + 1; at++) {
        size_t sizes[FRAMES + 1];
        uint8_t first_bytes[FRAMES + 1];

        write_answers(f, (uint8_t)(16 * at));
        interrupt_at = at;
        while (!connection_flush(&f->connection)) {
        }
        interrupt_at = 0;
        assert_int_equal(receive(f, sizes, first_bytes), FRAMES + 1);
        for (size_t i = 0; i < FRAMES; i++) {
            assert_int_equal(sizes[1 + i], FRAME_BYTES);
            assert_int_equal(first_bytes[1 + i], 16 * at + i);
        }
    }
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    int wait_ms = 10000; /* for a frame: only what was lost takes so long */
    zmq_msg_t probe;

    snprintf(f->endpoint, sizeof f->endpoint, "ipc:///tmp/sluice-test-%ld", (long)getpid());
    f->context = zmq_ctx_new();
    f->router = zmq_socket(f->context, ZMQ_ROUTER);
    zmq_setsockopt(f->router, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms);
    assert_int_equal(zmq_bind(f->router, f->endpoint), 0);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->connection.on_message = ignore;
    f->connection.on_bad = ignore_bad;
    assert_int_equal(connection_open(&f->connection, &f->loop, f->endpoint), 0);
    zmq_msg_init(&probe);
    while (zmq_msg_recv(&probe, f->router, ZMQ_DONTWAIT) < 0) { /* until it is connected */
        connection_look(&f->connection);
        connection_more(&f->connection);
    }
    assert_true(zmq_msg_more(&probe)); /* our name for it, and the empty probe */
    assert_int_equal(zmq_msg_recv(&probe, f->router, 0), 0);
    zmq_msg_close(&probe);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    int linger_ms = 0;

    connection_close(&f->connection, 0);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    uv_loop_close(&f->loop);
    zmq_setsockopt(f->router, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    zmq_close(f->router);
    zmq_ctx_term(f->context);
    unlink(f->endpoint + strlen("ipc://"));
    free(f);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_message_that_is_interrupted_arrives_whole, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
