/* Attempts strictly increase, and a stale answer changes nothing: no task moves by it, and
 * all it may free is the credit that its own stray lease still held. */
#include "tests/sim/check.h"

#include <inttypes.h>

#define PROPERTY "attempts_increase"

static void see_move(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_task(model, &fact->id);
    uint64_t expected;

    if (fact->from == SHADOW_NEW && model->restoring) {
        return; /* check_durable */
    }
    if (fact->from == SHADOW_NEW) {
        MODEL_CHECK(model, PROPERTY, fact->attempt == 0, "%s begins with attempt %" PRIu64,
                    model_id_text(&fact->id), fact->attempt);
        return;
    }
    if (task == NULL) {
        return;
    }
    expected = task->attempt + (fact->to == SHADOW_LEASED);
    if (task->attempt == 0 && fact->to == SHADOW_LEASED) {
        expected += task->attempts_before;
    }
    MODEL_CHECK(model, PROPERTY, fact->attempt == expected,
                "%s: %s -> %s with attempt %" PRIu64 ", expected %" PRIu64,
                model_id_text(&fact->id), shadow_state_name(fact->from),
                shadow_state_name(fact->to), fact->attempt, expected);
    MODEL_CHECK(model, PROPERTY,
                fact->attempt - (fact->attempt > 0 ? task->attempts_before : 0) <= ATTEMPTS_MAX &&
                    fact->attempt <= task->attempts_max,
                "%s: attempt %" PRIu64 " of at most %" PRIu64, model_id_text(&fact->id),
                fact->attempt, task->attempts_max);
}

static void see_send(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task;

    if (fact->command != COMMAND_TASK && fact->command != COMMAND_STARTED &&
        fact->command != COMMAND_PROGRESS_OUT) {
        return;
    }
    task = model_task(model, &fact->id);
    MODEL_CHECK(model, PROPERTY,
                task != NULL && task->state == SHADOW_LEASED && task->attempt == fact->attempt,
                "%s of %s, attempt %" PRIu64 ", which is %s in attempt %" PRIu64,
                command_name(fact->command), model_id_text(&fact->id), fact->attempt,
                task == NULL ? "unknown" : shadow_state_name(task->state),
                task == NULL ? 0 : task->attempt);
}

static void on_fact(struct model *model, const struct fact *fact)
{
    if (fact->kind == FACT_MOVE) {
        see_move(model, fact);
    } else if (fact->kind == FACT_SEND) {
        see_send(model, fact);
    }
}

static bool is_answer(const struct model *model)
{
    return model_event_is(model, COMMAND_DONE) || model_event_is(model, COMMAND_FAIL) ||
           model_event_is(model, COMMAND_PROGRESS) || model_event_is(model, COMMAND_CHUNK) ||
           model_event_is(model, COMMAND_CHECKPOINT);
}

static bool of_start(enum command command)
{
    return command == COMMAND_TASK || command == COMMAND_STARTED ||
           command == COMMAND_SIGNAL_OUT || command == COMMAND_EVENT;
}

/* Nor will it start then, when the store is lost that was to know of it. */
static bool of_lost_start(const struct model *model, size_t at)
{
    const struct fact *fact = &model->facts[at];
    bool ends = (fact->kind == FACT_MOVE && fact->to == SHADOW_STORING) ||
                (fact->kind == FACT_RECORD && fact->what == STORE_END);

    for (size_t i = 0; ends && i < at; i++) {
        const struct fact *before = &model->facts[i];

        if (before->kind == FACT_MOVE && before->to == SHADOW_LEASED &&
            id_equal(&before->id, &fact->id)) {
            return model->store == STORE_LOST;
        }
    }
    return false;
}

static void after(struct model *model, const struct broker *core)
{
    if (!is_answer(model) || model->current || model_session(model, model->event->from) == NULL) {
        return;
    }
    MODEL_CHECK(model, PROPERTY, model->answered || check_count_facts(model) == 0,
                "a stale %s has %zu effects", command_name(model->event->message->command),
                check_count_facts(model));
    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];

        /* A freed credit is used at once: that is all that may happen. */
        MODEL_CHECK(model, PROPERTY,
                    of_lost_start(model, i)   ? true
                    : fact->kind == FACT_MOVE ? fact->to == SHADOW_LEASED
                    : fact->kind == FACT_NOTE || fact->kind == FACT_GATE ||
                              fact->kind == FACT_LETTER
                        ? true /* told of what the others say */
                    : fact->kind == FACT_RECORD ? fact->what == STORE_ATTEMPT ||
                                                    fact->what == STORE_FORGET
                                              : of_start(fact->command),
                    "a stale %s moves %s: %s -> %s",
                    command_name(model->event->message->command), model_id_text(&fact->id),
                    shadow_state_name(fact->from), shadow_state_name(fact->to));
    }
    MODEL_CHECK(model, PROPERTY, model->after.stale == model->before.stale + 1,
                "a stale %s is not counted", command_name(model->event->message->command));
}

const struct checker check_attempts_increase = {
    .property = PROPERTY, .fact = on_fact, .after = after};
