#include "broker/core/state.h"

static uint32_t target_hash(const struct broker *broker, const struct service *service,
                            struct span version)
{
    uint64_t serial = service->place.serial;
    uint8_t text[sizeof serial + VERSION_MAX];

    CHECK(version.size <= VERSION_MAX);
    memcpy(text, &serial, sizeof serial);
    memcpy(text + sizeof serial, version.data, version.size);
    return broker_hash(broker, text, sizeof serial + version.size);
}

static struct target *find(const struct broker *broker, const struct service *service,
                           struct span version, uint32_t hash)
{
    struct table_node *node = table_chain(&broker->targets, hash);

    for (; node != NULL; node = node->next) {
        struct target *target = table_entry(node, struct target, node);

        if (node->hash == hash && target->service == service &&
            span_equal(target_version(target), version)) {
            return target;
        }
    }
    return NULL;
}

struct target *target_find(const struct broker *broker, const struct service *service,
                           struct span version)
{
    return find(broker, service, version, target_hash(broker, service, version));
}

#define WAITING_MAX (VERSIONS_PER_SERVICE_MAX - VERSIONS_PER_SERVICE_MAX / 4)

static struct target *open_below(struct broker *broker, struct service *service,
                                 struct span version, uint64_t max)
{
    uint32_t hash = target_hash(broker, service, version);
    struct target *target = find(broker, service, version, hash);

    if (target != NULL || service->target_count >= max) {
        return target;
    }
    target = pool_get(&broker->target_pool);
    if (target == NULL) {
        return NULL;
    }
    target->service = service;
    target->version_size = (uint8_t)version.size;
    memcpy(target->version, version.data, version.size);
    ring_init(&target->parked);
    loads_init(&target->loads);
    list_init(&target->service_link);
    list_push_back(&service->targets, &target->service_link);
    service->target_count++;
    table_insert(&broker->targets, &target->node, hash);
    return target;
}

struct target *target_open(struct broker *broker, struct service *service, struct span version)
{
    return open_below(broker, service, version, VERSIONS_PER_SERVICE_MAX);
}

struct target *target_open_waiting(struct broker *broker, struct service *service,
                                   struct span version)
{
    return open_below(broker, service, version, WAITING_MAX);
}

bool target_may_wait(const struct broker *broker, const struct service *service,
                     struct span version)
{
    return service == NULL || service->target_count < WAITING_MAX ||
           target_find(broker, service, version) != NULL;
}

void target_release(struct broker *broker, struct target *target)
{
    if (target->flows > 0 || target->offered > 0) {
        return;
    }
    CHECK(target->called == 0);
    CHECK(target->parked.occupied == 0);
    CHECK(target->loads.occupied == 0);
    CHECK(target->attended == 0);
    list_unlink(&target->service_link);
    target->service->target_count--;
    table_remove(&broker->targets, &target->node);
    pool_put(&broker->target_pool, target);
}

void target_call(struct target *target)
{
    struct turn *turn = ring_top(&target->parked);

    if (turn == NULL || target->loads.occupied == 0 || MUTANT(PARKED_FORGOTTEN) ||
        (target->called >> turn->priority & 1) != 0) {
        return;
    }
    ring_leave(turn);
    ring_insert(&target->service->called, turn);
    target->called |= 1u << turn->priority;
}

void target_answered(struct target *target, const struct flow *flow)
{
    target->called &= ~(1u << flow->turn.priority);
}
