/* sluice.h: libsluice, the C runtime of a sluice peer.
 *
 * A `struct sluice` is one peer: one connection to a broker, one event loop,
 * the services it offers and the tasks it has submitted. It connects,
 * reconnects, offers again and resubmits by itself; a submitted task always
 * ends in exactly one outcome, however often the connection or the broker
 * went away meanwhile.
 *
 * Threads: everything about one struct sluice is called from the thread that
 * runs it, but for sluice_stop, which is safe from any thread and from a
 * signal handler. Two structs in two threads share nothing.
 *
 * Fibers: functions marked SUSPENDS may let other handlers run before they
 * return. They work inside an async handler, a function given to
 * sluice_spawn, or the main function of sluice_run; anywhere else (a sync
 * handler, a callback) they abort with a message, for that is a bug.
 *
 * Payloads are bytes; by convention one MessagePack value (a map at the top).
 * The *_json functions convert to and from jansson values.
 *
 * Times to wait are milliseconds from the call on; UINT64_MAX is for ever.
 *
 * Errors: functions return 0 or a negative errno unless said otherwise. */
#ifndef SLUICE_H
#define SLUICE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_API __attribute__((visibility("default")))

struct sluice;
struct sluice_task;   /* a task in a handler's hands */
struct sluice_future; /* the outcome of a submitted task, to come */
struct sluice_scope;
struct sluice_stream; /* the chunks of a task, as one reader sees them */
struct sluice_watch;  /* events of the broker */

struct sluice_bytes {
    const void *data;
    size_t size;
};

/* Gives back what payloads were made of; once, from any thread, and without calling sluice. */
typedef void sluice_release_fn(void *owner);

#define SLUICE_ID_TEXT_SIZE 37
struct sluice_id {
    uint8_t bytes[16];
};
SLUICE_API void sluice_id_format(const struct sluice_id *id, char text[SLUICE_ID_TEXT_SIZE]);
SLUICE_API bool sluice_id_parse(const char *text, struct sluice_id *id);
SLUICE_API struct sluice_id sluice_id_new(void); /* a UUIDv7 */

/* ---- the peer ------------------------------------------------------------ */

struct sluice_options {
    const char *broker;     /* endpoint; NULL: $SLUICE_BROKER, else tcp://127.0.0.1:5570 */
    const char *name;       /* shown in lists and timelines; NULL: program and pid */
    uint64_t connect_ms;    /* 0: try for ever; else sluice_run fails with -ETIMEDOUT when
                               no broker has answered for so long at the start */
    size_t handlers_max;    /* fibers at once; 0: 10,000. Beyond it no credit is given back */
    size_t stack_bytes;     /* of a fiber; 0: 256 KiB (touched pages are what counts) */
    uint64_t drain_ms;      /* longest wait for running handlers after sluice_stop; 0: 10 s */
    bool no_resume;         /* a lost connection costs what it held and must submit again, as with
                               peers that know nothing of numbered messages */
    bool quiet;             /* log warnings and errors only */
    bool log_debug;         /* log every transition */
};

/* NULL: no memory, or a bad endpoint (errno EINVAL). Strings are copied. Of the descriptors 0, 1
 * and 2 those that are closed are opened, on /dev/null. */
SLUICE_API struct sluice *sluice_new(const struct sluice_options *options);
SLUICE_API void sluice_free(struct sluice *sluice); /* accepts NULL; not while running */

typedef int sluice_main_fn(struct sluice *sluice, void *arg);

/* Runs the loop in this thread. With `main_fn`: runs it on a fiber once connected
 * (or at once if connect_ms is 0), and returns what it returned. Without:
 * serves until sluice_stop, then withdraws, waits for running handlers up to
 * drain_ms, says BYE, returns 0. -ETIMEDOUT: no broker (see connect_ms). */
SLUICE_API int sluice_run(struct sluice *sluice, sluice_main_fn *main_fn, void *arg);

