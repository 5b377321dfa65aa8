/* lease: a task in a worker's hands, and what is left of it when the task moves on.
 *
 * A lease lives in its task; a stray in the broker's pool. One thread. */
#ifndef SLUICE_BROKER_CORE_LEASE_H
#define SLUICE_BROKER_CORE_LEASE_H

#include "broker/core/service.h"

/* Attempts of one id are numbered in 16 bits: beyond so many no more tasks of it are accepted. */
#define ATTEMPT_NUMBERS_MAX 60000
/* Nor if workers hold more leases of the id that are over: they are looked through one by one. */
#define STRAYS_OF_ID_MAX 200

struct offer;

/* A lease whose task has moved on while its worker has not answered: it still takes
 * credit, for the worker is still busy. */
struct stray {
    struct table_node node;
    struct list link; /* offer->strays */
    struct offer *offer;
    struct id id;
    uint16_t attempt;
};

/* Hands a ready task of the offer's service to its worker. */
void lease_take(struct broker *broker, struct offer *offer, struct task *task);
/* The worker has that long from now, again. */
void lease_renew(struct broker *broker, struct task *task);
/* When its attempt has run for max_run_ms, whatever its progress; WHEEL_NEVER: none. */
uint64_t lease_run_end_ms(const struct broker *broker, const struct task *task);
/* TASK, to its worker: from now on it runs. */
void lease_send(struct broker *broker, struct task *task);
/* STARTED, to its submitter. */
void lease_tell_started(struct broker *broker, const struct task *task);
/* Takes the task out of its worker's hands: the worker has answered, or is gone.
 * May free the offer. */
void lease_release(struct broker *broker, struct task *task);
/* The task moves on, the worker has yet to answer. */
void lease_stray(struct broker *broker, struct task *task);
struct strays {
    uint16_t last_attempt; /* the highest; 0: there are none */
    uint32_t count;
};

/* The strays of `id` that `peer` (NULL: anybody) still holds. */
struct strays strays_of(const struct broker *broker, const struct peer *peer,
                        const struct id *id);
/* True: no more attempts of the id may begin, until some of these have been answered. */
bool strays_too_many(struct strays strays);
/* True: (peer, id, attempt) was a stray, and its credit is free again. */
bool stray_answer(struct broker *broker, const struct peer *peer, const struct id *id,
                  uint64_t attempt);
/* Frees an offer's strays: its worker is gone. */
void offer_drop_strays(struct broker *broker, struct offer *offer);

#endif
