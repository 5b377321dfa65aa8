/* model: what an onlooker knows of a broker: its events, its effects, and what follows from them
 * by PROTOCOL.md alone. Checkers compare the two.
 *
 * The model sees every event before the core does, every effect as it is made, and the log's
 * task_state records. It keeps a shadow of each task, session and connection of the broker's
 * present incarnation, built from those alone: never from the core's memory. */
#ifndef SLUICE_TESTS_SIM_MODEL_H
#define SLUICE_TESTS_SIM_MODEL_H

#include "broker/core/broker.h"
#include "common/list.h"
#include "common/table.h"
#include "tests/sim/options.h"
#include "tests/sim/shadow_gate.h"
#include "tests/sim/shadow_rule.h"
#include "tests/sim/shadow_key.h"

/* States by the names of PROTOCOL.md, section 4.1. */
enum shadow_state {
    SHADOW_NEW,
    SHADOW_WAITING,
    SHADOW_READY,
    SHADOW_DELAYED,
    SHADOW_LEASED,
    SHADOW_CANCELLING,
    SHADOW_STORING,
    SHADOW_DONE,
    SHADOW_FAILED,
    SHADOW_CANCELLED,
    SHADOW_EXPIRED,
};

#define SHADOW_NAME_MAX 32
#define SHADOW_CODES_MAX 64
#define SHADOW_AFFINITIES 4

struct shadow_session {
    struct list link;      /* model->sessions */
    struct id id;
    uint32_t connection;   /* 0: away */
    uint64_t heard_ms;
    uint64_t away_ms;      /* when it went away; suspended: since then */
    uint64_t anew_ms;      /* when it last began anew */
    bool numbered;         /* its messages are: it can be suspended */
    bool suspended;        /* its connection is lost, or it is silent: it gets nothing new */
    bool unreachable;      /* suspended, and not only silent */
    bool gone;             /* it said BYE, or was away for too long */
    bool draining;         /* it gets nothing new */
    bool spoken;           /* it has said more than HELLO */
};

/* What is known of a service: its queue, in the order in which it is to be handed out, and the
 * bounds that hold. */
#define SHADOW_TURNS 256

struct shadow_service {
    struct list link;      /* model->services */
    char name[SHADOW_NAME_MAX];
    struct list ready;     /* tasks by ready_link */
    /* When flows (session or fairness key, priority) had their last turns, by hash; what has
     * been overwritten is not known any more. */
    struct {
        uint64_t flow, order, sure; /* sure: of a task that is not detached */
    } turns[SHADOW_TURNS];
    uint64_t ready_count, queued, queued_bytes;
    struct service_limits limits;
    bool configured;       /* by the operator */
    bool draining;         /* it takes nothing new */
    struct shadow_rule rule;        /* of what may start, as the operator set it */
    struct shadow_rule tenant_rule; /* the same for its tasks of the only tenant */
    struct shadow_gate gate;
    struct shadow_keys *keys; /* NULL: never a rule for one */
    uint64_t near[SHADOW_AFFINITIES]; /* when a task of the affinity key started last; 0: never */
    bool vague;            /* an offer named bounds, which go when the service is forgotten */
};

/* What one session offers of one service, and what it was given. */
struct shadow_offer {
    struct list link;      /* model->offers */
    struct shadow_session *session;
    char service[SHADOW_NAME_MAX];
    char version[VERSION_MAX + 1]; /* empty: none */
    uint64_t number;       /* tells it from all others */
    bool withdrawn;
    bool exclusive;
    uint64_t credit;
    uint64_t lease_ms;     /* 0: its service's */
    uint64_t near[SHADOW_AFFINITIES]; /* the same of this offer */
    uint64_t held;         /* TASKs sent, less DONEs and FAILs that answered one */
};

/* A TASK in a worker's hands, until it answers or its session is reset. */
struct shadow_lease {
    struct list link;      /* model->leases */
    struct shadow_offer *offer;
    struct id task;
    uint64_t task_order;
    uint64_t attempt;
    bool twin;             /* its session holds a TASK of another life of this id: one answer
                              may seem to be the other's */
};