/* Begins a graceful drain; sluice_run returns when it is done. A second call
 * ends it at once. Any thread, signal handlers too. */
SLUICE_API void sluice_stop(struct sluice *sluice);

/* Calls sluice_stop on SIGINT and SIGTERM. */
SLUICE_API int sluice_stop_on_signals(struct sluice *sluice);

SLUICE_API uv_loop_t *sluice_loop(struct sluice *sluice); /* to add handles of your own */
SLUICE_API bool sluice_connected(const struct sluice *sluice);
SLUICE_API uint64_t sluice_now_ms(const struct sluice *sluice); /* monotonic, of the loop */
SLUICE_API const char *sluice_endpoint(const struct sluice *sluice);

/* One line to the log: event id, then key=value as in printf. */
SLUICE_API void sluice_log(struct sluice *sluice, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- serving ------------------------------------------------------------- */

/* Ends the task with sluice_done* or sluice_fail* exactly once before it
 * returns; returning without is a failure `no_answer`. */
typedef void sluice_handler_fn(struct sluice_task *task, void *arg);

struct sluice_service {
    const char *name;
    sluice_handler_fn *handler;
    void *arg;
    bool sync;            /* runs inline on the loop, may not SUSPEND; for quick functions */
    unsigned credit;      /* tasks at once; 0: 16 (sync: 256) */
    const char *schema;   /* JSON Schema of the payload, checked before the handler runs
                             (subset: docs/schema.md); NULL: none */
    const char *about;    /* a sentence or two for people and models; NULL: none */
    const char *version;  /* NULL: none */
    uint64_t max_tasks;   /* queue bound at the broker; 0: its default */
    uint64_t max_bytes;
    uint64_t lease_ms;    /* 0: none */
    unsigned attempts;    /* 0: the broker's default */
    uint64_t max_run_ms;  /* longest run of one attempt; 0: none */
    bool exclusive;       /* nobody else may offer it meanwhile (a mailbox) */
};

/* Offers a service, now or as soon as connected. Strings are copied.
 * -EEXIST: already served; -EINVAL: bad name or schema (logged with the place); -ENOSPC: too many,
 * or no memory; -ENOMEM. */
SLUICE_API int sluice_serve(struct sluice *sluice, const struct sluice_service *service);
SLUICE_API int sluice_withdraw(struct sluice *sluice, const char *name); /* -ENOENT */

/* Middleware: `before` runs ahead of every handler, in order of registration; one
 * that ends the task stops it there. `after` runs once the task has ended, in
 * reverse order. Either may be NULL. They may SUSPEND only around async handlers. */
struct sluice_middleware {
    void (*before)(struct sluice_task *task, void *arg);
    void (*after)(struct sluice_task *task, void *arg);
    void *arg;
};
SLUICE_API int sluice_use(struct sluice *sluice, const struct sluice_middleware *middleware);

SLUICE_API struct sluice *sluice_task_peer(const struct sluice_task *task);
SLUICE_API const struct sluice_id *sluice_task_id(const struct sluice_task *task);
SLUICE_API const char *sluice_task_service(const struct sluice_task *task);
SLUICE_API const char *sluice_task_submitter(const struct sluice_task *task);
SLUICE_API unsigned sluice_task_attempt(const struct sluice_task *task);
SLUICE_API struct sluice_bytes sluice_task_payload(const struct sluice_task *task);
/* The payload as JSON, decoded once, borrowed from the task. NULL: not a MessagePack value. */
SLUICE_API json_t *sluice_task_args(struct sluice_task *task);
/* Milliseconds until the deadline; UINT64_MAX: none; 0: passed. */
SLUICE_API uint64_t sluice_task_left_ms(const struct sluice_task *task);
/* True once the broker has asked to stop, or the task is lost. SUSPENDing calls of its
 * handler then return at once: SLUICE_PENDING of what has not ended, or -ECANCELED. */
SLUICE_API bool sluice_task_cancelled(const struct sluice_task *task);
SLUICE_API bool sluice_task_ended(const struct sluice_task *task);

SLUICE_API void sluice_done(struct sluice_task *task, struct sluice_bytes payload); /* copied */
/* The same without a copy, if it is large (more than 8 KiB): its bytes stay as they are until
 * release(owner), which is called in any case: maybe before this returns, at the latest in
 * sluice_free. */
SLUICE_API void sluice_done_owned(struct sluice_task *task, struct sluice_bytes payload,
                                  sluice_release_fn *release, void *owner);
SLUICE_API void sluice_done_json(struct sluice_task *task, json_t *value); /* steals value */

enum sluice_outcome {
    SLUICE_PENDING = -1, /* not ended (yet) */
    SLUICE_DONE = 0,
    SLUICE_FAILED = 1,
    SLUICE_CANCELLED = 2,
    SLUICE_EXPIRED = 3,
    SLUICE_REFUSED = 4,
};

struct sluice_error {
    const char *code;        /* a broker's code, or the application's own */
    const char *message;
    bool retryable;
    uint64_t retry_after_ms; /* 0: none */
    bool scope_service;      /* retry_after_ms holds for all tasks of the service */
};
/* What the attempt really took of the budget: goes with its DONE or FAIL. */
SLUICE_API void sluice_task_set_cost(struct sluice_task *task, uint64_t cost);
SLUICE_API void sluice_fail(struct sluice_task *task, const struct sluice_error *error);

/* What became of a task that this one waited for (sluice_join_submit), or of one worker's part
 * (sluice_part). All of it is borrowed: the payload until the task ends or the future is freed, the
 * error and the worker until the next call. */
struct sluice_input {
    struct sluice_id id;
    enum sluice_outcome outcome;
    struct sluice_bytes payload; /* SLUICE_DONE, unless left_out */
    struct sluice_error error;   /* any other outcome */
    bool left_out;               /* done, but the results together exceeded 16 MiB */
    const char *worker;          /* "": none */
};
SLUICE_API size_t sluice_task_input_count(const struct sluice_task *task);
/* In the order in which they were named. False: there is no such input, or no memory. Going
 * through them in order costs one pass. */
SLUICE_API bool sluice_task_input(struct sluice_task *task, size_t index,
                                  struct sluice_input *input);

SLUICE_API void sluice_failf(struct sluice_task *task, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4))); /* not retryable */
/* The next chunk of the task's stream, 65,536 bytes at most; copied. SUSPENDS while the submitter
 * that reads it is too far behind, with credit given back. -EAGAIN: the same, in a sync
 * handler. -EMSGSIZE. -ECANCELED: stop working on it. -ENOMEM. */
