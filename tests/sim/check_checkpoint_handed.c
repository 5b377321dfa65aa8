/* Every attempt is handed the last checkpoint that was taken from one before it; an attempt's
 * own, a refused and an old one never. */
#include "tests/sim/check.h"

#include "tests/sim/shadow_memo.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>

#define PROPERTY "checkpoint_handed"

static void on_fact(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task;
    uint64_t kept;

    if (fact->kind != FACT_SEND || fact->command != COMMAND_TASK) {
        return;
    }
    task = model_task(model, &fact->id);
    kept = task == NULL || task->memo == NULL ? 0 : task->memo->checkpoint;
    MODEL_CHECK(model, PROPERTY, fact->digest == kept,
                "TASK %s, attempt %" PRIu64 ", carries %s checkpoint", model_id_text(&fact->id),
                fact->attempt,
                fact->digest == 0 ? "no"
                : kept == 0       ? "a"
                                  : "another");
    if (kept != 0) {
        sometimes(SOMETIMES_CHECKPOINT_HANDED);
    }
}

static void after(struct model *model, const struct broker *core)
{
    bool taken = model_event_is(model, COMMAND_CHECKPOINT) && model->current &&
                 model->subject->state == SHADOW_LEASED;
    bool refused = false;

    for (size_t i = 0; i < model->fact_count; i++) {
        refused = refused || (model->facts[i].kind == FACT_SEND &&
                              model->facts[i].command == COMMAND_ERROR);
    }
    MODEL_CHECK(model, PROPERTY,
                model->restoring ||
                    model->after.checkpoints - model->before.checkpoints == (taken && !refused),
                "%" PRIu64 " checkpoints were taken in one step",
                model->after.checkpoints - model->before.checkpoints);
}

const struct checker check_checkpoint_handed = {
    .property = PROPERTY, .fact = on_fact, .after = after};
