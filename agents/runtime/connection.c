#include "agents/runtime/connection.h"
#include "agents/runtime/parcel.h"

#include "common/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

/* A message of the broker: frame 0 is at most 1 MiB, a payload at most 16 MiB. */
#define FRAME_BYTES_MAX (PAYLOAD_BYTES_MAX + BATCH_BYTES_MAX)
#define BATCH_COUNTED_MIN 8192
#define RECONNECT_MS 50
#define RECONNECT_MS_MAX 1000
/* Dead routes are found by PING; keepalive only keeps middleboxes from forgetting us. */
#define KEEPALIVE_IDLE_S 60
/* From any of them on a message is sent without waiting for the end of the turn, so that the
 * broker works while we do: a window of tasks that moved as one would leave each
 * process idle while the others work. Payloads in frames of their own have a bound of their own:
 * they are not copied into the message, and one for each few of them cost a tenth of their
 * throughput; but a message arrives as a whole, and until then nothing is heard of us. */
#define EARLY_BYTES (256 * 1024)
#define EARLY_FRAME_BYTES (4 * 1024 * 1024)
#define EARLY_COMMANDS 224

#define AHEAD 8 /* commands; their messages fit the first level cache */

/* A finished message that the socket has not taken. */
struct batch {
    struct batch *next;
    struct codec_writer writer;
};

static void wake_loop(uv_poll_t *poll, int status, int events)
{
    struct connection *connection = poll->data;

    connection->nothing_in = false; /* the turn in the loop's check phase does the rest */
    (void)status;
    (void)events;
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static int set_options(void *socket)
{
    const struct {
        int name, value;
    } options[] = {
        {ZMQ_IMMEDIATE, 1},       /* nothing is queued for a broker that is not there */
        {ZMQ_PROBE_ROUTER, 1},    /* the broker's answer tells of every new connection */
        {ZMQ_RCVHWM, 0},          /* bounded by credit and window instead */
        {ZMQ_LINGER, 0},
        {ZMQ_HEARTBEAT_IVL, 0},
        {ZMQ_TCP_KEEPALIVE, 1},
        {ZMQ_TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S},
        {ZMQ_RECONNECT_IVL, RECONNECT_MS},
        {ZMQ_RECONNECT_IVL_MAX, RECONNECT_MS_MAX},
        {ZMQ_IPV6, 1},
    };
    int64_t frame_bytes_max = FRAME_BYTES_MAX;

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (zmq_setsockopt(socket, options[i].name, &options[i].value, sizeof(int)) != 0) {
            return -errno;
        }
    }
    return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_bytes_max, sizeof frame_bytes_max) != 0
               ? -errno
               : 0;
}

/* All of it: the descriptor tells of what comes after it was found empty. */
static void read_monitor(struct connection *connection)
{
    uint8_t frame[256]; /* of two: the event, with its number in front, and the address */

    while (zmq_recv(connection->monitor, frame, sizeof frame, ZMQ_DONTWAIT) >= 0) {
        uint16_t event;

        memcpy(&event, frame, sizeof event);
        connection->dropped = connection->dropped || event == ZMQ_EVENT_DISCONNECTED;
        zmq_recv(connection->monitor, frame, sizeof frame, ZMQ_DONTWAIT);
    }
}

static void on_monitor(uv_poll_t *poll, int status, int events)
{
    read_monitor(poll->data);
    (void)status;
    (void)events;
}

/* Has the loop look at a socket when its descriptor becomes readable. 0, or a negative errno. */
static int watch(struct connection *connection, void *socket, uv_poll_cb on_readable,
                 uv_poll_t **poll)
{
    int fd;
    size_t fd_size = sizeof fd;
    int rc;

    if (zmq_getsockopt(socket, ZMQ_FD, &fd, &fd_size) != 0) {
        return -errno;
    }
    *poll = malloc(sizeof **poll);
    if (*poll == NULL) {
        return -ENOMEM;
    }
    rc = uv_poll_init(connection->loop, *poll, fd);
    if (rc != 0) {
        free(*poll);
        *poll = NULL;
        return rc;
    }
    (*poll)->data = connection;
    return uv_poll_start(*poll, UV_READABLE, on_readable);
}