SLUICE_API int sluice_chunk(struct sluice_task *task, struct sluice_bytes bytes);
/* Keeps up to 1 MiB for the attempt that follows if this one does not end. -EMSGSIZE, -ECANCELED,
 * -ENOMEM. What the broker has no room for leaves the one before as it was, and is logged. */
SLUICE_API int sluice_checkpoint(struct sluice_task *task, struct sluice_bytes bytes);
/* That of an earlier attempt; empty: none. Borrowed from the task. */
SLUICE_API struct sluice_bytes sluice_task_checkpoint(struct sluice_task *task);
/* The next signal, in the order in which they were sent; an attempt gets again what earlier ones
 * had. SUSPENDS, with credit given back; `timeout_ms` 0: for ever. The payload is borrowed
 * until the next call. -ETIMEDOUT. -ECANCELED. -EAGAIN: none yet, in a sync handler. -ENOMEM: one
 * was lost for want of it, and this attempt hears no more; another would get them all. A fiber
 * that the handler has started may wait too, and must be done when the handler returns. */
SLUICE_API int sluice_signal_wait(struct sluice_task *task, uint64_t timeout_ms,
                                  struct sluice_bytes *payload);
/* Tells the submitter how far it is (NULL: nothing to tell); renews the lease. Steals `value`. */
SLUICE_API void sluice_progress_json(struct sluice_task *task, json_t *value);

