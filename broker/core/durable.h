/* durable: tasks whose acceptance and outcome are told when a store has them (store.h).
 *
 *   SUBMIT  STORE_TASK    it runs at once; ACCEPTED and STARTED are told when that is safe,
 *                         whatever else of it is on its way by then
 *   lease   STORE_ATTEMPT if it may have one attempt alone: TASK goes out when that is safe
 *   end     STORE_END     state `storing`: in nobody's hands, not to be cancelled any more; it has
 *                         ended, and everybody hears of it, when that is safe
 *   gone    STORE_FORGET  with what is remembered of it, its dead letter, too
 *
 * So whatever records a crash takes away, nobody was told what they said. What is not yet safe
 * stands in broker->unsafe; its bytes have a bound, beyond which nothing durable is accepted. */
#ifndef SLUICE_BROKER_CORE_DURABLE_H
#define SLUICE_BROKER_CORE_DURABLE_H

#include "broker/core/state.h"

struct durable {
    struct task *task;
    uint64_t key;           /* of its row */
    uint64_t first;         /* sequence of its first record */
    struct list unaccepted; /* broker->unaccepted, by `first`; on none: that is safe */
    uint64_t sequence;      /* of the last record that somebody waits for */
    struct list link;       /* broker->unsafe, by sequence; on none: it is safe */
    uint64_t taken_ms;      /* of one attempt alone: when it was given to its worker */
    struct blob *result;    /* storing: what it will be, */
    uint8_t state, error;   /* and why; */
    uint8_t code_size;      /* and where in the map of an application's error its code is */
    bool starting : 1;      /* leased; its worker gets it when that it may have it is safe */
    bool saving : 1;        /* a checkpoint is on its way; */
    bool outdated : 1;      /* and there is a newer one */
    bool released : 1;      /* restored: a join that waited for it is over */
    uint16_t code_at;
    uint32_t bytes;         /* of the record that somebody waits for, about */
};

static_assert(sizeof(struct durable) <= 96, "a million of them are not rare");

/* The tasks of the service (empty: a pure join's) are durable, whatever their SUBMITs say. */
bool durable_by_service(const struct broker *broker, struct span service);
/* May a durable task be accepted now? ERROR_NONE: it may. */
enum error_code durable_admit(const struct broker *broker, const struct submit *submit);
/* Makes a new task, which has its rare part and its options, durable, and records it. False: no
 * memory. */
bool durable_open(struct broker *broker, struct task *task, const struct submit *submit);
/* It is to end so. True: not before that is safe; takes over `result`. */
bool durable_end(struct broker *broker, struct task *task, enum task_state state,
                 enum error_code error, struct blob *result);
/* A worker has been chosen for it. True: it gets TASK later: of a task that may be started once
 * it has to be safe first that it may have been. */
bool durable_start(struct broker *broker, struct task *task);
/* An attempt of it has failed, and there will be another. */
void durable_attempt(struct broker *broker, const struct task *task);
/* Its checkpoint is another: the last one is recorded, at the latest when no other record of it is
 * on its way. */
void durable_checkpoint(struct broker *broker, const struct task *task);
/* A new row: what an operator has said. Its key. */
uint64_t durable_direct(struct broker *broker, const struct peer *peer,
                        const struct control *control);
/* The row is of no use any more. */
void durable_forget(struct broker *broker, uint64_t key);
/* Its record is gone; the row, too, unless a dead letter keeps it. */
void durable_free(struct broker *broker, struct task *task);
/* All records up to `sequence` are safe. */
void durable_stored(struct broker *broker, uint64_t sequence);

/* The store is lost: what is storing will not end, and lets go of its ordering key, lest others
 * wait for it; what is starting will not start. */
void durable_lost(struct broker *broker);
/* Ends what has just been taken and waits for a lost store: it lets go of its worker and its key,
 * and nobody hears of it before a restart. */
void durable_unstart(struct broker *broker, struct task *task);

/* Unfinished tasks that a drained broker need not wait for. */
uint64_t durable_kept(const struct broker *broker);
/* CHECKs what must hold between two steps. */
void durable_check(const struct broker *broker);

uint64_t durable_bytes(const struct durable *durable);

/* NULL: it is not durable. */
static inline struct durable *task_durable(const struct task *task)
{
    return task->extra != NULL ? task->extra->durable : NULL;
}

/* Its worker knows nothing of it yet. */
static inline bool durable_starting(const struct task *task)
{
    const struct durable *durable = task_durable(task);

    return durable != NULL && durable->starting;
}

/* Whether it is, the first time. */
static inline bool durable_take_released(const struct task *task)
{
    struct durable *durable = task_durable(task);
    bool released = durable != NULL && durable->released && !task_ended(task);

    if (released) {
        durable->released = false;
    }
    return released;
}

/* When its attempt began, for what counts attempts. */
static inline uint64_t durable_taken_ms(const struct task *task)
{
    const struct durable *durable = task_durable(task);

    return durable != NULL && task->attempts_max == 1 ? durable->taken_ms : task->started_ms;
}

/* What is said of it now is true, and will be after a crash. */
static inline bool durable_accepted(const struct task *task)
{
    const struct durable *durable = task_durable(task);

    return durable == NULL || list_empty(&durable->unaccepted);
}

#endif