static void unwatch(uv_poll_t **poll)
{
    if (*poll != NULL) {
        uv_close((uv_handle_t *)*poll, free_handle);
        *poll = NULL;
    }
}

static void shut_monitor(struct connection *connection)
{
    unwatch(&connection->monitor_poll);
    if (connection->socket != NULL) {
        zmq_socket_monitor(connection->socket, NULL, 0); /* which would wait for a reader */
    }
    if (connection->monitor != NULL) {
        zmq_close(connection->monitor);
        connection->monitor = NULL;
    }
    connection->dropped = false;
}

/* Without it the end of a connection is noticed when there is a new one, or the broker has been
 * silent for too long: it may fail. */
static void open_monitor(struct connection *connection)
{
    const int none = 0; /* no lingering; no bound, at which libzmq's thread would wait for us */
    char address[48];
    bool good;

    snprintf(address, sizeof address, "inproc://monitor-%u", ++connection->monitors);
    if (zmq_socket_monitor(connection->socket, address, ZMQ_EVENT_DISCONNECTED) != 0) {
        return;
    }
    connection->monitor = zmq_socket(connection->zmq_context, ZMQ_PAIR);
    good = connection->monitor != NULL &&
           zmq_setsockopt(connection->monitor, ZMQ_LINGER, &none, sizeof none) == 0 &&
           zmq_setsockopt(connection->monitor, ZMQ_RCVHWM, &none, sizeof none) == 0 &&
           zmq_connect(connection->monitor, address) == 0 &&
           watch(connection, connection->monitor, on_monitor, &connection->monitor_poll) == 0;
    if (good) {
        read_monitor(connection);
    } else {
        shut_monitor(connection);
    }
}

