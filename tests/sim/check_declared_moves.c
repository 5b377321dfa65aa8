/* Only declared state moves, and each for its reason: PROTOCOL.md, section 4.1, row by row.
 * (Why tasks are cancelled: check_cancel_reaches_all; how joins are decided: check_joins_end; what
 * tasks with an idempotency key wait for: check_one_run_a_key; what is durable: check_durable.) */
#include "tests/sim/check.h"
#include "tests/sim/shadow.h"
#include "tests/sim/shadow_scatter.h"

#include <inttypes.h>

#define PROPERTY "declared_moves"
#define BIT(state) (1u << SHADOW_##state)

static const unsigned moves[SHADOW_EXPIRED + 1] = {
    [SHADOW_NEW] = BIT(WAITING) | BIT(READY) | BIT(DELAYED), /* restored: check_durable */
    [SHADOW_WAITING] = BIT(READY) | BIT(DELAYED) | BIT(DONE) | BIT(FAILED) | BIT(EXPIRED) |
                       BIT(CANCELLING) | BIT(CANCELLED),
    [SHADOW_READY] = BIT(LEASED) | BIT(FAILED) | BIT(EXPIRED) | BIT(CANCELLED) | BIT(CANCELLING),
    [SHADOW_DELAYED] = BIT(READY) | BIT(FAILED) | BIT(EXPIRED) | BIT(CANCELLED) | BIT(CANCELLING),
    [SHADOW_LEASED] = BIT(READY) | BIT(DELAYED) | BIT(DONE) | BIT(FAILED) | BIT(EXPIRED) |
                      BIT(CANCELLING),
    [SHADOW_CANCELLING] = BIT(CANCELLED),
    [SHADOW_STORING] = BIT(DONE) | BIT(FAILED) | BIT(CANCELLED) | BIT(EXPIRED),
    [SHADOW_DONE] = 0,
    [SHADOW_FAILED] = 0,
    [SHADOW_CANCELLED] = 0,
    [SHADOW_EXPIRED] = 0,
};

static const struct shadow_lease *lease_of(const struct model *model,
                                           const struct shadow_task *task)
{
    list_each(at, &model->leases) {
        const struct shadow_lease *lease = list_entry(at, struct shadow_lease, link);

        if (lease->task_order == task->order && lease->attempt == task->attempt) {
            return lease;
        }
    }
    return NULL;
}

/* The worker's session is lost, or starts over with the HELLO under way. */
static bool worker_lost(const struct model *model, const struct shadow_task *task)
{
    const struct shadow_lease *lease = lease_of(model, task);

    if (lease == NULL) {
        return !(model->current && model->subject == task);
    }
    return model_event_is(model, COMMAND_HELLO) &&
           id_equal(&lease->offer->session->id, &model->event->message->hello.session);
}

static bool answered_with(const struct model *model, const struct shadow_task *task,
                          enum command command)
{
    return model->current && model->subject == task && model_event_is(model, command);
}

static bool task_follows(const struct model *model, const struct fact *fact)
{
    const struct fact *end = model->facts + model->fact_count;

    for (const struct fact *next = fact + 1; next < end; next++) {
        if (next->kind == FACT_SEND && next->command == COMMAND_TASK) {
            return id_equal(&next->id, &fact->id) && next->attempt == fact->attempt;
        }
    }
    return false;
}

static bool retry_allowed(const struct shadow_task *task)
{
    return task->attempts_max == 0 || task->attempt < task->attempts_max;
}

static bool retry_forbidden(const struct shadow_task *task)
{
    return task->attempts_max == 0 || task->attempt >= task->attempts_max;
}

static bool garbled(const struct model *model, const struct shadow_task *task)
{
    return model->current && model->subject == task && model->event->kind == EVENT_MALFORMED;
}

/* Its worker said a CHUNK that cannot be taken. */
static bool chunk_failed(const struct model *model, const struct shadow_task *task)
{
    return answered_with(model, task, COMMAND_CHUNK) && model->chunk_code != NULL;
}