struct shadow_task {
    struct table_node node;
    struct list link;      /* model->tasks, in order of acceptance; model->ended */
    struct list ready_link; /* home->ready */
    struct shadow_service *home; /* NULL: a join */
    uint64_t order;        /* of acceptance: tells two lives of one id apart */
    struct id id;
    struct id session;     /* of the submitter */
    char service[SHADOW_NAME_MAX];
    uint64_t bytes;
    enum shadow_state state;
    uint64_t attempt;
    uint64_t attempts_before; /* where its numbers begin */
    uint64_t attempts_buried; /* of the letter that it was */
    uint64_t attempts_max; /* 0: not known for sure */
    uint64_t accepted_ms;
    uint64_t deadline_ms;  /* absolute, with what the parent has left; UINT64_MAX: none */
    uint64_t ttl_ms;       /* absolute; UINT64_MAX: none */
    uint64_t lease_ms;     /* 0: the offer's */
    uint64_t leased_ms;    /* last TASK or PROGRESS */
    uint64_t run_started_ms; /* the same for what counts attempts: when it was given to a worker */
    uint64_t sent_ms;      /* last TASK */
    uint64_t lease_until_ms;   /* meaningful while leased; UINT64_MAX: none */
    /* While delayed: when it is ready at the earliest, and at the latest. */
    uint64_t delayed_from_ms, delayed_until_ms;
    uint64_t queue_ttl_ms; /* 0: none */
    uint64_t max_run_ms, backoff_ms, backoff_max_ms; /* 0: not its own */
    uint64_t retain_ms;    /* detached: after its end */
    char retry_on[SHADOW_CODES_MAX], final_on[SHADOW_CODES_MAX];
    uint64_t ready_order;  /* order in which first attempts became ready */
    uint64_t ready_since;  /* order in which it became ready, the last time */
    uint64_t lined_up;     /* and the first time, of any state before; 0: never */
    uint64_t priority;
    uint64_t cost;         /* of a budget, declared */
    char key[KEY_MAX + 1], lane[KEY_MAX + 1]; /* fairness and ordering key; empty: none */
    unsigned near;          /* number of its affinity key; 0: none, or not the simulator's */
    char version[VERSION_MAX + 1]; /* that may serve it; empty: any */
    uint64_t only;          /* number of the offer that it is a part for; 0: it is none */
    char twin[KEY_MAX + 1]; /* idempotency key; empty: none */
    uint64_t content, answer; /* of one with a key: digests of its payload and of its result */
    uint64_t cache_ms;
    bool ran;              /* with a key: it is, or was, the one that runs for all */
    bool held, receipts, detached, durable;
    bool alone;            /* detached, and its session is gone */
    bool mourned;          /* becomes a dead letter when it fails */
    struct shadow_said *said; /* of one that is mourned, until it is a letter */
    bool in_hands;         /* of a worker, by its last TASK: leased, or cancelled while it was */
    bool cancelled;        /* a CANCEL of it or of something above it was taken */
    uint64_t cancelled_ms;
    bool orphan;           /* its session was gone before it ended */
    bool stopping;         /* and it may have stopped for another reason: it was told to before,
                              or its parent's attempt ended with that session, too */
    struct id parent;      /* nil: none */
    uint64_t parent_attempt, parent_order;
    uint64_t live_children;
    bool needed;           /* some join has named it */
    uint64_t open_joins;   /* of those, that have not ended */
    bool wanted;           /* when it began to stop, one of them was not stopping itself */
    enum join_policy policy;
    size_t enough;         /* needs that must be done; 0: settled */
    enum run_if run_if;    /* of a join with a service */
    bool no_inputs;
    uint64_t decided_ms;   /* when it stopped waiting; meaningless before */
    struct id *needs;
    size_t need_count;
    unsigned results;      /* RESULTs sent for it that are not repetitions */
    enum outcome outcome;
    uint64_t ended_ms;
    struct shadow_row *row; /* durable; NULL: it is not, or its row is forgotten */
    enum shadow_state aim; /* storing: how it is going to end */
    bool passed;           /* storing: another of its ordering key had its turn when it was to end */
    bool starting;         /* leased, and its worker has yet to hear of it: shadow_row.h */
    struct shadow_stream *stream; /* NULL: nobody has said or read anything */
    struct shadow_memo *memo;     /* NULL: nothing was kept */
};

enum fact_kind {
    FACT_MOVE, FACT_SEND, FACT_FORGET, FACT_NOTE, FACT_GATE, FACT_LETTER, FACT_RECORD
};

