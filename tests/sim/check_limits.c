/* Limits hold: a TASK never makes more of a service's tasks leased than its concurrency, and never
 * more starts in any time than burst + rate * time. */
#include "tests/sim/check.h"

#include <inttypes.h>

#define PROPERTY "limits"

static uint64_t leased(const struct model *model, const struct shadow_service *service)
{
    uint64_t count = 0;

    list_each(at, &model->tasks) {
        const struct shadow_task *task = list_entry(at, struct shadow_task, link);

        count += task->home == service && task->state == SHADOW_LEASED;
    }
    return count;
}

static void check_rate(struct model *model, struct shadow_service *service)
{
    const struct limit_values *policy = &service->policy;
    uint64_t count;

    service->starts[service->start_count++ % SHADOW_STARTS] = model->now_ms;
    count = service->start_count < SHADOW_STARTS ? service->start_count : SHADOW_STARTS;
    for (uint64_t starts = 1; starts <= count; starts++) {
        uint64_t since_ms = service->starts[(service->start_count - starts) % SHADOW_STARTS];

        MODEL_CHECK(model, PROPERTY,
                    starts * policy->rate_ms <= policy->burst * policy->rate_ms +
                                                    policy->rate * (model->now_ms - since_ms + 1),
                    "%" PRIu64 " starts of '%s' since %" PRIu64 " ms at %" PRIu64 " in %" PRIu64
                    " ms and a burst of %" PRIu64, starts, service->name, since_ms, policy->rate,
                    policy->rate_ms, policy->burst);
    }
}

static void on_fact(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task;
    struct shadow_service *service;

    if (fact->kind != FACT_SEND || fact->command != COMMAND_TASK) {
        return;
    }
    task = model_task(model, &fact->id);
    service = task != NULL ? task->home : NULL;
    if (service == NULL || !service->policed) {
        return;
    }
    MODEL_CHECK(model, PROPERTY,
                service->policy.concurrency == 0 ||
                    leased(model, service) <= service->policy.concurrency,
                "TASK %s: %" PRIu64 " tasks of '%s' are leased at a concurrency of %" PRIu64,
                model_id_text(&fact->id), leased(model, service), service->name,
                service->policy.concurrency);
    if (service->policy.rate > 0) {
        check_rate(model, service);
    }
}

const struct checker check_limits = {.property = PROPERTY, .fact = on_fact};
