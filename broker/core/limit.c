#include "broker/core/limit.h"

#include "broker/core/ending.h"
#include "broker/core/mutant.h"
#include "broker/core/state.h"
#include "broker/core/terms.h"

enum { WAITS_RELEASE, WAITS_BUDGET };

static struct span tenant_of(const struct limit *limit)
{
    return span_of(limit->tenant, limit->tenant_size);
}

static uint64_t task_cost(const struct task *task)
{
    return task->extra != NULL && task->extra->terms != NULL ? task_terms(task).cost : 0;
}

/* ---- finding rules --------------------------------------------------------------- */

static struct limit *tenant_limit(const struct broker *broker, struct span tenant)
{
    uint32_t hash = broker_hash(broker, tenant.data, tenant.size);
    struct table_node *node = table_chain(&broker->limits, hash);

    for (; node != NULL; node = node->next) {
        struct limit *limit = table_entry(node, struct limit, node);

        if (node->hash == hash && span_equal(tenant_of(limit), tenant)) {
            return limit;
        }
    }
    return NULL;
}

/* The rules that hold for tasks of `peer` to `service`; unused places are NULL. */
#define MATCHES_MAX 2
struct matches {
    struct limit *limits[MATCHES_MAX];
};

#define each_match(limit, matches)                                                                 \
    for (size_t i_ = 0; i_ < MATCHES_MAX; i_++)                                                    \
        for (struct limit *limit = (matches).limits[i_]; limit != NULL; limit = NULL)

static struct matches matches_of(const struct broker *broker, const struct service *service,
                                 const struct peer *peer)
{
    return (struct matches){{service->limiter->limit,
                             broker->limits.count > 0
                                 ? tenant_limit(broker, peer_tenant(peer)) : NULL}};
}

static struct matches task_matches(const struct broker *broker, const struct task *task)
{
    return matches_of(broker, task->service, task->owner);
}

/* ---- limiters -------------------------------------------------------------------- */

static struct limiter *limiter_open(struct broker *broker, struct service *service)
{
    struct limiter *limiter = service->limiter;

    if (limiter == NULL) {
        const struct limit_values none = {0};

        limiter = pool_get(&broker->limiter_pool);
        if (limiter == NULL) {
            return NULL;
        }
        limiter->service = service;
        timer_init(&limiter->timer, TIMER_LIMITER);
        list_init(&limiter->link);
        gate_bounds_set(&limiter->gate_bounds, &none);
        service->limiter = limiter;
    }
    return limiter;
}

bool limiter_begin(struct broker *broker, struct service *service)
{
    return broker->limits.count == 0 || limiter_open(broker, service) != NULL;
}

static void limiter_free(struct broker *broker, struct limiter *limiter)
{
    wheel_cancel(&broker->wheel, &limiter->timer);
    list_unlink(&limiter->link);
    limiter->service->limiter = NULL;
    pool_put(&broker->limiter_pool, limiter);
}

static void limit_free(struct broker *broker, struct limit *limit)
{
    roster_remove(&limit->place);
    if (limit->service != NULL) {
        limit->service->limiter->limit = NULL;
    } else {
        table_remove(&broker->limits, &limit->node);
    }
    CHECK(list_empty(&limit->waiters[WAITS_RELEASE]));
    CHECK(list_empty(&limit->waiters[WAITS_BUDGET]));
    pool_put(&broker->limit_pool, limit);
}

void limiter_end(struct broker *broker, struct service *service)
{
    if (service->limiter != NULL) {
        if (service->limiter->limit != NULL) {
            limit_free(broker, service->limiter->limit);
        }
        limiter_free(broker, service->limiter);
    }
}

bool limiter_pins(const struct service *service)
{
    const struct limiter *limiter = service->limiter;

    return limiter != NULL && (limiter->limit != NULL || limiter->gate.state != GATE_CLOSED);
}

/* Back to the plain path, when nothing needs it any more. */
static void limiter_drop(struct broker *broker, struct limiter *limiter)
{
    struct service *service = limiter->service;

    if (!limiter_pins(service) && broker->limits.count == 0) {
        limiter_free(broker, limiter);
    }
    service_note_idle(broker, service);
}

