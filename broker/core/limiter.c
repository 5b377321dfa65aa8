/* Limiters: what a service has that a rule or its gate concerns (limit.h). */
#include "broker/core/limit.h"

#include "broker/core/state.h"
#include "broker/core/watch.h"
#include "common/mutant.h"

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
        list_init(&limiter->accounts);
        timer_init(&limiter->timer, TIMER_LIMITER);
        list_init(&limiter->link);
        gate_bounds_set(&limiter->gate_bounds, &none);
        service->limiter = limiter;
    }
    return limiter;
}

bool limiter_begin(struct broker *broker, struct service *service)
{
    return broker->wide_rules == 0 || limiter_open(broker, service) != NULL;
}

static void limiter_free(struct broker *broker, struct limiter *limiter)
{
    CHECK(list_empty(&limiter->accounts));
    wheel_cancel(&broker->wheel, &limiter->timer);
    list_unlink(&limiter->link);
    limiter->service->limiter = NULL;
    pool_put(&broker->limiter_pool, limiter);
}

void limiter_end(struct broker *broker, struct service *service)
{
    if (service->limiter != NULL) {
        CHECK(service->limiter->rules == 0);
        limiter_free(broker, service->limiter);
    }
}

bool limiter_pins(const struct service *service)
{
    const struct limiter *limiter = service->limiter;

    return limiter != NULL && (limiter->rules > 0 || limiter->gate.state != GATE_CLOSED);
}

void limiter_drop(struct broker *broker, struct limiter *limiter)
{
    struct service *service = limiter->service;

    if (!limiter_pins(service) && broker->wide_rules == 0) {
        limiter_free(broker, limiter);
    }
    service_note_idle(broker, service);
}

void limiter_arm(struct broker *broker, struct limiter *limiter)
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

void limiter_gate_changed(struct broker *broker, struct limiter *limiter)
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
        limiter_gate_changed(broker, limiter);
    }
    service_touch(broker, limiter->service);
}

/* ---- pauses -------------------------------------------------------------------- */

void limit_pause_for(struct broker *broker, struct task *task, uint64_t ms, struct span code)
{
    struct limiter *limiter = limiter_open(broker, task->service);

    if (limiter != NULL) { /* without memory for that, only the task waits */
        gate_pause(&limiter->gate, GATE_RETRY_AFTER, ms, code, broker->now_ms);
        limiter_gate_changed(broker, limiter);
    }
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
    limiter_gate_changed(broker, limiter);
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
