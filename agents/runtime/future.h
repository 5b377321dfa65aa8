/* future: what a submitter holds of a task: its outcome, to come.
 *
 * A future is ended by the peer's result upcall, on the loop; strands that wait
 * for it are woken, and run later in the same turn. */
#ifndef SLUICE_RUNTIME_FUTURE_H
#define SLUICE_RUNTIME_FUTURE_H

#include "agents/runtime/inputs.h"
#include "agents/runtime/runtime.h"

/* Somebody who wants to know when a future ends: once, then it is unlinked. */
struct waiter {
    struct list link; /* future.waiters */
    struct waiting *waiting;
    size_t index;
};

/* One strand that waits for several futures. */
struct waiting {
    struct strand *strand;
    size_t left;       /* futures that have not ended */
    bool any;          /* the first DONE is enough */
    size_t winner;     /* of any: its index; SIZE_MAX: none yet */
};

/* The futures of a sluice_as_completed loop, in order of ending. */
struct completion {
    struct sluice_future **futures; /* borrowed: tells one loop from another */
    size_t count;
    size_t member_count;  /* futures that point here */
    size_t left;          /* members not yet handed out */
    struct list ended;    /* ended and not handed out, by completion_link */
    struct list strands;  /* those that wait */
};

/* A question whose answer goes to a function of its own. */
struct asking {
    void (*replied)(struct asking *asking, const struct reply *reply); /* NULL: none came */
    /* The RESULT that it asked for, ahead of that; NULL: it asks for none. */
    void (*outcome)(struct asking *asking, const struct result *result);
};

/* Most results fit, and need no memory of their own. */
#define FUTURE_SMALL_BYTES 128

struct sluice_future {
    struct sluice *sluice;         /* NULL: freed before the future */
    struct submission *submission; /* NULL: the peer is done with it */
    struct id id;
    enum sluice_outcome outcome;
    struct payload payload; /* of its result: in `small`, or in a blob of ours */
    json_t *json;
    bool json_read;
    char *error_text; /* code, NUL, message, NUL */
    struct sluice_error error;
    struct sluice_timing timing;
    uint64_t end; /* the how-many-eth of the peer's futures to end */
    void (*on_progress)(struct sluice_future *future, json_t *value, void *arg);
    void (*on_started)(struct sluice_future *future, const char *worker, void *arg);
    void (*on_ended)(struct sluice_future *future, void *arg);
    void *arg;
    struct list all;     /* sluice.futures */
    struct list waiters;
    struct list scope;   /* of the scope it belongs to */
    struct completion *completion;
    struct list completion_link;
    size_t completion_index;
    struct asking fetch;     /* of a result that is asked for: left out by its join, or attached */
    struct request *request; /* the same; NULL: none */
    struct list accepting;   /* strands in sluice_accepted */
    bool accepted;           /* the broker has said so */
    bool scattered;          /* to all workers */
    struct inputs *parts;    /* of one that is; NULL: not done */
    struct sluice_stream *stream; /* NULL: not asked for */
    bool *freed;  /* where to say that it is; NULL: nobody asks */
    bool roomy;   /* of the size that is used again */
    /* All above begins as zeros. */
    char worker[PEER_NAME_MAX + 1];
    uint8_t small[FUTURE_SMALL_BYTES];
    char service[]; /* with NUL */
};

/* Submits: `submit` has the payload and what a join has, the rest comes from `options`.
 * NULL: no memory. */
struct sluice_future *future_submit(struct sluice *sluice, const char *service,
                                    struct submit *submit,
                                    const struct sluice_submit_options *options);
/* One that has ended as it began; `options` may be NULL. NULL: no memory. */
struct sluice_future *future_refused(struct sluice *sluice, const char *service,
                                     const struct sluice_submit_options *options,
                                     enum error_code code, const char *why);

/* future.c */
struct sluice_future *future_new(struct sluice *sluice, const char *service, const struct id *id,
                                 const struct sluice_submit_options *options);
void future_delete(struct sluice_future *future);
/* Asks for the outcome of a task that is no submission of ours any more; or waits for it. False:
 * no memory, or it is asked for already. */
bool future_fetch(struct sluice_future *future, bool once_ended);
void future_end_here(struct sluice_future *future, enum sluice_outcome outcome,
                     enum error_code code, const char *message);

/* await.c: a future has ended, or is about to be freed. */
void waiter_ended(struct waiter *waiter, const struct sluice_future *future);
void completion_ended(struct sluice_future *future);
void completion_leave(struct sluice_future *future);
/* Waits until all have ended; NULLs count as ended. WAKE_EVENT: they have. */
enum wake futures_wait(struct strand *strand, struct sluice_future *const *futures, size_t count,
                       uint64_t deadline_ms);

#endif
