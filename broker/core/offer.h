/* offer: one worker's readiness to serve one service; knows the tasks it holds.
 *
 * Stands in its service's list of loads while it has room and its peer is there.
 * Owner: the broker's pool. One thread. */
#ifndef SLUICE_BROKER_CORE_OFFER_H
#define SLUICE_BROKER_CORE_OFFER_H

#include "broker/core/service.h"

struct offer {
    struct peer *peer;
    struct service *service;
    struct list load_link;    /* service->loads, while it has room */
    struct list leases;       /* tasks by `link` */
    struct target *target;    /* of its version; NULL: it has none */
    struct target *lone;      /* of tasks for it alone; NULL: there are none */
    uint32_t credit;
    uint32_t held;            /* leases and strays */
    uint8_t load;
    bool attended;            /* its worker is there, and not drained; not withdrawn */
    bool exclusive;           /* nobody else may offer its service meanwhile */
    uint64_t lease_ms, max_run_ms; /* 0: the service's */
    struct list service_link; /* service->offers; on none once withdrawn */
    struct list peer_link;    /* peer->offers */
    struct list target_link;  /* target->loads, while it has room */
    struct list lone_link;    /* lone->loads, while it has room */
    struct list strays;
    struct list affinities;   /* keys that it served last, by offer_link */
    struct blob *schema, *about; /* NULL: none */
};

/* NULL: pool full. */
struct offer *offer_new(struct broker *broker, struct peer *peer, struct service *service);
/* No more tasks for it; freed at once if it holds none, else with the last answer. */
void offer_withdraw(struct broker *broker, struct offer *offer);
/* To be told when its peer is suspended or back, drained or not. */
void offer_refresh(struct broker *broker, struct offer *offer);
/* False: no memory, nothing has changed. */
bool offer_set_version(struct broker *broker, struct offer *offer, struct span version);
void offer_set_credit(struct broker *broker, struct offer *offer, uint64_t credit);
/* One task more in its worker's hands. */
void offer_hold(struct offer *offer);
/* One less. May free a withdrawn offer. */
void offer_unhold(struct broker *broker, struct offer *offer);
/* Of its schema and description. */
uint64_t offer_text_bytes(const struct offer *offer);
static inline bool offer_withdrawn(const struct offer *offer)
{
    return list_empty(&offer->service_link);
}

#endif
