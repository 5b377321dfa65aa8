/* peer: one side of the protocol, as a pure state machine.
 *
 * What a peer knows of its session: the services it offers, the tasks it holds
 * (leases), the tasks it has submitted (submissions) and the questions it has
 * asked (requests). Messages, time and the application's calls come in;
 * messages and upcalls go out through `struct peer_sink`. No I/O, no clock, no
 * threads: the runtime drives it over ZeroMQ, the simulator over nothing.
 *
 * What it promises:
 * - Every submission ends in exactly one `result` upcall (unless dropped with
 *   peer_abandon or peer_forget), whatever happens to connections and brokers. It is sent
 *   again, in order, to a broker that has forgotten it.
 * - Refusals that may pass (docs/runtime.md) are tried again, with growing pauses, until the
 *   deadline or the queue TTL.
 * - A deadline is kept even when there is no broker to keep it.
 * - In a numbered session a lost connection changes nothing, if the broker still knows the
 *   session: tasks stay in our hands, answers are sent (and kept below) as if it were there.
 * - Every list is bounded: PEER_*_MAX and the options.
 *
 * Time: peer_tell_time and peer_advance tell it; every call uses the last time told.
 *
 * Reentrancy: upcalls may call everything but peer_receive, peer_advance and
 * peer_free. Ownership: struct peer owns all handles; when each dies is said
 * where it is made. One thread. */
#ifndef SLUICE_RUNTIME_PEER_H
#define SLUICE_RUNTIME_PEER_H

#include "common/log.h"
#include "proto/message.h"

#include "agents/runtime/timers.h"

struct peer;
struct offering;   /* a service that we offer; lives as long as the peer */
struct submission; /* a task that we submitted; dies when `result` returns, or by peer_abandon */
struct lease;      /* a task in our hands; dies by peer_done or peer_fail */
struct reading;    /* a stream that we read; dies by peer_unread, or before `read_over` */
struct watching;   /* events that we watch; dies by peer_watching_close, or before `watch_over` */
struct request;    /* a question; dies when `reply` returns, or by peer_request_drop */

#define PEER_OFFERINGS_MAX 65536       /* the most that a broker can be told to allow */
#define PEER_REQUESTS_MAX 16384        /* questions that wait for an answer */
#define PEER_READINGS_MAX 16384        /* streams that are read at once */
#define PEER_WATCHINGS_MAX 16          /* a broker's bound, too */
#define PEER_LEASES_MAX (1024 * 1024)  /* far beyond any credit: a broker gone mad */

struct peer_options {
    struct id session;              /* random; the key to the session */
    const char *name;               /* copied */
    const char *agent;              /* copied */
    uint64_t seed;                  /* of the hash tables and of jitter; random */
    uint64_t submissions_max;       /* tasks that have not ended; 0: 1,048,576 */
    uint64_t submissions_bytes_max; /* of their payloads; 0: 1 GiB */
    size_t user_bytes;              /* what peer_submit's `user` points to has so many, or more */
    bool resume;                    /* ask for numbered messages: the sink must number them */
};

/* The next chunk of a stream that we read. */
struct chunk_upcall {
    const struct chunk *chunk;
    uint64_t lost;  /* right before it: they have slid out of the broker's ring */
    bool restarted; /* the first of a new attempt: what came before is void */
};

/* Where decisions go. Upcalls borrow their arguments for the length of the call.
 * `send` cannot fail here: a connection that does not take messages is reported
 * with peer_restart. */
struct peer_sink {
    void *context;
    void (*send)(void *context, const struct message *message);
    /* The session is open; everything has been offered and submitted again. */
    void (*connected)(void *context, const struct welcome *welcome);
    /* The session is not open any more. `silent`: the broker does not answer; close the
     * socket, connect anew. What was about to be sent need not be. */
    void (*disconnected)(void *context, bool silent);
    void (*task)(void *context, struct lease *lease, const struct task_message *task);
    /* Stop working on it. peer_lease_lost(lease): the answer interests nobody any more,
     * but the lease must still be ended. */
    void (*cancel)(void *context, struct lease *lease, struct span reason);
    void (*result)(void *context, struct submission *submission, const struct result *result);
    /* The broker has it, and says so to those that want receipts; each time that it was asked.
     * NULL: nobody is told. */
    void (*accepted)(void *context, struct submission *submission);
    void (*started)(void *context, struct submission *submission, const struct started *started);
    void (*progress)(void *context, struct submission *submission, struct span payload);
    /* The lease may send chunks again. This and `signal` may be NULL: nobody is told. */
    void (*flow)(void *context, struct lease *lease);
    void (*signal)(void *context, struct lease *lease, const struct payload *payload);
    void (*chunk)(void *context, struct reading *reading, const struct chunk_upcall *upcall);
    /* Both may be NULL if nothing is watched. `restarted`: it is the first since the session was
     * opened anew; what happened meanwhile is not known. */
    void (*event)(void *context, struct watching *watching, const struct event_message *event,
                  bool restarted);
    void (*watch_over)(void *context, void *user, const struct error *error);
    /* A stream of somebody else's task is over; `user` was the reading's, which is dead. NULL
     * error: the task has ended. */
    void (*read_over)(void *context, void *user, const struct error *error);
    /* The RESULT that a QUERY asked for; it may be dropped here. NULL: nobody is told. */
    void (*outcome)(void *context, struct request *request, const struct result *result);
    /* NULL reply: none came in time. */
    void (*reply)(void *context, struct request *request, const struct reply *reply);
    /* There is room again, if only for children, after peer_want_room(). */
    void (*room)(void *context);
    void (*log)(void *context, const struct log_record *record);
    enum log_level log_level;
};

