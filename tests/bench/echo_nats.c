/* What `sluice bench echo` is measured against: NATS core, request and reply. Workers subscribe as
 * one queue group; the submitter has one subscription for all replies, and a payload says itself
 * which task it answers. A message that nobody takes, or whose taker dies, is gone.
 *
 * libnats reads and flushes in threads of its own, which is what most programs do with it. Given an
 * event loop (--loop) it leaves that to us: here that is the smallest loop there is, in the only
 * thread, and what was read together is answered together. */
#include "tests/bench/echo_rival.h"

#include <errno.h>
#include <nats/nats.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUP "workers"
#define IO_BYTES (64 * 1024)      /* read at once, where libnats has 32 KiB */
#define UNSENT_MAX (1024 * 1024)  /* bytes before a loop writes: libnats moves what is left over */

struct link {
    struct echo_rival *rival;
    natsConnection *connection;
    natsSubscription *subscription; /* for tasks, or for replies */
    natsInbox *inbox;
    uint8_t *payload;
    /* With a loop: */
    int fd;
    bool reading, writing; /* what libnats waits for */
    uint64_t unsent_bytes; /* given to libnats since it has last written all */
};

static char subject[64]; /* of the tasks, the same in all processes */
static bool looping;

static void expect_ok(struct echo_rival *rival, natsStatus status, const char *what)
{
    if (status != NATS_OK) {
        echo_rival_fail(rival, what, natsStatus_GetText(status));
    }
}

/* The event loop's four calls: libnats tells what it waits for. */

static natsStatus on_attach(void **user, void *loop, natsConnection *connection, natsSock socket)
{
    struct link *link = loop;

    (void)connection;
    link->fd = socket;
    link->reading = true;
    *user = link;
    return NATS_OK;
}

static natsStatus on_read(void *user, bool add)
{
    struct link *link = user;

    link->reading = add;
    return NATS_OK;
}

static natsStatus on_write(void *user, bool add)
{
    struct link *link = user;

    link->writing = add;
    return NATS_OK;
}

static natsStatus on_detach(void *user)
{
    struct link *link = user;

    link->reading = link->writing = false;
    return NATS_OK;
}

/* Writes what can be written. */
static void flush(struct link *link)
{
    if (link->writing) {
        natsConnection_ProcessWriteEvent(link->connection);
    }
    if (!link->writing) {
        link->unsent_bytes = 0;
    }
}

/* The same; reads what is there, after waiting up to wait_ms for either, or until
 * pace_fd is readable (-1: there is none). */
static void turn(struct link *link, int wait_ms, int pace_fd)
{
    struct pollfd items[] = {{.fd = link->fd, .events = POLLIN}, {.fd = pace_fd, .events = POLLIN}};

    flush(link);
    items[0].events |= link->writing ? POLLOUT : 0;
    if (!link->reading) {
        echo_rival_fail(link->rival, "connection", "the server has closed it");
    }
    if (poll(items, 2, wait_ms) < 0 && errno != EINTR) {
        echo_rival_fail(link->rival, "poll", strerror(errno));
    }
    if (items[0].revents & (POLLIN | POLLHUP | POLLERR)) {
        natsConnection_ProcessReadEvent(link->connection);
    }
}

/* The next message that has been read, after waiting up to wait_ms; NULL: there is none. */
static natsMsg *next_message(struct link *link, int wait_ms)
{
    natsMsg *message = NULL;
    natsStatus status = natsSubscription_NextMsg(&message, link->subscription, wait_ms);

    if (status == NATS_TIMEOUT) {
        return NULL;
    }
    expect_ok(link->rival, status, "receive");
    return message;
}

/* The same, and what was published is on its way. */
static natsMsg *first_message(struct link *link, int wait_ms)
{
    if (looping) {
        /* What bound_unsent has read is no event for poll. */
        natsMsg *message = next_message(link, 0);

        turn(link, message != NULL ? 0 : wait_ms, link->rival->pace.fd);
        return message != NULL ? message : next_message(link, 0);
    }
    return next_message(link, wait_ms);
}

/* After each message that was published. A loop must not leave much for the next turn. */
static void bound_unsent(struct link *link)
{
    if (looping) {
        link->unsent_bytes += link->rival->payload_bytes;
        while (link->unsent_bytes > UNSENT_MAX) {
            flush(link);
            if (link->writing) {
                turn(link, ECHO_RIVAL_STALL_MS, -1);
            }
        }
    }
}

static struct link *connect_link(struct echo_rival *rival)
{
    struct link *link = calloc(1, sizeof(*link));
    natsOptions *options = NULL;
    char url[64];

