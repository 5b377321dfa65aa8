/* A refusal has no side effect: a refused SUBMIT leaves no trace, and what is answered with
 * ERROR has changed nothing; who watches is told. What may differ: the counters of refusals, and ended tasks
 * that were forgotten to make room. */
#include "tests/sim/check.h"

#include <inttypes.h>

#define PROPERTY "refusals_change_nothing"

static const struct fact *find_refusal(const struct model *model)
{
    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];

        if (fact->kind == FACT_SEND &&
            (fact->command == COMMAND_ERROR ||
             (fact->command == COMMAND_RESULT && fact->outcome == OUTCOME_REFUSED))) {
            return fact;
        }
    }
    return NULL;
}

static void check_level(struct model *model, const struct fact *refusal, const char *name,
                        uint64_t before, uint64_t after)
{
    MODEL_CHECK(model, PROPERTY, before == after,
                "%s %s changed %s from %" PRIu64 " to %" PRIu64, command_name(refusal->command),
                refusal->code, name, before, after);
}

static void after(struct model *model, const struct broker *core)
{
    const struct broker_stats *before = &model->before, *now = &model->after;
    const struct fact *refusal = find_refusal(model);

    /* A garbled answer of a task that the session holds is an ERROR, and ends it. */
    if (refusal == NULL || (model->event->kind == EVENT_MALFORMED && model->answered) ||
        model->chunk_code != NULL || model->returned) {
        return; /* so does a CHUNK that cannot be taken; and who is back may get something */
    }
    for (size_t i = 0; i < model->fact_count; i++) {
        if (model->facts[i].kind == FACT_NOTE ||
            (model->facts[i].kind == FACT_SEND && model->facts[i].command == COMMAND_EVENT)) {
            continue; /* somebody watches */
        }
        if (model->facts[i].kind == FACT_RECORD && model->facts[i].what == STORE_FORGET) {
            continue; /* to make room */
        }
        MODEL_CHECK(model, PROPERTY, &model->facts[i] == refusal,
                    "%s %s is not all that the step did", command_name(refusal->command),
                    refusal->code);
    }
    check_level(model, refusal, "done", before->done, now->done);
    check_level(model, refusal, "failed", before->failed, now->failed);
    check_level(model, refusal, "cancelled", before->cancelled, now->cancelled);
    check_level(model, refusal, "expired", before->expired, now->expired);
    check_level(model, refusal, "attempts", before->attempts, now->attempts);
    check_level(model, refusal, "retries", before->retries, now->retries);
    check_level(model, refusal, "peers", before->peers, now->peers);
    check_level(model, refusal, "services", before->services, now->services);
    check_level(model, refusal, "offers", before->offers, now->offers);
    check_level(model, refusal, "tasks", before->tasks, now->tasks);
    check_level(model, refusal, "waiting", before->waiting, now->waiting);
    check_level(model, refusal, "delayed", before->delayed, now->delayed);
    check_level(model, refusal, "ready", before->ready, now->ready);
    check_level(model, refusal, "leased", before->leased, now->leased);
    check_level(model, refusal, "cancelling", before->cancelling, now->cancelling);
    check_level(model, refusal, "queued_bytes", before->queued_bytes, now->queued_bytes);
    /* A forgotten join gives its needs to retention: the count may stay, the bytes never grow. */
    MODEL_CHECK(model, PROPERTY, now->memory_bytes <= before->memory_bytes,
                "%s %s took memory: %" PRIu64 " bytes became %" PRIu64,
                command_name(refusal->command), refusal->code, before->memory_bytes,
                now->memory_bytes);
}

const struct checker check_refusals_change_nothing = {.property = PROPERTY, .after = after};
