/* session: what makes each message of a session arrive once, in order, whatever becomes of
 * its connections.
 *
 * One side of a numbered session (PROTOCOL.md, section 2.1), the same for broker and peer, as a
 * pure state machine: it gives out numbers, keeps what was sent until the other side has
 * acknowledged it, says where to begin again on a new connection, and tells a message that
 * comes for the first time from one that came before. No I/O, no clock, no allocation: what it
 * keeps are the caller's letters, linked.
 *
 * Numbers never start over within a session: a new start begins above all that either side can
 * have used, so that what is late from before is known by its number.
 *
 * Ownership: a letter is the session's from session_keep on, and the caller's again when
 * session_release or session_drop has handed it back. One thread. */
#ifndef SLUICE_PROTO_SESSION_H
#define SLUICE_PROTO_SESSION_H

#include "common/list.h"
#include "proto/message.h"

/* What may be sent and not acknowledged. At the bound nothing more is sent, as when the socket
 * is full: messages grow instead. */
#define SESSION_MESSAGES_MAX 1024
#define SESSION_BYTES_MAX (32 * 1024 * 1024) /* one message always may */
/* So many messages or bytes that came are acknowledged even when there is nothing else to say: long
 * before the other side is at its bound. */
#define SESSION_UNTOLD_MAX 32
#define SESSION_UNTOLD_BYTES_MAX (SESSION_BYTES_MAX / 8)
/* A new start begins at some multiple; more than SESSION_MESSAGES_MAX. */
#define SESSION_STRIDE 65536

/* A message that may have to be sent again; part of what the caller keeps of it. */
struct session_letter {
    struct list link;
    uint64_t number;
    size_t bytes;
};

struct session {
    uint64_t sent;         /* the last number given out */
    uint64_t acknowledged; /* the other side has all of ours up to this one */
    uint64_t received;     /* we have all of the other side's up to this one */
    uint64_t told;         /* what of `received` we have acknowledged */
    size_t untold_bytes;   /* of the messages since */
    bool confirmed;        /* the other side has said something since the start */
    bool owing;            /* on a new connection: `received` is to be told at once */
    struct list kept;      /* letters acknowledged + 1 .. sent */
    struct list *again;    /* the first of those to be sent again; &kept: none */
    size_t kept_count, kept_bytes;
};

void session_init(struct session *session);

/* Both directions start anew, above what `session` has used and above `above` (what the other
 * side says that it has received). Two starts that the other side may know nothing of could
 * begin above the same numbers: pass another `turn` each time (counted up, it makes 65,536 of
 * them differ). Nothing may be kept. Returns the number before the first, which the other side
 * must join at. */
uint64_t session_start(struct session *session, uint64_t above, uint64_t turn);
/* The other side's session_start() returned `start`. Nothing may be kept. An acknowledgement
 * is due at once: until it comes, the other side does not know that we know. */
void session_join(struct session *session, uint64_t start);

/* ---- sending ---- */

/* False: too much is not acknowledged yet, or letters are still to be sent again. */
bool session_takes(const struct session *session, size_t bytes);
/* What to put at the head of the next message. */
struct sequence session_next(const struct session *session);
/* That message, with session_next() at its head, was sent as `letter`, of `bytes`. */
void session_keep(struct session *session, struct session_letter *letter, size_t bytes);

/* The next letter to be sent again, as it was; NULL: none. session_resent: it was sent. */
struct session_letter *session_again(const struct session *session);
void session_resent(struct session *session);

/* True: an acknowledgement is due even though there is nothing to say. session_bare is what to
 * say then; it is not kept. */
bool session_owes(const struct session *session);
struct sequence session_bare(struct session *session);

/* ---- receiving ---- */

enum session_news {
    SESSION_NEXT,     /* take the message */
    SESSION_REPEATED, /* it was here before: drop it */
    SESSION_BARE,     /* an acknowledgement, nothing to take */
    SESSION_GAP,      /* nothing changed: messages before it are missing, or it acknowledges
                       * what was never sent; only a new greeting can mend that */
};

/* `sequence` stood at the head of a message of `bytes` that came. */
enum session_news session_receive(struct session *session, const struct sequence *sequence,
                                  size_t bytes);

/* A letter that is acknowledged; NULL: no more. */
struct session_letter *session_release(struct session *session);
/* Any letter; NULL: nothing is kept any more. */
struct session_letter *session_drop(struct session *session);

/* ---- on a new connection ---- */

/* The other side has received all up to `received`, it says: what comes after is sent again.
 * What it has is released only when a message acknowledges it. False, and nothing changed: it
 * has forgotten what it acknowledged before, or claims what was never sent. */
bool session_resume(struct session *session, uint64_t received);

/* What the side that gives out the first numbers makes of a greeting of the other one. */
enum session_greeting {
    SESSION_STARTS,  /* nothing has come since the start: session_start again */
    SESSION_STANDS,  /* nothing has come, on this very connection: our answer is under way */
    SESSION_GOES_ON, /* as session_resume */
    SESSION_STALE,   /* session_resume refuses: an old greeting that came late, or a false one */
};
/* It says that it has received all up to `received`. `here`: over the connection that it had. */
enum session_greeting session_greet(struct session *session, uint64_t received, bool here);

void session_check(const struct session *session);

#endif
