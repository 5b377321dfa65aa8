/* Limits and gates as QUERY shows them, and as broker_check proves them. */
#include "broker/core/state.h"

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

/* NULL: each of its keys has its own, or it has none yet. */
static const struct meter *meter_shown(const struct broker *broker, const struct limit *limit)
{
    return limit->key_size > 0 ? account_meter(broker, limit) : &limit->meter;
}

void limit_row(const struct broker *broker, struct doc *doc, const struct roster_place *place)
{
    const struct limit *limit = list_entry(place, struct limit, place);
    const struct limit_values *v = &limit->values;
    const struct meter *meter = meter_shown(broker, limit);
    uint64_t end_ms = meter != NULL
                          ? meter_window_end_ms(&limit->bounds, meter, broker->now_ms)
                          : METER_NEVER;

    doc_map(doc, NULL);
    doc_text(doc, "service", limit->service != NULL ? service_name(limit->service)
                                                    : span_from_text("*"));
    if (limit->tenant_size > 0) {
        doc_text(doc, "tenant", limit_tenant(limit));
    }
    if (limit->key_size > 0) {
        doc_text(doc, "key", limit_key(limit));
    }
    doc_uint(doc, "in_use", limit->meter.in_use);
    doc_any(doc, "keys_held", limit->keys_held);
#define VALUE(name) doc_any(doc, #name, v->name);
    VALUE(max_tasks) VALUE(max_bytes) VALUE(concurrency)
    VALUE(rate) VALUE(rate_ms) VALUE(burst)
    if (v->rate > 0 && meter != NULL) {
        doc_uint(doc, "tokens", meter_tokens(&limit->bounds, meter, broker->now_ms));
    }
    VALUE(budget) VALUE(budget_ms)
    if (v->budget > 0 && meter != NULL) {
        doc_uint(doc, "used", meter_used(&limit->bounds, meter, broker->now_ms));
    }
    if (end_ms != METER_NEVER) {
        doc_uint(doc, "window_end_ms", end_ms - broker->now_ms);
    }
    VALUE(refuse) VALUE(weight)
    VALUE(breaker_failures) VALUE(breaker_percent) VALUE(breaker_min) VALUE(breaker_ms)
    VALUE(breaker_open_ms) VALUE(breaker_probes) VALUE(breaker_refuse)
    VALUE(attempts) VALUE(backoff_ms) VALUE(backoff_max_ms) VALUE(max_run_ms) VALUE(lease_ms)
#undef VALUE
    if (limit->service != NULL && limit->service->limiter->limit == limit) {
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
    CHECK(limiter->rules ==
          (limiter->limit != NULL) + limiter->tenant_rules + limiter->key_rules);
    CHECK(!timed || timer_armed(&limiter->timer));
    CHECK((limiter->gate.state != GATE_PAUSED && limiter->gate.state != GATE_OPEN) ||
          limiter->gate.until_ms == GATE_NEVER || timer_armed(&limiter->timer));
    CHECK(limiter_pins(service) || broker->wide_rules > 0);
}

void limit_check(const struct broker *broker)
{
    uint64_t limits = 0, limiters = 0, rules = broker->wide_rules;

    list_each(link, &broker->services.lanes[0]) {
        const struct service *service = list_entry(link, struct service, place.lanes);

        if (service->limiter != NULL) {
            check_limiter(broker, service);
            rules += service->limiter->rules;
            limiters++;
        } else {
            CHECK(broker->wide_rules == 0);
        }
    }
    list_each(link, &broker->limit_rows.lanes[0]) {
        const struct limit *limit = list_entry(link, struct limit, place.lanes);

        CHECK(limit->meter.in_use == limit_leased(broker, limit));
        CHECK(limit_values_any(&limit->values));
        limits++;
    }
    CHECK(limits == rules);
    CHECK(limits == broker->limit_pool.used);
    accounts_check(broker);
    list_each(link, &broker->limit_rows.lanes[0]) {
        struct limit *limit = list_entry(link, struct limit, place.lanes);

        CHECK(limit->keys_seen == limit->keys_held);
        limit->keys_seen = 0;
    }
    CHECK(limiters == broker->limiter_pool.used);
}