/* One thing that a step did, in order. */
struct fact {
    enum fact_kind kind;
    struct id id;                /* MOVE; SEND, NOTE about a task */
    enum shadow_state from, to;  /* MOVE */
    enum shadow_state aim;       /* MOVE: `to`; to storing: how it is going to end */
    enum store_what what;        /* RECORD: `sequence` is its own; `digest` of a checkpoint or an
                                    outcome, `attempt` how many, or the one that it ended in */
    uint64_t key, attempts_max;  /* RECORD; of a new row */
    uint64_t said;               /* RECORD of a new row: digest of the SUBMIT */
    bool starts;                 /* MOVE to leased: TASK follows when the store has a record; */
    struct id session;           /* to the worker of this session */
    uint64_t attempt;
    uint32_t connection;         /* SEND, FORGET */
    enum command command;        /* SEND */
    enum outcome outcome;        /* SEND RESULT */
    char code[24];               /* SEND RESULT, ERROR, REPLY: error code; "": none.
                                    SEND EVENT, NOTE: the kind. GATE: its state.
                                    LETTER: dead_letter, dead_letter_forgotten */
    char reason[24];             /* SEND CANCEL */
    bool unconfirmed;            /* SEND RESULT */
    bool numbered, resumed, known; /* SEND WELCOME */
    struct id culprit;           /* SEND RESULT of a join that failed */
    uint64_t retry_after_ms, deadline_ms, request;
    uint64_t sequence;           /* SEND CHUNK, EVENT, REPLY to WATCH; TASK, FLOW: the bound.
                                    REPLY to RETRY, DROP: how many */
    uint64_t lost;               /* SEND EVENT, REPLY to WATCH; RETRY, DROP: letters left */
    uint64_t digest;             /* SEND RESULT, CHUNK, SIGNAL: the payload's; TASK: its checkpoint's */
    char service[SHADOW_NAME_MAX]; /* NOTE, GATE */
    size_t input_count;          /* SEND RESULT, TASK of a join */
    struct id inputs[16];        /* the first of them */
    enum outcome input_outcomes[16];
};

struct model {
    const struct sim_options *options;
    struct broker_options core;   /* of this incarnation */
    uint64_t incarnation, now_ms;
    uint64_t previous_ms;         /* now_ms of the step before */
    bool running, draining;

    const struct event *event;    /* the step under way */
    struct broker_stats before, after;
    struct fact *facts;
    size_t fact_count, fact_capacity;
    struct shadow_task *subject;  /* the task that the event names, before the step; NULL: none */
    bool subject_live;            /* it had not ended before the step */
    bool current;   /* DONE, FAIL, PROGRESS, CHUNK, CHECKPOINT: about the attempt that this session holds */
    bool answered;  /* DONE, FAIL: of a TASK that this session had, if only a stray one */
    bool returned;  /* the event's session was suspended, and is back with it */
    const char *chunk_code; /* CHUNK: why the attempt cannot go on; NULL: it can */
    uint64_t replay_next;   /* READ of what has ended: the next chunk to be sent */

    struct table tasks_by_id;
    struct list tasks; /* that have not ended */
    struct list ended, services, sessions, offers, leases, watches;
    struct list streams_touched;  /* by the step */
    struct list threads;          /* of numbered sessions, in all incarnations */
    uint64_t levels[SHADOW_EXPIRED + 1]; /* tasks by state */
    uint64_t orders;
    uint64_t joins; /* that have ended, in all incarnations */
    struct shadow_rule wide_rule; /* of the only tenant, whatever the service */
    struct list dead; /* letters: shadow_dead.h */
    struct list rows; /* of durable tasks, by key: shadow_row.h */
    struct shadow_record *records; /* that are not safe */
    size_t record_count, record_capacity;
    enum store_state store;
    uint64_t starting, started_before; /* tasks that are; that were before the step */
    bool restoring; /* the step gives back what a store has kept */
    struct shadow_directive *directed; /* of the last record of one */
    enum shadow_state recorded_end; /* of the last record of an end */
    uint64_t dead_count;
    /* A session answered one of two TASKs of equal id and attempt (the id was submitted anew
     * while it held the first), of different offers: whose credit is free is not told. */
    bool ambiguous;
    bool limits_changed;          /* by the operator, in this incarnation */
    uint64_t hash;                /* of everything seen: the determinism guard */
    uint64_t checks;
    bool trace;
    bool notes;                   /* every event is known, told or not */
};

void model_init(struct model *model, const struct sim_options *options);
void model_deinit(struct model *model);

/* From the simulated broker. */
void model_started(struct model *model, const struct broker_options *options);
void model_stopped(struct model *model);
void model_limited(struct model *model, const char *service, const struct service_limits *limits);
void model_policed(struct model *model, const char *service, const struct limit_values *values);
/* Of the tenant, at `service` or (empty) everywhere. */
void model_tenant_policed(struct model *model, const char *service,
                          const struct limit_values *values);
