/* PROTOCOL.md, 4.6: a breaker opens exactly when its threshold is crossed, is probed when its time has
 * come, and lets no more than its probes through until enough of them have succeeded; nothing starts
 * while a service is paused, and then slowly. What is refused because of a breaker is refused only
 * while that is open. */
#include "tests/sim/check.h"
#include "tests/sim/shadow.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>

#define PROPERTY "gates"

static void see_start(struct model *model, const struct shadow_task *task)
{
    struct shadow_service *service = task->home;
    struct shadow_gate *gate = &service->gate;
    uint64_t others;

    if (gate->state == SHADOW_GATE_CLOSED) {
        return;
    }
    others = model_running(model, service, gate->epoch_ms);
    MODEL_CHECK(model, PROPERTY, shadow_gate_lets(gate, others),
                "TASK %s of '%s', which is %s, and %" PRIu64 " of %" PRIu64 " run",
                model_id_text(&task->id), service->name, shadow_gate_name(gate->state), others,
                gate->allowed);
    shadow_gate_start(gate, model->now_ms);
}

/* ---- ends of attempts ------------------------------------------------------------------ */

static enum shadow_report report_of(const struct model *model, const struct fact *fact,
                                    const struct shadow_task *task)
{
    bool answered = model->current && model->subject == task;

    if (fact->aim == SHADOW_DONE) {
        return SHADOW_SUCCESS;
    }
    if (fact->to != SHADOW_READY && fact->to != SHADOW_DELAYED && fact->aim != SHADOW_FAILED) {
        return SHADOW_SAYS_NOTHING;
    }
    if (task->starting && model->store == STORE_LOST) {
        return SHADOW_SAYS_NOTHING; /* it never started: its worker had no part in it */
    }
    if (!answered) {
        return SHADOW_FAILURE; /* worker_lost, lease_expired */
    }
    if (!model_event_is(model, COMMAND_FAIL)) {
        return SHADOW_SAYS_NOTHING; /* it could not be read, or not be kept */
    }
    return model->event->message->fail.error.retryable ? SHADOW_FAILURE : SHADOW_SUCCESS;
}

static bool told_to_wait(const struct model *model, const struct fact *fact)
{
    const struct fail *fail = model_event_is(model, COMMAND_FAIL) ? &model->event->message->fail
                                                                  : NULL;

    return fail != NULL && model->current && fail->error.scope_service &&
           fail->error.retry_after_ms > 0 && id_equal(&fail->id, &fact->id);
}

static void see_end(struct model *model, const struct fact *fact, const struct shadow_task *task)
{
    struct shadow_service *service = task->home;
    struct shadow_gate *gate = &service->gate;
    enum shadow_gate_state before = gate->state;
    enum shadow_report report = report_of(model, fact, task);
    const char *cause = "";
    enum shadow_verdict verdict;
    bool opened;

    if (told_to_wait(model, fact)) {
        shadow_gate_pause(gate, "retry_after", model->event->message->fail.error.retry_after_ms,
                          model->now_ms);
        return;
    }
    if (report == SHADOW_SAYS_NOTHING) {
        return;
    }
    verdict = shadow_gate_report(gate, &service->rule.values, report, task->run_started_ms,
                                 model->now_ms, &cause);
    opened = before != SHADOW_GATE_OPEN && gate->told == SHADOW_GATE_OPEN;
    MODEL_CHECK(model, PROPERTY, !opened || verdict != SHADOW_STAYS,
                "the breaker of '%s' opens at %" PRIu64 " failures in a row, and need not",
                service->name, gate->failures);
    MODEL_CHECK(model, PROPERTY, opened || verdict != SHADOW_OPENS,
                "the breaker of '%s' stays %s for all its %s", service->name,
                shadow_gate_name(before), cause);
    if (opened) {
        shadow_gate_open(gate, &service->rule.values, cause, model->now_ms);
        sometimes(before == SHADOW_GATE_HALF_OPEN       ? SOMETIMES_BREAKER_OPENED_AGAIN
                  : strcmp(cause, "percent") == 0 ? SOMETIMES_BREAKER_OPENED_BY_SHARE
                                                        : SOMETIMES_BREAKER_OPENED);
    }
}

