/* numbering: a peer's side of a numbered session (PROTOCOL.md, section 2.1), whatever carries it.
 *
 * What HELLO says of numbers, what WELCOME makes of them, whether a message that comes is to be
 * taken. Pure: no I/O, no clock. The runtime's connection sends what it says to send over
 * ZeroMQ, the simulator's agents over a simulated link. */
#ifndef SLUICE_RUNTIME_NUMBERING_H
#define SLUICE_RUNTIME_NUMBERING_H

#include "proto/letter.h"

struct numbering {
    struct session session; /* while `on` */
    bool on;                /* messages are numbered */
    bool linked;            /* on: WELCOME has come over this connection; until then none may go */
    bool plain;             /* the next HELLO must not ask for numbers: we have lost count */
    bool missing;           /* messages before one that came have not: a new HELLO is due */
    uint64_t start;         /* where the numbers began */
    uint64_t used;          /* no number above has been used before `start` */
    uint64_t greeting;      /* of the last HELLO: a WELCOME to an earlier one means nothing */
};

void numbering_init(struct numbering *numbering);
/* No numbers any more; frees what was kept. */
void numbering_stop(struct numbering *numbering);
/* Something that had to be sent was dropped: the session cannot go on. */
void numbering_break(struct numbering *numbering);
/* The connection is a new one. */
void numbering_unlink(struct numbering *numbering);

/* Fills in what `hello`, which is about to be said, has to say. False: what waits to be sent was
 * meant for a session that is no more. */
bool numbering_greet(struct numbering *numbering, struct hello *hello);

enum numbering_change {
    NUMBERING_SAME,   /* what waits to be sent can go */
    NUMBERING_ANEW,   /* what waits to be sent is to be dropped */
    NUMBERING_BROKEN, /* the same, and a new HELLO is due */
};
/* A WELCOME has come. */
enum numbering_change numbering_welcome(struct numbering *numbering,
                                        const struct welcome *welcome);
/* An ERROR has come: perhaps we are told that we have lost count. */
void numbering_error(struct numbering *numbering, const struct error_message *error);

/* `sequence` stood at the head of a message that came. True: it is to be taken. */
bool numbering_take(struct numbering *numbering, const struct sequence *sequence, size_t bytes);

/* Whether a message of `bytes` may go now that is not a HELLO. */
bool numbering_lets(const struct numbering *numbering, size_t bytes);

#endif
