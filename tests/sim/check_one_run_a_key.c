/* PROTOCOL.md, section 4.8: of an idempotency key one task at a time runs; what has the same content
 * follows it, and ends as it does; when it is cancelled or too late, the oldest follower runs. A
 * result that is cached answers for its time, and no longer; another content is a conflict. */
#include "tests/sim/check.h"
#include "tests/sim/shadow.h"
#include "tests/sim/shadow_row.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>

#define PROPERTY "one_run_a_key"

/* All sessions of a world are of one tenant. */
static bool same_key(const struct shadow_task *one, const struct shadow_task *other)
{
    return one->home == other->home && strcmp(one->twin, other->twin) == 0;
}

/* The one whose outcome `task` got: it ended in this very step, or is cached. NULL: none. */
static const struct shadow_task *model_of(const struct model *model,
                                          const struct shadow_task *task,
                                          enum shadow_state state)
{
    for (const struct list *at = model->ended.prev; at != &model->ended; at = at->prev) {
        const struct shadow_task *other = list_entry(at, struct shadow_task, link);
        bool cached = state == SHADOW_DONE && other->ended_ms + other->cache_ms > model->now_ms;

        if (other != task && other->ran && other->state == state && same_key(other, task) &&
            (other->ended_ms == model->now_ms || cached)) {
            return other;
        }
    }
    return NULL;
}

static bool older_follows(const struct model *model, const struct shadow_task *task)
{
    list_each(at, &model->tasks) {
        const struct shadow_task *other = list_entry(at, struct shadow_task, link);

        if (other->twin[0] != '\0' && other->state == SHADOW_WAITING && same_key(other, task) &&
            other->order < task->order) {
            return true;
        }
    }
    return false;
}

static bool cancelled_or_late(const struct model *model, const struct shadow_task *task)
{
    return model_of(model, task, SHADOW_CANCELLED) != NULL ||
           model_of(model, task, SHADOW_EXPIRED) != NULL;
}

/* A task that follows another one does so no more. */
static void see_landing(struct model *model, const struct shadow_task *task,
                        const struct fact *fact)
{
    const struct shadow_task *other;

    switch (fact->aim) {
    case SHADOW_READY:
    case SHADOW_DELAYED:
        sometimes(SOMETIMES_TWIN_TOOK_OVER);
        MODEL_CHECK(model, PROPERTY, cancelled_or_late(model, task) && !older_follows(model, task),
                    "%s follows '%s' no more: nobody was cancelled, or it is not its turn",
                    model_id_text(&task->id), task->twin);
        break;
    case SHADOW_DONE:
    case SHADOW_FAILED:
        other = model_of(model, task, fact->aim);
        MODEL_CHECK(model, PROPERTY, other != NULL, "%s is %s, and no other task of '%s'",
                    model_id_text(&task->id), shadow_state_name(fact->aim), task->twin);
        MODEL_CHECK(model, PROPERTY, other->content == task->content,
                    "%s gets the outcome of %s: '%s', but another payload",
                    model_id_text(&task->id), model_id_text(&other->id), task->twin);
        MODEL_CHECK(model, PROPERTY,
                    fact->to != SHADOW_STORING || fact->aim != SHADOW_DONE ||
                        shadow_row_recorded(model, task->row)->digest == other->answer,
                    "%s has a result that is not that of '%s'", model_id_text(&task->id),
                    task->twin);
        if (other->ended_ms < model->now_ms) {
            sometimes(SOMETIMES_TWIN_ANSWERED_FROM_CACHE);
        }
        break;
    default:
        break; /* for its own reasons: timers_fire, cancel_reaches_all */
    }
}

static bool conflict_explained(const struct model *model, const struct submit *submit)
{
    const struct shadow_service *home = model_service(model, submit->service);
    const struct list *const lists[] = {&model->tasks, &model->ended};

    for (unsigned i = 0; i < 2; i++) {
        list_each(at, lists[i]) {
            const struct shadow_task *task = list_entry(at, struct shadow_task, link);

            if (task->ran && task->home == home && task->twin[0] != '\0' &&
                span_is(submit->idempotency_key, task->twin) &&
                task->content != fact_digest(submit->payload.bytes) &&
                (!shadow_ended(task) || (task->state == SHADOW_DONE &&
                                         task->ended_ms + task->cache_ms > model->now_ms))) {
                return true;
            }
        }
    }
    return false;
}

static void see_result(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_task(model, &fact->id);
    const struct shadow_task *other;

    if (fact->outcome == OUTCOME_REFUSED && model_event_is(model, COMMAND_SUBMIT) &&
        model->event->message->submit.idempotency_key.size > 0 && task == NULL &&
        strcmp(fact->code, "conflict") == 0) {
        sometimes(SOMETIMES_TWIN_CONFLICT);
        MODEL_CHECK(model, PROPERTY, conflict_explained(model, &model->event->message->submit),
                    "%s is refused: conflict, and no other payload has its key",
                    model_id_text(&fact->id));
    }
    if (fact->outcome != OUTCOME_DONE || task == NULL || task->twin[0] == '\0' || task->ran ||
        task->durable || task->ended_ms != model->now_ms) {
        return; /* what is durable: see_landing, and check_durable */
    }
    other = model_of(model, task, SHADOW_DONE);
    MODEL_CHECK(model, PROPERTY, other != NULL && other->answer == fact->digest,
                "%s gets a result that is not that of '%s'", model_id_text(&task->id),
                task->twin);
}

static void on_fact(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task;

    if (fact->kind == FACT_SEND && fact->command == COMMAND_RESULT) {
        see_result(model, fact);
    } else if (fact->kind == FACT_MOVE && fact->from == SHADOW_WAITING) {
        task = model_task(model, &fact->id);
        if (task != NULL && task->twin[0] != '\0') {
            see_landing(model, task, fact);
        }
    }
}

static bool moved_with_key(const struct model *model)
{
    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];
        const struct shadow_task *task =
            fact->kind == FACT_MOVE ? model_task(model, &fact->id) : NULL;

        if (task != NULL && task->twin[0] != '\0') {
            return true;
        }
    }
    return false;
}

/* Of the keys of live tasks: who runs for `task`'s. */
static void check_key(struct model *model, const struct shadow_task *task)
{
    const struct shadow_task *runner = NULL;

    list_each(at, &model->tasks) {
        const struct shadow_task *other = list_entry(at, struct shadow_task, link);

        if (other->twin[0] == '\0' || !other->ran || !same_key(other, task)) {
            continue;
        }
        MODEL_CHECK(model, PROPERTY, runner == NULL, "%s and %s both run for '%s'",
                    model_id_text(&runner->id), model_id_text(&other->id), task->twin);
        runner = other;
    }
    if (task->state == SHADOW_WAITING) {
        sometimes(SOMETIMES_TWIN_FOLLOWED);
        MODEL_CHECK(model, PROPERTY, runner != NULL, "%s waits for '%s', and nobody runs for it",
                    model_id_text(&task->id), task->twin);
        MODEL_CHECK(model, PROPERTY, runner->content == task->content,
                    "%s follows %s, which has another payload", model_id_text(&task->id),
                    model_id_text(&runner->id));
    }
}

static void after(struct model *model, const struct broker *core)
{
    if (!moved_with_key(model)) {
        return;
    }
    list_each(at, &model->tasks) {
        const struct shadow_task *task = list_entry(at, struct shadow_task, link);

        if (task->twin[0] != '\0') {
            check_key(model, task);
        }
    }
}

const struct checker check_one_run_a_key = {.property = PROPERTY, .fact = on_fact, .after = after};
