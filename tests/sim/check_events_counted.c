/* What a watcher was told and what it lost is all that happened, in sequence: it is told while it
 * has credit, each loss is counted in the next one that it is told, and every move of a task is
 * an event. */
#include "tests/sim/check.h"

#include "tests/sim/shadow_watch.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>

#define PROPERTY "events_counted"

static void see_event(struct model *model, const struct fact *fact)
{
    const struct shadow_watch *watch = model_watch(model, fact->connection, fact->request);
    uint64_t lost = 0;

    MODEL_CHECK(model, PROPERTY, watch != NULL && watch->credit > 0,
                "EVENT %s to c%u, which %s", fact->code, fact->connection,
                watch == NULL ? "does not watch" : "takes no more");
    lost = model->notes ? watch->lost : fact->lost;
    MODEL_CHECK(model, PROPERTY,
                fact->lost == lost && watch->told == NULL &&
                    fact->sequence == watch->sequence + 1 + (model->notes ? 0 : lost),
                "EVENT %s to c%u: sequence %" PRIu64 ", lost %" PRIu64 ", expected %" PRIu64
                " and %" PRIu64, fact->code, fact->connection, fact->sequence, fact->lost,
                watch->sequence + 1, lost);
    MODEL_CHECK(model, PROPERTY, id_is_nil(&watch->task) || id_equal(&watch->task, &fact->id),
                "EVENT %s of %s to c%u, which watches %s", fact->code, model_id_text(&fact->id),
                fact->connection, model_id_text(&watch->task));
    if (fact->lost > 0) {
        sometimes(SOMETIMES_EVENTS_LOST);
    }
}

static void see_note(struct model *model, const struct fact *note)
{
    list_each(at, &model->watches) {
        const struct shadow_watch *watch = list_entry(at, struct shadow_watch, link);
        bool told = watch->told != NULL && strcmp(watch->told->code, note->code) == 0 &&
                    id_equal(&watch->told->id, &note->id) &&
                    watch->told->attempt == note->attempt;

        if (shadow_watch_matches(watch, note)) {
            MODEL_CHECK(model, PROPERTY, told == (watch->credit > 0),
                        "%s of %s happened, and c%u, which takes %" PRIu64 " events, was%s told",
                        note->code, model_id_text(&note->id), watch->session->connection,
                        watch->credit, told ? "" : " not");
        }
    }
}

/* Every event up to `sequence` has been told, or is one of `lost`. */
static void see_standing(struct model *model, const struct fact *fact)
{
    const struct shadow_watch *watch = model_watch(model, fact->connection, fact->request);

    if (watch == NULL || fact->code[0] != '\0') {
        return;
    }
    MODEL_CHECK(model, PROPERTY,
                model->notes ? fact->sequence == watch->sequence && fact->lost == watch->lost
                             : fact->sequence == watch->sequence + fact->lost,
                "WATCH of c%u stands at %" PRIu64 " with %" PRIu64 " lost, expected %" PRIu64
                " and %" PRIu64, fact->connection, fact->sequence, fact->lost, watch->sequence,
                watch->lost);
}

static void on_fact(struct model *model, const struct fact *fact)
{
    if (fact->kind == FACT_NOTE) {
        see_note(model, fact);
    } else if (fact->kind == FACT_SEND && fact->command == COMMAND_EVENT) {
        see_event(model, fact);
    } else if (fact->kind == FACT_SEND && fact->command == COMMAND_REPLY &&
               model_event_is(model, COMMAND_WATCH)) {
        see_standing(model, fact);
    }
}

/* The kind that a move is told as; NULL: none. */
static const char *kind_of(const struct fact *move)
{
    static const char *const kinds[SHADOW_EXPIRED + 1] = {
        [SHADOW_LEASED] = "started", [SHADOW_DELAYED] = "delayed",
        [SHADOW_CANCELLING] = "cancelling", [SHADOW_DONE] = "done", [SHADOW_FAILED] = "failed",
        [SHADOW_CANCELLED] = "cancelled", [SHADOW_EXPIRED] = "expired"};

    return move->from == SHADOW_NEW ? "submitted" : kinds[move->to];
}

static unsigned count_noted(const struct model *model, const char *kind, const struct id *id)
{
    unsigned count = 0;

    for (size_t i = 0; i < model->fact_count; i++) {
        count += model->facts[i].kind == FACT_NOTE && strcmp(model->facts[i].code, kind) == 0 &&
                 id_equal(&model->facts[i].id, id);
    }
    return count;
}

static void after(struct model *model, const struct broker *core)
{
    for (size_t i = 0; model->notes && i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];
        const char *kind = fact->kind == FACT_MOVE ? kind_of(fact) : NULL;

        if (model->restoring && fact->from == SHADOW_NEW) {
            continue; /* it was told in its time */
        }
        MODEL_CHECK(model, PROPERTY, kind == NULL || count_noted(model, kind, &fact->id) == 1,
                    "%s moved, and %s was not told once", model_id_text(&fact->id), kind);
    }
    list_each(at, &model->watches) {
        const struct shadow_watch *watch = list_entry(at, struct shadow_watch, link);

        MODEL_CHECK(model, PROPERTY, watch->told == NULL,
                    "c%u was told of what did not happen", watch->session->connection);
    }
}

const struct checker check_events_counted = {
    .property = PROPERTY, .fact = on_fact, .after = after};
