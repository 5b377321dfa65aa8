/* The floors that `sluice bench echo` is measured against: the classic ZeroMQ
 * request-reply broker, zmq_proxy between a ROUTER and a DEALER, with the same
 * processes (one proxy, N echo workers, one pipelined submitter), payloads,
 * window and checks; with --workers 0 a bare ROUTER that sends everything back
 * itself. They do nothing but pass messages: no tasks, no bounds, no answer when
 * a worker dies. One message per task, for zmq_proxy cannot batch.
 *
 * Raw zmq_msg everywhere; a worker moves messages without copying. What is
 * common to all rivals is in tests/bench/echo_rival.h. */
#include "tests/bench/children.h"
#include "tests/bench/echo_rival.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#define ENDPOINT_SIZE 256

static const char *transport = "tcp";
static char directory[ENDPOINT_SIZE];    /* of ipc endpoints */
static char endpoints[2][ENDPOINT_SIZE]; /* of the submitter, and of workers */

_Noreturn static void fail(struct echo_rival *rival, const char *what)
{
    echo_rival_fail(rival, what, zmq_strerror(errno));
}

static void remove_directory(void)
{
    if (chdir(directory) == 0) {
        unlink("front");
        unlink("back");
        rmdir(directory);
    }
}

static void make_directory(struct echo_rival *rival)
{
    const char *base = getenv("TMPDIR");

    /* A unix socket's path has 107 bytes at most: a long TMPDIR is no use. */
    if (base == NULL || base[0] != '/' || strlen(base) > 60) {
        base = "/tmp";
    }
    snprintf(directory, sizeof(directory), "%s/sluice-floor-XXXXXX", base);
    if (mkdtemp(directory) == NULL) {
        directory[0] = '\0';
        fail(rival, "a directory for the sockets");
    }
}

static void *open_socket(struct echo_rival *rival, void *context, int type)
{
    void *socket = zmq_socket(context, type);
    int none = 0;

    /* No high water mark: the window bounds what is under way, and a DEALER that
     * met its mark would make the proxy wait, which is not what is measured. */
    if (socket == NULL || zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof(none)) != 0 ||
        zmq_setsockopt(socket, ZMQ_RCVHWM, &none, sizeof(none)) != 0 ||
        zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof(none)) != 0) {
        fail(rival, "socket");
    }
    return socket;
}

static void *connect_socket(struct echo_rival *rival, void *context, const char *endpoint)
{
    void *socket = open_socket(rival, context, ZMQ_DEALER);

    if (zmq_connect(socket, endpoint) != 0) {
        fail(rival, "connect");
    }
    return socket;
}

/* Binds and writes where that turned out to be into `endpoint`. */
static void bind_socket(struct echo_rival *rival, void *socket, const char *name, char *endpoint)
{
    size_t size = ENDPOINT_SIZE;

    if (directory[0] != '\0') {
        snprintf(endpoint, ENDPOINT_SIZE, "ipc://%.200s/%s", directory, name);
    } else {
        snprintf(endpoint, ENDPOINT_SIZE, "tcp://127.0.0.1:*");
    }
    if (zmq_bind(socket, endpoint) != 0 ||
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0) {
        fail(rival, "bind");
    }
}

/* Sends one message back to where it came from. False: there is none. */
static bool echo_one(struct echo_rival *rival, void *socket)
{
    zmq_msg_t part;
    int more = 1;

    while (more) {
        zmq_msg_init(&part);
        if (zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&part);
            return false;
        }
        more = zmq_msg_more(&part);
        if (zmq_msg_send(&part, socket, more ? ZMQ_SNDMORE : 0) < 0) {
            fail(rival, "echo");
        }
    }
    return true;
}

/* A worker's messages begin with the submitter's id, as those of a ROUTER do. */
_Noreturn static void echo_all(struct echo_rival *rival, void *socket)
{
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};

    for (;;) {
        if (zmq_poll(&item, 1, -1) < 0) {
            fail(rival, "poll");
        }
        while (echo_one(rival, socket)) {
        }
    }
}