/* ---- submitting ---------------------------------------------------------- */

SLUICE_API const char *sluice_outcome_name(enum sluice_outcome outcome);

#define SLUICE_PRIORITY_LOWEST (-1)

/* All 0: the defaults. What is over a bound of the protocol ends the task `refused
 * bad_message`; times and counts are cut to their bounds. After a reconnect a task is
 * submitted again with all of them, and with what is left of its times; but queue_ttl_ms begins
 * anew then, unless it was refused: nobody here knows whether it had been started in time. */
struct sluice_submit_options {
    uint64_t deadline_ms;
    uint64_t queue_ttl_ms; /* longest wait for the first start, once delay_ms is over; also here:
                              for room, a connection, or while the broker refuses it for now */
    uint64_t lease_ms;
    unsigned attempts;
    bool held;          /* its outcome comes with a sluice_join, not by itself; if none is made, a
                           minute after its deadline it ends SLUICE_EXPIRED; without one, never */
    bool no_wait;       /* refused when the queue is full, instead of waiting for room */
    bool wait_absent;   /* wait for somebody to offer an unknown service */
    bool no_parent;     /* inside a handler: not a child of its task */
    int priority;       /* 1-9, higher first; 0: the default, 4; SLUICE_PRIORITY_LOWEST: 0 */
    const char *key;      /* fairness key; NULL: this peer's session. Keys are 1-64 bytes */
    const char *order;    /* ordering key: one at a time, in the order in which the broker accepted
                             them; a refusal that passes may change it. NULL: none */
    const char *affinity; /* the same worker as others with this key; NULL: none */
    const char *version;  /* only offers of exactly this version; NULL: any */
    uint64_t cost;        /* units of the budget that it will take; 0: none */
    uint64_t delay_ms;    /* not started before; 0: at once */
    uint64_t run_at_ms;   /* the same as a time of the broker's clock, Unix ms; 0: at once */
    uint64_t max_run_ms;  /* longest run of one attempt; 0: the service's */
    uint64_t backoff_ms;  /* before the first retry; 0: the service's */
    uint64_t backoff_max_ms; /* ceiling of the backoff; 0: the service's */
    const char *retry_on; /* codes, single spaces between them, that are tried again; NULL: none */
    const char *final_on; /* codes that are final, whatever `retryable` says; NULL: none */
    bool dead_letter;     /* out of attempts it is kept as a dead letter */
    bool detached;        /* it outlives this process: ask the broker for its result */
    bool durable;         /* it survives the broker: accepted when it is safe on its disk */
    uint64_t retain_ms;   /* how long its outcome is kept; 0: the broker's */
    const char *idempotency_key; /* same key, same payload: the same task; NULL: none */
    uint64_t cache_ms;    /* its result answers so long, with idempotency_key; 0: not */
    bool all_workers;     /* to each worker: sluice_part. Not with order, affinity,
                             idempotency_key, detached, dead_letter, stream */
    unsigned stream;    /* chunks to read ahead of sluice_next_chunk; 0: no stream */
    void (*on_progress)(struct sluice_future *future, json_t *value, void *arg); /* borrowed */
    void (*on_started)(struct sluice_future *future, const char *worker, void *arg);
    /* Once, when it has ended; maybe before sluice_submit returns. Not to free it there; others
     * may be freed, if no fiber waits for them. It must not suspend; a submit there never does. */
    void (*on_ended)(struct sluice_future *future, void *arg);
    void *arg;          /* for the three above */
    const struct sluice_id *id; /* NULL: a new one */
};

