/* PROTOCOL.md, section 4.2: of the workers with room, a task goes to one that holds the fewest. */
#include "tests/sim/check.h"

#include <inttypes.h>

#define PROPERTY "least_loaded"
#define EXACT_LOAD_MAX 15 /* above, loads are told apart roughly: four steps a doubling */

static void see_choice(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_task(model, &fact->id);
    const struct shadow_session *session = model_session(model, fact->connection);
    const struct shadow_offer *chosen =
        task == NULL || session == NULL
            ? NULL
            : model_offer(model, session, span_from_text(task->service));

    if (chosen == NULL || chosen->held > EXACT_LOAD_MAX || model->ambiguous) {
        return;
    }
    list_each(at, &model->offers) {
        const struct shadow_offer *other = list_entry(at, struct shadow_offer, link);

        if (other->withdrawn || other->session->connection == 0 || other->session->draining ||
            other->held >= other->credit || strcmp(other->service, chosen->service) != 0) {
            continue;
        }
        MODEL_CHECK(model, PROPERTY, chosen->held <= other->held,
                    "%s goes to c%u, which holds %" PRIu64 ", while c%u holds %" PRIu64
                    " of credit %" PRIu64, model_id_text(&fact->id), fact->connection,
                    chosen->held, other->session->connection, other->held, other->credit);
    }
}

static void on_fact(struct model *model, const struct fact *fact)
{
    if (fact->kind == FACT_SEND && fact->command == COMMAND_TASK) {
        see_choice(model, fact);
    }
}

const struct checker check_least_loaded = {.property = PROPERTY, .fact = on_fact};
