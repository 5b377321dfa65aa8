#include "agents/runtime/parcel.h"

#include "common/check.h"

#include <errno.h>
#include <string.h>

static void release(void *data, void *hint)
{
    (void)data;
    blob_unref(hint);
}

void parcel_begin(struct parcel *parcel)
{
    parcel->count = 0;
    parcel->failed = false;
}

void parcel_copy(struct parcel *parcel, struct span bytes)
{
    parcel_begin(parcel);
    parcel->failed = zmq_msg_init_size(&parcel->frames[0], bytes.size) != 0;
    if (!parcel->failed) {
        memcpy(zmq_msg_data(&parcel->frames[0]), bytes.data, bytes.size);
        parcel->count = 1;
    }
}

void parcel_add(struct parcel *parcel, struct blob *blob)
{
    struct span bytes = blob_span(blob);

    CHECK(parcel->count < MESSAGE_FRAMES_MAX);
    parcel->failed = parcel->failed ||
                     zmq_msg_init_data(&parcel->frames[parcel->count], (void *)bytes.data,
                                       bytes.size, release, blob) != 0;
    if (!parcel->failed) {
        blob_ref(blob);
        parcel->count++;
    }
}

/* A signal may come before a frame was taken, also if nothing is waited for: what has begun must
 * go on, or the next message would be part of this one. */
static bool send_frame(void *socket, zmq_msg_t *frame, int flags)
{
    while (zmq_msg_send(frame, socket, ZMQ_DONTWAIT | flags) < 0) {
        if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

bool parcel_send(struct parcel *parcel, void *socket)
{
    size_t sent = 0;

    /* Only the first frame can be refused for lack of room. */
    while (!parcel->failed && sent < parcel->count &&
           send_frame(socket, &parcel->frames[sent],
                      sent + 1 < parcel->count ? ZMQ_SNDMORE : 0)) {
        sent++;
    }
    for (size_t i = sent; i < parcel->count; i++) {
        zmq_msg_close(&parcel->frames[i]);
    }
    return sent > 0;
}
