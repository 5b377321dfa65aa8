/* Every failure that was asked to be kept is there, or counted as pushed out by the bound. */
#include "tests/sim/check.h"

#include <inttypes.h>

#define PROPERTY "dead"

static void after(struct model *model, const struct broker *core)
{
    const struct broker_stats *now = &model->after;

    MODEL_CHECK(model, PROPERTY, now->dead + now->dead_forgotten >= model->letters,
                "%" PRIu64 " dead letters and %" PRIu64 " forgotten, expected %" PRIu64,
                now->dead, now->dead_forgotten, model->letters);
    MODEL_CHECK(model, PROPERTY,
                now->dead <= model->core.dead_tasks && now->dead_bytes <= model->core.dead_bytes,
                "%" PRIu64 " dead letters of %" PRIu64 " bytes", now->dead, now->dead_bytes);
}

const struct checker check_dead = {.property = PROPERTY, .after = after};
