/* Credit is never exceeded and never negative: a TASK goes to a session that is here, offers the
 * service and holds fewer tasks of it than its credit. At rest nobody holds anything. (That
 * nothing is freed twice, the model CHECKs where it counts.) */
#include "tests/sim/check.h"
#include "tests/sim/shadow.h"

#include <inttypes.h>

#define PROPERTY "credit_kept"

/* What was given to a worker before comes to nobody else; what was not is not known. */
static void see_unknown(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task;
    const struct shadow_lease *lease;

    if (fact->kind != FACT_SEND || fact->command != COMMAND_TASK) {
        return;
    }
    task = model_task(model, &fact->id);
    MODEL_CHECK(model, PROPERTY, task != NULL, "TASK %s to c%u: never accepted",
                model_id_text(&fact->id), fact->connection);
    lease = shadow_lease_of(model, task);
    MODEL_CHECK(model, PROPERTY,
                lease != NULL && lease->offer->session->connection == fact->connection,
                "TASK %s to c%u, and another worker was chosen", model_id_text(&fact->id),
                fact->connection);
}

static void on_fact(struct model *model, const struct fact *fact)
{
    const struct shadow_session *session;
    const struct shadow_task *task;
    const struct shadow_offer *offer;

    if (model_begins(model, fact) == NULL) {
        see_unknown(model, fact);
        return;
    }
    session = model_taker(model, fact);
    task = model_task(model, &fact->id);
    MODEL_CHECK(model, PROPERTY, session != NULL, "TASK %s to c%u: no session there",
                model_id_text(&fact->id), fact->connection);
    offer = model_offer(model, session, span_from_text(task->service));
    MODEL_CHECK(model, PROPERTY, offer != NULL, "TASK %s to c%u, which does not offer '%s'",
                model_id_text(&fact->id), session->connection, task->service);
    MODEL_CHECK(model, PROPERTY, offer->held < offer->credit || model->ambiguous,
                "TASK %s to c%u, which holds %" PRIu64 " of credit %" PRIu64 " of '%s'",
                model_id_text(&fact->id), session->connection, offer->held, offer->credit,
                task->service);
}

static void rest(struct model *model, const struct broker *core)
{
    list_each(at, &model->leases) {
        const struct shadow_lease *lease = list_entry(at, struct shadow_lease, link);

        MODEL_CHECK(model, PROPERTY, lease->twin,
                    "at rest c%u still holds %s, attempt %" PRIu64,
                    lease->offer->session->connection, model_id_text(&lease->task),
                    lease->attempt);
    }
}

const struct checker check_credit_kept = {.property = PROPERTY, .fact = on_fact, .rest = rest};
