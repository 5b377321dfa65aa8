/* Of a budget, of a service, of a tenant there or of a tenant everywhere, no more is used than there
 * is: an attempt starts only when its declared cost has room beside all that is known by then, or
 * when nothing of the window is used. What is refused for a budget has no room, and is told in how
 * many milliseconds it would have. */
#include "tests/sim/check.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>

#define PROPERTY "budgets"

static void see_start(struct model *model, const struct shadow_task *task,
                      const struct shadow_budget *b)
{
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

/* When all rules that refuse have room for it; now, if they have. Of a service that nobody knows yet
 * (NULL) there are only the tenant's. */
static uint64_t admits_ms(const struct model *model, const struct shadow_service *service,
                          uint64_t cost)
{
    uint64_t latest_ms = model->now_ms;

    for (unsigned i = service != NULL ? 0 : SHADOW_WIDE; i < SHADOW_RULES; i++) {
        const struct shadow_rule *rule = model_rule(model, service, i);
        uint64_t at_ms = rule->values.refuse == 1 ? room_ms(&rule->budget, cost, model->now_ms)
                                                  : model->now_ms;

        latest_ms = at_ms > latest_ms ? at_ms : latest_ms;
    }
    return latest_ms;
}

static void see_refusal(struct model *model, const struct fact *fact)
{
    const struct submit *submit = &model->event->message->submit;
    const struct shadow_service *service = model_service(model, submit->service);
    uint64_t in_ms = admits_ms(model, service, submit->cost) - model->now_ms;

    if (service != NULL && service->keys != NULL && fact->retry_after_ms > in_ms) {
        return; /* by a rule of its key */
    }
    MODEL_CHECK(model, PROPERTY, in_ms > 0 && fact->retry_after_ms == in_ms,
                "%s is refused for %" PRIu64 " ms, and has room in %" PRIu64,
                model_id_text(&submit->id), fact->retry_after_ms, in_ms);
    sometimes(SOMETIMES_BUDGET_REFUSED);
}

static void see_acceptance(struct model *model, const struct submit *submit)
{
    const struct shadow_service *service = model_service(model, submit->service);
    uint64_t at_ms = admits_ms(model, service, submit->cost);

    MODEL_CHECK(model, PROPERTY, at_ms == model->now_ms,
                "%s, of %" PRIu64 ", is accepted, and a budget that refuses has room at %" PRIu64
                " ms", model_id_text(&submit->id), submit->cost, at_ms);
}

static void on_fact(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_begins(model, fact);

    if (task != NULL) {
        for (unsigned i = 0; task->home != NULL && i < SHADOW_RULES; i++) {
            see_start(model, task, &model_rule(model, task->home, i)->budget);
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

        for (unsigned i = 0; first != NULL && i < SHADOW_RULES; i++) {
            uint64_t cost = list_entry(first, struct shadow_task, ready_link)->cost;

            if (!shadow_budget_lets(&model_rule(model, service, i)->budget, cost)) {
                sometimes(i < SHADOW_WIDE ? SOMETIMES_BUDGET_HELD : SOMETIMES_WIDE_BUDGET_HELD);
            }
        }
    }
}

const struct checker check_budgets = {.property = PROPERTY, .fact = on_fact, .after = after};
