#include "tests/sim/shadow_rule.h"

void shadow_rule_set(struct shadow_rule *rule, const struct limit_values *said, uint64_t now_ms)
{
    struct limit_values *values = &rule->values, before = rule->values;

#define VALUE(name, max) values->name = said->name != LIMIT_UNCHANGED ? said->name : values->name;
    LIMIT_VALUES(VALUE)
#undef VALUE
    if (values->rate != before.rate || values->rate_ms != before.rate_ms ||
        values->burst != before.burst) {
        rule->start_count = 0; /* with a full burst */
    }
    shadow_budget_set(&rule->budget, values->budget, values->budget_ms, now_ms);
}

bool shadow_rule_any(const struct limit_values *values)
{
    uint64_t any = 0;

#define VALUE(name, max) any |= values->name != LIMIT_UNCHANGED ? values->name : 0;
    LIMIT_VALUES(VALUE)
#undef VALUE
    return any != 0;
}

void shadow_rule_start(struct shadow_rule *rule, uint64_t cost, uint64_t now_ms)
{
    if (rule->values.rate > 0) {
        rule->starts[rule->start_count++ % SHADOW_STARTS] = now_ms;
    }
    if (rule->budget.budget > 0) {
        shadow_budget_take(&rule->budget, cost, now_ms);
    }
}

static uint64_t known_starts(const struct shadow_rule *rule)
{
    return rule->start_count < SHADOW_STARTS ? rule->start_count : SHADOW_STARTS;
}

static uint64_t start_ms(const struct shadow_rule *rule, uint64_t back)
{
    return rule->starts[(rule->start_count - back) % SHADOW_STARTS];
}

bool shadow_rule_paced(const struct shadow_rule *rule, uint64_t now_ms, uint64_t *count,
                       uint64_t *since_ms)
{
    const struct limit_values *v = &rule->values;

    for (*count = 1; *count <= known_starts(rule); ++*count) {
        *since_ms = start_ms(rule, *count);
        if (*count * v->rate_ms > v->burst * v->rate_ms + v->rate * (now_ms - *since_ms + 1)) {
            return false;
        }
    }
    return true;
}

bool shadow_rule_rate_lets(const struct shadow_rule *rule, uint64_t now_ms)
{
    const struct limit_values *v = &rule->values;

    for (uint64_t starts = 1; v->rate > 0 && starts <= known_starts(rule); starts++) {
        if ((starts + 1) * v->rate_ms + v->rate >
            v->burst * v->rate_ms + v->rate * (now_ms - start_ms(rule, starts))) {
            return false;
        }
    }
    return v->rate == 0 || known_starts(rule) < SHADOW_STARTS; /* nobody remembers more */
}
