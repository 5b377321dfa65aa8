#include "broker/core/limit.h"

#include "broker/core/durable.h"
#include "broker/core/state.h"
#include "broker/core/terms.h"
#include "common/mutant.h"

static uint64_t task_cost(const struct task *task)
{
    return task->extra != NULL && task->extra->terms != NULL ? task_terms(task).cost : 0;
}

/* ---- finding rules --------------------------------------------------------------- */

uint32_t limit_hash(const struct broker *broker, const struct service *service,
                    struct span tenant, struct span key)
{
    uint64_t serial = service != NULL ? service->place.serial : 0;
    uint8_t text[sizeof serial + 1 + PEER_NAME_MAX + KEY_MAX];
    size_t used = sizeof serial;

    memcpy(text, &serial, sizeof serial);
    text[used++] = (uint8_t)tenant.size;
    if (tenant.size > 0) {
        memcpy(text + used, tenant.data, tenant.size);
        used += tenant.size;
    }
    if (key.size > 0) {
        memcpy(text + used, key.data, key.size);
        used += key.size;
    }
    return broker_hash(broker, text, used);
}

struct limit *limit_find(const struct broker *broker, const struct service *service,
                         struct span tenant, struct span key)
{
    uint32_t hash = limit_hash(broker, service, tenant, key);
    struct table_node *node = table_chain(&broker->limits, hash);

    for (; node != NULL; node = node->next) {
        struct limit *limit = table_entry(node, struct limit, node);

        if (node->hash == hash && limit->service == service &&
            span_equal(limit_tenant(limit), tenant) && span_equal(limit_key(limit), key)) {
            return limit;
        }
    }
    return NULL;
}

/* The rules that hold for a task, each with the meter that it has for it; unused places have no
 * limit. Those of its key come last. */
#define MATCHES_OF_KEY 3
#define MATCHES_MAX (MATCHES_OF_KEY + ACCOUNT_RULES)
struct matches {
    struct match {
        struct limit *limit;
        struct meter *meter;
    } at[MATCHES_MAX];
};

#define each_match(match, matches)                                                                 \
    for (const struct match *match = (matches).at; match < (matches).at + MATCHES_MAX; match++)    \
        if (match->limit != NULL)

static void match_add(struct matches *matches, unsigned place, struct limit *limit)
{
    if (limit != NULL) {
        matches->at[place] = (struct match){limit, &limit->meter};
    }
}

/* `account` NULL: no rule names the key. */
static struct matches matches_of(const struct broker *broker, const struct service *service,
                                 const struct peer *peer, struct account *account)
{
    const struct limiter *limiter = service != NULL ? service->limiter : NULL;
    const struct span none = span_of(NULL, 0);
    struct matches matches = {.at = {{NULL, NULL}}};

    if (limiter != NULL) {
        match_add(&matches, 0, limiter->limit);
    }
    if (limiter != NULL && limiter->tenant_rules > 0) {
        match_add(&matches, 1, limit_find(broker, service, peer_tenant(peer), none));
    }
    if (broker->wide_rules > 0) {
        match_add(&matches, 2, limit_find(broker, NULL, peer_tenant(peer), none));
    }
    for (unsigned i = 0; account != NULL && i < ACCOUNT_RULES; i++) {
        matches.at[MATCHES_OF_KEY + i] = (struct match){account->limits[i], &account->meters[i]};
    }
    return matches;
}

static struct matches task_matches(const struct broker *broker, const struct task *task)
{
    return matches_of(broker, task->service, task->owner, task->flow->account);
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

void limit_meter_ask(const struct broker *broker, struct limit *limit, const struct meter *meter,
                     uint64_t cost, struct hold *hold)
{
    uint64_t ready_ms;
    enum meter_answer answer = meter_ask(&limit->bounds, meter, cost, broker->now_ms, &ready_ms);

    /* What takes longest is the reason: all of them hold. */
    if (answer != METER_ROOM && (hold->reason == HOLD_NONE || ready_ms > hold->ready_ms)) {
        *hold = (struct hold){hold_of_answer(answer), ready_ms, limit};
    }
}

/* By the rules of its service and tenant. */
static struct hold ask_service(const struct broker *broker, const struct task *task)
{
    struct matches matches = matches_of(broker, task->service, task->owner, NULL);
    struct hold hold = {.reason = HOLD_NONE};

    each_match(match, matches) {
        limit_meter_ask(broker, match->limit, match->meter, task_cost(task), &hold);
    }
    return hold;
}

static struct hold ask_key(const struct broker *broker, const struct task *task)
{
    return task->flow->account != NULL
               ? account_ask(broker, task->flow->account, task_cost(task))
               : (struct hold){.reason = HOLD_NONE};
}

struct hold limit_ask(const struct broker *broker, const struct task *task)
{
    const struct account *account = task->flow->account;
    struct hold hold = gate_hold(task->service->limiter);
    struct hold key;

