/* Limits as the operator says them. */
#include "broker/core/ending.h"
#include "broker/core/state.h"

/* Every member of struct limit_values is a number: one that is LIMIT_UNCHANGED stays. */
static_assert(sizeof(struct limit_values) % sizeof(uint64_t) == 0, "numbers only");
#define VALUES (sizeof(struct limit_values) / sizeof(uint64_t))

static void merge(struct limit_values *values, const struct limit_values *said)
{
    uint64_t *to = (uint64_t *)values;
    const uint64_t *from = (const uint64_t *)said;

    for (size_t i = 0; i < VALUES; i++) {
        to[i] = from[i] != LIMIT_UNCHANGED ? from[i] : to[i];
    }
}

bool limit_values_any(const struct limit_values *values)
{
    const uint64_t *numbers = (const uint64_t *)values;

    for (size_t i = 0; i < VALUES; i++) {
        if (numbers[i] != 0) {
            return true;
        }
    }
    return false;
}

static bool values_valid(const struct limit_values *v, bool of_service)
{
    return v->rate <= LIMIT_RATE_MAX && v->burst <= LIMIT_RATE_MAX &&
           v->rate_ms <= DURATION_MS_MAX && v->budget <= LIMIT_BUDGET_MAX &&
           v->budget_ms <= DURATION_MS_MAX && v->refuse <= 1 && v->weight == 0 &&
           v->breaker_percent <= 100 && v->breaker_ms <= DURATION_MS_MAX &&
           v->breaker_open_ms <= DURATION_MS_MAX && v->breaker_probes <= CREDIT_MAX &&
           v->breaker_refuse <= 1 && v->attempts <= ATTEMPTS_MAX &&
           v->backoff_ms <= DURATION_MS_MAX && v->backoff_max_ms <= DURATION_MS_MAX &&
           v->max_run_ms <= DURATION_MS_MAX && v->lease_ms <= DURATION_MS_MAX &&
           (of_service ||
            (v->max_tasks == 0 && v->max_bytes == 0 && v->breaker_failures == 0 &&
             v->breaker_percent == 0 && v->breaker_min == 0 && v->breaker_ms == 0 &&
             v->breaker_open_ms == 0 && v->breaker_probes == 0 && v->breaker_refuse == 0 &&
             v->attempts == 0 && v->backoff_ms == 0 && v->backoff_max_ms == 0 &&
             v->max_run_ms == 0 && v->lease_ms == 0));
}

/* What of `values` is not counted here holds at its own place. */
static void apply_to_service(struct broker *broker, struct service *service,
                             const struct limit_values *said)
{
    struct service_limits *limits = &service->limits;
    const struct service_limits *absent = &broker->options.service;

#define APPLY(name)                                                                                \
    if (said->name != LIMIT_UNCHANGED) {                                                           \
        limits->name = said->name > 0 ? said->name : absent->name;                                 \
    }
    APPLY(max_tasks)
    APPLY(max_bytes)
    APPLY(attempts)
    APPLY(lease_ms)
    APPLY(max_run_ms)
    APPLY(backoff_ms)
    APPLY(backoff_max_ms)
#undef APPLY
}

/* Tasks that count against `limit` and are in some worker's hands: the rule is new, they are
 * not. Once a rule, so it may look at all leases. */
uint64_t limit_leased(const struct broker *broker, const struct limit *limit)
{
    uint64_t count = 0;

    list_each(p, &broker->peers.lanes[0]) {
        const struct peer *peer = list_entry(p, struct peer, place.lanes);

        list_each(o, &peer->offers) {
            const struct offer *offer = list_entry(o, struct offer, peer_link);

            if (limit->service != NULL && limit->service != offer->service) {
                continue;
            }
            list_each(t, &offer->leases) {
                const struct task *task = list_entry(t, struct task, link);

                count += limit->service != NULL ||
                         span_equal(peer_tenant(task->owner), limit_tenant(limit));
            }
        }
    }
    return count;
}

static struct limit *limit_new(struct broker *broker, struct service *service,
                               struct span tenant)
{
    struct limit *limit = pool_get(&broker->limit_pool);

