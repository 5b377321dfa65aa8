/* runtime: the inside of struct sluice, shared by the files of this folder.
 *
 * One loop, one thread. A turn of the loop (sluice.c) reads what has arrived, a
 * bounded amount; runs handlers; sends everything that came of it in one
 * message. Nothing here is for users of sluice.h. */
#ifndef SLUICE_RUNTIME_RUNTIME_H
#define SLUICE_RUNTIME_RUNTIME_H

#include "common/list.h"

#include "agents/runtime/connection.h"
#include "agents/runtime/peer.h"
#include "agents/runtime/sluice.h"
#include "agents/runtime/strand.h"
#include "agents/runtime/timers.h"

#define MIDDLEWARES_MAX 32
#define LEAVE_MS 1000 /* for BYE and the last answers to get out */

enum run_state {
    RUN_IDLE,     /* not in sluice_run */
    RUN_SERVING,
    RUN_DRAINING, /* withdrawn; handlers run to their end */
    RUN_SETTLING, /* handlers have ended; spawned fibers are cancelled */
    RUN_LEAVING,  /* BYE is on its way */
    RUN_OVER,
};

struct sluice {
    uv_loop_t loop;
    char *endpoint;
    uint64_t connect_ms;
    uint64_t drain_ms;
    size_t handlers_max;
    enum log_level log_level;
    uint64_t shard; /* of the broker; part of new ids */
    uint64_t hellos;      /* without a WELCOME */
    uint64_t hellos_told; /* how many of them are told of next */

    struct connection connection;
    struct peer *peer;
    bool resume;    /* ask for numbered messages */
    bool reconnect; /* the broker is silent: at the end of this turn */

    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;     /* active while there is more to do at once */
    uv_timer_t timer;   /* the next of all deadlines */
    uv_async_t stopper; /* sluice_stop */
    uv_signal_t signals[2];
    bool signals_open;
    uint64_t timer_at_ms;

    struct fiber_pool *fibers;
    struct timers timers; /* of parked strands */
    struct list strands;  /* all */
    struct list ready;    /* those to run */
    struct list room;     /* those that wait for room in the window */
    struct list room_children; /* the same, to submit children */
    size_t strand_count;
    size_t giving_count;  /* handlers that have given their credit back */

    struct list services;
    struct sluice_middleware middlewares[MIDDLEWARES_MAX];
    size_t middleware_count;
    struct list tasks;      /* async ones, from TASK to the end of their handler */
    struct list tasks_wait; /* those of them without a fiber yet */
    struct sluice_task *sync_task; /* whose handler runs inline now; NULL: none */

    struct list futures;
    struct list spare_futures;
    size_t spare_future_count;
    uint64_t future_last; /* ends are numbered */

    enum run_state state;
    uint64_t drain_at_ms;   /* when draining ends anyway */
    uint64_t connect_at_ms; /* when to give up; TIMERS_NEVER: never */
    int result;
    bool stop_seen;
    unsigned stop_count; /* written by sluice_stop, atomically */
    sluice_main_fn *main_fn;
    void *main_arg;
    struct strand *main_strand; /* NULL: not started, or ended */
    bool main_started;

    /* http.c keeps its libcurl multi here; set by it, called by sluice_free. */
    void *http;
    void (*http_free)(struct sluice *sluice);
};

/* sluice.c */
void runtime_turns_start(struct sluice *sluice);
void runtime_turns_stop(struct sluice *sluice);
void runtime_log(struct sluice *sluice, enum log_level level, const char *event,
                 const struct log_field *fields, size_t field_count);
/* The peer, told the time: for calls that come between two turns. */
struct peer *runtime_peer(struct sluice *sluice);

/* value.c: a UUIDv7 whose rand_a is the lowest 12 bits of `shard`. */
struct id id_of_shard(uint64_t shard);
/* A payload of somebody's bytes, who gets them back by payload_leave, or later if it is large and
 * others have taken references. Small ones are copied by whoever takes them. */
struct payload payload_own(struct sluice_bytes bytes, sluice_release_fn *release, void *owner);
void payload_leave(const struct payload *payload, sluice_release_fn *release, void *owner);
/* `ms` from now on, whatever the loop's time is: a handler may have computed since it was taken.
 * What is too far away is TIMERS_NEVER. */
uint64_t runtime_deadline_ms(struct sluice *sluice, uint64_t ms);
/* Nobody waits any more: what still did after sluice_run is never resumed. NULL: it is freed. */
bool runtime_over(const struct sluice *sluice);
/* The task whose handler is running: inline, or on the running strand. NULL: none. */
struct sluice_task *runtime_task(struct sluice *sluice);

/* run.c */
void run_start_main(struct sluice *sluice); /* if there is one, once */
void run_advance(struct sluice *sluice);    /* towards the end, as far as that has come */

/* task.c: upcalls of the peer */
void task_receive(struct sluice *sluice, struct lease *lease, const struct task_message *message);
void task_cancel(struct lease *lease, struct span reason);
/* Starts at most `max` tasks for which there is a fiber. */
void tasks_start(struct sluice *sluice, size_t max);
bool tasks_can_start(const struct sluice *sluice); /* some wait, and there is a fiber */
void tasks_free(struct sluice *sluice);
const struct lease *task_lease(const struct sluice_task *task); /* NULL: ended */
/* The handler of the running strand begins or ends to wait for its children: its
 * credit is given back meanwhile. `begin` returns whether `end` must be called. */
bool task_wait_begin(struct strand *strand);
void task_wait_end(struct strand *strand);

/* future.c: upcalls of the peer */
void future_settle(struct submission *submission, const struct result *result);
void future_accepted(struct submission *submission);
void future_progress(struct submission *submission, struct span payload);
void future_started(struct submission *submission, const struct started *started);
void futures_orphan(struct sluice *sluice);

/* scope.c */
void scope_add(struct sluice_scope *scope, struct list *future_link);
void scopes_drop(struct strand *strand); /* those its function has left open */
uint64_t scope_deadline_ms(const struct sluice_scope *scope); /* absolute */

/* query.c: upcall of the peer */
void query_replied(struct request *request, const struct reply *reply);
void query_outcome(struct request *request, const struct result *result);

/* registry.c */
struct service;
void registry_withdraw_all(struct sluice *sluice);
void registry_free(struct sluice *sluice);

#endif