/* Submits a task; returns its future at once (outside the window, after waiting for
 * room: SUSPENDS; where that is not possible the task waits in the peer). Inside a handler the
 * task becomes a child of the handler's task: it inherits deadline and
 * cancel. NULL: no memory. `options` may be NULL. The payload is copied. */
SLUICE_API struct sluice_future *sluice_submit(struct sluice *sluice, const char *service,
                                               struct sluice_bytes payload,
                                               const struct sluice_submit_options *options);
/* The same without a copy, if it is large (more than 8 KiB): its bytes stay as they are until
 * release(owner), which is called in any case: maybe before this returns, at the latest in
 * sluice_free. */
SLUICE_API struct sluice_future *sluice_submit_owned(struct sluice *sluice, const char *service,
                                                     struct sluice_bytes payload,
                                                     sluice_release_fn *release, void *owner,
                                                     const struct sluice_submit_options *options);
SLUICE_API struct sluice_future *sluice_submit_json(struct sluice *sluice, const char *service,
                                                    json_t *value, /* stolen; NULL: empty map */
                                                    const struct sluice_submit_options *options);

enum sluice_join_policy {
    SLUICE_JOIN_ALL = 1,
    SLUICE_JOIN_SETTLED = 2,
    SLUICE_JOIN_ANY = 3, /* the first that is done */
    SLUICE_JOIN_K = 4,   /* the first `k` that are done: sluice_join_submit */
};

/* A join at the broker over `futures`, all submitted by this peer. When it ends, every held
 * member has its outcome too, but for those that are cancelled with it: they end when they have
 * stopped. If a member is refused for good the join ends `refused not_found`, whatever its policy,
 * and the other held ones are cancelled; so are the held ones if there is no memory for it: NULL.
 * The members stay the caller's. */
SLUICE_API struct sluice_future *sluice_join(struct sluice *sluice, struct sluice_future **futures,
                                             size_t count, enum sluice_join_policy policy,
                                             const struct sluice_submit_options *options);

/* When a task that waits for others runs, by how they came out. */
enum sluice_run_if {
    SLUICE_RUN_IF_DONE,   /* the policy is fulfilled; else it ends `skipped` or failed */
    SLUICE_RUN_IF_FAILED, /* it has become impossible */
    SLUICE_RUN_IF_ALWAYS,
};

struct sluice_join_terms {
    enum sluice_join_policy policy;
    size_t k;                    /* with SLUICE_JOIN_K: 1 to the number of members */
    const char *service;         /* who gets the outcomes; NULL: nobody, a join like sluice_join */
    struct sluice_bytes payload; /* with service; copied */
    enum sluice_run_if run_if;   /* with service */
    bool no_inputs;              /* with service: it does not get them */
};

/* Submits a task of `service` that waits at the broker for `futures` and is then handed out
 * with their outcomes: sluice_task_input. Its members should not be held: what became of them
 * is told to the service alone, and a held one ends SLUICE_CANCELLED here. Bad terms end it
 * `refused bad_message`, and its held members are cancelled. */
SLUICE_API struct sluice_future *sluice_join_submit(struct sluice *sluice,
                                                    struct sluice_future **futures, size_t count,
                                                    const struct sluice_join_terms *terms,
                                                    const struct sluice_submit_options *options);

/* Waits for the end. SUSPENDS. While the handler of a task waits for its children, its
 * credit is given back. SLUICE_PENDING: timeout_ms has passed (0: no timeout), or
 * the waiting handler's own task was cancelled. */
SLUICE_API enum sluice_outcome sluice_await(struct sluice_future *future);
SLUICE_API enum sluice_outcome sluice_await_ms(struct sluice_future *future, uint64_t timeout_ms);

