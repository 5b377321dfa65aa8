#include "tests/sim/shadow_memo.h"

#include "common/check.h"
#include "tests/sim/shadow.h"

#include <stdlib.h>
#include <string.h>

static struct shadow_memo *memo_of(struct shadow_task *task)
{
    if (task->memo == NULL) {
        task->memo = calloc(1, sizeof *task->memo);
        CHECK(task->memo != NULL);
    }
    return task->memo;
}

void shadow_memo_restore(struct shadow_task *task, uint64_t checkpoint)
{
    if (checkpoint != 0) {
        memo_of(task)->checkpoint = checkpoint;
    }
}

/* The step's message was answered with an error. */
static bool refused(const struct model *model)
{
    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];

        if (fact->kind == FACT_SEND && fact->connection == model->event->from &&
            (fact->command == COMMAND_ERROR ||
             (fact->command == COMMAND_REPLY && fact->code[0] != '\0'))) {
            return true;
        }
    }
    return false;
}

static uint64_t bytes_kept(const struct shadow_memo *memo)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < memo->count; i++) {
        bytes += memo->signals[i].bytes;
    }
    return bytes;
}

/* What some attempt has had makes room for what comes. */
static void signal_add(struct model *model, struct shadow_memo *memo, struct span payload)
{
    while (memo->count == SIGNALS_MAX || bytes_kept(memo) + payload.size > SIGNALS_BYTES_MAX) {
        MODEL_CHECK(model, "signals_in_order", memo->given > 0,
                    "a signal is taken, and %u that no attempt has had make room", memo->count);
        memo->count--;
        memo->given--;
        memo->told -= memo->told > 0;
        memmove(memo->signals, memo->signals + 1, memo->count * sizeof *memo->signals);
    }
    memo->signals[memo->count].digest = fact_digest(payload);
    memo->signals[memo->count].bytes = payload.size;
    memo->count++;
}

void shadow_memo_event(struct model *model)
{
    struct shadow_task *task = model->subject;

    if (task == NULL || refused(model)) {
        return;
    }
    if (model_event_is(model, COMMAND_SIGNAL)) {
        signal_add(model, memo_of(task), model->event->message->signal.payload.bytes);
    } else if (model_event_is(model, COMMAND_CHECKPOINT) && model->current &&
               task->state == SHADOW_LEASED) {
        memo_of(task)->checkpoint =
            fact_digest(model->event->message->checkpoint.payload.bytes);
    }
}

void shadow_memo_fact(struct model *model, const struct fact *fact)
{
    struct shadow_task *task = model_task(model, &fact->id);

    if (task == NULL || task->memo == NULL) {
        return;
    }
    if (fact->kind == FACT_SEND && fact->command == COMMAND_TASK) {
        task->memo->told = 0;
    } else if (fact->kind == FACT_SEND && fact->command == COMMAND_SIGNAL_OUT) {
        task->memo->told++;
        if (task->memo->given < task->memo->told) {
            task->memo->given = task->memo->told;
        }
    }
}