    if (hold.reason != HOLD_NONE) {
        return hold;
    }
    hold = ask_service(broker, task);
    key = ask_key(broker, task);
    if (key.reason == HOLD_NONE && account != NULL) {
        key = account->hold; /* that of another task of its key, which is before it */
    }
    return hold.reason == HOLD_NONE || (key.reason != HOLD_NONE && key.ready_ms > hold.ready_ms)
               ? key : hold;
}

void limit_look(struct service *service)
{
    service->limiter->hold = (struct hold){.reason = HOLD_NONE};
    list_unlink(&service->limiter->link);
}

enum limit_answer limit_may_start(struct broker *broker, struct task *task)
{
    struct limiter *limiter = task->service->limiter;
    struct hold hold = gate_hold(limiter);

    if (hold.reason == HOLD_NONE) {
        struct hold key = ask_key(broker, task);

        if (key.reason != HOLD_NONE) {
            account_close(broker, task->flow->account, &key);
            return MUTANT(PARKED_KEY_BLOCKS) ? LIMIT_STOP : LIMIT_NEXT;
        }
        hold = ask_service(broker, task);
    }
    limiter->hold = hold;
    if (hold.reason == HOLD_NONE) {
        return LIMIT_START;
    }
    if (hold.limit != NULL && hold.limit->service == NULL) {
        /* The end of another service's task may make room: it tells us. */
        list_push_back(&hold.limit->waiters[hold.reason == HOLD_CONCURRENCY ? WAITS_RELEASE
                                                                            : WAITS_BUDGET],
                       &limiter->link);
    }
    return LIMIT_STOP;
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
    each_match(match, matches) {
        meter_take(&match->limit->bounds, match->meter, cost, broker->now_ms);
        match->limit->meter.in_use += match->meter != &match->limit->meter;
    }
}

/* One start has become possible: the one that waits longest looks first, and whoever does not
 * use it passes it on (limit_settle). */
static void wake_one(struct broker *broker, struct limit *limit)
{
    struct list *link = list_pop_front(&limit->waiters[WAITS_RELEASE]);

    if (link != NULL && !MUTANT(TENANT_WAKES_NOBODY)) {
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
    gate_leave(&task->service->limiter->gate, durable_taken_ms(task));
    each_match(match, matches) {
        meter_release(match->meter);
        if (match->meter != &match->limit->meter) {
            meter_release(&match->limit->meter);
        }
        wake_one(broker, match->limit);
    }
    if (task->flow->account != NULL && task->flow->account->hold.reason == HOLD_CONCURRENCY &&
        !MUTANT(PARKED_KEY_FORGOTTEN)) {
        account_open(broker, task->flow->account);
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
            limiter_gate_changed(broker, limiter);
        }
    }
    limiter_arm(broker, limiter);
    /* Woken by a tenant's limit, and has not taken the place: another one may. */
    limit = limiter->woken_by;
    limiter->woken_by = NULL;
    if (limit != NULL &&
        meter_ask(&limit->bounds, &limit->meter, 0, broker->now_ms, &ready_ms) !=
            METER_CONCURRENCY) {
        wake_one(broker, limit);
    }
    limiter_drop(broker, limiter);
}

enum error_code limit_admit(const struct broker *broker, const struct service *service,
                            const struct peer *peer, const struct submit *submit,
                            uint64_t *retry_after_ms)
{
    const struct limiter *limiter = service != NULL ? service->limiter : NULL;
    struct account *account = NULL;
    struct matches matches;
    enum error_code code = ERROR_NONE;

    if (limiter == NULL && broker->wide_rules == 0) {
        return ERROR_NONE;
    }
    *retry_after_ms = 0;
    if (limiter != NULL &&
        gate_refuses(&limiter->gate_bounds, &limiter->gate, broker->now_ms, retry_after_ms)) {
        return ERROR_CIRCUIT_OPEN;
    }
    if (limiter != NULL && limiter->key_rules > 0) {
        account = account_of(broker, service, peer, submit);
    }
    matches = matches_of(broker, service, peer, account);
    each_match(match, matches) {
        uint64_t ready_ms, in_ms;
        enum meter_answer answer = meter_ask_spent(&match->limit->bounds, match->meter,
                                                   submit->cost, broker->now_ms, &ready_ms);

        in_ms = ready_ms - broker->now_ms;
        if (match->limit->values.refuse == 1 && answer != METER_ROOM && in_ms > *retry_after_ms) {
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
    gate_report(&limiter->gate_bounds, &limiter->gate, report, durable_taken_ms(task), code,
                broker->now_ms);
    if (limiter->gate.state != before) {
        limiter_gate_changed(broker, limiter);
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
    each_match(match, matches) {
        meter_correct(&match->limit->bounds, match->meter, durable_taken_ms(task), declared, cost,
                      broker->now_ms);
        if (cost < declared) {
            limit_wake(broker, match->limit);
        }
    }
    if (cost < declared && task->flow->account != NULL) {
        account_look(broker, task->flow->account);
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
