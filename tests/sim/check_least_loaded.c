/* PROTOCOL.md, section 4.2: a task that asks for a version goes to an offer of it; of those with room
 * to the one that served its affinity key last, or else to one that holds the fewest. */
#include "tests/sim/check.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>

#define PROPERTY "least_loaded"
#define EXACT_LOAD_MAX 15 /* above, loads are told apart roughly: four steps a doubling */

/* Served its affinity key last, has offered the service ever since, and has room. NULL: none. */
static const struct shadow_offer *nearest(const struct model *model,
                                          const struct shadow_task *task)
{
    if (task->near == 0 || task->home == NULL || task->home->near[task->near] == 0) {
        return NULL;
    }
    list_each(at, &model->offers) {
        const struct shadow_offer *offer = list_entry(at, struct shadow_offer, link);

        if (model_has_room(offer) && model_suits(offer, task) &&
            offer->near[task->near] == task->home->near[task->near]) {
            return offer;
        }
    }
    return NULL;
}

static void see_choice(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_task(model, &fact->id);
    const struct shadow_session *session = model_taker(model, fact);
    const struct shadow_offer *chosen =
        task == NULL || session == NULL
            ? NULL
            : model_offer(model, session, span_from_text(task->service));
    const struct shadow_offer *near;

    if (chosen == NULL || model->ambiguous) {
        return;
    }
    MODEL_CHECK(model, PROPERTY, model_suits(chosen, task),
                "%s asks for version '%s', and goes to c%u of '%s'", model_id_text(&fact->id),
                task->version, session->connection, chosen->version);
    if (task->version[0] != '\0') {
        sometimes(SOMETIMES_PINNED);
    }
    near = nearest(model, task);
    if (near != NULL) {
        sometimes(SOMETIMES_NEAR_PREFERRED);
        MODEL_CHECK(model, PROPERTY, near == chosen,
                    "%s goes to c%u, while c%u served its affinity key last and has room",
                    model_id_text(&fact->id), session->connection, near->session->connection);
        return;
    }
    if (chosen->held > EXACT_LOAD_MAX) {
        return;
    }
    list_each(at, &model->offers) {
        const struct shadow_offer *other = list_entry(at, struct shadow_offer, link);

        if (!model_has_room(other) || !model_suits(other, task)) {
            continue;
        }
        MODEL_CHECK(model, PROPERTY, chosen->held <= other->held,
                    "%s goes to c%u, which holds %" PRIu64 ", while c%u holds %" PRIu64
                    " of credit %" PRIu64, model_id_text(&fact->id), session->connection,
                    chosen->held, other->session->connection, other->held, other->credit);
    }
}

static void on_fact(struct model *model, const struct fact *fact)
{
    if (model_begins(model, fact) != NULL) {
        see_choice(model, fact);
    }
}

const struct checker check_least_loaded = {.property = PROPERTY, .fact = on_fact};
