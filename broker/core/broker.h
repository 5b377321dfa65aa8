/* broker: every decision of a broker, as a pure state machine.
 *
 * Time and commands come in as events, one at a time; what must be done about
 * them goes out through `struct effects`, in order, before broker_step returns.
 * No I/O, no clock, no threads, no ZeroMQ, no MessagePack: the same code runs
 * under sluice-broker, the simulator and the fuzzers. Deterministic: the same
 * events give the same effects.
 *
 * Ownership: struct broker owns everything it holds. Messages in events and in
 * effects are borrowed for the length of the call. Payload blobs that the core
 * keeps are ref'd. One thread. */
#ifndef SLUICE_BROKER_CORE_BROKER_H
#define SLUICE_BROKER_CORE_BROKER_H

#include "broker/core/store.h"
#include "common/log.h"
#include "proto/message.h"

struct broker;

/* A connection, as the shell numbers them; never reused for another peer. */
typedef uint32_t connection_id;

/* What can become of a HELLO that asks for `resume`. The numbers and the letters kept are the
 * shell's (proto/session.h); the core knows only whether a session goes on. */
enum resume {
    RESUME_REFUSED, /* no room: the session is not numbered */
    RESUME_ANEW,    /* numbered from here on; what was numbered before is dropped */
    RESUME_GOES_ON, /* on the new connection, as if nothing had happened */
    RESUME_STALE,   /* an old HELLO that came late, or a false one: nothing changed */
};

struct resume_request {
    bool numbered;     /* the session is already, on `old` */
    connection_id old; /* perhaps the same as `from` */
    connection_id from;
    uint64_t received; /* as it said */
};

/* What happens: the kinds of EVENT, and what an audit is kept of. PROTOCOL.md, EVENT. */
#define NOTES(X)                                                                                   \
    X(SUBMITTED, "submitted")                                                                      \
    X(REFUSED, "refused")                                                                          \
    X(STARTED, "started")                                                                          \
    X(RETRIED, "retried")                                                                          \
    X(DELAYED, "delayed")                                                                          \
    X(CANCEL_REQUESTED, "cancel_requested")                                                        \
    X(CANCELLING, "cancelling")                                                                    \
    X(DONE, "done")                                                                                \
    X(FAILED, "failed")                                                                            \
    X(CANCELLED, "cancelled")                                                                      \
    X(EXPIRED, "expired")                                                                          \
    X(PEER_CONNECTED, "peer_connected")                                                            \
    X(PEER_LOST, "peer_lost")                                                                      \
    X(PEER_ENDED, "peer_ended")                                                                    \
    X(OFFERED, "offered")                                                                          \
    X(WITHDRAWN, "withdrawn")                                                                      \
    X(LIMIT_CHANGED, "limit_changed")                                                              \
    X(PAUSED, "paused")                                                                            \
    X(RESUMED, "resumed")                                                                          \
    X(DRAINING, "draining")                                                                        \
    X(UNDRAINED, "undrained")                                                                      \
    X(BACKUP_STARTED, "backup_started")                                                            \
    X(PROGRESS, "progress")                                                                        \
    X(GATE_CLOSED, "gate_closed")                                                                  \
    X(GATE_PAUSED, "gate_paused")                                                                  \
    X(GATE_OPEN, "gate_open")                                                                      \
    X(GATE_HALF_OPEN, "gate_half_open")                                                            \
    X(GATE_RESUMING, "gate_resuming")                                                              \
    X(DEAD_LETTER, "dead_letter")                                                                  \
    X(LETTER_FORGOTTEN, "letter_forgotten")                                                        \
    X(LETTER_RETRIED, "letter_retried")                                                            \
    X(LETTER_DROPPED, "letter_dropped")

enum note_kind {
#define NOTE_ENUM(name, text) NOTE_##name,
    NOTES(NOTE_ENUM)
#undef NOTE_ENUM
    NOTE_COUNT
};
#define NOTE_BIT(name) (1ULL << NOTE_##name)
#define NOTES_ALL ((1ULL << NOTE_COUNT) - 1)
const char *note_kind_name(enum note_kind kind);

/* One thing that has happened. What does not apply is nil, empty or 0. */
struct note {
    enum note_kind kind;
    uint64_t attempt;
    struct id task;
    struct span service;
    struct span peer;   /* worker, submitter or operator: who did it, or to whom it was done */
    struct span detail; /* error code, reason, state, ... */
};

