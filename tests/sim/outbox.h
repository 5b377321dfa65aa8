/* outbox: what the simulated broker has to say to one connection, and the numbers of the session
 * on it: the shell's half of PROTOCOL.md, section 2.1. */
#ifndef SLUICE_TESTS_SIM_OUTBOX_H
#define SLUICE_TESTS_SIM_OUTBOX_H

#include "tests/sim/broker.h"
#include "tests/sim/outbound.h"
#include "tests/sim/shadow_letter.h"

struct outbox {
    struct list dirty;           /* broker->dirty while there is something to send */
    struct sim_broker *broker;
    struct link *link;
    struct outbound outbound;
    struct session *session;     /* NULL: not numbered */
    struct shadow_thread thread; /* of what is said; with a session */
    bool gone;                   /* numbered, and its connection is: nothing is tried */
};

/* Of `link`; made if there is none. */
struct outbox *outbox_of(struct sim_broker *broker, struct link *link);
void outbox_free(struct link *link);

void outbox_write(struct outbox *outbox, const struct message *message);
/* Its session is over: what is kept, and what waits with numbers, means nothing any more. */
void outbox_drop_session(struct outbox *outbox);

enum outbox_state {
    OUTBOX_EMPTY,
    OUTBOX_WAITS,
    OUTBOX_UNREACHABLE,
    OUTBOX_TOO_SLOW, /* more waits than may */
};
enum outbox_state outbox_flush(struct outbox *outbox);

/* struct effects' `resume`; `old` NULL: not numbered. */
enum resume outbox_resume(struct outbox *outbox, struct outbox *old, const struct id *session,
                          uint64_t received, uint64_t *start);

/* `sequence` stood at the head of a message. False: the session, if there is one, has no
 * numbers. */
bool outbox_receive(struct outbox *outbox, const struct sequence *sequence, size_t bytes,
                    enum session_news *news);

#endif
