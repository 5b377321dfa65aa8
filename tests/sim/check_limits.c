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

/* For sure: to a nanosecond a start. */
static bool rate_lets(const struct model *model, const struct shadow_service *service)
{
    const struct limit_values *policy = &service->policy;
    uint64_t count = service->start_count < SHADOW_STARTS ? service->start_count : SHADOW_STARTS;

    if (policy->rate == 0) {
        return true;
    }
    for (uint64_t starts = 1; starts <= count; starts++) {
        uint64_t since_ms = service->starts[(service->start_count - starts) % SHADOW_STARTS];

        if ((starts + 1) * policy->rate_ms + policy->rate >
            policy->burst * policy->rate_ms + policy->rate * (model->now_ms - since_ms)) {
            return false;
        }
    }
    return count < SHADOW_STARTS; /* nobody remembers more */
}

static bool gate_lets(const struct model *model, const struct shadow_service *service)
{
    const struct shadow_gate *gate = &service->gate;

    return gate->state == SHADOW_GATE_CLOSED ||
           (gate->state > SHADOW_GATE_OPEN &&
            model_running(model, service, gate->epoch_ms) < gate->least);
}

bool check_limits_let(const struct model *model, const struct shadow_service *service)
{
    list_each(at, &service->ready) {
        const struct shadow_task *task = list_entry(at, struct shadow_task, ready_link);

        if (!shadow_budget_lets(&service->budget, task->cost)) {
            return false; /* the others may have to wait for it */
        }
    }
    return gate_lets(model, service) && rate_lets(model, service) &&
           (service->policy.concurrency == 0 ||
            model_running(model, service, 0) < service->policy.concurrency);
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
    if (service == NULL) {
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