/* Where the core's decisions go. The callbacks must not call the core.
 * The message is valid until the callback returns. A send cannot fail here: a
 * connection that turns out to be gone or clogged comes back as EVENT_LOST. */
struct effects {
    void *context;
    void (*send)(void *context, connection_id to, const struct message *message);
    /* Nothing more will be sent to `connection`, unless it says HELLO (in this very step: its
     * numbers are over, its WELCOME follows); forget it. */
    void (*forget)(void *context, connection_id connection);
    void (*log)(void *context, const struct log_record *record);
    enum log_level log_level; /* records above it are not even built */
    /* A session says HELLO and wants its messages numbered. NULL: there is no such thing. */
    enum resume (*resume)(void *context, const struct resume_request *request, uint64_t *start);
    /* Is to be kept, in this order; copied. NULL: nothing can be. */
    void (*store)(void *context, const struct store_record *record);
    /* A copy of what the store has is wanted: EVENT_BACKUP says how it ended. NULL: no store. */
    void (*backup)(void *context);
    /* What has happened; only kinds whose bit (NOTE_BIT) is in `notes`. May be NULL without any. */
    void (*note)(void *context, const struct note *note);
    uint64_t notes;
};

enum event_kind {
    EVENT_MESSAGE,   /* `message` came from `from` */
    EVENT_MALFORMED, /* bytes that are no message came from `from` */
    EVENT_PROBE,     /* an empty frame 0 came from `from`: it is newly connected */
    EVENT_LOST,      /* `from` cannot be reached; or, not numbered, takes too long to read */
    EVENT_BROKEN,    /* something said to `from`, whose session is numbered, is dropped: it
                      * cannot go on where it stopped */
    EVENT_TICK,      /* time has passed */
    EVENT_STORED,    /* all records up to `stored` are safe */
    EVENT_STORE,     /* the store's state is `store` now; STORE_NONE before the first of these */
    EVENT_BACKUP,    /* the backup that was wanted has ended as `backup` says */
    EVENT_CLOCK,     /* the wall clock was set: it is `unix_ms` now, for what is stored next */
    EVENT_DRAIN,     /* take nothing new any more, whatever an operator says */
};

struct malformed {
    enum error_code code;
    unsigned command;
    const char *field;
    const char *message;
    struct id id;
};

struct backup_end {
    struct span path; /* where it is; */
    uint64_t bytes;   /* and its size */
    struct span why;  /* there is none: for people; empty: it is there */
};

/* The core's own: hashes of what an event names, so that they are made once. */
struct hint {
    uint64_t last;       /* serial of the peer's last flow, if the event is of it; 0: it is not */
    uint64_t peer;       /* serial of the session that `flow` is of; 0: there is no flow */
    uint32_t task, flow;
    bool task_known;
};

struct event {
    enum event_kind kind;
    uint64_t now_ms; /* monotonic; never less than in the event before */
    connection_id from;
    union {
        const struct message *message;
        const struct malformed *malformed;
        uint64_t stored;
        enum store_state store;
        const struct backup_end *backup;
        uint64_t unix_ms;
    };
    struct hint hint; /* zero; broker_expect fills it in */
};

struct service_limits {
    uint64_t max_tasks; /* waiting tasks; 0: the default */
    uint64_t max_bytes; /* of their payloads; 0: the default */
    uint64_t attempts;  /* 0: the default */
    uint64_t lease_ms;  /* 0: none */
    uint64_t max_run_ms;     /* of an attempt; 0: none */
    uint64_t backoff_ms;     /* before the first retry; 0: the broker's */
    uint64_t backoff_max_ms; /* 0: the broker's */
    bool durable;       /* its tasks are, whatever their SUBMITs say */
};

