#include "broker/core/limit.h"

#include "broker/core/ending.h"
#include "broker/core/mutant.h"
#include "broker/core/state.h"
#include "broker/core/terms.h"
#include "broker/core/watch.h"

static uint64_t task_cost(const struct task *task)
{
    return task->extra != NULL && task->extra->terms != NULL ? task_terms(task).cost : 0;
}

/* ---- finding rules --------------------------------------------------------------- */

struct limit *limit_of_tenant(const struct broker *broker, struct span tenant)
{
    uint32_t hash = broker_hash(broker, tenant.data, tenant.size);
    struct table_node *node = table_chain(&broker->limits, hash);

    for (; node != NULL; node = node->next) {
        struct limit *limit = table_entry(node, struct limit, node);

        if (node->hash == hash && span_equal(limit_tenant(limit), tenant)) {
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
                                 ? limit_of_tenant(broker, peer_tenant(peer)) : NULL}};
}

static struct matches task_matches(const struct broker *broker, const struct task *task)
{
    return matches_of(broker, task->service, task->owner);
}

/* ---- limiters -------------------------------------------------------------------- */

struct limiter *limiter_open(struct broker *broker, struct service *service)
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

void limit_free(struct broker *broker, struct limit *limit)
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
        /* A gate's patience may have run out while nobody waited: then in the next moment. */
        wheel_arm(&broker->wheel, &limiter->timer,
                  due_ms > broker->now_ms ? due_ms : broker->now_ms + 1);
    }
}

/* The gate has changed. */
static void gate_changed(struct broker *broker, struct limiter *limiter)
{
    static const enum note_kind kinds[] = {[GATE_CLOSED] = NOTE_GATE_CLOSED,
                                           [GATE_PAUSED] = NOTE_GATE_PAUSED,
                                           [GATE_OPEN] = NOTE_GATE_OPEN,
                                           [GATE_HALF_OPEN] = NOTE_GATE_HALF_OPEN,
                                           [GATE_RESUMING] = NOTE_GATE_RESUMING};
    const struct gate *gate = &limiter->gate;

    BROKER_LOG(broker, gate->state == GATE_OPEN ? LOG_WARN : LOG_INFO, "gate",
               LOG_TEXT("service", service_name(limiter->service)),
               LOG_WORD("state", gate_state_name(gate->state)),
               LOG_WORD("cause", gate_cause_name(gate->cause)),
               LOG_TEXT("code", span_of(gate->code, gate->code_size)));
    watch_emit(broker, kinds[gate->state], service_name(limiter->service), span_of(NULL, 0),
               span_from_text(gate_cause_name(gate->cause)));
    limiter_arm(broker, limiter);
    service_note_idle(broker, limiter->service);
    service_touch(broker, limiter->service);
}

void limiter_timer(struct broker *broker, struct limiter *limiter)
{
    enum gate_state before = limiter->gate.state;

    gate_timer(&limiter->gate_bounds, &limiter->gate, broker->now_ms);
    if (limiter->gate.state != before) {
        gate_changed(broker, limiter);
    }
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
    gate_start(&task->service->limiter->gate, broker->now_ms);
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

void limit_wake(struct broker *broker, struct limit *limit)
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

    if (task->service->limiter == NULL || MUTANT(BUDGET_NOT_CORRECTED)) {
        return;
    }
    matches = task_matches(broker, task);
    declared = task_cost(task);
    each_match(limit, matches) {
        meter_correct(&limit->bounds, &limit->meter, task->started_ms, declared, cost,
                      broker->now_ms);
        if (cost < declared) {
            limit_wake(broker, limit);
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
