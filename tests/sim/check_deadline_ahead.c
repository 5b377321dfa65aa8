/* The next deadline is never in the past: a broker that asked to be woken then would spin. */
#include "tests/sim/check.h"

#include <inttypes.h>

#define PROPERTY "deadline_ahead"

static void after(struct model *model, const struct broker *core)
{
    uint64_t at_ms = broker_deadline(core);

    MODEL_CHECK(model, PROPERTY, at_ms >= model->now_ms, "the next deadline is %" PRIu64 " ms",
                at_ms);
    /* Nor is it for ever `now`: time itself must have been worked off. */
    MODEL_CHECK(model, PROPERTY, at_ms > model->now_ms || model->event->kind != EVENT_TICK,
                "after a tick the next deadline is now");
}

const struct checker check_deadline_ahead = {.property = PROPERTY, .after = after};