static void limiter_arm(struct broker *broker, struct limiter *limiter)
{
    const struct gate *gate = &limiter->gate;
    uint64_t due_ms = limiter->hold.reason != HOLD_NONE ? limiter->hold.ready_ms : WHEEL_NEVER;

    if ((gate->state == GATE_PAUSED || gate->state == GATE_OPEN) && gate->until_ms < due_ms) {
        due_ms = gate->until_ms;
    }
    if (due_ms == WHEEL_NEVER || MUTANT(PARKED_FOR_EVER)) {
        wheel_cancel(&broker->wheel, &limiter->timer);
    } else {
        wheel_arm(&broker->wheel, &limiter->timer, due_ms);
    }
}

void limiter_timer(struct broker *broker, struct limiter *limiter)
{
    gate_timer(&limiter->gate_bounds, &limiter->gate, broker->now_ms);
    service_touch(broker, limiter->service);
}

/* The gate has changed. */
static void gate_changed(struct broker *broker, struct limiter *limiter)
{
    const struct gate *gate = &limiter->gate;

    BROKER_LOG(broker, gate->state == GATE_OPEN ? LOG_WARN : LOG_INFO, "gate",
               LOG_TEXT("service", service_name(limiter->service)),
               LOG_WORD("state", gate_state_name(gate->state)),
               LOG_WORD("cause", gate_cause_name(gate->cause)),
               LOG_TEXT("code", span_of(gate->code, gate->code_size)));
    limiter_arm(broker, limiter);
    service_note_idle(broker, limiter->service);
    service_touch(broker, limiter->service);
}

/* ---- starts ------------------------------------------------------------------------ */

static struct hold gate_hold(const struct limiter *limiter)
{
    struct hold hold = {.ready_ms = 0};
    bool broken = limiter->gate.state == GATE_OPEN || limiter->gate.state == GATE_HALF_OPEN;

    if (!gate_ask(&limiter->gate, &hold.ready_ms)) {
        hold.reason = broken ? HOLD_BREAKER : HOLD_PAUSED;
    }
    return hold;
}

static enum hold_reason hold_of_answer(enum meter_answer answer)
{
    return answer == METER_CONCURRENCY ? HOLD_CONCURRENCY
           : answer == METER_RATE      ? HOLD_RATE
                                       : HOLD_BUDGET;
}

struct hold limit_ask(const struct broker *broker, const struct task *task)
{
    struct hold hold = gate_hold(task->service->limiter);
    struct matches matches = task_matches(broker, task);
    uint64_t cost = task_cost(task);

    if (hold.reason != HOLD_NONE) {
        return hold;
    }
    hold.ready_ms = 0;
    each_match(limit, matches) {
        uint64_t ready_ms;
        enum meter_answer answer =
            meter_ask(&limit->bounds, &limit->meter, cost, broker->now_ms, &ready_ms);

        /* What takes longest is the reason: all of them hold. */
        if (answer != METER_ROOM && ready_ms > hold.ready_ms) {
            hold = (struct hold){hold_of_answer(answer), ready_ms, limit};
        }
    }
    return hold;
}

void limit_look(struct service *service)
{
    service->limiter->hold = (struct hold){.reason = HOLD_NONE};
    list_unlink(&service->limiter->link);
}

bool limit_may_start(struct broker *broker, struct task *task)
{
    struct limiter *limiter = task->service->limiter;
    struct hold hold = limit_ask(broker, task);

    limiter->hold = hold;
    if (hold.reason == HOLD_NONE) {
        return true;
    }
    if (hold.limit != NULL && hold.limit->service == NULL) {
        /* The end of another service's task may make room: it tells us. */
        list_push_back(&hold.limit->waiters[hold.reason == HOLD_CONCURRENCY ? WAITS_RELEASE
                                                                            : WAITS_BUDGET],
                       &limiter->link);
    }
    return false;
}

void limit_started(struct broker *broker, struct task *task)
{
    struct matches matches;
    uint64_t cost;

    if (task->service->limiter == NULL) {
        return;
    }
    matches = task_matches(broker, task);
    cost = task_cost(task);
    gate_start(&task->service->limiter->gate);
    each_match(limit, matches) {
        meter_take(&limit->bounds, &limit->meter, cost, broker->now_ms);
    }
}

