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

#define LONE_MARK 1 /* a control character: in no version that is sent */
#define WAITING_MAX (VERSIONS_PER_SERVICE_MAX - VERSIONS_PER_SERVICE_MAX / 4)

static struct target *target_new(struct broker *broker, struct service *service,
                                 struct span version, uint32_t hash)
{
    struct target *target = pool_get(&broker->target_pool);

    if (target == NULL) {
        return NULL;
    }
    target->service = service;
    target->version_size = (uint8_t)version.size;
    memcpy(target->version, version.data, version.size);
    ring_init(&target->parked);
    loads_init(&target->loads);
    list_init(&target->flows);
    list_init(&target->delayed);
    list_init(&target->service_link);
    list_push_back(&service->targets, &target->service_link);
    table_insert(&broker->targets, &target->node, hash);
    broker->pooled_bytes += sizeof *target; /* until somebody offers it: offers have a bound */
    return target;
}

static struct target *open_below(struct broker *broker, struct service *service,
                                 struct span version, uint64_t max)
{
    uint32_t hash = target_hash(broker, service, version);
    struct target *target = find(broker, service, version, hash);

    if (target != NULL || service->target_count >= max) {
        return target;
    }
    target = target_new(broker, service, version, hash);
    service->target_count += target != NULL;
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

struct target *target_open_lone(struct broker *broker, struct offer *offer)
{
    uint64_t serial;
    uint8_t name[1 + sizeof serial] = {LONE_MARK};
    struct span version = span_of(name, sizeof name);
    struct target *target = offer->lone;

    CHECK(!offer_withdrawn(offer));
    if (target != NULL) {
        target->kept = true;
        return target;
    }
    serial = ++broker->serial;
    memcpy(name + 1, &serial, sizeof serial);
    target = target_new(broker, offer->service, version,
                        target_hash(broker, offer->service, version));
    if (target != NULL) {
        target->lone = target->kept = true;
        target->only = offer;
        offer->lone = target;
        target_add(broker, target, offer, &offer->lone_link);
    }
    return target;
}

void target_done_lone(struct broker *broker, struct target *target)
{
    target->kept = false;
    target_release(broker, target);
}

void target_release(struct broker *broker, struct target *target)
{
    if (!list_empty(&target->flows) || target->kept || (target->offers > 0 && !target->lone)) {
        return;
    }
    if (target->only != NULL) {
        struct offer *offer = target->only;

        target->only = NULL;
        offer->lone = NULL;
        target_drop(broker, target, offer, &offer->lone_link);
        return; /* that has come here once more */
    }
    CHECK(target->called == 0);
    CHECK(list_empty(&target->delayed));
    CHECK(target->parked.occupied == 0);
    CHECK(target->loads.occupied == 0);
    CHECK(target->offers == 0);
    CHECK(target->attended == 0);
    list_unlink(&target->service_link);
    target->service->target_count -= !target->lone;
    table_remove(&broker->targets, &target->node);
    broker->pooled_bytes -= sizeof *target;
    pool_put(&broker->target_pool, target);
}

void target_add(struct broker *broker, struct target *target, const struct offer *offer,
                struct list *link)
{
    if (target->offers++ == 0) {
        broker->pooled_bytes -= sizeof *target;
    }
    target->attended += offer->attended;
    if (!list_empty(&offer->load_link)) {
        loads_join(&target->loads, link, offer->load);
        target_call(target);
    }
}

void target_drop(struct broker *broker, struct target *target, const struct offer *offer,
                 struct list *link)
{
    if (!list_empty(link)) {
        loads_leave(&target->loads, link, offer->load);
    }
    if (--target->offers == 0) {
        broker->pooled_bytes += sizeof *target;
    }
    target->attended -= offer->attended;
    target_release(broker, target);
}

bool target_takes(const struct target *target, const struct offer *offer)
{
    return target == NULL || offer->target == target || offer->lone == target;
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