    if (link == NULL || (link->payload = malloc(rival->payload_bytes)) == NULL) {
        echo_rival_fail(rival, "connect", "no memory");
    }
    link->rival = rival;
    snprintf(url, sizeof(url), "nats://127.0.0.1:%u", (unsigned)rival->port);
    expect_ok(rival, natsOptions_Create(&options), "options");
    expect_ok(rival, natsOptions_SetURL(options, url), url);
    expect_ok(rival, natsOptions_SetAllowReconnect(options, false), "options");
    expect_ok(rival, natsOptions_SetIOBufSize(options, IO_BYTES), "options");
    /* To write each message at once is best for one at a time. With a loop it only means to ask
     * for it at once, which a thread would do otherwise. */
    expect_ok(rival, natsOptions_SetSendAsap(options, looping || rival->window == 1), "options");
    if (looping) {
        expect_ok(rival,
                  natsOptions_SetEventLoop(options, link, on_attach, on_read, on_write, on_detach),
                  "event loop");
    }
    expect_ok(rival, natsConnection_Connect(&link->connection, options), url);
    natsOptions_Destroy(options);
    return link;
}

/* As one of a group, though an inbox has no other. */
static void subscribe(struct link *link, const char *to)
{
    expect_ok(link->rival,
              natsConnection_QueueSubscribeSync(&link->subscription, link->connection, to, GROUP),
              "subscribe");
    expect_ok(link->rival, natsSubscription_SetPendingLimits(link->subscription, -1, -1), "limits");
}

/* Returns when the server has worked off what it got: a message to ourselves comes after that. */
static void settle(struct link *link)
{
    natsSubscription *tasks = link->subscription;
    natsMsg *message;
    natsInbox *inbox;

    expect_ok(link->rival, natsInbox_Create(&inbox), "inbox");
    subscribe(link, inbox);
    expect_ok(link->rival, natsConnection_PublishString(link->connection, inbox, ""), "settle");
    while ((message = first_message(link, ECHO_RIVAL_STALL_MS)) == NULL) {
    }
    natsMsg_Destroy(message);
    natsInbox_Destroy(inbox);
    natsSubscription_Destroy(link->subscription);
    link->subscription = tasks;
}

static void nats_serve(struct echo_rival *rival)
{
    struct link *link = connect_link(rival);
    natsMsg *message;

    subscribe(link, subject);
    settle(link);
    echo_rival_ready(rival);
    for (;;) {
        message = first_message(link, ECHO_RIVAL_STALL_MS);
        for (; message != NULL; message = next_message(link, 0)) {
            expect_ok(rival,
                      natsConnection_Publish(link->connection, natsMsg_GetReply(message),
                                             natsMsg_GetData(message),
                                             natsMsg_GetDataLength(message)),
                      "reply");
            natsMsg_Destroy(message);
            bound_unsent(link);
        }
    }
}

static void *nats_open(struct echo_rival *rival)
{
    struct link *link = connect_link(rival);

    if (looping) {
        rival->bench = "nats-loop";
    }
    rival->sends_alone = !looping; /* NextMsg waits for messages and for nothing else */
    expect_ok(rival, natsInbox_Create(&link->inbox), "inbox");
    subscribe(link, link->inbox);
    return link;
}

static void nats_send(void *arg, struct echo_rival *rival, uint64_t sequence)
{
    struct link *link = arg;

    echo_rival_fill(rival, sequence, link->payload);
    expect_ok(rival,
              natsConnection_PublishRequest(link->connection, subject, link->inbox, link->payload,
                                            (int)rival->payload_bytes),
              "request");
    bound_unsent(link);
}

/* A message without data says that nobody serves: the workers are gone. */
static void nats_receive(void *arg, struct echo_rival *rival, int wait_ms)
{
    struct link *link = arg;
    natsMsg *message = first_message(link, wait_ms);

    for (; message != NULL; message = next_message(link, 0)) {
        if (natsMsg_GetDataLength(message) == 0) {
            echo_rival_failed(rival);
        } else {
            echo_rival_reply(rival, natsMsg_GetData(message),
                             (size_t)natsMsg_GetDataLength(message));
        }
        natsMsg_Destroy(message);
    }
}

/* The end of the process closes the connection: libnats would ask the event loop for more. */
static void nats_close(void *arg)
{
    (void)arg;
}

int main(int argc, char **argv)
{
    const struct option_spec spec =
        OPTION_FLAG_SPEC("loop", &looping, "an event loop instead of libnats' threads");
    const struct option_set options = {&spec, 1};
    const struct echo_rival_kind nats = {
        .program = "sluice-bench-echo-nats",
        .name = "nats",
        .about = "Echo by request and reply through NATS core.",
        .options = &options,
        .paced = true,
        .serve = nats_serve,
        .open = nats_open,
        .send = nats_send,
        .receive = nats_receive,
        .close = nats_close,
    };

    snprintf(subject, sizeof(subject), "sluice.bench.%d", (int)getpid());
    return echo_rival_main(&nats, argc, argv);
}