/* All durations in ms, all sizes in bytes. See broker_options_default. */
struct broker_options {
    uint64_t hash_seed;     /* random per process: hash tables resist chosen ids */
    struct id broker;       /* new at each start */
    uint64_t shard;
    uint64_t started_unix_ms; /* wall clock when broker_new is called: for people and the store */
    size_t peers_max;
    size_t services_max;
    size_t offers_per_peer_max;
    size_t tasks_max;         /* all tasks, ended and retained ones too */
    uint64_t memory_max;      /* payloads, results, records: the whole budget */
    uint64_t payload_max;
    uint64_t window_tasks;
    uint64_t window_bytes;
    struct service_limits service;
    uint64_t ping_ms;
    uint64_t silence_ms;
    uint64_t probe_ms;
    uint64_t resume_ms;
    uint64_t hold_ms;       /* a lost worker's leases wait so long for a numbered session */
    uint64_t cancel_grace_ms;
    uint64_t retain_ms;
    uint64_t retain_tasks;
    uint64_t retain_bytes;
    uint64_t detached_retain_ms;    /* of outcomes that are kept longer: detached tasks' */
    uint64_t detached_retain_tasks; /* and of all that said how long */
    uint64_t detached_retain_bytes;
    uint64_t dead_tasks;            /* dead letters */
    uint64_t dead_bytes;
    uint64_t service_linger_ms;
    uint64_t backoff_ms;      /* before the first retry, twice that before the next, ... */
    uint64_t backoff_max_ms;  /* its ceiling */
    bool jitter;              /* anything up to that; false: exactly that */
    uint64_t stream_chunks;  /* of one task, kept for its readers */
    uint64_t stream_bytes;   /* of their payloads */
    uint64_t stream_readers; /* of one task */
    uint64_t unsafe_bytes;   /* records that the store has not said it has: about so many */
};

struct broker_options broker_options_default(void);

/* NULL: no memory. `effects` is copied; its context must outlive the broker. */
struct broker *broker_new(const struct broker_options *options, const struct effects *effects,
                          uint64_t now_ms);
void broker_free(struct broker *broker); /* accepts NULL; sends nothing */

/* Makes `service` known with bounds that offers cannot change. At the start, or after a step of
 * this very moment: its clock is the last step's. False: too many services, or an invalid name. */
bool broker_configure_service(struct broker *broker, struct span service,
                              const struct service_limits *limits);

/* As CONTROL `limit` (PROTOCOL.md): what is LIMIT_UNCHANGED stays, and a span is empty for what is
 * not named. When as above; it holds from the next step on. False: values out of bounds, or too
 * many. */
bool broker_configure_limit(struct broker *broker, struct span service, struct span tenant,
                            struct span key, const struct limit_values *values);

/* Before the first step: takes back a row of the store, in the order of keys, whatever limits new
 * tasks have. False: the room that was made for tasks, peers or services is too small, or no
 * memory; the row is as it was in the store. */
bool broker_restore(struct broker *broker, const struct store_row *row);
/* These come next: brings where they will be into the caches. Need not be called. */
void broker_expect_rows(const struct broker *broker, const struct store_row *rows, size_t count);
/* All have been given back. `next_key`: greater than any that the store has seen. */
void broker_restored(struct broker *broker, uint64_t next_key);

/* These messages of one peer come next, each by a step of its own: brings what they name into the
 * caches, and notes in `hint` where to look for it. Need not be called. */
void broker_expect(const struct broker *broker, struct event *events, size_t count);

/* Applies `event` at event->now_ms. Cannot fail: refusals are effects too. */
void broker_step(struct broker *broker, const struct event *event);

/* When to step next (EVENT_TICK) if nothing arrives; BROKER_NEVER when idle. */
#define BROKER_NEVER UINT64_MAX
uint64_t broker_deadline(const struct broker *broker);

/* True after EVENT_DRAIN, when no accepted task is left that has not ended. */
bool broker_drained(const struct broker *broker);

/* What the core counts. Sums since the start, and levels now. */
struct broker_stats {
    uint64_t submitted, refused, done, failed, cancelled, expired;
    uint64_t attempts, retries, stale, bad_messages, peers_lost;
    uint64_t peers, services, offers, tasks, waiting, delayed, ready, leased, cancelling, storing;
    uint64_t retained;
    uint64_t queued_bytes, memory_bytes;
    uint64_t detached, remembered, remembered_forgotten;
    uint64_t dead, dead_bytes, dead_forgotten;
    uint64_t chunks, checkpoints, signals; /* sums, taken */
    uint64_t store_commits; /* sum: that the store has told of */
    uint64_t shared; /* sum: tasks that another one of their idempotency key has answered, or may */
};
void broker_stats(const struct broker *broker, struct broker_stats *stats);

/* CHECKs every invariant of the whole state after a step; slow, for tests and simulation. */
void broker_check(const struct broker *broker);

#endif
