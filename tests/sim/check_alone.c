/* An offer that is exclusive is its service's only one: as long as there is another's, withdrawn
 * ones aside, one of the two is refused, `conflict`, if either is exclusive; and no other is. */
#include "tests/sim/check.h"
#include "tests/sim/shadow.h"
#include "tests/sim/sometimes.h"

#include <string.h>

#define PROPERTY "alone"

/* NULL: nobody else offers it. One exclusive offer is alone, so any will do. */
static const struct shadow_offer *offer_of_another(const struct model *model,
                                                   const struct shadow_session *session,
                                                   struct span service)
{
    list_each(at, &model->offers) {
        const struct shadow_offer *offer = list_entry(at, struct shadow_offer, link);

        if (offer->session != session && !offer->withdrawn && span_is(service, offer->service)) {
            return offer;
        }
    }
    return NULL;
}

static void after(struct model *model, const struct broker *core)
{
    const struct shadow_session *session = model_session(model, model->event->from);
    const struct offer_message *message;
    const struct shadow_offer *other;
    const char *code;
    bool refused;

    if (session == NULL || !model_event_is(model, COMMAND_OFFER)) {
        return;
    }
    message = &model->event->message->offer;
    other = offer_of_another(model, session, message->service);
    code = shadow_error_told(model);
    refused = code != NULL && strcmp(code, "conflict") == 0;
    if (other == NULL || !(message->exclusive || other->exclusive)) {
        MODEL_CHECK(model, PROPERTY, !refused, "OFFER of c%u is refused, and nobody is in its way",
                    model->event->from);
        return;
    }
    MODEL_CHECK(model, PROPERTY, refused, "OFFER of c%u%s beside one of c%u%s: not refused",
                model->event->from, message->exclusive ? ", exclusive," : "",
                other->session->connection, other->exclusive ? ", exclusive" : "");
    sometimes(message->exclusive ? SOMETIMES_OTHER_REFUSES_ALONE : SOMETIMES_ALONE_REFUSES_OTHER);
}

const struct checker check_alone = {.property = PROPERTY, .after = after};
