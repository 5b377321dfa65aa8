/* peer: a session: what one process has submitted, offered and holds.
 *
 *   connected -> suspended  its connection is lost, and its messages are numbered: for
 *                           hold_ms its leases are as they were, but it gets nothing new
 *   suspended -> connected  HELLO that goes on where it stopped
 *   connected, suspended -> away
 *                           lost: its leases are the next attempts', its offers are withdrawn;
 *                           what it submitted is kept resume_ms
 *   away, suspended -> connected
 *                           HELLO with the same session id, from a new start
 *   any -> gone             BYE, or resume_ms has passed: what it submitted is cancelled
 *
 * A gone peer is in no table; its struct lives until the last task that it
 * submitted is forgotten. Owner: the broker's pool. */
#ifndef SLUICE_BROKER_CORE_PEER_H
#define SLUICE_BROKER_CORE_PEER_H

#include "broker/core/offer.h"
#include "broker/core/task.h"
#include "common/mutant.h"

enum peer_state { PEER_CONNECTED, PEER_SUSPENDED, PEER_AWAY, PEER_GONE };

#define PEER_AGENT_MAX 64

struct peer {
    struct table_node by_connection; /* connected and suspended: what comes late is taken */
    struct table_node by_session;    /* until gone */
    struct roster_place place;       /* broker->peers, until gone */
    struct id session;
    connection_id connection;
    enum peer_state state;
    bool numbered;                   /* its messages are: it can be suspended */
    bool unreachable;                /* suspended: its connection is gone, not only silent */
    bool draining;                   /* it is handed nothing new */
    bool spoken;                     /* it has said more than HELLO: it knows that it is new */
    struct label *name;
    uint32_t agent_size;
    uint8_t agent[PEER_AGENT_MAX];
    struct timer timer;              /* silence and probes; suspended: hold; away: resume */
    uint64_t heard_ms, sent_ms;
    uint64_t lost_ms;                /* when it was suspended or lost */
    uint64_t reopened_ms;            /* when it last began anew */
    bool reads_again;                /* it had readers then, who have resume_ms to go on */

    struct list offers;
    uint64_t offer_count;            /* withdrawn ones too */
    uint64_t held;                   /* leases and strays over all offers */

    struct flow *flow;               /* of its last submit: flow_last() */
    uint64_t flow_serial;
    struct list submitted;           /* tasks that have not ended */
    uint64_t submitted_count, submitted_bytes;
    uint64_t tasks;                  /* records that name it as owner, ended ones too */
    uint64_t seen;                   /* of those, by broker_check, which leaves 0 */
    struct list waits;               /* tasks it wants to hear the end of */
    uint64_t wait_count[WAIT_KIND_COUNT]; /* window_tasks at most of each */
    struct list readers;             /* of streams */
    uint64_t reader_count;
    struct list watchers;            /* not while away */
    uint64_t watcher_count;          /* WATCHES_PER_PEER_MAX at most */
};

struct peer *peer_find(const struct broker *broker, connection_id connection); /* NULL: none */
struct peer *peer_find_session(const struct broker *broker, const struct id *session);

/* A new connected session. NULL: too many. */
struct peer *peer_open(struct broker *broker, connection_id from, const struct hello *hello);
/* The session of what a store gives back: as it is, or away. NULL: no memory. */
struct peer *peer_restore(struct broker *broker, const struct id *session, struct span name);
/* The session's next connection: takes back what it held and offered. */
void peer_reopen(struct broker *broker, struct peer *peer, connection_id from,
                 const struct hello *hello);
/* The same, but the session goes on where it stopped: it has what it held and offered. */
void peer_resume(struct broker *broker, struct peer *peer, connection_id from,
                 const struct hello *hello);
/* Something came from it: it is alive, and if only silence was held against it, back. */
void peer_hear(struct broker *broker, struct peer *peer);
/* Its connection is lost, or it was silent for too long: suspends it if it is numbered, else
 * loses it. `why` is for the log. */
void peer_suspend(struct broker *broker, struct peer *peer, const char *why, bool unreachable);
/* It has lost what it held and offered. Connected or suspended. */
void peer_lose(struct broker *broker, struct peer *peer, const char *why);
/* Ends the session for good. */
void peer_end(struct broker *broker, struct peer *peer, const char *why);
/* The submitter of a detached task is here again, as another session of the same id. */
void peer_claim(struct broker *broker, struct peer *peer, struct task *task);
/* Frees it if it is gone and no task names it any more. */
void peer_release(struct broker *broker, struct peer *peer);
void peer_timer(struct broker *broker, struct peer *peer);
/* From now on probe its connection: it holds a lease. */
void peer_watch(struct broker *broker, struct peer *peer);

/* Its offers have room, or none any more: its state has changed, or `draining`. */
void peer_place_offers(struct broker *broker, struct peer *peer);
struct offer *peer_offer(const struct peer *peer, struct span service); /* NULL: not offered */

/* Sends if it is connected; the shell keeps what is said to a suspended one. */
void peer_send(struct broker *broker, struct peer *peer, const struct message *message);

/* It is there, and may be handed something. */
static inline bool peer_takes(const struct peer *peer)
{
    return (peer->state == PEER_CONNECTED ||
            (peer->state == PEER_SUSPENDED && MUTANT(SUSPENDED_GETS_TASKS))) &&
           (!peer->draining || MUTANT(DRAINED_GETS_TASKS));
}

/* Whom it acts for; until peers are authenticated, all for the same. */
static inline struct span peer_tenant(const struct peer *peer)
{
    (void)peer;
    return span_from_text("default");
}

static inline struct span label_span(const struct label *label)
{
    return label == NULL ? span_of(NULL, 0) : span_of(label->text, label->size);
}
/* With one reference. NULL: no memory. */
struct label *label_new(struct broker *broker, struct span text);
void label_unref(struct broker *broker, struct label *label); /* accepts NULL */

#endif
