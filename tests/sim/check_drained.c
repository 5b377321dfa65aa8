/* What is drained takes nothing new: no TASK goes to a drained worker, and no task without a parent
 * is accepted by a drained service. (Nor by a drained broker: queues_bounded.) And nothing is
 * refused as `draining` unless somebody asked for it. */
#include "tests/sim/check.h"
#include "tests/sim/sometimes.h"

#include <string.h>

#define PROPERTY "drained"

static void see_task(struct model *model, const struct fact *fact)
{
    const struct shadow_session *session = model_taker(model, fact);

    MODEL_CHECK(model, PROPERTY, session == NULL || !session->draining,
                "TASK %s to c%u, which is drained", model_id_text(&fact->id), session->connection);
}

static void see_submit(struct model *model, const struct submit *submit, const struct fact *fact)
{
    const struct shadow_service *service = model_service(model, submit->service);
    bool draining = service != NULL && service->draining;
    /* Of a task with the same idempotency key, which is there already. */
    bool follows = submit->idempotency_key.size > 0 && fact->to == SHADOW_WAITING;

    if (fact->kind == FACT_MOVE && fact->from == SHADOW_NEW) {
        MODEL_CHECK(model, PROPERTY, !draining || follows || !id_is_nil(&submit->parent),
                    "a new task is accepted while '%s' is drained", service->name);
        if (draining && !follows) {
            sometimes(SOMETIMES_DRAINED_TAKES_CHILD);
        }
    } else if (fact->kind == FACT_SEND && fact->command == COMMAND_RESULT &&
               strcmp(fact->code, "draining") == 0) {
        MODEL_CHECK(model, PROPERTY, model->draining || draining,
                    "draining, and nobody has asked for it");
        if (!model->draining) {
            sometimes(SOMETIMES_SERVICE_DRAINED);
        }
    }
}

static void on_fact(struct model *model, const struct fact *fact)
{
    if (model_begins(model, fact) != NULL) {
        see_task(model, fact);
    }
    if (model_event_is(model, COMMAND_SUBMIT)) {
        see_submit(model, &model->event->message->submit, fact);
    }
}

const struct checker check_drained = {.property = PROPERTY, .fact = on_fact};
