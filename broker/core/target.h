/* target: those offers of a service that some of its tasks are meant for: one version's.
 *
 * Flows of such tasks wait on the service's ring like all others. If it is the turn of one of them
 * and none of its offers has room, it is parked here, so that it does not hold the others; it keeps
 * its stamp, its place in line. When there is room the one that is first in line is called: it
 * waits on service->called, and goes before what stands behind it on the ring; when it has started
 * a task, the next. So a flow moves once for a task that starts, however many are parked, and
 * none is served twice while another one waits. Of each priority a target calls one at a time:
 * VERSIONS_PER_SERVICE_MAX of them are on service->called at most.
 *
 * A target lives as long as offers or flows name it. Owner: the broker's pool. One thread. */
#ifndef SLUICE_BROKER_CORE_TARGET_H
#define SLUICE_BROKER_CORE_TARGET_H

#include "broker/core/loads.h"
#include "broker/core/ring.h"
#include "common/span.h"
#include "common/table.h"
#include "proto/limits.h"

struct broker;
struct flow;
struct offer;
struct service;

struct target {
    struct table_node node;      /* broker->targets */
    struct list service_link;    /* service->targets */
    struct service *service;
    struct ring parked;          /* flows, by turn */
    uint32_t called;             /* bit p: a flow of priority p is on service->called */
    struct loads loads;          /* its offers with room, by target_link */
    uint64_t offered;            /* offers that name it; none that is withdrawn does */
    uint64_t attended;           /* of these, those whose worker would take something */
    uint64_t flows;              /* that name it */
    uint64_t seen;               /* of those, by broker_check, which leaves 0 */
    uint8_t version_size;
    uint8_t version[VERSION_MAX];
};

/* NULL: there is none. */
struct target *target_find(const struct broker *broker, const struct service *service,
                           struct span version);
/* Finds or makes, for an offer. The caller counts what names it, or gives up (target_release).
 * NULL: too many, or no memory. */
struct target *target_open(struct broker *broker, struct service *service, struct span version);
/* The same for who only asks for it: a quarter of them is for those who offer, whom made-up
 * versions must not keep out. */
struct target *target_open_waiting(struct broker *broker, struct service *service,
                                   struct span version);
/* It would find or make one, but for memory. `service` NULL: has none yet. */
bool target_may_wait(const struct broker *broker, const struct service *service,
                     struct span version);
/* Frees it if nothing names it. */
void target_release(struct broker *broker, struct target *target);

static inline struct span target_version(const struct target *target)
{
    return target == NULL ? span_of(NULL, 0) : span_of(target->version, target->version_size);
}

/* Calls a parked flow, if an offer has room for it and the last one has answered. */
void target_call(struct target *target);
/* The flow that was called starts a task, or will not. */
void target_answered(struct target *target, const struct flow *flow);

#endif