/* By the failure's own word, unless the task's codes know better. */
static bool retryable(const struct model *model, const struct shadow_task *task)
{
    struct span code = shadow_failure_code(model, task);
    bool by_itself = answered_with(model, task, COMMAND_FAIL)
                         ? model->event->message->fail.error.retryable
                     : chunk_failed(model, task)
                         ? strcmp(model->chunk_code, "memory_full") == 0 ||
                               strcmp(model->chunk_code, "limit_exceeded") == 0
                         : !garbled(model, task);

    return !shadow_codes_name(task->final_on, code) &&
           (by_itself || shadow_codes_name(task->retry_on, code));
}

/* It is for one worker alone, and that is gone, or goes: nobody may try it again. */
static bool part_stranded(const struct model *model, const struct shadow_task *task)
{
    list_each(at, &model->offers) {
        const struct shadow_offer *offer = list_entry(at, struct shadow_offer, link);

        if (offer->number == task->only && !offer->withdrawn) {
            return worker_lost(model, task);
        }
    }
    return true;
}

static bool failure_explained(const struct model *model, const struct shadow_task *task)
{
    if (task->state == SHADOW_WAITING) {
        return true;
    }
    if (task->starting && model->store == STORE_LOST) {
        return true; /* that it starts will not be stored */
    }
    if (task->only != 0 && part_stranded(model, task)) {
        return true;
    }
    if (task->state == SHADOW_READY || task->state == SHADOW_DELAYED) {
        return false;
    }
    if (answered_with(model, task, COMMAND_FAIL) || garbled(model, task) ||
        chunk_failed(model, task)) {
        return !retryable(model, task) || retry_forbidden(task);
    }
    if (!retryable(model, task) &&
        (task->lease_until_ms <= model->now_ms || worker_lost(model, task) ||
         (task->needed && answered_with(model, task, COMMAND_DONE)))) {
        return true;
    }
    if (task->needed && answered_with(model, task, COMMAND_DONE)) {
        return retry_forbidden(task); /* no room for its result */
    }
    return retry_forbidden(task) &&
           (task->lease_until_ms <= model->now_ms || worker_lost(model, task));
}

/* What the table's third column says of the move, and what it is called in a message. */
static const char *unexplained(const struct model *model, const struct shadow_task *task,
                               const struct fact *fact)
{
    if (fact->from == SHADOW_STORING) {
        return fact->to == task->aim ? NULL : "it was to end otherwise";
    }
    switch (fact->aim) {
    case SHADOW_WAITING:
    case SHADOW_CANCELLING:
    case SHADOW_CANCELLED:
    case SHADOW_NEW:
    case SHADOW_STORING:
        return NULL;
    case SHADOW_LEASED:
        return task_follows(model, fact) || model_begins(model, fact) != NULL
                   ? NULL
                   : "no TASK follows";
    case SHADOW_READY:
        if (fact->from == SHADOW_WAITING) {
            return task->home == NULL                      ? "it has no service"
                   : model->now_ms < task->delayed_from_ms ? "its time has not come"
                                                           : NULL;
        }
        if (fact->from == SHADOW_DELAYED) {
            return model->now_ms >= task->delayed_from_ms ? NULL : "its time has not come";
        }
        if (!retry_allowed(task)) {
            return "no attempt is left";
        }
        return task->lease_until_ms <= model->now_ms || worker_lost(model, task)
                   ? NULL
                   : "its worker is here and its lease runs";
    case SHADOW_DELAYED:
        if (fact->from == SHADOW_WAITING) {
            return task->home == NULL                       ? "it has no service"
                   : model->now_ms >= task->delayed_from_ms ? "its time has come"
                                                            : NULL;
        }
        if (task->needed && answered_with(model, task, COMMAND_DONE)) {
            return retry_allowed(task) ? NULL : "no attempt is left"; /* no room for its result */
        }
        if (!answered_with(model, task, COMMAND_FAIL) && !garbled(model, task) &&
            !chunk_failed(model, task)) {
            return "no FAIL of this attempt";
        }
        if (!retryable(model, task)) {
            return "no retryable FAIL of this attempt";
        }
        return retry_allowed(task) ? NULL : "no attempt is left";
    case SHADOW_DONE:
        return fact->from == SHADOW_WAITING || answered_with(model, task, COMMAND_DONE)
                   ? NULL
                   : "no DONE of this attempt";
    case SHADOW_FAILED:
        return failure_explained(model, task) ? NULL : "no final FAIL, and attempts are left";
    case SHADOW_EXPIRED:
        if (task->deadline_ms <= model->now_ms) {
            return NULL;
        }
        return fact->from == SHADOW_READY && task->attempt == 0 && task->ttl_ms <= model->now_ms
                   ? NULL
                   : "neither its deadline nor its queue TTL has passed";
    }
    return "no such state";
}