/* Waits for all. SUSPENDS. Returns how many are not SLUICE_DONE. */
SLUICE_API size_t sluice_gather(struct sluice_future **futures, size_t count);
/* Waits for the next one that has ended and was not returned before, in order of ending. SUSPENDS.
 * Returns its index; count: all returned, or the handler was cancelled. A future that was freed
 * must be NULL or replaced in the array. Calls with the same array and count are one loop, also
 * those of several fibers: each future is returned to one of them. Loops over different arrays
 * should have no future in common while they go on: the one that asks last takes it over, and the
 * other waits for it no more. */
SLUICE_API size_t sluice_as_completed(struct sluice_future **futures, size_t count);
/* Waits for the first SLUICE_DONE, cancels the others and waits until they have stopped. SUSPENDS.
 * Returns its index; count: none was. */
SLUICE_API size_t sluice_any(struct sluice_future **futures, size_t count);

/* Asks to cancel; the future ends with SLUICE_CANCELLED when all below it has stopped. */
SLUICE_API void sluice_cancel(struct sluice_future *future, const char *reason);
/* Cancels it if it has not ended, and gives up the future. Accepts NULL. Not while a
 * fiber waits for it; once sluice_run has returned, none does. */
SLUICE_API void sluice_future_free(struct sluice_future *future);

/* What is known of a future; borrowed until it is freed. */
SLUICE_API enum sluice_outcome sluice_future_outcome(const struct sluice_future *future);
SLUICE_API const struct sluice_id *sluice_future_id(const struct sluice_future *future);
SLUICE_API const char *sluice_future_service(const struct sluice_future *future);
SLUICE_API struct sluice_bytes sluice_future_payload(const struct sluice_future *future);
/* The result as JSON, decoded once, borrowed. NULL: not DONE, or not a MessagePack value. */
SLUICE_API json_t *sluice_future_json(struct sluice_future *future);
/* With `all_workers`: what became of each worker's part, once the future is SLUICE_DONE. In the
 * order of the workers' offers. sluice_part is false beyond the last one, or without memory. */
SLUICE_API size_t sluice_part_count(const struct sluice_future *future);
SLUICE_API bool sluice_part(struct sluice_future *future, size_t index,
                            struct sluice_input *part);
/* Set for every outcome but DONE and PENDING. */
SLUICE_API const struct sluice_error *sluice_future_error(const struct sluice_future *future);
struct sluice_timing {
    unsigned attempt;      /* the last one; 0: never started */
    uint64_t submitted_ms; /* sluice_now_ms when it was submitted */
    uint64_t waited_ms;    /* broker's clock: acceptance to last start */
    uint64_t ran_ms;       /* broker's clock: last start to end */
    const char *worker;    /* "" : none */
};
SLUICE_API struct sluice_timing sluice_future_timing(const struct sluice_future *future);

/* Scopes: futures submitted by this fiber between open and close belong to the scope; close
 * waits for them all (or cancels them and waits until they have stopped), then frees
 * them. `deadline_ms` (0: none) applies to each of them. Nest like brackets. close SUSPENDS. */
SLUICE_API struct sluice_scope *sluice_scope_open(struct sluice *sluice, uint64_t deadline_ms);
enum sluice_scope_end { SLUICE_SCOPE_WAIT, SLUICE_SCOPE_CANCEL };
SLUICE_API void sluice_scope_close(struct sluice_scope *scope, enum sluice_scope_end end);

/* ---- the rest of a fiber's life --------------------------------------------- */

typedef void sluice_fiber_fn(struct sluice *sluice, void *arg);
/* -EAGAIN: handlers_max are running. */
SLUICE_API int sluice_spawn(struct sluice *sluice, sluice_fiber_fn *fn, void *arg);
SLUICE_API int sluice_sleep_ms(struct sluice *sluice, uint64_t ms); /* SUSPENDS; -ECANCELED */
/* Runs `fn` on the thread pool. SUSPENDS until it has returned: never abandoned half-way. */
SLUICE_API int sluice_work(struct sluice *sluice, void (*fn)(void *arg), void *arg);
/* Asks the broker (PROTOCOL.md, QUERY). SUSPENDS. `argument`: 16 bytes id, text, or NULL.
 * 0: *reply is the body (yours). -EREMOTEIO: refused, *reply is the error map. -ETIMEDOUT. */