/* ---- what the broker says about it ------------------------------------------------------- */

/* Of what resumes: no task waits any more, or as many may run as workers take. */
static bool is_over(const struct model *model, const struct shadow_service *service,
                    uint64_t allowed)
{
    uint64_t credit = 0;

    list_each(at, &model->offers) {
        const struct shadow_offer *offer = list_entry(at, struct shadow_offer, link);

        if (!offer->withdrawn && strcmp(offer->service, service->name) == 0) {
            credit += offer->credit;
        }
    }
    return service->queued == 0 || (credit > 0 && credit <= allowed);
}

static void see_gate(struct model *model, const struct fact *fact)
{
    struct shadow_service *service = shadow_service_know(model, span_from_text(fact->service));
    struct shadow_gate *gate = &service->gate;
    enum shadow_gate_state told = shadow_gate_from(fact->code);

    gate->told = told;
    if (shadow_gate_due(gate, model->now_ms) &&
        (told == SHADOW_GATE_HALF_OPEN || told == SHADOW_GATE_RESUMING)) {
        shadow_gate_begin(gate, &service->rule.values, model->now_ms);
        sometimes(told == SHADOW_GATE_HALF_OPEN ? SOMETIMES_BREAKER_HALF_OPEN
                                                : SOMETIMES_SERVICE_RESUMING);
    } else if (told == SHADOW_GATE_CLOSED) {
        MODEL_CHECK(model, PROPERTY,
                    gate->state == SHADOW_GATE_RESUMING &&
                        is_over(model, service, gate->allowed),
                    "'%s' is closed from %s, %" PRIu64 " wait and %" PRIu64 " may run",
                    service->name, shadow_gate_name(gate->state), service->queued, gate->allowed);
        gate->state = SHADOW_GATE_CLOSED;
        gate->since_ms = model->now_ms;
        if (gate->cause != NULL && strcmp(gate->cause, "operator") != 0 &&
            strcmp(gate->cause, "retry_after") != 0) {
            sometimes(SOMETIMES_BREAKER_CLOSED_AGAIN);
        }
    }
}

static void see_control(struct model *model, const struct fact *fact)
{
    const struct control *control = &model->event->message->control;
    struct shadow_service *service = model_service(model, control->service);

    if (fact->code[0] != '\0' || service == NULL) {
        return;
    }
    if (control->what == CONTROL_PAUSE) {
        shadow_gate_pause(&service->gate, "operator", control->ms, model->now_ms);
        sometimes(SOMETIMES_SERVICE_PAUSED);
    } else if (control->what == CONTROL_RESUME) {
        shadow_gate_resume(&service->gate, model->now_ms);
    }
}

/* ---- what a breaker refuses -------------------------------------------------------------- */

static void see_refusal(struct model *model, const struct fact *fact)
{
    const struct shadow_service *service =
        model_service(model, model->event->message->submit.service);
    const struct shadow_gate *gate = service != NULL ? &service->gate : NULL;
    bool open = gate != NULL && gate->state == SHADOW_GATE_OPEN;

    MODEL_CHECK(model, PROPERTY,
                gate != NULL && service->rule.values.breaker_refuse == 1 &&
                    (open || (gate->state == SHADOW_GATE_HALF_OPEN &&
                              model_running(model, service, gate->epoch_ms) >= gate->least)),
                "%s is refused for a breaker that is not open, or holds",
                model_id_text(&fact->id));
    MODEL_CHECK(model, PROPERTY,
                !open || fact->retry_after_ms == gate->until_ms - model->now_ms,
                "%s is refused for %" PRIu64 " ms, and probes begin in %" PRIu64,
                model_id_text(&fact->id), fact->retry_after_ms, gate->until_ms - model->now_ms);
    sometimes(SOMETIMES_BREAKER_REFUSED);
}