/* One start has become possible: the one that waits longest looks first, and whoever does not
 * use it passes it on (limit_settle). */
static void wake_one(struct broker *broker, struct limit *limit)
{
    struct list *link = list_pop_front(&limit->waiters[WAITS_RELEASE]);

    if (link != NULL) {
        struct limiter *limiter = list_entry(link, struct limiter, link);

        limiter->woken_by = limit;
        service_touch(broker, limiter->service);
    }
}

static void wake_all(struct broker *broker, struct limit *limit)
{
    struct list *link;

    for (unsigned i = 0; i < 2; i++) {
        while ((link = list_pop_front(&limit->waiters[i])) != NULL) {
            service_touch(broker, list_entry(link, struct limiter, link)->service);
        }
    }
}

/* Nothing is handed out while a task ends: what has been held back looks again afterwards. */
void limit_released(struct broker *broker, struct task *task)
{
    struct matches matches;

    if (task->service->limiter == NULL) {
        return;
    }
    matches = task_matches(broker, task);
    gate_leave(&task->service->limiter->gate, task->started_ms);
    each_match(limit, matches) {
        meter_release(&limit->meter);
        wake_one(broker, limit);
    }
    service_touch(broker, task->service);
}

void limit_settle(struct broker *broker, struct service *service)
{
    struct limiter *limiter = service->limiter;
    struct limit *limit;
    uint64_t ready_ms;

    if (limiter->gate.state == GATE_RESUMING) {
        gate_idle(&limiter->gate, service->queued, service->credit, broker->now_ms);
        if (limiter->gate.state == GATE_CLOSED) {
            gate_changed(broker, limiter);
        }
    }
    limiter_arm(broker, limiter);
    /* Woken by a tenant's limit, and not held back by it: there may be room for others yet. */
    limit = limiter->woken_by;
    limiter->woken_by = NULL;
    if (limit != NULL && limiter->hold.limit != limit &&
        meter_ask(&limit->bounds, &limit->meter, 0, broker->now_ms, &ready_ms) !=
            METER_CONCURRENCY) {
        wake_one(broker, limit);
    }
    limiter_drop(broker, limiter);
}

enum error_code limit_admit(const struct broker *broker, const struct service *service,
                            const struct peer *peer, uint64_t cost, uint64_t *retry_after_ms)
{
    const struct limiter *limiter = service->limiter;
    struct matches matches;
    enum error_code code = ERROR_NONE;

    if (limiter == NULL) {
        return ERROR_NONE;
    }
    *retry_after_ms = 0;
    if (gate_refuses(&limiter->gate_bounds, &limiter->gate, broker->now_ms, retry_after_ms)) {
        return ERROR_CIRCUIT_OPEN;
    }
    matches = matches_of(broker, service, peer);
    each_match(limit, matches) {
        uint64_t ready_ms, in_ms;
        enum meter_answer answer =
            meter_ask(&limit->bounds, &limit->meter, cost, broker->now_ms, &ready_ms);

        in_ms = ready_ms - broker->now_ms;
        if (limit->values.refuse == 1 && (answer == METER_RATE || answer == METER_BUDGET) &&
            in_ms > *retry_after_ms) {
            code = answer == METER_RATE ? ERROR_RATE_LIMITED : ERROR_BUDGET_EXHAUSTED;
            *retry_after_ms = in_ms;
        }
    }
    return code;
}

/* ---- ends ---------------------------------------------------------------------------- */

void limit_report(struct broker *broker, struct task *task, enum gate_report report,
                  struct span code)
{
    struct limiter *limiter = task->service->limiter;
    enum gate_state before;

    if (limiter == NULL) {
        return;
    }
    before = limiter->gate.state;
    gate_report(&limiter->gate_bounds, &limiter->gate, report, task->started_ms, code,
                broker->now_ms);
    if (limiter->gate.state != before) {
        gate_changed(broker, limiter);
    }
}