SLUICE_API int sluice_query(struct sluice *sluice, const char *what, const struct sluice_id *id,
                            const char *cursor, json_t **reply);
/* Cancels any task by id and waits until it has stopped. SUSPENDS. As sluice_query. */
SLUICE_API int sluice_cancel_id(struct sluice *sluice, const struct sluice_id *id,
                                const char *reason, json_t **reply);

/* ---- detached work ---------------------------------------------------------------
 *
 * A task submitted with `detached` outlives this process. Its future is like any other's, but to
 * free it does not cancel the task: whoever knows the id can attach to it, from any peer. */

/* Waits until the broker has it: true; then this process may end. SUSPENDS. False: it was refused
 * or the caller cancelled; see its outcome. For futures of detached or durable tasks. */
SLUICE_API bool sluice_accepted(struct sluice_future *future);
/* The same without waiting: has it said so yet? */
SLUICE_API bool sluice_future_accepted(const struct sluice_future *future);

/* Gives up the future of a detached task, as sluice_future_free does. But while that goes on until
 * the broker has the task, this sends it no more: what has arrived goes on, what has not never
 * begins. For work that somebody else may have submitted by now, or that is too late. */
SLUICE_API void sluice_future_forget(struct sluice_future *future);

/* A future of any task, by its id: ends as the task does, or REFUSED `not_found`. To free it, or to
 * cancel it, does nothing to the task: sluice_cancel_id does. It belongs to no scope. NULL: no
 * memory, an id of zeros, or there is one of this id already. */
SLUICE_API struct sluice_future *sluice_attach(struct sluice *sluice, const struct sluice_id *id);

/* A page of the detached tasks (PROTOCOL.md, QUERY list), filtered by `service` and by `state`
 * ("ready", "leased", "ended" ...), from `cursor` (`next` of the page before); NULL: all. SUSPENDS.
 * As sluice_query. One task: sluice_query "status". */
SLUICE_API int sluice_list(struct sluice *sluice, const char *service, const char *state,
                           const char *cursor, json_t **reply);

/* What an operator asks for (PROTOCOL.md, CONTROL): `what` is "limit", "pause", "resume", "drain",
 * "undrain", "retry", "drop" or "backup"; which options it takes is said there. SUSPENDS, for a
 * backup until it is there. As sluice_query; -EINVAL: there is no such name or value, and *reply is
 * an error map that says which (NULL: no memory). `options` may be NULL. */
struct sluice_control_options {
    const char *service;          /* NULL: none */
    const char *key, *tenant;
    const struct sluice_id *task; /* a dead letter */
    uint64_t peer;                /* its number in QUERY peers; 0: none */
    uint64_t ms;
    json_t *limits;               /* {NAME: integer}, as CONTROL names them; borrowed; NULL: none */
};
SLUICE_API int sluice_control(struct sluice *sluice, const char *what,
                              const struct sluice_control_options *options, json_t **reply);

/* What happens at the broker, as it happens (PROTOCOL.md, WATCH and EVENT): of a service, or of a
 * task; both NULL: all. NULL: too many, or no memory. Free it before the runtime. */
SLUICE_API struct sluice_watch *sluice_watch(struct sluice *sluice, const char *service,
                                             const struct sluice_id *task);
/* The next event, yours: {sequence, lost, kind, task?, service?, peer?, attempt?, detail?}; with
 * `restarted`, what happened before it since the last one is not known. SUSPENDS. 0;
 * -EAGAIN: too many watch this broker; -EREMOTEIO, -ENOMEM, -ECANCELED. */
SLUICE_API int sluice_next_event(struct sluice_watch *watch, json_t **event);
SLUICE_API void sluice_watch_free(struct sluice_watch *watch); /* accepts NULL */

