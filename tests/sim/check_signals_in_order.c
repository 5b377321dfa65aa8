/* Signals reach the attempt that runs in the order in which they came, each once: those that
 * are kept right after its TASK, the others at once. */
#include "tests/sim/check.h"

#include "tests/sim/shadow_memo.h"
#include "tests/sim/shadow_stream.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>

#define PROPERTY "signals_in_order"

static void on_fact(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task;
    const struct shadow_session *holder;

    if (fact->kind != FACT_SEND || fact->command != COMMAND_SIGNAL_OUT) {
        return;
    }
    task = model_task(model, &fact->id);
    holder = task == NULL ? NULL : model_holder(model, task);
    MODEL_CHECK(model, PROPERTY,
                holder != NULL && holder->connection == fact->connection &&
                    task->state == SHADOW_LEASED && task->attempt == fact->attempt,
                "SIGNAL %s to c%u, which does not have it in attempt %" PRIu64,
                model_id_text(&fact->id), fact->connection, fact->attempt);
    MODEL_CHECK(model, PROPERTY, task->memo != NULL && task->memo->told < task->memo->count,
                "SIGNAL %s to c%u, which has had all that are kept", model_id_text(&fact->id),
                fact->connection);
    MODEL_CHECK(model, PROPERTY, task->memo->signals[task->memo->told].digest == fact->digest,
                "SIGNAL %s to c%u: not the one whose turn it is", model_id_text(&fact->id),
                fact->connection);
    sometimes(task->memo->told < task->memo->given ? SOMETIMES_SIGNAL_AGAIN
                                                   : SOMETIMES_SIGNAL_DELIVERED);
}

static void check_all_told(struct model *model, const struct shadow_task *task)
{
    if (task == NULL || task->memo == NULL || task->state != SHADOW_LEASED || task->starting) {
        return;
    }
    MODEL_CHECK(model, PROPERTY, task->memo->told == task->memo->count,
                "the worker of %s has had %u of %u signals", model_id_text(&task->id),
                task->memo->told, task->memo->count);
}

/* What a SIGNAL is answered with. */
static const char *answer(const struct model *model, uint64_t request)
{
    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];

        if (fact->kind == FACT_SEND && fact->connection == model->event->from &&
            (fact->command == COMMAND_ERROR ||
             (fact->command == COMMAND_REPLY && fact->request == request))) {
            return fact->code;
        }
    }
    return request == 0 ? "" : "nothing";
}

static void after_signal(struct model *model, const struct signal *signal)
{
    const struct shadow_task *task = model->subject;
    const char *told = answer(model, signal->request);
    bool unfit = !model->subject_live || task->state == SHADOW_CANCELLING ||
                 task->state == SHADOW_STORING;

    if (model_session(model, model->event->from) == NULL) {
        return;
    }
    MODEL_CHECK(model, PROPERTY,
                unfit ? strcmp(told, "not_found") == 0
                      : strcmp(told, "") == 0 || strcmp(told, "memory_full") == 0 ||
                            strcmp(told, task->home == NULL ? "unsupported"
                                                            : "limit_exceeded") == 0,
                "SIGNAL of %s, which is %s: answered '%s'", model_id_text(&signal->id),
                task == NULL ? "unknown" : shadow_state_name(task->state), told);
    if (told[0] == '\0' && task->state != SHADOW_LEASED) {
        sometimes(SOMETIMES_SIGNAL_KEPT);
    }
}

static void after(struct model *model, const struct broker *core)
{
    if (model_event_is(model, COMMAND_SIGNAL)) {
        after_signal(model, &model->event->message->signal);
        check_all_told(model, model->subject);
    }
    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];

        if (fact->kind == FACT_SEND && fact->command == COMMAND_TASK) {
            check_all_told(model, model_task(model, &fact->id));
        }
    }
}

const struct checker check_signals_in_order = {
    .property = PROPERTY, .fact = on_fact, .after = after};