    if (limit == NULL) {
        return NULL;
    }
    limit->service = service;
    limit->tenant_size = (uint32_t)tenant.size;
    if (tenant.size > 0) {
        memcpy(limit->tenant, tenant.data, tenant.size);
    }
    list_init(&limit->waiters[WAITS_RELEASE]);
    list_init(&limit->waiters[WAITS_BUDGET]);
    meter_init(&limit->meter);
    limit->meter.in_use = limit_leased(broker, limit);
    broker->serial++;
    roster_append(&broker->limit_rows, &limit->place, broker->serial,
                  broker_hash(broker, &broker->serial, sizeof broker->serial));
    if (service != NULL) {
        service->limiter->limit = limit;
    } else {
        table_insert(&broker->limits, &limit->node,
                     broker_hash(broker, tenant.data, tenant.size));
    }
    return limit;
}

/* Without a tenant's rule there are limiters that nothing needs: they go when settled. */
static void touch_all(struct broker *broker)
{
    list_each(link, &broker->services.lanes[0]) {
        struct service *service = list_entry(link, struct service, place.lanes);

        if (service->limiter != NULL && broker->limits.count == 0) {
            service_touch(broker, service);
        }
    }
}

static void limit_values_set(struct broker *broker, struct limit *limit,
                             const struct limit_values *values)
{
    struct service *service = limit->service;

    limit->values = *values;
    meter_bounds_set(&limit->bounds, values);
    limit_wake(broker, limit);
    if (service != NULL) {
        gate_bounds_set(&service->limiter->gate_bounds, values);
        service_touch(broker, service);
    }
    if (!limit_values_any(values)) {
        limit_free(broker, limit);
        touch_all(broker);
    }
}

static enum error_code set_for_service(struct broker *broker, struct span name,
                                       const struct limit_values *said)
{
    struct service *service = service_open_waiting(broker, name);
    struct limit_values values = {0};
    struct limit *limit;

    if (service == NULL) {
        return service_name_valid(name) ? ERROR_LIMIT_EXCEEDED : ERROR_BAD_MESSAGE;
    }
    limit = service->limiter != NULL ? service->limiter->limit : NULL;
    if (limit != NULL) {
        values = limit->values;
    }
    merge(&values, said);
    if (!values_valid(&values, true)) {
        return ERROR_BAD_MESSAGE;
    }
    if (limit == NULL) {
        limit = limiter_open(broker, service) != NULL
                    ? limit_new(broker, service, span_of(NULL, 0)) : NULL;
        if (limit == NULL) {
            service_touch(broker, service);
            return ERROR_LIMIT_EXCEEDED;
        }
    }
    apply_to_service(broker, service, said);
    limit_values_set(broker, limit, &values);
    service_note_idle(broker, service);
    return ERROR_NONE;
}

/* From the first rule of a tenant on every service has a limiter. */
static bool begin_all(struct broker *broker)
{
    list_each(link, &broker->services.lanes[0]) {
        if (limiter_open(broker, list_entry(link, struct service, place.lanes)) == NULL) {
            return false;
        }
    }
    return true;
}

static enum error_code set_for_tenant(struct broker *broker, struct span tenant,
                                      const struct limit_values *said)
{
    struct limit *limit = limit_of_tenant(broker, tenant);
    struct limit_values values = {0};

    if (limit != NULL) {
        values = limit->values;
    }
    merge(&values, said);
    if (!values_valid(&values, false)) {
        return ERROR_BAD_MESSAGE;
    }
    if (limit == NULL) {
        limit = begin_all(broker) ? limit_new(broker, NULL, tenant) : NULL;
        if (limit == NULL) {
            touch_all(broker);
            return ERROR_LIMIT_EXCEEDED;
        }
    }
    limit_values_set(broker, limit, &values);
    return ERROR_NONE;
}

enum error_code limit_set(struct broker *broker, struct span service, struct span key,
                          struct span tenant, const struct limit_values *values)
{
    if (key.size > 0) {
        return ERROR_UNSUPPORTED;
    }
    if (service.size > 0) {
        return tenant.size > 0 ? ERROR_UNSUPPORTED : set_for_service(broker, service, values);
    }
    return tenant.size > 0 && text_valid(tenant, PEER_NAME_MAX)
               ? set_for_tenant(broker, tenant, values) : ERROR_BAD_MESSAGE;
}

void limit_clear(struct broker *broker)
{
    struct list *link;

    while ((link = list_first(&broker->limit_rows.lanes[0])) != NULL) {
        struct limit *limit = list_entry(link, struct limit, place.lanes);

        limit_wake(broker, limit);
        limit_free(broker, limit);
    }
    touch_all(broker);
    broker_settle(broker);
}
