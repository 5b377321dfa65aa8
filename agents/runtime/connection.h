/* connection: the DEALER socket, in the loop: what arrives, what waits to go.
 *
 * Commands written in one turn of the loop leave in one message. When the socket
 * does not take it (no connection, or the broker does not read), it is kept and
 * tried again; CONNECTION_PENDING_BYTES_MAX bounds what is kept.
 *
 * In a numbered session (PROTOCOL.md, section 2.1) the connection numbers what it sends and keeps
 * it until it is acknowledged, fills in what HELLO says of that, and hands out what comes
 * once and in order. Whether a session is numbered is the peer's HELLO and the broker's WELCOME.
 *
 * ZMQ_FD is edge-triggered and shared by both directions: every send or receive
 * may swallow the edge, so connection_more is asked at the end of each turn. To look costs two or
 * more system calls; after a look that found nothing, nothing is there until the descriptor
 * becomes readable or something is sent. */
#ifndef SLUICE_RUNTIME_CONNECTION_H
#define SLUICE_RUNTIME_CONNECTION_H

#include "agents/runtime/numbering.h"

#include <uv.h>

#define CONNECTION_PENDING_BYTES_MAX (512ULL * 1024 * 1024)

struct batch;

/* Called for each command that arrived. */
typedef void connection_message_fn(void *context, const struct message *message);
/* Called before, for some of them at once: they are about to come. */
typedef void connection_ahead_fn(void *context, const struct message *messages, size_t count);
/* What arrived was malformed. */
typedef void connection_bad_fn(void *context, const struct codec_error *error);

struct connection {
    uv_loop_t *loop;
    char *endpoint;
    void *zmq_context;
    void *socket;   /* NULL: closed */
    uv_poll_t *poll;
    void *monitor;       /* tells of `socket`'s connection; NULL: nothing does */
    uv_poll_t *monitor_poll;
    unsigned monitors;   /* there have been */
    bool dropped;        /* the connection ended, and nobody was told yet */
    bool nothing_in; /* the socket has said so, and nothing was done with it since */
    struct codec_writer writer;  /* the message in the making */
    struct batch *first, *last;  /* messages that the socket did not take */
    uint64_t pending_bytes;
    bool clogged;                /* too much is pending: it was dropped, and what is written is */
    struct numbering numbering;
    struct codec_writer greeting; /* HELLO, which has no number and goes first */
    void *context;
    connection_message_fn *on_message;
    connection_ahead_fn *on_ahead; /* NULL: nobody wants to know */
    connection_bad_fn *on_bad;
};

/* 0, or a negative errno: -EINVAL for an endpoint that is none. */
int connection_open(struct connection *connection, uv_loop_t *loop, const char *endpoint);
/* Lets what was sent leave for up to `linger_ms` (in zmq_ctx_term), drops what was not.
 * The poll handle is closed by the loop: run it once more. Harmless when not open. */
void connection_close(struct connection *connection, int linger_ms);
/* A new socket for the old one. 0, or a negative errno. */
int connection_reopen(struct connection *connection);

/* Appends a command to the message in the making. */
void connection_write(struct connection *connection, const struct message *message);
/* Forgets everything not yet sent or not yet acknowledged: the session is over. */
void connection_discard(struct connection *connection);
/* Sends what there is, as far as the socket takes it. True: all of it. */
bool connection_flush(struct connection *connection);
/* Whatever the socket has said: it is asked again. */
void connection_look(struct connection *connection);
/* Reads at most `max` messages and hands out their commands. */
void connection_receive(struct connection *connection, size_t max);
/* True: there is something to receive, or room for what is pending. */
bool connection_more(struct connection *connection);
/* True, once: the connection has ended since this was asked last. The socket connects anew. */
bool connection_take_drop(struct connection *connection);
/* True: it has dropped something or missed something; only connection_reopen helps. */
bool connection_broken(const struct connection *connection);

#endif