void limit_correct(struct broker *broker, struct task *task, uint64_t cost)
{
    struct matches matches;
    uint64_t declared;

    if (task->service->limiter == NULL) {
        return;
    }
    matches = task_matches(broker, task);
    declared = task_cost(task);
    each_match(limit, matches) {
        meter_correct(&limit->bounds, &limit->meter, task->started_ms, declared, cost,
                      broker->now_ms);
        if (cost < declared) {
            wake_all(broker, limit);
        }
    }
}

void limit_pause_for(struct broker *broker, struct task *task, uint64_t ms, struct span code)
{
    struct limiter *limiter = limiter_open(broker, task->service);

    if (limiter != NULL) { /* without memory for that, only the task waits */
        gate_pause(&limiter->gate, GATE_RETRY_AFTER, ms, code, broker->now_ms);
        gate_changed(broker, limiter);
    }
}

const char *hold_reason_name(enum hold_reason reason)
{
    static const char *const names[] = {[HOLD_NONE] = "",
                                        [HOLD_PAUSED] = "paused",
                                        [HOLD_BREAKER] = "breaker_open",
                                        [HOLD_CONCURRENCY] = "concurrency_cap",
                                        [HOLD_RATE] = "rate",
                                        [HOLD_BUDGET] = "budget"};

    CHECK(reason <= HOLD_BUDGET);
    return names[reason];
}

/* ---- what the operator says ------------------------------------------------------------- */

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

static bool values_any(const struct limit_values *values)
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
static uint64_t leased_under(const struct broker *broker, const struct limit *limit)
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
                         span_equal(peer_tenant(task->owner), tenant_of(limit));
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
    limit->meter.in_use = leased_under(broker, limit);
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
    wake_all(broker, limit);
    if (service != NULL) {
        gate_bounds_set(&service->limiter->gate_bounds, values);
        service_touch(broker, service);
    }
    if (!values_any(values)) {
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
    struct limit *limit = tenant_limit(broker, tenant);
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
    if (service.size > 0 && !span_equal(service, span_from_text("*"))) {
        return tenant.size > 0 ? ERROR_UNSUPPORTED : set_for_service(broker, service, values);
    }
    return tenant.size > 0 && text_valid(tenant, PEER_NAME_MAX)
               ? set_for_tenant(broker, tenant, values) : ERROR_BAD_MESSAGE;
}

enum error_code limit_pause(struct broker *broker, struct span name, uint64_t ms)
{
    struct service *service = service_find(broker, name);
    struct limiter *limiter;

    if (service == NULL) {
        return ERROR_NOT_FOUND;
    }
    limiter = limiter_open(broker, service);
    if (limiter == NULL) {
        return ERROR_MEMORY_FULL;
    }
    gate_pause(&limiter->gate, GATE_OPERATOR, ms, span_of(NULL, 0), broker->now_ms);
    gate_changed(broker, limiter);
    return ERROR_NONE;
}

enum error_code limit_resume(struct broker *broker, struct span name)
{
    struct service *service = service_find(broker, name);

    if (service == NULL) {
        return ERROR_NOT_FOUND;
    }
    if (service->limiter != NULL) {
        gate_resume(&service->limiter->gate, broker->now_ms);
        limiter_arm(broker, service->limiter);
    }
    return ERROR_NONE;
}

void limit_clear(struct broker *broker)
{
    struct list *link;

    while ((link = list_first(&broker->limit_rows.lanes[0])) != NULL) {
        struct limit *limit = list_entry(link, struct limit, place.lanes);

        wake_all(broker, limit);
        limit_free(broker, limit);
    }
    touch_all(broker);
    broker_settle(broker);
}

/* ---- QUERY, invariants --------------------------------------------------------------------- */

static void doc_any(struct doc *doc, const char *key, uint64_t number)
{
    if (number > 0) {
        doc_uint(doc, key, number);
    }
}

