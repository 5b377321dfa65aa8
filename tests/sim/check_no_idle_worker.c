/* An idle worker and a ready task never coexist: after a step, no session that is here, offers a
 * service and holds less than its credit sees a ready task of that service that may go to it, unless
 * a task of its ordering key, a rule, or the service's gate holds that back. */
#include "tests/sim/check.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>

#define PROPERTY "no_idle_worker"

static bool any_may_start(const struct model *model, const struct shadow_service *service,
                          const struct shadow_offer *offer)
{
    struct shadow_key_uses uses;

    if (service->keys != NULL) {
        shadow_key_count(model, &uses);
    }
    list_each(at, &service->ready) {
        const struct shadow_task *task = list_entry(at, struct shadow_task, ready_link);

        if (!model_suits(offer, task)) {
            sometimes(SOMETIMES_PIN_WAITED);
        } else if (service->keys != NULL && !shadow_key_lets(model, &uses, task)) {
            sometimes(SOMETIMES_KEY_HELD);
        } else if (check_lane_lets(model, task)) {
            return true;
        }
    }
    return false;
}

static void after(struct model *model, const struct broker *core)
{
    if (model->levels[SHADOW_READY] == 0 || model->ambiguous) {
        return;
    }
    list_each(at, &model->offers) {
        const struct shadow_offer *offer = list_entry(at, struct shadow_offer, link);
        const struct shadow_service *service;

        if (!model_has_room(offer)) {
            continue;
        }
        service = model_service(model, span_from_text(offer->service));
        MODEL_CHECK(model, PROPERTY, service == NULL || !any_may_start(model, service, offer) ||
                        !check_limits_let(model, service),
                    "c%u holds %" PRIu64 " of credit %" PRIu64 " of '%s', and %" PRIu64
                    " tasks are ready", offer->session->connection, offer->held, offer->credit,
                    offer->service, service->ready_count);
    }
}

const struct checker check_no_idle_worker = {.property = PROPERTY, .after = after};