/* `rule`: as in shadow_keys_set. */
void model_key_policed(struct model *model, const char *service, unsigned rule,
                       const struct limit_values *values);
/* The next step gives back what the store has, which is what there was up to the last crash. */
void model_restoring(struct model *model);
/* The broker is killed in that very step. */
void model_torn(struct model *model);
/* The row is lost: it cannot be read. */
void model_damaged(struct model *model, uint64_t key);
/* The broker is gone, and of its records those up to `kept` are left. */
void model_crashed(struct model *model, uint64_t kept);
void model_before(struct model *model, const struct broker *core, const struct event *event);
void model_sent(struct model *model, uint32_t to, const struct message *message);
void model_forgot(struct model *model, uint32_t connection);
void model_logged(struct model *model, const struct log_record *record);
void model_recorded(struct model *model, const struct store_record *record);
void model_noted(struct model *model, const struct note *note);
void model_after(struct model *model, const struct broker *core, const struct event *event);
/* The faults are over and everybody has had time: what must hold then. */
void model_at_rest(struct model *model, const struct broker *core);

/* It is here, and may be handed something. */
bool model_takes(const struct shadow_session *session);
/* Some TASK is in its hands. */
bool model_holds(const struct model *model, const struct shadow_session *session);
/* For checkers. NULL: none. */
struct shadow_task *model_task(const struct model *model, const struct id *id);
struct shadow_session *model_session(const struct model *model, uint32_t connection);
/* A log record says that the session is drained; or that it is not any more, or has ended: what
 * comes back then is another one. */
void model_drained(struct model *model, const struct id *session, bool draining);
struct shadow_session *model_session_by_id(const struct model *model, const struct id *id);
/* The task in whose handler `task` was submitted; NULL: none, or no longer known. */
struct shadow_task *model_parent(const struct model *model, const struct shadow_task *task);
/* The task that is given to a worker: with TASK or, when that comes later, before. NULL: none. */
struct shadow_task *model_begins(const struct model *model, const struct fact *fact);
/* And to whom. NULL: to no session that is here. */
struct shadow_session *model_taker(const struct model *model, const struct fact *fact);
/* Attempts of `service` (NULL: of any) in workers' hands that began at `since_ms` or later. One that
 * has confirmed a cancel is in nobody's, nor is one whose lease has run out. */
uint64_t model_running(const struct model *model, const struct shadow_service *service,
                       uint64_t since_ms);
/* The rules that a task of `service` has to obey: the service's, the tenant's there, the tenant's
 * everywhere. */
#define SHADOW_WIDE 2
#define SHADOW_RULES (SHADOW_WIDE + 1)
static inline const struct shadow_rule *model_rule(const struct model *model,
                                                   const struct shadow_service *service,
                                                   unsigned index)
{
    return index == 0             ? &service->rule
           : index < SHADOW_WIDE ? &service->tenant_rule
                                 : &model->wide_rule;
}
/* Attempts in workers' hands that count for it. */
uint64_t model_rule_use(const struct model *model, const struct shadow_service *service,
                        unsigned index);
struct shadow_service *model_service(const struct model *model, struct span name);
struct shadow_offer *model_offer(const struct model *model, const struct shadow_session *session,
                                 struct span service);
/* It is here, and takes one more. */
bool model_has_room(const struct shadow_offer *offer);
/* It offers what the task asks for. */
bool model_suits(const struct shadow_offer *offer, const struct shadow_task *task);
/* Some offer that suits the task has room. */
bool model_room_for(const struct model *model, const struct shadow_task *task);
struct shadow_lease *model_lease(const struct model *model, const struct shadow_session *session,
                                 const struct id *task, uint64_t attempt);
/* True: the step is a message of this command. */
static inline bool model_event_is(const struct model *model, enum command command)
{
    return model->event != NULL && model->event->kind == EVENT_MESSAGE &&
           model->event->message->command == command;
}
static inline bool shadow_ended(const struct shadow_task *task)
{
    return task->state >= SHADOW_DONE;
}
const char *shadow_state_name(enum shadow_state state);
/* An id as the trace prints it. Valid until the fourth call after this one. */
const char *model_id_text(const struct id *id);

/* A promise is broken: prints the property, the step under way and what to run, and
 * ends the process with status 1. */
_Noreturn void model_fail(const struct model *model, const char *property, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define MODEL_CHECK(model, property, condition, ...)                                               \
    do {                                                                                           \
        (model)->checks++;                                                                         \
        if (!(condition)) {                                                                        \
            model_fail((model), (property), __VA_ARGS__);                                          \
        }                                                                                          \
    } while (0)

#endif