/* NULL: no memory. The sink is copied; its context must outlive the peer. */
struct peer *peer_new(const struct peer_options *options, const struct peer_sink *sink,
                      uint64_t now_ms);
/* Frees everything, without upcalls. Accepts NULL. */
void peer_free(struct peer *peer);

/* ---- events ---- */

/* Tells the time, and no more. It never goes back. */
void peer_tell_time(struct peer *peer, uint64_t now_ms);
/* Tells the time and fires what is due. */
void peer_advance(struct peer *peer, uint64_t now_ms);
/* When peer_advance has something to do if nothing else happens; TIMERS_NEVER: nothing. */
uint64_t peer_deadline(const struct peer *peer);
/* `messages` will be received next: what they name is brought into the caches. */
void peer_expect(const struct peer *peer, const struct message *messages, size_t count);
/* `message` came from the broker. */
void peer_receive(struct peer *peer, const struct message *message);
/* The connection is gone, or has been replaced by a new one. */
void peer_restart(struct peer *peer);
/* The connection has ended: what the broker had sent may be lost. The session may go on over the
 * next one, which begins with hello_required. */
void peer_cut(struct peer *peer);
/* Sends what was put off to be sent together (credit). Call before sending a batch. */
void peer_flush(struct peer *peer);

/* Asks the broker for a sign of life. */
void peer_probe(struct peer *peer);
/* It has answered that, so what it had sent before has come; or it will not: the connection has
 * ended, the session is not open, or is another one. */
bool peer_probed(const struct peer *peer);

bool peer_connected(const struct peer *peer);
uint64_t peer_now_ms(const struct peer *peer);
/* The limits and timers of the last WELCOME, or what stands in for them. */
const struct welcome *peer_welcome(const struct peer *peer);

/* ---- serving ---- */

/* Offers a service, or replaces the offer of the same name. Strings are copied. The handle
 * stays the same. NULL: too many, or no memory. */
struct offering *peer_offer(struct peer *peer, const struct offer_message *offer, void *user);
/* No more of it, please. Tasks that are under way still arrive. */
void peer_withdraw(struct peer *peer, struct offering *offering);
/* A handler of it begins (+1) or ends (-1) to wait for its children: the credit that
 * it would block is given back meanwhile. Goes out with peer_flush. */
void peer_credit_give(struct peer *peer, struct offering *offering, int delta);
bool peer_offered(const struct offering *offering); /* not withdrawn */
void *peer_offering_user(const struct offering *offering);

const struct id *peer_lease_id(const struct lease *lease);
uint64_t peer_lease_attempt(const struct lease *lease);
struct offering *peer_lease_offering(const struct lease *lease);
bool peer_lease_lost(const struct lease *lease);
void peer_lease_set_user(struct lease *lease, void *user);
void *peer_lease_user(const struct lease *lease);
/* No child of it is under way: PROTOCOL.md, SUBMIT 4, always has room for one. */
bool peer_lease_childless(const struct lease *lease);
size_t peer_lease_count(const struct peer *peer); /* lost ones are not counted */

/* What it really took of the budget: goes with its answer. */
void peer_lease_set_cost(struct lease *lease, uint64_t cost);

void peer_progress(struct peer *peer, struct lease *lease, struct span payload);
/* Both end the lease; `lease` is dead when they return. */
void peer_done(struct peer *peer, struct lease *lease, struct payload payload);
void peer_fail(struct peer *peer, struct lease *lease, const struct error *error);

/* The next chunk can be sent now; `flow` tells when it can. */
bool peer_chunk_room(const struct peer *peer, const struct lease *lease);
/* Needs: room; CHUNK_BYTES_MAX at most. */
void peer_chunk(struct peer *peer, struct lease *lease, struct payload payload);
void peer_checkpoint(struct peer *peer, struct lease *lease, struct payload payload);

