/* target: those offers of a service that some of its tasks are meant for: one version's, or a
 * single one (a lone target: what a scatter sends to each worker).
 *
 * Flows of such tasks wait on the service's ring like all others. If it is the turn of one of them
 * and none of its offers has room, it is parked here, so that it does not hold the others; it keeps
 * its stamp, its place in line. When there is room the one that is first in line is called: it
 * waits on service->called, and goes before what stands behind it on the ring; when it has started
 * a task, the next. So a flow moves once for a task that starts, however many are parked, and
 * none is served twice while another one waits. Of each priority a target calls one at a time: at
 * most VERSIONS_PER_SERVICE_MAX of them are on service->called, and one a worker.
 *
 * A target lives as long as offers or flows name it, a lone one as long as flows do. Owner: the
 * broker's pool; the memory budget counts those that nobody offers. One thread. */
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
    struct loads loads;          /* its offers with room */
    uint64_t offers;             /* that name it; a withdrawn one names none */
    uint64_t attended;           /* of these, those whose worker would take something */
    struct list flows;           /* that name it, by target_link */
    struct list delayed;         /* lone: tasks by `link` that are not to start yet */
    bool lone;                   /* of one offer; when that is withdrawn nobody will serve it */
    struct offer *only;          /* lone: that offer, until it is withdrawn */
    bool kept;                   /* lone: a flow is about to name it */
    uint8_t version_size;
    uint8_t version[VERSION_MAX]; /* of a lone one a text that no peer can send */
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
/* Finds or makes the lone target of an offer that is not withdrawn, and keeps it, whatever else
 * is forgotten meanwhile, until target_done_lone. NULL: no memory. */
struct target *target_open_lone(struct broker *broker, struct offer *offer);
void target_done_lone(struct broker *broker, struct target *target);
/* Frees it if nothing names it. */
void target_release(struct broker *broker, struct target *target);

/* An offer that is not withdrawn names it, or does not any more. `link` is its place in loads. */
void target_add(struct broker *broker, struct target *target, const struct offer *offer,
                struct list *link);
void target_drop(struct broker *broker, struct target *target, const struct offer *offer,
                 struct list *link);
/* Nobody will ever serve what is meant for it. */
static inline bool target_stranded(const struct target *target)
{
    return target != NULL && target->lone && target->only == NULL;
}

/* What is meant for `target` (NULL: for any) may go to this offer, which is not withdrawn. */
bool target_takes(const struct target *target, const struct offer *offer);

static inline struct span target_version(const struct target *target)
{
    return target == NULL ? span_of(NULL, 0) : span_of(target->version, target->version_size);
}

/* Calls a parked flow, if an offer has room for it and the last one has answered. */
void target_call(struct target *target);
/* The flow that was called starts a task, or will not. */
void target_answered(struct target *target, const struct flow *flow);

#endif
