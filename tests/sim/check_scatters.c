/* PROTOCOL.md, SUBMIT to all workers: each worker that is there gets a part, nobody else serves it
 * (that is least_loaded's), and when the worker's offer is gone it fails and waits for nobody. */
#include "tests/sim/check.h"
#include "tests/sim/shadow_scatter.h"
#include "tests/sim/sometimes.h"

#define PROPERTY "scatters"

static bool offer_there(const struct model *model, uint64_t number)
{
    list_each(at, &model->offers) {
        const struct shadow_offer *offer = list_entry(at, struct shadow_offer, link);

        if (offer->number == number && !offer->withdrawn) {
            return true;
        }
    }
    return false;
}

static size_t parts_made(const struct model *model)
{
    size_t count = 0;

    for (size_t i = 0; i < model->fact_count; i++) {
        count += model->facts[i].kind == FACT_MOVE && model->facts[i].from == SHADOW_NEW;
    }
    return count;
}

static void on_fact(struct model *model, const struct fact *fact)
{
    const struct submit *submit;
    size_t width;

    if (fact->kind != FACT_MOVE || fact->from != SHADOW_NEW ||
        !model_event_is(model, COMMAND_SUBMIT)) {
        return;
    }
    submit = &model->event->message->submit;
    if (submit->route != ROUTE_ALL || !id_equal(&submit->id, &fact->id)) {
        return;
    }
    sometimes(SOMETIMES_SCATTERED);
    width = shadow_scatter_width(model, submit);
    MODEL_CHECK(model, PROPERTY, parts_made(model) == width + 1,
                "%s goes to %zu workers, and %zu are there", model_id_text(&fact->id),
                parts_made(model) - 1, width);
}

static void after(struct model *model, const struct broker *core)
{
    (void)core;
    if (model->levels[SHADOW_READY] + model->levels[SHADOW_DELAYED] == 0) {
        return;
    }
    list_each(at, &model->tasks) {
        const struct shadow_task *task = list_entry(at, struct shadow_task, link);

        if (task->only != 0 && task->state == SHADOW_READY) {
            sometimes(SOMETIMES_PART_WAITED);
            MODEL_CHECK(model, PROPERTY, offer_there(model, task->only),
                        "%s is for a worker whose offer is gone", model_id_text(&task->id));
        }
    }
}

const struct checker check_scatters = {.property = PROPERTY, .fact = on_fact, .after = after};
