/* inbox: one message from the ROUTER, bounded before anybody believes it.
 *
 * Says which connection it came from and what it is: a batch with its attached
 * payloads, a probe, something malformed, or the message of a stranger. Reads
 * every message to its end, whatever it is. One thread. */
#ifndef SLUICE_BROKER_SHELL_INBOX_H
#define SLUICE_BROKER_SHELL_INBOX_H

#include "broker/core/broker.h"

#include <zmq.h>

enum inbox_kind {
    INBOX_BATCH,     /* `batch` and `frames` */
    INBOX_PROBE,     /* an empty frame 0, nothing else */
    INBOX_MALFORMED, /* `malformed` */
    INBOX_STRANGER,  /* a routing id that libzmq did not make: `stranger` */
};

#define ROUTING_ID_MAX 255

struct inbox {
    enum inbox_kind kind;
    connection_id from; /* not for strangers */
    struct span batch;  /* lives until the next receive or clear */
    struct blob *frames[MESSAGE_FRAMES_MAX - 1];
    size_t frame_count;
    struct malformed malformed;
    uint8_t stranger[ROUTING_ID_MAX]; /* its beginning, if it is longer than ZMTP allows */
    size_t stranger_size;
    zmq_msg_t head; /* frame 0 */
};

void inbox_init(struct inbox *inbox);
void inbox_deinit(struct inbox *inbox);

/* Takes the next message; what the one before held is released. False: none is
 * there now. Never blocks. */
bool inbox_receive(struct inbox *inbox, void *router);

/* Releases what the inbox holds. */
void inbox_clear(struct inbox *inbox);

#endif