static void see_acceptance(struct model *model, const struct fact *fact)
{
    const struct shadow_service *service =
        model_service(model, model->event->message->submit.service);

    MODEL_CHECK(model, PROPERTY,
                service == NULL || service->rule.values.breaker_refuse == 0 ||
                    service->gate.state != SHADOW_GATE_OPEN,
                "%s is accepted, and the breaker of '%s', which refuses, is open",
                model_id_text(&fact->id), service->name);
}

/* ---- */

static void see_move(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_task(model, &fact->id);

    if (fact->from == SHADOW_NEW && fact->to != SHADOW_WAITING &&
        model_event_is(model, COMMAND_SUBMIT)) {
        see_acceptance(model, fact);
    } else if (fact->from == SHADOW_LEASED && task != NULL && task->home != NULL) {
        see_end(model, fact, task);
    }
}

static void see_send(struct model *model, const struct fact *fact)
{
    if (fact->command == COMMAND_RESULT && strcmp(fact->code, "circuit_open") == 0) {
        see_refusal(model, fact);
    } else if (fact->command == COMMAND_REPLY && model_event_is(model, COMMAND_CONTROL)) {
        see_control(model, fact);
    }
}

static void on_fact(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_begins(model, fact);

    if (task != NULL && task->home != NULL) {
        see_start(model, task);
    }
    switch (fact->kind) {
    case FACT_MOVE:
        see_move(model, fact);
        break;
    case FACT_SEND:
        see_send(model, fact);
        break;
    case FACT_GATE:
        see_gate(model, fact);
        break;
    default:
        break;
    }
}

/* Some rule of it keeps its gate in mind. */
static bool ruled(const struct model *model, const struct shadow_service *service)
{
    bool any = false;

    for (unsigned i = 0; i < SHADOW_RULES; i++) {
        any = any || shadow_rule_any(&model_rule(model, service, i)->values);
    }
    for (unsigned i = 0; service->keys != NULL && i <= SHADOW_KEYS; i++) {
        any = any || shadow_rule_any(&service->keys->rules[i]);
    }
    return any;
}

static void after(struct model *model, const struct broker *core)
{
    list_each(at, &model->services) {
        struct shadow_service *service = list_entry(at, struct shadow_service, link);
        struct shadow_gate *gate = &service->gate;

        MODEL_CHECK(model, PROPERTY, gate->told == gate->state, "'%s' is said to be %s, and is %s",
                    service->name, shadow_gate_name(gate->told), shadow_gate_name(gate->state));
        MODEL_CHECK(model, PROPERTY, !shadow_gate_due(gate, model->now_ms),
                    "'%s' is %s until %" PRIu64 " ms", service->name,
                    shadow_gate_name(gate->state), gate->until_ms);
        if (gate->state == SHADOW_GATE_CLOSED && !ruled(model, service)) {
            shadow_gate_forget(gate);
        }
    }
}

/* Nothing waits: what resumed is closed, and nobody's pause is without an end. */
static void rest(struct model *model, const struct broker *core)
{
    list_each(at, &model->services) {
        const struct shadow_service *service = list_entry(at, struct shadow_service, link);
        const struct shadow_gate *gate = &service->gate;

        MODEL_CHECK(model, PROPERTY,
                    gate->state != SHADOW_GATE_RESUMING &&
                        (gate->state != SHADOW_GATE_PAUSED || gate->until_ms != UINT64_MAX),
                    "at rest '%s' is %s", service->name, shadow_gate_name(gate->state));
    }
}

const struct checker check_gates = {
    .property = PROPERTY, .fact = on_fact, .after = after, .rest = rest};