/* By a SUBMIT, as it says; or from a dead letter, and then at once. */
static void see_new(struct model *model, const struct fact *fact)
{
    struct submit submit;
    enum shadow_state to;

    if (model_event_is(model, COMMAND_CONTROL)) {
        MODEL_CHECK(model, PROPERTY,
                    model->event->message->control.what == CONTROL_RETRY &&
                        fact->to == SHADOW_READY,
                    "%s: new -> %s, by CONTROL", model_id_text(&fact->id),
                    shadow_state_name(fact->to));
        return;
    }
    MODEL_CHECK(model, PROPERTY, model_event_is(model, COMMAND_SUBMIT),
                "%s is accepted without a SUBMIT", model_id_text(&fact->id));
    submit = model->event->message->submit;
    if (submit.route == ROUTE_ALL) {
        submit = shadow_scatter_submit(model, fact, &submit);
    }
    if (fact->to == SHADOW_WAITING && submit.idempotency_key.size > 0) {
        return; /* check_one_run_a_key */
    }
    to = submit.join != JOIN_NONE ? SHADOW_WAITING
         : submit.delay_ms > 0    ? SHADOW_DELAYED
                                  : SHADOW_READY;
    MODEL_CHECK(model, PROPERTY, fact->to == to, "%s: new -> %s", model_id_text(&fact->id),
                shadow_state_name(fact->to));
}

/* What is durable is on its way to its end for a while. */
static bool may_move(const struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_task(model, &fact->id);

    if (fact->to == SHADOW_STORING && task != NULL && task->starting &&
        fact->aim == SHADOW_CANCELLED) {
        return true; /* nobody has heard of it */
    }
    return moves[fact->from] & (1u << fact->aim);
}

static void on_fact(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task;
    const char *why;

    if (fact->kind != FACT_MOVE) {
        return;
    }
    if (model->restoring && fact->from == SHADOW_NEW) {
        return;
    }
    MODEL_CHECK(model, PROPERTY, may_move(model, fact), "%s: %s -> %s",
                model_id_text(&fact->id), shadow_state_name(fact->from),
                shadow_state_name(fact->to));
    if (fact->from == SHADOW_NEW) {
        see_new(model, fact);
        return;
    }
    task = model_task(model, &fact->id);
    MODEL_CHECK(model, PROPERTY, task != NULL, "%s moves, but was never accepted",
                model_id_text(&fact->id));
    MODEL_CHECK(model, PROPERTY, fact->from == task->state, "%s: %s -> %s, but it was %s",
                model_id_text(&fact->id), shadow_state_name(fact->from),
                shadow_state_name(fact->to), shadow_state_name(task->state));
    why = unexplained(model, task, fact);
    MODEL_CHECK(model, PROPERTY, why == NULL, "%s: %s -> %s in attempt %" PRIu64 ": %s",
                model_id_text(&fact->id), shadow_state_name(fact->from),
                shadow_state_name(fact->to), fact->attempt, why);
}

const struct checker check_declared_moves = {.property = PROPERTY, .fact = on_fact};
