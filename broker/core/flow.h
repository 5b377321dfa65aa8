/* flow: the ready tasks of one service that are alike to the scheduler.
 *
 * Alike: same service, same version if they ask for one, same fairness key, same priority. Within
 * a flow tasks are handed out first in, first out; between the flows of a service service->ring
 * says whose turn it is. A flow with ready tasks waits on that ring, or for an offer of its target
 * (target.h), unless its key may start nothing (account.h).
 *
 * A flow lives as long as task records name it, ended and retained ones too: a submitter at work
 * makes and frees none. A key without tasks costs nothing. Owner: the broker's pool. */
#ifndef SLUICE_BROKER_CORE_FLOW_H
#define SLUICE_BROKER_CORE_FLOW_H

#include "broker/core/ring.h"
#include "common/table.h"
#include "proto/message.h"

struct account;
struct broker;
struct peer;
struct service;
struct task;

struct flow {
    struct table_node node;  /* broker->flows */
    uint64_t serial;         /* no other flow ever has it; 0: forgotten */
    struct turn turn;        /* service->ring; weight: of its fairness key, 1 by default */
    struct service *service;
    struct account *account; /* of its key; NULL: no rule names it */
    struct target *target;   /* NULL: any offer of its service will do */
    struct list ready;       /* tasks by `link` */
    uint64_t tasks;          /* records that name it */
    uint64_t submitter;      /* serial of the peer that is the fairness key; 0: `key` is */
    uint8_t key_size;
    uint8_t key[KEY_MAX];

    struct list service_link; /* service->flows */
    struct list account_link; /* account->flows */
    struct list target_link; /* target->flows */
    uint64_t seen;           /* of `tasks`, by broker_check, which leaves 0 */
};

/* The flow that `peer` used last; NULL: none, or it has been forgotten. */
struct flow *flow_last(const struct peer *peer);
/* The flow that `peer` used last, if `submit` belongs to it, too; else NULL. Spares the plain
 * path the look-ups of service and flow. */
struct flow *flow_of_last(const struct peer *peer, const struct submit *submit);

/* Where the flow of a `submit` of that peer stands in broker->flows, whether or not its service is
 * known. */
uint32_t flow_hash(const struct broker *broker, uint64_t peer_serial,
                   const struct submit *submit);
/* It stands there. */
bool flow_placed(const struct broker *broker, const struct flow *flow);
/* The flow of `submit`, remembered as the peer's last; NULL: there is none. `hash` is the above. */
struct flow *flow_find(const struct broker *broker, struct peer *peer,
                       const struct submit *submit, uint32_t hash);

/* The same, made for `service` if there is none. NULL: no memory. The caller counts its record
 * (flow_ref) or gives up (flow_release). */
struct flow *flow_open(struct broker *broker, struct service *service, struct peer *peer,
                       const struct submit *submit, uint32_t hash);
static inline void flow_ref(struct flow *flow)
{
    flow->tasks++;
}
void flow_unref(struct broker *broker, struct flow *flow);
/* Frees it if no record names it. */
void flow_release(struct broker *broker, struct flow *flow);

/* A ready task joins its flow. */
void flow_push(struct broker *broker, struct flow *flow, struct task *task, bool front);
/* It leaves: handed out, or ended before. */
void flow_remove(struct broker *broker, struct flow *flow, struct task *task);
/* It waits for its turn from now on, if it has anything to start and may; it does not. */
void flow_join(struct flow *flow);
void flow_leave(struct flow *flow);

/* The flow of `service` whose turn it is, with a ready task; NULL: none. */
struct flow *flow_next(const struct service *service);
/* It is, or would be if an offer of its target had room. */
bool flow_is_next(const struct flow *flow);
/* That flow hands out one task, which is then removed. */
void flow_charge(struct flow *flow);
/* That flow has to wait for an offer of its target. */
void flow_park(struct flow *flow);

#endif