/* ---- reading streams ---- */

/* Reads the chunks of a task, `credit` ahead of what is taken; goes on by itself after a reconnect.
 * `own`: of a submission of ours whose `stream` says the same; it ends with peer_unread
 * only, which comes before peer_forget. NULL: too many, one of this task is there, or no memory. */
struct reading *peer_read(struct peer *peer, const struct id *id, uint64_t credit, bool own,
                          void *user);
/* The application has taken that chunk: there is room for more. */
void peer_reading_taken(struct peer *peer, struct reading *reading, uint64_t attempt,
                        uint64_t sequence);
void peer_unread(struct peer *peer, struct reading *reading);
void *peer_reading_user(const struct reading *reading);

/* ---- submitting ---- */

struct submission_options {
    void *user;
    const struct lease *parent; /* NULL: none */
    bool no_wait;               /* a refusal is final */
    uint64_t run_at_ms;         /* Unix ms of the broker's clock; 0: none. Beside delay_ms */
};

/* Submits a task. Everything in `submit` is copied but payload.blob, which is ref'd; its
 * parent fields are ignored. The `result` upcall may come before this returns (no room for
 * a task that may not wait, too large, deadline 0), and NULL is returned then. */
struct submission *peer_submit(struct peer *peer, const struct submit *submit,
                               const struct submission_options *options);
/* Asks to stop it. The `result` upcall follows, perhaps before this returns. */
void peer_cancel(struct peer *peer, struct submission *submission, struct span reason);
/* Cancels it, unless it is detached; no `result` will come, the handle is dead. */
void peer_abandon(struct peer *peer, struct submission *submission);
/* Forgets a detached one: it is not cancelled, and not sent (again). No `result` will come, the
 * handle is dead. */
void peer_forget(struct peer *peer, struct submission *submission);
/* `join` has ended, perhaps before it was submitted: cancels its held needs that no other join
 * waits for. */
void peer_leave_needs(struct peer *peer, const struct submit *join);
/* The same for one need, in the next peer_advance: without upcalls now. */
void peer_leave_need(struct peer *peer, struct submission *need);
/* `inputs` came with a join's RESULT: ends the held submissions that they tell of. Those of a join
 * that was abandoned end so by themselves. */
void peer_settle(struct peer *peer, struct span inputs);

const struct id *peer_submission_id(const struct submission *submission);
void *peer_submission_user(const struct submission *submission);

/* How many more tasks can be submitted without waiting in the peer. A peer that also works
 * keeps half of its window for the `children` of tasks in its hands: were it full
 * of their parents, which wait for them, nothing would ever move again. */
size_t peer_room(const struct peer *peer, bool children);
void peer_want_room(struct peer *peer);
/* What waits is being sent, by a call that this one was made in: to suspend now would be to keep
 * it from being sent. */
bool peer_pumping(const struct peer *peer);

/* ---- asking ---- */

/* Sends QUERY (or CANCEL by id, below) when connected, again after a reconnect, and gives up
 * after `timeout_ms` (never 0). NULL: too many, or no memory. */
struct request *peer_ask(struct peer *peer, const struct query *query, uint64_t timeout_ms,
                         void *user);
struct request *peer_query(struct peer *peer, enum query_what what, struct span argument,
                           uint64_t timeout_ms, void *user);
struct request *peer_cancel_id(struct peer *peer, const struct id *id, struct span reason,
                               uint64_t timeout_ms, void *user);
struct request *peer_control(struct peer *peer, const struct control *control,
                             uint64_t timeout_ms, void *user);
/* Sends SIGNAL. After a reconnect it is sent again: it may come twice. */
struct request *peer_signal(struct peer *peer, const struct id *id, struct span payload,
                            uint64_t timeout_ms, void *user);
void *peer_request_user(const struct request *request);
void peer_request_drop(struct peer *peer, struct request *request);

/* Watches what happens at the broker, of one service or one task if they are named (empty, NULL:
 * all), `window` events ahead of what is taken; goes on by itself after a reconnect. NULL: too
 * many, or no memory. */
struct watching *peer_watching_open(struct peer *peer, struct span service,
                                    const struct id *task, uint64_t window, void *user);
void peer_watching_close(struct peer *peer, struct watching *watching);
void *peer_watching_user(const struct watching *watching);
/* The application has taken an event. */
void peer_watching_taken(struct peer *peer, struct watching *watching);

/* ---- leaving ---- */

/* Says BYE if connected. Nothing more is sent; what was submitted is cancelled by the broker. */
void peer_bye(struct peer *peer, struct span reason);

/* CHECKs every invariant; slow, for tests. */
void peer_check(const struct peer *peer);

#endif
