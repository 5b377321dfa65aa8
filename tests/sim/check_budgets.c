/* Of a service's budget no more is used than there is: an attempt starts only when its declared cost
 * has room beside all that is known by then, or when nothing of the window is used. What is refused
 * for a budget has no room, and is told in how many milliseconds it would have. */
#include "tests/sim/check.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>

#define PROPERTY "budgets"

static void see_start(struct model *model, const struct shadow_task *task)
{
    const struct shadow_budget *b = &task->home->budget;
    int64_t cost = (int64_t)task->cost;

    if (b->budget == 0) {
        return;
    }
    MODEL_CHECK(model, PROPERTY, shadow_budget_lets(b, task->cost),
                "TASK %s of '%s' costs %" PRIu64 ", and %" PRIu64 " of %" PRIu64 " are used",
                model_id_text(&task->id), task->service, task->cost, b->used, b->budget);
    /* The same without debts: what exceeds the budgets of all windows so far, or of this one, has
     * become known since the last start. */
    MODEL_CHECK(model, PROPERTY,
                b->total + cost <= b->granted || b->total <= b->granted - (int64_t)b->budget,
                "TASK %s of '%s' costs %" PRIu64 ": with it %" PRId64 " of %" PRId64 " so far",
                model_id_text(&task->id), task->service, task->cost, b->total + cost, b->granted);
    MODEL_CHECK(model, PROPERTY, b->began <= 0 || b->began + cost <= (int64_t)b->budget,
                "TASK %s of '%s' costs %" PRIu64 ": with it %" PRId64 " of %" PRIu64
                " in this window", model_id_text(&task->id), task->service, task->cost,
                b->began + cost, b->budget);
}

/* When it had room, if nothing else began before. */
static uint64_t room_ms(const struct shadow_budget *b, uint64_t cost, uint64_t now_ms)
{
    struct shadow_budget later = *b;

    while (!shadow_budget_lets(&later, cost)) {
        now_ms = later.window_at_ms + later.window_ms;
        shadow_budget_pass(&later, now_ms);
    }
    return now_ms;
}

static void see_refusal(struct model *model, const struct fact *fact)
{
    const struct submit *submit = &model->event->message->submit;
    const struct shadow_service *service = model_service(model, submit->service);
    uint64_t in_ms;

    MODEL_CHECK(model, PROPERTY,
                service != NULL && service->policy.refuse == 1 &&
                    !shadow_budget_lets(&service->budget, submit->cost),
                "%s is refused for a budget that has room, or holds", model_id_text(&submit->id));
    in_ms = room_ms(&service->budget, submit->cost, model->now_ms) - model->now_ms;
    MODEL_CHECK(model, PROPERTY, fact->retry_after_ms == in_ms,
                "%s is refused for %" PRIu64 " ms, and has room in %" PRIu64,
                model_id_text(&submit->id), fact->retry_after_ms, in_ms);
    sometimes(SOMETIMES_BUDGET_REFUSED);
}

static void see_acceptance(struct model *model, const struct submit *submit)
{
    const struct shadow_service *service = model_service(model, submit->service);

    MODEL_CHECK(model, PROPERTY,
                service == NULL || service->policy.refuse == 0 ||
                    shadow_budget_lets(&service->budget, submit->cost),
                "%s, of %" PRIu64 ", is accepted by '%s', which refuses at %" PRIu64 " of %" PRIu64,
                model_id_text(&submit->id), submit->cost, service->name, service->budget.used,
                service->budget.budget);
}

static void on_fact(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task;

    if (fact->kind == FACT_SEND && fact->command == COMMAND_TASK) {
        task = model_task(model, &fact->id);
        if (task != NULL && task->home != NULL) {
            see_start(model, task);
        }
    } else if (fact->kind == FACT_SEND && fact->command == COMMAND_RESULT &&
               strcmp(fact->code, "budget_exhausted") == 0) {
        see_refusal(model, fact);
    } else if (fact->kind == FACT_MOVE && fact->from == SHADOW_NEW &&
               fact->to != SHADOW_WAITING && model_event_is(model, COMMAND_SUBMIT)) {
        see_acceptance(model, &model->event->message->submit);
    }
}

static void after(struct model *model, const struct broker *core)
{
    list_each(at, &model->services) {
        const struct shadow_service *service = list_entry(at, struct shadow_service, link);
        const struct list *first = list_first(&service->ready);

        if (first != NULL &&
            !shadow_budget_lets(&service->budget,
                                list_entry(first, struct shadow_task, ready_link)->cost)) {
            sometimes(SOMETIMES_BUDGET_HELD);
        }
    }
}

const struct checker check_budgets = {.property = PROPERTY, .fact = on_fact, .after = after};
