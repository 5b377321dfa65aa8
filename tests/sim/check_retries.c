/* An attempt that failed is followed by another only if its task's codes allow that, and not
 * before nor after its backoff: full jitter lies in (0, min(ceiling, base * 2^n)]. */
#include "tests/sim/check.h"

#include "tests/sim/shadow.h"

#include <inttypes.h>

#define PROPERTY "retries"

static void on_fact(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = fact->kind == FACT_MOVE ? model_task(model, &fact->id) : NULL;
    struct span code;

    if (task == NULL || fact->from == SHADOW_NEW) {
        return;
    }
    if (fact->from == SHADOW_DELAYED && fact->to == SHADOW_READY) {
        MODEL_CHECK(model, PROPERTY,
                    model->now_ms >= task->delayed_from_ms &&
                        model->now_ms <= task->delayed_until_ms,
                    "%s is ready, expected between %" PRIu64 " and %" PRIu64 " ms",
                    model_id_text(&fact->id), task->delayed_from_ms, task->delayed_until_ms);
    }
    if (fact->from == SHADOW_LEASED &&
        (fact->to == SHADOW_READY || fact->to == SHADOW_DELAYED)) {
        code = shadow_failure_code(model, task);
        MODEL_CHECK(model, PROPERTY, !shadow_codes_name(task->final_on, code),
                    "%s is tried again after '%.*s', which is final for it",
                    model_id_text(&fact->id), (int)code.size, (const char *)code.data);
    }
}

const struct checker check_retries = {.property = PROPERTY, .fact = on_fact};