static void shut_socket(struct connection *connection, int linger_ms)
{
    shut_monitor(connection);
    unwatch(&connection->poll);
    if (connection->socket != NULL) {
        zmq_setsockopt(connection->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
        zmq_close(connection->socket);
        connection->socket = NULL;
    }
}

static int open_socket(struct connection *connection)
{
    int rc;

    connection->socket = zmq_socket(connection->zmq_context, ZMQ_DEALER);
    if (connection->socket == NULL) {
        return -errno;
    }
    rc = set_options(connection->socket);
    if (rc == 0) {
        open_monitor(connection);
    }
    if (rc == 0 && zmq_connect(connection->socket, connection->endpoint) != 0) {
        rc = errno == ENOMEM || errno == EMFILE ? -errno : -EINVAL;
    }
    if (rc == 0) {
        connection->nothing_in = false;
        rc = watch(connection, connection->socket, wake_loop, &connection->poll);
    }
    if (rc != 0) {
        shut_socket(connection, 0);
    }
    return rc;
}

int connection_open(struct connection *connection, uv_loop_t *loop, const char *endpoint)
{
    int rc;

    connection->loop = loop;
    codec_writer_init(&connection->writer);
    codec_writer_init(&connection->greeting);
    numbering_init(&connection->numbering);
    connection->endpoint = strdup(endpoint);
    connection->zmq_context = zmq_ctx_new();
    if (connection->endpoint == NULL || connection->zmq_context == NULL) {
        connection_close(connection, 0);
        return -ENOMEM;
    }
    rc = open_socket(connection);
    if (rc != 0) {
        connection_close(connection, 0);
    }
    return rc;
}

void connection_close(struct connection *connection, int linger_ms)
{
    if (connection->loop == NULL) {
        return;
    }
    shut_socket(connection, linger_ms);
    if (connection->zmq_context != NULL) {
        zmq_ctx_term(connection->zmq_context);
        connection->zmq_context = NULL;
    }
    connection_discard(connection);
    codec_writer_deinit(&connection->writer);
    codec_writer_deinit(&connection->greeting);
    free(connection->endpoint);
    connection->endpoint = NULL;
    connection->loop = NULL;
}

int connection_reopen(struct connection *connection)
{
    shut_socket(connection, 0);
    codec_writer_clear(&connection->greeting);
    numbering_unlink(&connection->numbering);
    connection->clogged = false;
    if (!connection->numbering.on) {
        connection_discard(connection);
    }
    return open_socket(connection);
}

/* ---- out ---- */

static void drop_output(struct connection *connection)
{
    codec_writer_clear(&connection->writer);
    while (connection->first != NULL) {
        struct batch *batch = connection->first;

        connection->first = batch->next;
        codec_writer_deinit(&batch->writer);
        free(batch);
    }
    connection->last = NULL;
    connection->pending_bytes = 0;
    connection->clogged = false;
}

void connection_discard(struct connection *connection)
{
    numbering_stop(&connection->numbering);
    codec_writer_clear(&connection->greeting);
    drop_output(connection);
}

/* Puts the message in the making behind those that wait. False: no memory. */
static bool set_aside(struct connection *connection)
{
    struct batch *batch = malloc(sizeof *batch);

    if (batch == NULL) {
        return false;
    }
    batch->next = NULL;
    batch->writer = connection->writer;
    codec_writer_init(&connection->writer);
    if (connection->last != NULL) {
        connection->last->next = batch;
    } else {
        connection->first = batch;
    }
    connection->last = batch;
    connection->pending_bytes += batch->writer.size + batch->writer.frame_bytes;
    return true;
}

static int socket_events(struct connection *connection)
{
    int events = 0;
    size_t size = sizeof events;

    connection->nothing_in = false;
    if (connection->socket == NULL) {
        return 0;
    }
    while (zmq_getsockopt(connection->socket, ZMQ_EVENTS, &events, &size) != 0) {
        if (errno != EINTR) { /* which may have taken the edge all the same */
            return 0;
        }
    }
    connection->nothing_in = (events & ZMQ_POLLIN) == 0;
    return events;
}

/* False: not now. If it goes with the connection the session will be opened again, and all that
 * matters sent again. */
static bool send_message(struct connection *connection, struct codec_writer *writer)
{
    struct parcel parcel;

    parcel_copy(&parcel, span_of(writer->data, writer->size));
    for (size_t i = 0; i < writer->frame_count; i++) {
        parcel_add(&parcel, writer->frames[i]);
    }
    connection->nothing_in = false;
    if (!parcel_send(&parcel, connection->socket)) {
        return false;
    }
    codec_writer_clear(writer);
    return true;
}

/* False: not now; see send_message. */
static bool send_letter(struct connection *connection, const struct letter *letter)
{
    struct span batch = blob_span(letter->batch);
    struct parcel parcel;

    /* A small batch is copied: cheaper than to count who still has it. */
    if (batch.size < BATCH_COUNTED_MIN) {
        parcel_copy(&parcel, batch);
    } else {
        parcel_begin(&parcel);
        parcel_add(&parcel, letter->batch);
    }
    for (size_t i = 0; i < letter->frame_count; i++) {
        parcel_add(&parcel, letter->frames[i]);
    }
    connection->nothing_in = false;
    return parcel_send(&parcel, connection->socket);
}

/* What was kept and is not known to have come. */
static bool send_again(struct connection *connection)
{
    struct letter *letter;

    while ((letter = letter_of(session_again(&connection->numbering.session))) != NULL) {
        if (!send_letter(connection, letter)) {
            return false;
        }
        session_resent(&connection->numbering.session);
    }
    return true;
}

/* Sends the message, with a number if the session has them. False: not now. */
static bool send_writer(struct connection *connection, struct codec_writer *writer)
{
    struct session *session = &connection->numbering.session;
    struct sequence sequence;
    struct letter *letter;

    if (!connection->numbering.on) {
        return send_message(connection, writer);
    }
    if (!send_again(connection) || !session_takes(session, writer->size + writer->frame_bytes)) {
        return false;
    }
    sequence = session_next(session);
    letter = letter_new(&sequence, writer);
    if (letter == NULL || !send_letter(connection, letter)) {
        letter_free(letter);
        return false;
    }
    session_keep(session, &letter->kept, letter->bytes);
    codec_writer_clear(writer);
    return true;
}

static void acknowledge(struct connection *connection)
{
    static const struct codec_writer nothing;
    struct sequence bare = session_bare(&connection->numbering.session);
    struct letter *letter = letter_new(&bare, &nothing);

    if (letter != NULL) {
        send_letter(connection, letter);
        letter_free(letter);
    }
}

static bool flush_messages(struct connection *connection)
{
    while (connection->first != NULL) {
        struct batch *batch = connection->first;
        uint64_t bytes = batch->writer.size + batch->writer.frame_bytes;

        if ((socket_events(connection) & ZMQ_POLLOUT) == 0 ||
            !send_writer(connection, &batch->writer)) {
            return false;
        }
        connection->first = batch->next;
        connection->last = batch->next != NULL ? connection->last : NULL;
        connection->pending_bytes -= bytes;
        codec_writer_deinit(&batch->writer);
        free(batch);
    }
    return connection->writer.size == 0 || send_writer(connection, &connection->writer);
}

bool connection_flush(struct connection *connection)
{
    const struct numbering *numbering = &connection->numbering;
    bool all;

    if (connection->socket == NULL) {
        return connection->first == NULL && connection->writer.size == 0;
    }
    if (connection->greeting.size > 0 && !send_message(connection, &connection->greeting)) {
        return false;
    }
    if (numbering->on && !numbering->linked) {
        return connection->first == NULL && connection->writer.size == 0;
    }
    all = flush_messages(connection);
    if (numbering->on && session_owes(&numbering->session) && send_again(connection)) {
        acknowledge(connection);
    }
    return all;
}

/* A HELLO says what has come, if there are numbers; and nothing else goes until WELCOME. */
static void write_hello(struct connection *connection, const struct message *message)
{
    struct message hello = *message;

    if (!numbering_greet(&connection->numbering, &hello.hello)) {
        drop_output(connection); /* it is said again */
    }
    codec_writer_clear(&connection->greeting);
    if (codec_write(&connection->greeting, &hello) != CODEC_WRITTEN) {
        connection->clogged = true;
    }
}

/* Something was dropped: the session cannot go on. */
static void give_up(struct connection *connection)
{
    numbering_break(&connection->numbering);
    connection_discard(connection);
    connection->clogged = true;
}

/* Out of memory, or a broker that has stopped reading: the connection is given up; what
 * it would have carried is resubmitted, or is the next attempt's. */
void connection_write(struct connection *connection, const struct message *message)
{
    enum codec_write_result result;

    if (message->command == COMMAND_HELLO) {
        write_hello(connection, message);
        return;
    }
    if (connection->clogged || (connection->socket == NULL && !connection->numbering.on)) {
        return;
    }
    result = codec_write(&connection->writer, message);
    if (result == CODEC_FULL) {
        if (!connection_flush(connection) && !set_aside(connection)) {
            give_up(connection);
            return;
        }
        result = codec_write(&connection->writer, message);
        CHECK(result != CODEC_FULL);
    }
    if (result == CODEC_NOMEM || connection->pending_bytes > CONNECTION_PENDING_BYTES_MAX) {
        give_up(connection);
    } else if (connection->first == NULL &&
               (connection->writer.size >= EARLY_BYTES ||
                connection->writer.frame_bytes >= EARLY_FRAME_BYTES ||
                connection->writer.command_count >= EARLY_COMMANDS)) {
        connection_flush(connection);
    }
}

/* ---- in ---- */

struct frame {
    zmq_msg_t message;
};

static void frame_release(void *owner)
{
    struct frame *frame = owner;

    zmq_msg_close(&frame->message);
    free(frame);
}

/* Takes over `message` in any case. NULL: no memory. */
static struct blob *frame_keep(zmq_msg_t *message)
{
    struct frame *frame = malloc(sizeof *frame);
    struct blob *blob;

    if (frame == NULL) {
        zmq_msg_close(message);
        return NULL;
    }
    zmq_msg_init(&frame->message);
    zmq_msg_move(&frame->message, message);
    zmq_msg_close(message);
    blob = blob_new_foreign(span_of(zmq_msg_data(&frame->message), zmq_msg_size(&frame->message)),
                            frame_release, frame);
    if (blob == NULL) {
        frame_release(frame);
    }
    return blob;
}

struct frames {
    struct blob *blobs[MESSAGE_FRAMES_MAX - 1];
    size_t count;
};

/* Reads the frames after frame 0. False: too many, or no memory; then all of them have been
 * read and dropped. */
static bool receive_frames(void *socket, struct frames *frames)
{
    bool good = true;
    bool more = true;

    while (more) {
        zmq_msg_t message;
        struct blob *blob;

        zmq_msg_init(&message);
        while (zmq_msg_recv(&message, socket, ZMQ_DONTWAIT) < 0) {
            if (errno != EINTR) {
                zmq_msg_close(&message);
                return false;
            }
        }
        more = zmq_msg_more(&message);
        if (!good || frames->count == MESSAGE_FRAMES_MAX - 1) {
            zmq_msg_close(&message);
            good = false;
            continue;
        }
        blob = frame_keep(&message);
        good = blob != NULL;
        if (good) {
            frames->blobs[frames->count++] = blob;
        }
    }
    return good;
}

/* What WELCOME says of numbers. */
static void take_welcome(struct connection *connection, const struct welcome *welcome)
{
    switch (numbering_welcome(&connection->numbering, welcome)) {
    case NUMBERING_SAME:
        break;
    case NUMBERING_ANEW:
        drop_output(connection);
        break;
    case NUMBERING_BROKEN:
        give_up(connection);
        break;
    }
}

static void hand_out(struct connection *connection, const struct message *message)
{
    if (message->command == COMMAND_WELCOME) {
        take_welcome(connection, &message->welcome);
    } else if (message->command == COMMAND_ERROR) {
        numbering_error(&connection->numbering, &message->error);
    }
    connection->on_message(connection->context, message);
}

static void read_commands(struct connection *connection, struct span batch,
                          const struct frames *frames)
{
    struct codec_reader reader;
    struct codec_error error;
    struct message messages[AHEAD];
    enum codec_result result;

    codec_reader_init(&reader, batch, frames->blobs, frames->count);
    do {
        size_t count = codec_read_some(&reader, CODEC_AT_PEER, messages, AHEAD, &result, &error);

        if (connection->on_ahead != NULL) {
            connection->on_ahead(connection->context, messages, count);
        }
        for (size_t i = 0; i < count; i++) {
            if (messages[i].command != COMMAND_SEQUENCE) {
                hand_out(connection, &messages[i]);
            } else if (!numbering_take(&connection->numbering, &messages[i].sequence,
                                       codec_reader_bytes(&reader))) {
                return;
            }
        }
        if (result == CODEC_BAD || result == CODEC_BROKEN) {
            connection->on_bad(connection->context, &error);
        }
    } while (result == CODEC_OK || result == CODEC_BAD);
}

/* False: there is nothing more to read. */
static bool receive_one(struct connection *connection)
{
    struct frames frames = {.count = 0};
    zmq_msg_t first;
    bool good = true;

    if (connection->socket == NULL || connection->nothing_in) {
        return false;
    }
    zmq_msg_init(&first);
    if (zmq_msg_recv(&first, connection->socket, ZMQ_DONTWAIT) < 0) {
        connection->nothing_in = errno == EAGAIN;
        zmq_msg_close(&first);
        return false;
    }
    if (zmq_msg_more(&first)) {
        good = receive_frames(connection->socket, &frames);
    }
    if (good && zmq_msg_size(&first) > 0) {
        read_commands(connection, span_of(zmq_msg_data(&first), zmq_msg_size(&first)), &frames);
    }
    for (size_t i = 0; i < frames.count; i++) {
        blob_unref(frames.blobs[i]);
    }
    zmq_msg_close(&first);
    return true;
}

void connection_look(struct connection *connection)
{
    connection->nothing_in = false;
}

void connection_receive(struct connection *connection, size_t max)
{
    while (max-- > 0 && receive_one(connection)) {
    }
}

/* Of the next message that is not a HELLO; 0: there is none. */
static size_t next_bytes(const struct connection *connection)
{
    const struct codec_writer *writer =
        connection->first != NULL ? &connection->first->writer : &connection->writer;

    return writer->size + writer->frame_bytes;
}

bool connection_more(struct connection *connection)
{
    size_t bytes = next_bytes(connection);
    bool pending = connection->greeting.size > 0 ||
                   (bytes > 0 && numbering_lets(&connection->numbering, bytes));
    int events = pending || !connection->nothing_in ? socket_events(connection) : 0;

    return (events & ZMQ_POLLIN) != 0 || (pending && (events & ZMQ_POLLOUT) != 0);
}

bool connection_take_drop(struct connection *connection)
{
    bool dropped = connection->dropped;

    connection->dropped = false;
    return dropped;
}

bool connection_broken(const struct connection *connection)
{
    return connection->clogged || connection->numbering.missing;
}
