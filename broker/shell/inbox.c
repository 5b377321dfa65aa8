#include "broker/shell/inbox.h"

#include "broker/shell/parcel.h"
#include "common/check.h"

#include <errno.h>
#include <stdlib.h>

/* libzmq cuts smaller frames out of its receive buffer of 8 KiB and pins all of it:
 * they are copied. Larger ones have memory of their own, which is kept instead. */
#define FRAME_COPIED_MAX 8191

void inbox_init(struct inbox *inbox)
{
    memset(inbox, 0, sizeof *inbox);
    zmq_msg_init(&inbox->head);
}

void inbox_clear(struct inbox *inbox)
{
    for (size_t i = 0; i < inbox->frame_count; i++) {
        blob_unref(inbox->frames[i]);
    }
    inbox->frame_count = 0;
    inbox->batch = span_of(NULL, 0);
    zmq_msg_close(&inbox->head);
    zmq_msg_init(&inbox->head);
}

void inbox_deinit(struct inbox *inbox)
{
    inbox_clear(inbox);
    zmq_msg_close(&inbox->head);
}

/* False: nothing is there. A frame after the first is always there: a ROUTER
 * hands out whole messages. */
static bool receive_frame(zmq_msg_t *frame, void *router)
{
    int rc;

    do {
        rc = zmq_msg_recv(frame, router, ZMQ_DONTWAIT);
    } while (rc < 0 && zmq_errno() == EINTR);
    if (rc < 0) {
        CHECK(zmq_errno() == EAGAIN);
    }
    return rc >= 0;
}

/* Reads the message that `frame` belongs to up to its end. */
static void drop_rest(zmq_msg_t *frame, void *router)
{
    while (zmq_msg_more(frame)) {
        bool there = receive_frame(frame, router);

        CHECK(there);
    }
}

static void release_frame(void *owner)
{
    zmq_msg_t *frame = owner;

    zmq_msg_close(frame);
    free(frame);
}

/* A payload out of `frame`, which is left empty but for its `more`. NULL: no memory. */
static struct blob *blob_from_frame(zmq_msg_t *frame)
{
    struct span bytes = span_of(zmq_msg_data(frame), zmq_msg_size(frame));
    zmq_msg_t *kept;
    struct blob *blob;

    if (bytes.size <= FRAME_COPIED_MAX) {
        return blob_new(bytes);
    }
    kept = malloc(sizeof *kept);
    if (kept == NULL) {
        return NULL;
    }
    /* The bytes of a frame of this size do not move with the struct. */
    zmq_msg_init(kept);
    zmq_msg_copy(kept, frame);
    blob = blob_new_foreign(span_of(zmq_msg_data(kept), zmq_msg_size(kept)), release_frame, kept);
    if (blob == NULL) {
        release_frame(kept);
    }
    return blob;
}

static void refuse(struct inbox *inbox, enum error_code code, const char *field,
                   const char *message)
{
    inbox->kind = INBOX_MALFORMED;
    inbox->malformed = (struct malformed){.code = code, .field = field, .message = message};
}

/* The attached frames. Whatever goes wrong, the message is read to its end. */
static void receive_attached(struct inbox *inbox, void *router)
{
    zmq_msg_t frame;
    bool more = zmq_msg_more(&inbox->head);

    zmq_msg_init(&frame);
    while (more) {
        bool there = receive_frame(&frame, router);
        struct blob *blob;

        CHECK(there);
        more = zmq_msg_more(&frame);
        if (inbox->frame_count == MESSAGE_FRAMES_MAX - 1) {
            refuse(inbox, ERROR_TOO_LARGE, "frames",
                   "a message has at most 64 frames: send more messages");
            break;
        }
        blob = blob_from_frame(&frame);
        if (blob == NULL) {
            refuse(inbox, ERROR_MEMORY_FULL, "frames", "the broker has no memory: send it later");
            break;
        }
        inbox->frames[inbox->frame_count++] = blob;
    }
    drop_rest(&frame, router);
    zmq_msg_close(&frame);
}

/* Frame 0 and what follows. */
static void receive_body(struct inbox *inbox, void *router)
{
    bool there = receive_frame(&inbox->head, router);

    CHECK(there);
    inbox->kind = INBOX_BATCH;
    inbox->batch = span_of(zmq_msg_data(&inbox->head), zmq_msg_size(&inbox->head));
    receive_attached(inbox, router);
    if (inbox->kind == INBOX_MALFORMED) {
        return;
    }
    if (inbox->batch.size > BATCH_BYTES_MAX) {
        refuse(inbox, ERROR_TOO_LARGE, "batch",
               "frame 0 is larger than 1 MiB: attach payloads, or send more messages");
    } else if (inbox->batch.size == 0 && inbox->frame_count > 0) {
        refuse(inbox, ERROR_BAD_MESSAGE, "batch",
               "frame 0 is empty but frames follow: use a DEALER, and no delimiter frame");
    } else if (inbox->batch.size == 0) {
        inbox->kind = INBOX_PROBE;
    }
}

bool inbox_receive(struct inbox *inbox, void *router)
{
    struct span routing_id;
    zmq_msg_t id;

    inbox_clear(inbox);
    zmq_msg_init(&id);
    if (!receive_frame(&id, router)) {
        zmq_msg_close(&id);
        return false;
    }
    CHECK(zmq_msg_more(&id));
    routing_id = span_of(zmq_msg_data(&id), zmq_msg_size(&id));
    if (routing_id_read(routing_id, &inbox->from)) {
        receive_body(inbox, router);
    } else {
        inbox->kind = INBOX_STRANGER;
        /* ZMTP ends ids at 255 bytes, and libzmq believes it of what comes over the wire.
         * Cut, it may name another stranger, who can do no harm with the advice. */
        inbox->stranger_size = routing_id.size < ROUTING_ID_MAX ? routing_id.size : ROUTING_ID_MAX;
        memcpy(inbox->stranger, routing_id.data, inbox->stranger_size);
        drop_rest(&id, router);
    }
    zmq_msg_close(&id);
    return true;
}
