/* task: one piece of work, and its state.
 *
 * States and moves are those of proto/PROTOCOL.md, section 4.1; task_set_state is
 * the only writer. Being in a state is being on its list:
 *
 *   ready       flow->ready, by `link`
 *   leased      offer->leases, by `link`
 *   cancelling  offer->leases while its worker has not answered, else none
 *   ended       broker->retained, unless some join still needs its outcome
 *   delayed     target->delayed, if one offer alone may serve it, else none
 *   waiting     flight->followers, by `link`, if it waits for another one of its key; else none
 *
 * Owner of every task: the broker's pool. A record is kept small (the design
 * allows 256 bytes a waiting task); what few tasks have is in struct extra. */
#ifndef SLUICE_BROKER_CORE_TASK_H
#define SLUICE_BROKER_CORE_TASK_H

#include "broker/core/wheel.h"
#include "common/table.h"
#include "proto/message.h"

struct broker;
struct offer;
struct peer;
struct flow;
struct service;
struct task;
struct terms;

enum task_state {
    TASK_NEW,
    TASK_WAITING,
    TASK_READY,
    TASK_DELAYED,
    TASK_LEASED,
    TASK_CANCELLING,
    TASK_STORING, /* durable, and it is certain how it ends */
    TASK_DONE,
    TASK_FAILED,
    TASK_CANCELLED,
    TASK_EXPIRED,
};
#define TASK_STATE_COUNT (TASK_EXPIRED + 1)

/* A task's name as its peer gave it, shared by the tasks it worked on. */
struct label {
    uint32_t references;
    uint32_t size;
    uint32_t seen; /* by broker_check, which leaves 0 */
    uint8_t text[PEER_NAME_MAX];
};

/* One edge of a join: `join` waits for `task`. */
struct need {
    struct task *task;
    struct task *join;
    struct need *next, **at; /* task->needed_by */
    bool doomed;             /* cancelled by this join, which waits for it to stop */
    bool cut;                /* had not ended when the join did: what it became later is not told */
};

/* Edges to one task, of all joins together: keeps cancelling linear. */
#define NEEDED_BY_MAX 16

#define NEED_CHUNK 63
struct need_chunk {
    struct need_chunk *next;
    struct need needs[NEED_CHUNK];
};

/* What the needs of a join take: whole chunks. */
static inline uint64_t needs_bytes(uint64_t needs)
{
    return (needs + NEED_CHUNK - 1) / NEED_CHUNK * sizeof(struct need_chunk);
}

struct join {
    enum join_policy policy;
    struct need_chunk *chunks;
    enum run_if run_if;     /* of a task with a service */
    uint32_t need_count;
    uint32_t wanted;        /* as many must be done; 0 with JOIN_SETTLED: all must end */
    uint32_t left;          /* needs that have not ended */
    uint32_t done;          /* needs that were done when the join was decided */
    uint32_t stopping;      /* of those left: doomed by this join */
    uint64_t not_before_ms; /* of a task with a service: delay_ms */
    struct id culprit;      /* the need that made it impossible */
    enum outcome culprit_outcome;
    bool impossible;
    bool decided;           /* its inputs stay as they are */
    bool no_inputs;         /* and are not sent */
};

enum wait_kind {
    WAIT_CANCEL, /* REPLY when all of it has stopped */
    WAIT_RESULT, /* RESULT, and then REPLY */
};
#define WAIT_KIND_COUNT (WAIT_RESULT + 1)

/* A peer that wants to know when a task has ended. */
struct wait {
    struct list task_link; /* extra->waits */
    struct list peer_link; /* peer->waits */
    struct peer *peer;
    uint64_t request;
    enum wait_kind kind;
};

/* Of a task that has a parent or children, and of a join: who stops with it. */
struct family {
    struct task *task;
    struct task *parent;    /* NULL: none, or forgotten */
    struct list sibling;    /* parent's family->children */
    struct list children;   /* ended ones too, until they are forgotten */
    uint32_t live_children; /* that have not ended */
    uint32_t stopped;       /* tasks below that a cancel has stopped */
};

/* What few tasks have: family, join, rare options. */
struct extra {
    struct task *task;
    struct family *family;  /* NULL: none */
    struct join *join;      /* NULL: not a join */
    struct lane *lane;      /* of its ordering key, until it ends; NULL: none */
    struct terms *terms;    /* NULL: none of its rarer options */
    struct list waits;
    struct list wake_link;  /* broker->wake: something it waits for has ended */
    struct list doom_link;  /* broker->doomed: to be cancelled */
    uint64_t queue_ttl_ms;  /* 0: none */
    uint64_t lease_ms;      /* 0: the offer's */
    struct stream *stream;  /* NULL: no chunk, no reader */
    struct memo *memo;      /* NULL: no checkpoint, no signal */
    struct durable *durable; /* NULL: it is not */
};