void gate_row(const struct broker *broker, struct doc *doc, const struct service *service)
{
    const struct gate *gate = service->limiter != NULL ? &service->limiter->gate : NULL;

    if (gate == NULL) {
        return;
    }
    doc_text(doc, "gate", span_from_text(gate_state_name(gate->state)));
    if (gate->cause != GATE_NO_CAUSE) {
        doc_text(doc, "cause", span_from_text(gate_cause_name(gate->cause)));
        doc_text(doc, "code", span_of(gate->code, gate->code_size));
        doc_uint(doc, "since_ms", broker->now_ms - gate->since_ms);
    }
    if (gate->until_ms > broker->now_ms && gate->until_ms != GATE_NEVER) {
        doc_uint(doc, "in_ms", gate->until_ms - broker->now_ms);
    }
}

void limit_row(const struct broker *broker, struct doc *doc, const struct roster_place *place)
{
    const struct limit *limit = list_entry(place, struct limit, place);
    const struct limit_values *v = &limit->values;
    uint64_t end_ms = meter_window_end_ms(&limit->bounds, &limit->meter, broker->now_ms);

    doc_map(doc, NULL);
    doc_text(doc, "service", limit->service != NULL ? service_name(limit->service)
                                                    : span_from_text("*"));
    if (limit->tenant_size > 0) {
        doc_text(doc, "tenant", tenant_of(limit));
    }
    doc_uint(doc, "in_use", limit->meter.in_use);
#define VALUE(name) doc_any(doc, #name, v->name);
    VALUE(max_tasks) VALUE(max_bytes) VALUE(concurrency)
    VALUE(rate) VALUE(rate_ms) VALUE(burst)
    if (v->rate > 0) {
        doc_uint(doc, "tokens", meter_tokens(&limit->bounds, &limit->meter, broker->now_ms));
    }
    VALUE(budget) VALUE(budget_ms)
    if (v->budget > 0) {
        doc_uint(doc, "used", meter_used(&limit->bounds, &limit->meter, broker->now_ms));
    }
    if (end_ms != METER_NEVER) {
        doc_uint(doc, "window_end_ms", end_ms - broker->now_ms);
    }
    VALUE(refuse)
    VALUE(breaker_failures) VALUE(breaker_percent) VALUE(breaker_min) VALUE(breaker_ms)
    VALUE(breaker_open_ms) VALUE(breaker_probes) VALUE(breaker_refuse)
    VALUE(attempts) VALUE(backoff_ms) VALUE(backoff_max_ms) VALUE(max_run_ms) VALUE(lease_ms)
#undef VALUE
    if (limit->service != NULL) {
        gate_row(broker, doc, limit->service);
    }
    doc_end(doc);
}

bool limit_matches(const struct roster_place *place, const struct query *query)
{
    const struct limit *limit = list_entry(place, struct limit, place);

    return query->service.size == 0 ||
           (limit->service != NULL && span_equal(service_name(limit->service), query->service));
}

static void check_limiter(const struct broker *broker, const struct service *service)
{
    const struct limiter *limiter = service->limiter;
    bool timed = limiter->hold.reason != HOLD_NONE && limiter->hold.ready_ms != WHEEL_NEVER;

    CHECK(limiter->service == service);
    CHECK(limiter->limit == NULL || limiter->limit->service == service);
    CHECK(!timed || timer_armed(&limiter->timer));
    CHECK((limiter->gate.state != GATE_PAUSED && limiter->gate.state != GATE_OPEN) ||
          limiter->gate.until_ms == GATE_NEVER || timer_armed(&limiter->timer));
    CHECK(limiter_pins(service) || broker->limits.count > 0);
}

void limit_check(const struct broker *broker)
{
    uint64_t limits = 0, limiters = 0;

    list_each(link, &broker->services.lanes[0]) {
        const struct service *service = list_entry(link, struct service, place.lanes);

        if (service->limiter != NULL) {
            check_limiter(broker, service);
            limiters++;
        } else {
            CHECK(broker->limits.count == 0);
        }
    }
    list_each(link, &broker->limit_rows.lanes[0]) {
        const struct limit *limit = list_entry(link, struct limit, place.lanes);

        CHECK(limit->meter.in_use == leased_under(broker, limit));
        CHECK(values_any(&limit->values));
        limits++;
    }
    CHECK(limits == broker->limit_pool.used);
    CHECK(limiters == broker->limiter_pool.used);
}
