/* flight: the one run that all submits of an idempotency key share (single flight).
 *
 * The first task of a key runs; a later one with the same content follows it: it waits, and gets
 * its outcome under its own id. Is the first one cancelled or too late, then the oldest follower
 * runs in its place: nobody loses a result because somebody else has lost interest. A result that
 * is to be cached keeps its flight for as long as its task is remembered, cache_ms at most.
 *
 * A key belongs to a tenant and a service. What counts as content is the payload, by its digest.
 * Owner: the broker's pool; a flight lives in the terms of its tasks. One thread. */
#ifndef SLUICE_BROKER_CORE_FLIGHT_H
#define SLUICE_BROKER_CORE_FLIGHT_H

#include "broker/core/task.h"
#include "common/siphash.h"
#include "common/table.h"

struct flight {
    struct table_node node; /* broker->flights */
    struct task *task;      /* that runs, or has run, for all */
    struct list followers;  /* tasks, oldest first; none once `task` is done */
    uint8_t digest[DIGEST_BYTES];
    /* While rows are restored, if `task` has ended: */
    struct list restored_link; /* broker->flights_restored */
    uint64_t until_unix_ms;    /* what was accepted until then follows it */
};

/* The flight that `submit`, which has a key, belongs to; NULL: none. */
struct flight *flight_find(struct broker *broker, const struct peer *peer,
                           const struct submit *submit);
/* The same for the row that is restored. What has ended before it is there, too, if it was there
 * when this one was accepted; what was over by then gives way to it. */
struct flight *flight_restore(struct broker *broker, const struct peer *peer,
                              const struct submit *submit);
/* All rows are back: nothing is kept for them any more. */
void flights_restored(struct broker *broker);
/* The payload is that of the first one. */
bool flight_same_content(const struct broker *broker, const struct flight *flight,
                         const struct submit *submit);

/* `task`, which has terms with the key, is the first. False: no memory. */
bool flight_open(struct broker *broker, struct task *task, const struct submit *submit);
/* `task`, new and with terms, follows: it waits, and not longer than its deadline; or has ended
 * when this returns, if there is a result. */
void flight_follow(struct broker *broker, struct flight *flight, struct task *task,
                   uint64_t delay_ms);

/* It waits for another task of its key. */
bool flight_follows(const struct task *task);

/* A task is about to end: it follows no more. */
void flight_leave(struct task *task);
/* It has ended: those that follow it end as well, or go on without it. */
void flight_land(struct broker *broker, struct task *task);
/* Its record goes. */
void flight_forget(struct broker *broker, struct task *task);

/* CHECKs what holds between two steps. 1: `task` is the first of a flight. */
uint64_t flight_check(const struct task *task);

#endif
