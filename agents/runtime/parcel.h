/* parcel: a message in the socket's own form, which takes all of its frames or none. */
#ifndef SLUICE_RUNTIME_PARCEL_H
#define SLUICE_RUNTIME_PARCEL_H

#include "common/blob.h"
#include "proto/limits.h"

#include <zmq.h>

struct parcel {
    zmq_msg_t frames[MESSAGE_FRAMES_MAX];
    size_t count;
    bool failed; /* no memory: it cannot be sent */
};

void parcel_begin(struct parcel *parcel);
/* Begins it with a copy of `bytes`. */
void parcel_copy(struct parcel *parcel, struct span bytes);
/* Adds a frame that shares `blob`; at most MESSAGE_FRAMES_MAX in all. */
void parcel_add(struct parcel *parcel, struct blob *blob);
/* Sends it without waiting; over in any case. False: the socket has taken nothing, for lack of room
 * or memory: it can be made and sent again. True: all of it, or its connection has gone with it. */
bool parcel_send(struct parcel *parcel, void *socket);

#endif
