#include "broker/core/affinity.h"

#include "broker/core/state.h"
#include "common/mutant.h"

uint64_t affinity_digest(const struct broker *broker, const struct peer *peer,
                         const struct service *service, struct span key)
{
    struct span tenant = peer_tenant(peer);
    uint8_t text[sizeof(uint64_t) + 1 + PEER_NAME_MAX + KEY_MAX];
    uint8_t digest[DIGEST_BYTES];
    uint64_t serial = service->place.serial, number;
    size_t used = sizeof serial;

    memcpy(text, &serial, sizeof serial);
    text[used++] = (uint8_t)tenant.size;
    if (tenant.size > 0) {
        memcpy(text + used, tenant.data, tenant.size);
        used += tenant.size;
    }
    memcpy(text + used, key.data, key.size);
    broker_digest(broker, text, used + key.size, digest);
    memcpy(&number, digest, sizeof number);
    return number != 0 ? number : 1;
}

static uint64_t digest_of(const struct task *task)
{
    return task->extra != NULL && task->extra->terms != NULL ? task->extra->terms->affinity : 0;
}

static struct affinity *affinity_find(const struct broker *broker, uint64_t digest)
{
    struct table_node *node = table_chain(&broker->affinities, (uint32_t)digest);

    for (; node != NULL; node = node->next) {
        struct affinity *affinity = table_entry(node, struct affinity, node);

        if (affinity->digest == digest) {
            return affinity;
        }
    }
    return NULL;
}

static void affinity_free(struct broker *broker, struct affinity *affinity)
{
    list_unlink(&affinity->offer_link);
    list_unlink(&affinity->age_link);
    table_remove(&broker->affinities, &affinity->node);
    pool_put(&broker->affinity_pool, affinity);
}

static struct affinity *affinity_new(struct broker *broker, uint64_t digest)
{
    struct affinity *affinity;

    if (broker->affinity_pool.used == AFFINITIES_MAX) {
        affinity_free(broker, list_entry(list_first(&broker->affinities_by_age), struct affinity,
                                         age_link));
    }
    affinity = pool_get(&broker->affinity_pool);
    if (affinity == NULL) {
        return NULL;
    }
    affinity->digest = digest;
    list_init(&affinity->offer_link);
    list_init(&affinity->age_link);
    table_insert(&broker->affinities, &affinity->node, (uint32_t)digest);
    return affinity;
}

struct offer *affinity_offer(const struct broker *broker, const struct task *task)
{
    uint64_t digest = digest_of(task);
    const struct affinity *affinity = digest != 0 ? affinity_find(broker, digest) : NULL;

    if (affinity == NULL || list_empty(&affinity->offer->load_link) || MUTANT(AFFINITY_IGNORED)) {
        return NULL;
    }
    return affinity->offer;
}

void affinity_note(struct broker *broker, const struct task *task, struct offer *offer)
{
    uint64_t digest = digest_of(task);
    struct affinity *affinity;

    if (digest == 0) {
        return;
    }
    affinity = affinity_find(broker, digest);
    if (affinity == NULL) {
        affinity = affinity_new(broker, digest);
    }
    if (affinity == NULL) {
        return;
    }
    affinity->offer = offer;
    list_unlink(&affinity->offer_link);
    list_push_back(&offer->affinities, &affinity->offer_link);
    list_unlink(&affinity->age_link);
    list_push_back(&broker->affinities_by_age, &affinity->age_link);
}

void affinity_forget(struct broker *broker, struct offer *offer)
{
    struct list *link;

    while ((link = list_first(&offer->affinities)) != NULL) {
        affinity_free(broker, list_entry(link, struct affinity, offer_link));
    }
}
