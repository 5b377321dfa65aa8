/* affinity: which worker served an affinity key last.
 *
 * A task that names a key prefers that worker, if it has room: what it has loaded, opened or cached
 * may serve once more. A wish, so what is remembered is bounded by forgetting: the key that was
 * used least lately goes first, and all keys of an offer go with it.
 *
 * Owner: the broker's pool. Keys of one tenant and one service; told apart by 64 bits of a digest
 * whose key is the broker's secret. One thread. All O(1). */
#ifndef SLUICE_BROKER_CORE_AFFINITY_H
#define SLUICE_BROKER_CORE_AFFINITY_H

#include "broker/core/offer.h"
#include "common/table.h"

#define AFFINITIES_MAX 16384 /* some 2 MiB */

struct affinity {
    struct table_node node;  /* broker->affinities */
    struct list offer_link;  /* offer->affinities */
    struct list age_link;    /* broker->affinities_by_age, longest unused first */
    struct offer *offer;
    uint64_t digest;
};

/* What stands for `key` of `peer`'s tenant and `service`; never 0. */
uint64_t affinity_digest(const struct broker *broker, const struct peer *peer,
                         const struct service *service, struct span key);

/* The offer that served the key of `task` last, if it has room now; NULL: none, or no key. */
struct offer *affinity_offer(const struct broker *broker, const struct task *task);
/* `offer` serves it now. Without memory it is not remembered. */
void affinity_note(struct broker *broker, const struct task *task, struct offer *offer);
/* `offer` serves nothing more. */
void affinity_forget(struct broker *broker, struct offer *offer);

#endif
