/* post_state: what a post is made of. For post.c and post_session.c alone. */
#ifndef SLUICE_BROKER_SHELL_POST_STATE_H
#define SLUICE_BROKER_SHELL_POST_STATE_H

#include "broker/shell/post.h"

#include "common/table.h"

/* Every outbox is on the list of its state. */
enum outbox_state {
    OUTBOX_BUSY,    /* output pends */
    OUTBOX_LOST,    /* its output is dropped, and the core must be told */
    OUTBOX_IDLE,    /* has a session, and nothing pends */
    OUTBOX_SUSPENDED, /* its connection is gone, its session may come back: output is kept */
    OUTBOX_DORMANT, /* has none; kept until libzmq has let go of its bytes, so that
                     * nobody escapes the bound on them by being lost */
};
#define OUTBOX_STATE_COUNT (OUTBOX_DORMANT + 1)

/* What is said to one connection. */
struct outbox {
    struct table_node node; /* post->outboxes, by connection */
    struct list link;       /* post->lists[state] */
    enum outbox_state state;
    connection_id connection;
    bool welcomed;     /* has a session: remembered while idle */
    bool forgotten;    /* by the core: what pends gets no second try */
    bool stalled;      /* the last try found no room */
    unsigned retry_ms; /* the next pause between tries */
    uint64_t retry_at_ms;
    struct list parcels; /* oldest first; the last one is still written to */
    size_t batch_bytes;  /* of all parcels but the last */
    size_t sealed_bytes; /* the same with attached payloads; part of post->pending_bytes */
    struct flight *flight;
    struct session *session; /* numbered; NULL: it is not */
    bool gone;               /* numbered, and the connection is not there: nothing is tried */
    bool broken;             /* it was numbered, until its output was dropped */
};

struct post {
    struct post_options options;
    struct journal *journal;
    struct table outboxes;
    struct list lists[OUTBOX_STATE_COUNT];
    struct parcel_stock stock;
    size_t pending_bytes;
    size_t kept_bytes; /* of letters of all sessions */
    uint64_t starts;   /* of numbers */
    atomic_size_t flight_bytes;
    uint64_t now_ms;
};

struct outbox *outbox_find(const struct post *post, connection_id connection); /* NULL: none */
struct outbox *outbox_new(struct post *post, connection_id connection); /* NULL: no memory */
void outbox_set_state(struct post *post, struct outbox *outbox, enum outbox_state state);
/* Its session, and all letters of it, are forgotten. */
void outbox_drop_session(struct post *post, struct outbox *outbox);
void outbox_drop_parcels(struct post *post, struct outbox *outbox);
/* Its output is dropped, and the core will be told; `reason` is for the log. */
void outbox_lose(struct post *post, struct outbox *outbox, enum log_level level,
                 const char *reason);
/* Nothing pends: it goes to the list where it belongs, or goes. */
void outbox_rest(struct post *post, struct outbox *outbox);
/* WELCOME has no number, and goes before all that has one. */
void outbox_write_welcome(struct post *post, struct outbox *outbox, const struct message *message);

#endif
