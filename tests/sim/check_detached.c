/* A detached task is not cancelled because its submitter is gone, and while nothing was pushed
 * out, its outcome answers as long as its retention says. */
#include "tests/sim/check.h"

#include <inttypes.h>

#define PROPERTY "detached"

static void on_fact(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = fact->kind == FACT_MOVE ? model_task(model, &fact->id) : NULL;

    if (task == NULL || !task->detached ||
        (fact->aim != SHADOW_CANCELLING && fact->aim != SHADOW_CANCELLED) ||
        fact->from == SHADOW_STORING) {
        return;
    }
    MODEL_CHECK(model, PROPERTY,
                fact->from == SHADOW_CANCELLING || task->needed ||
                    (model_event_is(model, COMMAND_CANCEL) && model->subject == task),
                "%s is detached, and was cancelled by nobody", model_id_text(&fact->id));
}

static void after(struct model *model, const struct broker *core)
{
    uint64_t remembered = 0;

    if (model->after.remembered_forgotten > 0 || model->now_ms == model->previous_ms) {
        return;
    }
    list_each(at, &model->ended) {
        const struct shadow_task *task = list_entry(at, struct shadow_task, link);

        remembered += task->detached && !task->needed && task->retain_ms > 0 &&
                      model->now_ms < task->ended_ms + task->retain_ms;
    }
    MODEL_CHECK(model, PROPERTY, model->after.remembered >= remembered,
                "%" PRIu64 " outcomes are kept, expected at least %" PRIu64,
                model->after.remembered, remembered);
}

const struct checker check_detached = {.property = PROPERTY, .fact = on_fact, .after = after};
