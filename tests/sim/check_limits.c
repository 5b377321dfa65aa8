/* Limits hold, those of a service, of a tenant there and of a tenant everywhere: a TASK never makes
 * more tasks leased than a concurrency, and never more starts in any time than burst + rate * time. */
#include "tests/sim/check.h"

#include <inttypes.h>

#define PROPERTY "limits"

static const char *name_of(const struct shadow_service *service, unsigned index)
{
    return index < SHADOW_WIDE ? service->name : "*";
}

/* The task is about to be in hands. */
static void see_concurrency(struct model *model, const struct shadow_task *task, unsigned index)
{
    uint64_t most = model_rule(model, task->home, index)->values.concurrency;
    uint64_t leased = model_rule_use(model, task->home, index) + 1;

    MODEL_CHECK(model, PROPERTY, most == 0 || leased <= most,
                "TASK %s: %" PRIu64 " tasks of '%s' are leased at a concurrency of %" PRIu64,
                model_id_text(&task->id), leased, name_of(task->home, index), most);
}

static void see_rate(struct model *model, const struct shadow_service *service, unsigned index)
{
    const struct shadow_rule *rule = model_rule(model, service, index);
    const struct limit_values *v = &rule->values;
    uint64_t count, since_ms;

    MODEL_CHECK(model, PROPERTY,
                v->rate == 0 || shadow_rule_paced(rule, model->now_ms, &count, &since_ms),
                "%" PRIu64 " starts of '%s' since %" PRIu64 " ms at %" PRIu64 " in %" PRIu64
                " ms and a burst of %" PRIu64, count, name_of(service, index), since_ms, v->rate,
                v->rate_ms, v->burst);
}

static bool gate_lets(const struct model *model, const struct shadow_service *service)
{
    const struct shadow_gate *gate = &service->gate;

    return gate->state == SHADOW_GATE_CLOSED ||
           (gate->state > SHADOW_GATE_OPEN &&
            model_running(model, service, gate->epoch_ms) < gate->least);
}

static bool rule_lets(const struct model *model, const struct shadow_service *service,
                      unsigned index)
{
    const struct shadow_rule *rule = model_rule(model, service, index);

    list_each(at, &service->ready) {
        const struct shadow_task *task = list_entry(at, struct shadow_task, ready_link);

        if (!shadow_budget_lets(&rule->budget, task->cost)) {
            return false; /* the others may have to wait for it */
        }
    }
    return shadow_rule_rate_lets(rule, model->now_ms) &&
           (rule->values.concurrency == 0 ||
            model_rule_use(model, service, index) < rule->values.concurrency);
}

bool check_limits_let(const struct model *model, const struct shadow_service *service)
{
    for (unsigned i = 0; i < SHADOW_RULES; i++) {
        if (!rule_lets(model, service, i)) {
            return false;
        }
    }
    return gate_lets(model, service);
}

static const struct shadow_task *started(const struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_begins(model, fact);

    return task != NULL && task->home != NULL ? task : NULL;
}

static void on_fact(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = started(model, fact);

    for (unsigned i = 0; task != NULL && i < SHADOW_RULES; i++) {
        see_concurrency(model, task, i);
    }
}

/* The shadows know of the starts by now. */
static void after(struct model *model, const struct broker *core)
{
    for (size_t i = 0; i < model->fact_count; i++) {
        const struct shadow_task *task = started(model, &model->facts[i]);

        for (unsigned k = 0; task != NULL && k < SHADOW_RULES; k++) {
            see_rate(model, task->home, k);
        }
    }
}

const struct checker check_limits = {.property = PROPERTY, .fact = on_fact, .after = after};