struct task {
    struct table_node node;
    struct id id;
    struct timer timer;
    struct list link;
    struct list owner_link;  /* owner->submitted, until it ends */
    struct peer *owner;      /* who submitted it; counted by peer->tasks */
    struct service *service; /* NULL: a pure join */
    struct flow *flow;       /* of its service; NULL: a pure join */
    struct offer *offer;     /* who holds it; leased, and cancelling until answered */
    struct blob *body;       /* payload; once ended: result, or the application's error map */
    struct extra *extra;     /* NULL: nothing rare */
    struct need *needed_by;  /* edges of the joins that wait for it */
    struct label *worker;    /* of the last attempt; NULL: never started */
    uint64_t deadline_ms;    /* absolute; WHEEL_NEVER: none */
    uint64_t accepted_ms;
    uint64_t started_ms;     /* last start; meaningless while attempt is 0 */
    uint64_t ended_ms;
    uint8_t state;           /* enum task_state */
    uint8_t error;           /* enum error_code of an ended task; NONE: body has the map */
    uint8_t attempt;         /* the last one, counted from 1; 0: never started */
    uint8_t attempts_max;
    uint16_t attempts_before; /* of an earlier task of this id, which some worker still holds:
                                 numbers go on from there, lest an answer be taken for another's */
    uint8_t needed_by_count; /* edges on needed_by, NEEDED_BY_MAX at most */
    bool receipts : 1;
    bool held : 1;
    bool orphan : 1;         /* ended because its submitter went away */
    bool reserve : 1;        /* accepted into the reserve; until it ends */
    bool unconfirmed : 1;    /* its worker never said that it stopped */
    bool detached : 1;       /* outlives its submitter's session */
    bool remembered : 1;     /* its outcome is kept for a time of its own */
    bool overrun : 1;        /* its last attempt ran for max_run_ms */
};

/* The number of its last attempt, as peers see it; 0: never started. */
static inline uint64_t task_attempt(const struct task *task)
{
    return task->attempt == 0 ? 0 : (uint64_t)task->attempts_before + task->attempt;
}

static_assert(sizeof(struct task) <= 192, "a waiting task takes 256 bytes all told");
static_assert(sizeof(struct extra) <= 128, "two lines of the cache");

/* NULL: it has neither parent nor children, and is no join. */
static inline struct family *task_family(const struct task *task)
{
    return task->extra != NULL ? task->extra->family : NULL;
}

/* NULL: none, or forgotten. */
static inline struct task *task_parent(const struct task *task)
{
    const struct family *family = task_family(task);

    return family != NULL ? family->parent : NULL;
}

/* That have not ended. */
static inline uint32_t task_live_children(const struct task *task)
{
    const struct family *family = task_family(task);

    return family != NULL ? family->live_children : 0;
}

/* How many tasks below it a cancel has stopped. */
static inline uint32_t task_stopped_below(const struct task *task)
{
    const struct family *family = task_family(task);

    return family != NULL ? family->stopped : 0;
}

const char *task_state_name(enum task_state state);

/* The only writer of task->state; CHECKs the move. Logs it at debug level. */
void task_set_state(struct broker *broker, struct task *task, enum task_state next);

static inline bool task_ended(const struct task *task)
{
    return task->state >= TASK_DONE;
}

enum outcome task_outcome(const struct task *task);

/* A record in the table, under task_hash of its id, state NEW, owned by `owner`; `flow` NULL: a
 * pure join. NULL: pool full. Takes over one reference of `body` on success only. */
struct task *task_new(struct broker *broker, const struct id *id, uint32_t hash,
                      struct peer *owner, struct flow *flow, struct blob *body);
/* Forgets a task that is linked nowhere: ended, or NEW. Its needs and children let go of it. */
void task_free(struct broker *broker, struct task *task);
struct task *task_find(const struct broker *broker, const struct id *id); /* NULL: none */
/* The same in two steps. */
uint32_t task_hash(const struct broker *broker, const struct id *id);
struct task *task_find_by(const struct broker *broker, const struct id *id, uint32_t hash);

/* The rare part of a task that has not ended, made if it is missing. NULL: no memory. */
struct extra *task_extra(struct broker *broker, struct task *task);
/* Its family, in the same way. */
struct family *task_family_open(struct broker *broker, struct task *task);

/* Bytes that `task` takes from the memory budget. */
uint64_t task_bytes(const struct task *task);
/* It takes another number of bytes now than `before`. */
void task_resized(struct broker *broker, const struct task *task, uint64_t before);
/* Replaces the body; keeps the budget. Takes over `body`'s reference. */
void task_set_body(struct broker *broker, struct task *task, struct blob *body);

void task_set_worker(struct broker *broker, struct task *task, struct label *worker);

/* Arms the task's timer for the earliest of what its state waits for. `extra_ms`: absolute time
 * of a state's own (backoff, lease, grace); WHEEL_NEVER: none. */
void task_arm(struct broker *broker, struct task *task, uint64_t extra_ms);

/* The same for a ready task: until its queue_ttl_ms, if it has never started. */
void task_arm_queued(struct broker *broker, struct task *task);

/* Fills what RESULT says of an ended task. Spans are borrowed from the task. */
void task_record(const struct task *task, struct outcome_record *record);
/* What it would say if the task ended now, so. */
void task_outcome_record(const struct broker *broker, const struct task *task,
                         enum task_state state, enum error_code error, struct blob *body,
                         struct outcome_record *record);

/* A task of a service, new or waiting, may run from `not_before_ms` on: it is ready, or delayed. */
void task_begin(struct broker *broker, struct task *task, uint64_t not_before_ms);

uint64_t task_waited_ms(const struct broker *broker, const struct task *task);
uint64_t task_ran_ms(const struct broker *broker, const struct task *task);

#endif
