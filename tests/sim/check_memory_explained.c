/* The core's memory is what its state explains: its own invariants hold after every step (they
 * reckon every pool and every byte against the tasks, peers and offers there are), and without
 * tasks none is taken. */
#include "tests/sim/check.h"

#include <inttypes.h>

#define PROPERTY "memory_explained"

static void check_empty(struct model *model)
{
    const struct broker_stats *stats = &model->after;

    MODEL_CHECK(model, PROPERTY,
                stats->tasks > 0 || stats->retained > 0 || stats->remembered > 0 ||
                    stats->dead > 0 || stats->memory_bytes == 0,
                "no task is left, and %" PRIu64 " bytes are taken", stats->memory_bytes);
    MODEL_CHECK(model, PROPERTY,
                stats->ready + stats->delayed > 0 || stats->queued_bytes == 0,
                "nothing is queued, and %" PRIu64 " queued bytes are counted",
                stats->queued_bytes);
}

static void after(struct model *model, const struct broker *core)
{
    broker_check(core);
    check_empty(model);
}

static void rest(struct model *model, const struct broker *core)
{
    after(model, core);
    MODEL_CHECK(model, PROPERTY, model->after.tasks == 0, "at rest %" PRIu64 " tasks are left",
                model->after.tasks);
}

const struct checker check_memory_explained = {.property = PROPERTY, .after = after, .rest = rest};