/* Sends bytes (65,536 at most) to the attempt that runs, or the next one that will. SUSPENDS. As
 * sluice_query; the reply is {delivered, kept}. After a reconnect it may come twice. -EMSGSIZE. */
SLUICE_API int sluice_signal(struct sluice *sluice, const struct sluice_id *id,
                             struct sluice_bytes payload, json_t **reply);

/* ---- streams ------------------------------------------------------------------- */

struct sluice_chunk {
    struct sluice_bytes bytes; /* borrowed until the next call */
    unsigned attempt;
    uint64_t sequence;
    uint64_t lost;             /* chunks right before it that this reader was too slow for */
    bool restarted;            /* the first of a new attempt: what came before is void */
};
/* The stream of a future submitted with `stream`; freed with it. NULL: none was asked for. */
SLUICE_API struct sluice_stream *sluice_future_stream(const struct sluice_future *future);
/* Reads the stream of anybody's task, `window` (0: 64) chunks ahead. NULL: no memory, too many,
 * or this peer reads it already. */
SLUICE_API struct sluice_stream *sluice_read(struct sluice *sluice, const struct sluice_id *id,
                                             unsigned window);
/* The next chunk, in order; it goes on by itself after a reconnect. SUSPENDS. 1: *chunk is set.
 * 0: the task has ended. -ENOENT: no such task. -EREMOTEIO: refused. -ECANCELED. -ENOMEM. */
SLUICE_API int sluice_next_chunk(struct sluice_stream *stream, struct sluice_chunk *chunk);
/* Only of sluice_read; before sluice_free. Accepts NULL. */
SLUICE_API void sluice_stream_free(struct sluice_stream *stream);

/* ---- HTTP (libcurl, in the same loop) ------------------------------------------ */

struct sluice_http_request {
    const char *url;           /* http or https only */
    const char *method;        /* NULL: GET */
    const char *const *headers; /* "Name: value", NULL-terminated; NULL: none */
    struct sluice_bytes body;
    uint64_t timeout_ms;       /* 0: 30 s */
    size_t bytes_max;          /* of the answer's body; 0: 4 MiB. Beyond: cut, `truncated` */
    unsigned redirects_max;    /* 0: none */
    bool allow_private;        /* private, loopback, link-local addresses too */
};
struct sluice_http_response {
    long status;
    char *url;                 /* after redirects */
    char *content_type;        /* may be NULL */
    char *body;                /* `size` bytes and a NUL */
    size_t size;
    bool truncated;
    char error[256];           /* set when the call fails: a sentence */
    bool refused_address;      /* it failed because the address is not allowed */
};
/* SUSPENDS. 0: an answer of any status; negative errno: none, `error` says why. The address is
 * decided on after DNS, for each redirect. Free the response in both cases.
 * -EINVAL: not an http or https address. -EACCES: refused_address. -ELOOP: redirects_max.
 * -ETIMEDOUT. -ECANCELED. -ENOMEM. -EPROTO: the answer breaks a rule or a bound, or its
 * certificate is not valid. -EHOSTUNREACH: no such name. -ECONNREFUSED, -EIO: the connection. */
SLUICE_API int sluice_http(struct sluice *sluice, const struct sluice_http_request *request,
                           struct sluice_http_response *response);
SLUICE_API void sluice_http_response_deinit(struct sluice_http_response *response);

/* ---- values ------------------------------------------------------------------ */

/* MessagePack of a JSON value, malloc'd; NULL data: no memory. */
SLUICE_API struct sluice_bytes sluice_pack_json(const json_t *value);
/* JSON of one bounded MessagePack value; NULL: malformed. bin becomes {"$bin": base64}. */
SLUICE_API json_t *sluice_unpack_json(struct sluice_bytes bytes);

SLUICE_API const char *sluice_version(void);

#ifdef __cplusplus
}
#endif
#endif
