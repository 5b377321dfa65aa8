/* Limits as the operator says them. */
#include "broker/core/ending.h"
#include "broker/core/state.h"

/* Every member of struct limit_values is a number: one that is LIMIT_UNCHANGED stays. */
static_assert(sizeof(struct limit_values) % sizeof(uint64_t) == 0, "numbers only");
#define VALUES (sizeof(struct limit_values) / sizeof(uint64_t))

void limit_values_merge(struct limit_values *values, const struct limit_values *said)
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

/* Whose rule: of a key, of a tenant (there or everywhere), else of the service. */
struct scope {
    struct service *service; /* NULL: everywhere */
    struct span tenant, key;
};

static bool of_service(const struct scope *scope)
{
    return scope->tenant.size == 0 && scope->key.size == 0;
}

/* Only a key has a weight; neither it nor a tenant has a queue, a breaker, retries. */
static bool values_valid(const struct limit_values *v, const struct scope *scope)
{
#define IS_WITHIN(name, bound) && v->name <= (bound)
    return true LIMIT_VALUES(IS_WITHIN) && (scope->key.size > 0 || v->weight == 0) &&
           (of_service(scope) ||
            (v->max_tasks == 0 && v->max_bytes == 0 && v->breaker_failures == 0 &&
             v->breaker_percent == 0 && v->breaker_min == 0 && v->breaker_ms == 0 &&
             v->breaker_open_ms == 0 && v->breaker_probes == 0 && v->breaker_refuse == 0 &&
             v->attempts == 0 && v->backoff_ms == 0 && v->backoff_max_ms == 0 &&
             v->max_run_ms == 0 && v->lease_ms == 0));
#undef IS_WITHIN
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

void limit_each_lease(const struct broker *broker, const struct service *service,
                      void (*visit)(const struct task *task, void *context), void *context)
{
    list_each(p, &broker->peers.lanes[0]) {
        const struct peer *peer = list_entry(p, struct peer, place.lanes);

        list_each(o, &peer->offers) {
            const struct offer *offer = list_entry(o, struct offer, peer_link);

            if (service != NULL && service != offer->service) {
                continue;
            }
            list_each(t, &offer->leases) {
                visit(list_entry(t, struct task, link), context);
            }
        }
    }
}

struct lease_count {
    const struct limit *limit;
    uint64_t count;
};

static void count_lease(const struct task *task, void *context)
{
    struct lease_count *counting = context;
    const struct limit *limit = counting->limit;
    const struct account *account = task->flow->account;

    if (limit->key_size > 0) {
        counting->count += account != NULL && (account->limits[ACCOUNT_KEY] == limit ||
                                               account->limits[ACCOUNT_EACH] == limit);
    } else {
        counting->count += limit->tenant_size == 0 ||
                           span_equal(peer_tenant(task->owner), limit_tenant(limit));
    }
}

/* Tasks that count against `limit` and are in some worker's hands: the rule is new, they are
 * not. Once a rule, so it may look at all leases. */
uint64_t limit_leased(const struct broker *broker, const struct limit *limit)
{
    struct lease_count counting = {.limit = limit};

    limit_each_lease(broker, limit->service, count_lease, &counting);
    return counting.count;
}

static struct limit *limit_of(const struct broker *broker, const struct scope *scope)
{
    if (scope->service != NULL && of_service(scope)) {
        return scope->service->limiter != NULL ? scope->service->limiter->limit : NULL;
    }
    return limit_find(broker, scope->service, scope->tenant, scope->key);
}

/* It is found from now on. */
static void limit_enter(struct broker *broker, struct limit *limit, const struct scope *scope)
{
    struct limiter *limiter = scope->service != NULL ? scope->service->limiter : NULL;

    broker->serial++;
    roster_append(&broker->limit_rows, &limit->place, broker->serial,
                  broker_hash(broker, &broker->serial, sizeof broker->serial));
    if (limiter != NULL && of_service(scope)) {
        limiter->limit = limit;
    } else {
        table_insert(&broker->limits, &limit->node,
                     limit_hash(broker, scope->service, scope->tenant, scope->key));
    }
    if (limiter != NULL) {
        limiter->rules++;
        limiter->tenant_rules += scope->tenant.size > 0;
        limiter->key_rules += scope->key.size > 0;
    } else {
        broker->wide_rules++;
    }
}

/* The service, or each one, has its limiter. */
static struct limit *limit_new(struct broker *broker, const struct scope *scope)
{
    struct limit *limit = pool_get(&broker->limit_pool);

    if (limit == NULL) {
        return NULL;
    }
    limit->service = scope->service;
    limit->tenant_size = (uint32_t)scope->tenant.size;
    limit->key_size = (uint8_t)scope->key.size;
    if (scope->tenant.size > 0) {
        memcpy(limit->tenant, scope->tenant.data, scope->tenant.size);
    }
    if (scope->key.size > 0) {
        memcpy(limit->key, scope->key.data, scope->key.size);
    }
    list_init(&limit->waiters[WAITS_RELEASE]);
    list_init(&limit->waiters[WAITS_BUDGET]);
    meter_init(&limit->meter);
    limit_enter(broker, limit, scope);
    if (scope->key.size == 0) {
        limit->meter.in_use = limit_leased(broker, limit);
    } else if (!accounts_bind(broker, limit)) {
        limit_free(broker, limit);
        return NULL;
    }
    return limit;
}

void limit_free(struct broker *broker, struct limit *limit)
{
    struct limiter *limiter = limit->service != NULL ? limit->service->limiter : NULL;

    roster_remove(&limit->place);
    if (limiter != NULL && limiter->limit == limit) {
        limiter->limit = NULL;
    } else {
        table_remove(&broker->limits, &limit->node);
    }
    if (limiter != NULL) {
        limiter->rules--;
        limiter->tenant_rules -= limit->tenant_size > 0;
        limiter->key_rules -= limit->key_size > 0;
    } else {
        broker->wide_rules--;
    }
    if (limit->key_size > 0) {
        accounts_unbind(broker, limit);
    }
    CHECK(limit->keys_held == 0);
    CHECK(list_empty(&limit->waiters[WAITS_RELEASE]));
    CHECK(list_empty(&limit->waiters[WAITS_BUDGET]));
    pool_put(&broker->limit_pool, limit);
}

/* Without a tenant's rule there are limiters that nothing needs: they go when settled. */
static void touch_all(struct broker *broker)
{
    list_each(link, &broker->services.lanes[0]) {
        struct service *service = list_entry(link, struct service, place.lanes);

        if (service->limiter != NULL && broker->wide_rules == 0) {
            service_touch(broker, service);
        }
    }
}

static void limit_values_set(struct broker *broker, struct limit *limit,
                             const struct limit_values *values)
{
    struct service *service = limit->service;

    limit->values = *values;
    meter_settle(&limit->bounds, &limit->meter, broker->now_ms);
    if (limit->key_size > 0) {
        accounts_settle(broker, limit);
    }
    meter_bounds_set(&limit->bounds, values);
    limit_wake(broker, limit);
    if (service != NULL) {
        if (service->limiter->limit == limit) {
            gate_bounds_set(&service->limiter->gate_bounds, values);
        }
        if (limit->key_size > 0) {
            accounts_refresh(broker, limit);
        }
        service_touch(broker, service);
    }
    if (!limit_values_any(values)) {
        limit_free(broker, limit);
        touch_all(broker);
    }
}

/* From the first rule of a tenant everywhere on every service has a limiter. */
static bool begin_all(struct broker *broker)
{
    list_each(link, &broker->services.lanes[0]) {
        if (limiter_open(broker, list_entry(link, struct service, place.lanes)) == NULL) {
            return false;
        }
    }
    return true;
}

static struct limit *limit_open(struct broker *broker, const struct scope *scope)
{
    struct limit *limit = NULL;

    if (scope->service == NULL ? begin_all(broker)
                               : limiter_open(broker, scope->service) != NULL) {
        limit = limit_new(broker, scope);
    }
    if (limit == NULL && scope->service != NULL) {
        service_touch(broker, scope->service);
    } else if (limit == NULL) {
        touch_all(broker);
    }
    return limit;
}

static enum error_code set(struct broker *broker, const struct scope *scope,
                           const struct limit_values *said)
{
    struct limit *limit = limit_of(broker, scope);
    struct limit_values values = {0};

    if (limit != NULL) {
        values = limit->values;
    }
    limit_values_merge(&values, said);
    if (!values_valid(&values, scope)) {
        return ERROR_BAD_MESSAGE;
    }
    if (limit == NULL) {
        limit = limit_open(broker, scope);
        if (limit == NULL) {
            return ERROR_LIMIT_EXCEEDED;
        }
    }
    if (scope->service != NULL && of_service(scope)) {
        apply_to_service(broker, scope->service, said);
    }
    limit_values_set(broker, limit, &values);
    if (scope->service != NULL) {
        service_note_idle(broker, scope->service);
    }
    return ERROR_NONE;
}

enum error_code limit_set(struct broker *broker, struct span service, struct span key,
                          struct span tenant, const struct limit_values *values)
{
    struct scope scope = {.tenant = tenant, .key = key};

    if (key.size > 0 && tenant.size > 0) {
        return ERROR_UNSUPPORTED;
    }
    if ((key.size > 0 && (service.size == 0 || !text_valid(key, KEY_MAX))) ||
        (tenant.size > 0 && !text_valid(tenant, PEER_NAME_MAX)) ||
        (service.size == 0 && tenant.size == 0)) {
        return ERROR_BAD_MESSAGE;
    }
    if (service.size > 0) {
        scope.service = service_open_waiting(broker, service);
        if (scope.service == NULL) {
            return service_name_valid(service) ? ERROR_LIMIT_EXCEEDED : ERROR_BAD_MESSAGE;
        }
    }
    return set(broker, &scope, values);
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