/* The server process: tells its endpoints through `ready`, then passes messages. */
_Noreturn static void run_server(struct echo_rival *rival, int ready)
{
    void *context = zmq_ctx_new();
    void *front = open_socket(rival, context, ZMQ_ROUTER);
    void *back = open_socket(rival, context, ZMQ_DEALER);

    bind_socket(rival, front, "front", endpoints[0]);
    bind_socket(rival, back, "back", endpoints[1]);
    if (write(ready, endpoints, sizeof(endpoints)) != sizeof(endpoints)) {
        fail(rival, "pipe");
    }
    if (rival->workers == 0) {
        echo_all(rival, front);
    }
    zmq_proxy(front, back, NULL);
    exit(0);
}

static void floor_start(struct echo_rival *rival)
{
    int ready[2];

    rival->transport = transport;
    if (rival->workers == 0) {
        rival->bench = "zmq_router";
    }
    if (strcmp(transport, "ipc") == 0) {
        make_directory(rival);
    } else if (strcmp(transport, "tcp") != 0) {
        echo_rival_fail(rival, transport, "a transport is tcp or ipc");
    }
    if (pipe(ready) != 0 || (rival->server = children_start()) < 0) {
        echo_rival_fail(rival, "a process", strerror(errno));
    }
    if (rival->server == 0) {
        close(ready[0]);
        run_server(rival, ready[1]);
    }
    close(ready[1]);
    if (read(ready[0], endpoints, sizeof(endpoints)) != sizeof(endpoints)) {
        echo_rival_fail(rival, "start", "there is no server");
    }
    close(ready[0]);
}

/* The DEALER deals round robin to those that are connected: the first window is there to see that
 * all of them are. */
static void floor_serve(struct echo_rival *rival)
{
    void *socket = connect_socket(rival, zmq_ctx_new(), endpoints[1]);

    echo_rival_ready(rival);
    echo_all(rival, socket);
}

static void *floor_open(struct echo_rival *rival)
{
    return connect_socket(rival, zmq_ctx_new(), endpoints[0]);
}

static void floor_send(void *socket, struct echo_rival *rival, uint64_t sequence)
{
    zmq_msg_t message;

    if (zmq_msg_init_size(&message, rival->payload_bytes) != 0) {
        fail(rival, "memory");
    }
    echo_rival_fill(rival, sequence, zmq_msg_data(&message));
    if (zmq_msg_send(&message, socket, ZMQ_DONTWAIT) < 0) {
        fail(rival, "send");
    }
}

static void floor_receive(void *socket, struct echo_rival *rival, int wait_ms)
{
    zmq_pollitem_t items[] = {{.socket = socket, .events = ZMQ_POLLIN},
                              {.fd = rival->pace.fd, .events = ZMQ_POLLIN}};
    uint64_t before = rival->done;
    zmq_msg_t message;

    zmq_msg_init(&message);
    for (int i = 0; i < ECHO_RIVAL_BURST; i++) {
        if (zmq_msg_recv(&message, socket, ZMQ_DONTWAIT) < 0) {
            break;
        }
        echo_rival_reply(rival, zmq_msg_data(&message), zmq_msg_size(&message));
    }
    zmq_msg_close(&message);
    if (rival->done == before && wait_ms > 0) {
        zmq_poll(items, rival->pace.fd >= 0 ? 2 : 1, wait_ms);
    }
}

static void floor_close(void *socket)
{
    zmq_close(socket);
}

int main(int argc, char **argv)
{
    const struct option_spec spec =
        OPTION_TEXT_SPEC("transport", &transport, "tcp|ipc", "how to reach the server (tcp)");
    const struct option_set options = {&spec, 1};
    const struct echo_rival_kind zmq_floor = {
        .program = "sluice-bench-proxy",
        .name = "zmq_proxy",
        .about = "Echo through zmq_proxy(ROUTER, DEALER), or with --workers 0 by a bare ROUTER:\n"
                 "the floors for `sluice bench echo`.",
        .options = &options,
        .alone = true,
        .paced = true,
        .start = floor_start,
        .tidy = remove_directory,
        .serve = floor_serve,
        .open = floor_open,
        .send = floor_send,
        .receive = floor_receive,
        .close = floor_close,
    };

    return echo_rival_main(&zmq_floor, argc, argv);
}
