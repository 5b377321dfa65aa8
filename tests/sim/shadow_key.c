#include "tests/sim/shadow_key.h"

#include "tests/sim/model.h"

#define NS_PER_MS 1000000ULL

int shadow_key_of(const struct shadow_task *task)
{
    bool named = task->key[0] == 'k' && task->key[1] >= '1' && task->key[1] <= '3' &&
                 task->key[2] == '\0';

    return named ? task->key[1] - '1' : -1;
}

bool shadow_key_same(const struct shadow_task *a, const struct shadow_task *b)
{
    return a->home == b->home && strcmp(a->key, b->key) == 0 &&
           (a->key[0] != '\0' || id_equal(&a->session, &b->session));
}

static struct shadow_rate rate_of(const struct limit_values *values)
{
    struct shadow_rate rate = {0, 0};

    if (values->rate > 0) {
        rate.interval_ns = (values->rate_ms * NS_PER_MS + values->rate - 1) / values->rate;
        rate.tolerance_ns = (values->burst - 1) * rate.interval_ns;
    }
    return rate;
}

void shadow_keys_set(struct model *model, struct shadow_keys *keys, unsigned rule,
                     const struct limit_values *values)
{
    struct shadow_rate rate = rate_of(values);
    bool changed = rate.interval_ns != keys->rates[rule].interval_ns ||
                   rate.tolerance_ns != keys->rates[rule].tolerance_ns;

    for (unsigned key = 0; key < SHADOW_KEYS; key++) {
        if (rule == SHADOW_KEYS || rule == key) {
            keys->spend[key][rule == SHADOW_KEYS] = (struct shadow_spend){0, false, 0};
        }
    }
    keys->rules[rule] = *values;
    keys->rates[rule] = rate;
    keys->changed = ++model->orders;
    for (unsigned key = 0; changed && key < SHADOW_KEYS; key++) {
        if (rule == SHADOW_KEYS || rule == key) {
            keys->arrival_ns[key][rule == SHADOW_KEYS] = 0;
        }
    }
}

uint64_t shadow_key_weight(const struct shadow_keys *keys, unsigned key)
{
    return keys->rules[key].weight > 0           ? keys->rules[key].weight
           : keys->rules[SHADOW_KEYS].weight > 0 ? keys->rules[SHADOW_KEYS].weight
                                                 : 1;
}

static bool binds(const struct limit_values *rule)
{
    return rule->concurrency > 0 || rule->rate > 0 || rule->budget > 0;
}

bool shadow_key_bound(const struct shadow_keys *keys, int key)
{
    return binds(&keys->rules[SHADOW_KEYS]) || (key >= 0 && binds(&keys->rules[key]));
}

static bool rate_lets(const struct shadow_rate *rate, uint64_t arrival_ns, uint64_t now_ms)
{
    return rate->interval_ns == 0 || arrival_ns <= rate->tolerance_ns ||
           (arrival_ns - rate->tolerance_ns) / NS_PER_MS <= now_ms;
}

bool shadow_key_rates_let(const struct shadow_keys *keys, unsigned key, uint64_t now_ms)
{
    return rate_lets(&keys->rates[key], keys->arrival_ns[key][0], now_ms) &&
           rate_lets(&keys->rates[SHADOW_KEYS], keys->arrival_ns[key][1], now_ms);
}

static void rate_take(const struct shadow_rate *rate, uint64_t *arrival_ns, uint64_t now_ms)
{
    uint64_t now_ns = now_ms * NS_PER_MS;

    *arrival_ns = (*arrival_ns > now_ns ? *arrival_ns : now_ns) + rate->interval_ns;
}

/* Whatever the moments at which windows began, no more of them fit the time. */
static bool budget_lets(const struct limit_values *rule, const struct shadow_spend *spend,
                        uint64_t cost, uint64_t now_ms)
{
    int64_t budget = (int64_t)rule->budget, granted;

    if (budget == 0 || !spend->began) {
        return true;
    }
    granted = budget * (int64_t)((now_ms - spend->since_ms) / rule->budget_ms + 1);
    return spend->total + (int64_t)cost <= granted || spend->total <= granted - budget;
}

bool shadow_key_budgets_let(const struct shadow_keys *keys, unsigned key, uint64_t cost,
                            uint64_t now_ms)
{
    return budget_lets(&keys->rules[key], &keys->spend[key][0], cost, now_ms) &&
           budget_lets(&keys->rules[SHADOW_KEYS], &keys->spend[key][1], cost, now_ms);
}

void shadow_key_spend(struct shadow_keys *keys, unsigned key, int64_t cost, uint64_t now_ms)
{
    for (unsigned i = 0; i < 2; i++) {
        struct shadow_spend *spend = &keys->spend[key][i];

        spend->since_ms = spend->began ? spend->since_ms : now_ms;
        spend->began = true;
        spend->total += cost;
    }
}

void shadow_key_start(struct shadow_keys *keys, unsigned key, uint64_t cost, uint64_t now_ms)
{
    shadow_key_spend(keys, key, (int64_t)cost, now_ms);
    rate_take(&keys->rates[key], &keys->arrival_ns[key][0], now_ms);
    rate_take(&keys->rates[SHADOW_KEYS], &keys->arrival_ns[key][1], now_ms);
}

void shadow_flow_add(struct shadow_flow *flow, uint64_t order)
{
    flow->starts[flow->count++ % SHADOW_KEY_STARTS] = order;
}

uint64_t shadow_flow_start(const struct shadow_flow *flow, uint64_t back)
{
    if (back > flow->count || back > SHADOW_KEY_STARTS) {
        return 0;
    }
    return flow->starts[(flow->count - back) % SHADOW_KEY_STARTS];
}

uint64_t shadow_flow_since(const struct shadow_flow *flow, uint64_t order)
{
    uint64_t starts = 0;

    while (starts < SHADOW_KEY_STARTS && shadow_flow_start(flow, starts + 1) > order) {
        starts++;
    }
    return starts;
}

static unsigned use_of(const struct shadow_task *task)
{
    const uint8_t *bytes = task->key[0] != '\0' ? (const uint8_t *)task->key : task->session.bytes;
    size_t size = task->key[0] != '\0' ? strlen(task->key) : sizeof task->session.bytes;
    uint64_t hash = (uintptr_t)task->home / sizeof *task->home;

    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3; /* FNV-1a */
    }
    return (unsigned)(hash % SHADOW_KEY_USES);
}

void shadow_key_count(const struct model *model, struct shadow_key_uses *uses)
{
    memset(uses, 0, sizeof *uses);
    list_each(at, &model->tasks) {
        const struct shadow_task *task = list_entry(at, struct shadow_task, link);

        uses->tasks[use_of(task)] += task->home != NULL && task->in_hands;
    }
}

bool shadow_key_lets(const struct model *model, const struct shadow_key_uses *uses,
                     const struct shadow_task *task)
{
    const struct shadow_keys *keys = task->home->keys;
    int key = shadow_key_of(task);
    uint64_t used;

    if (keys == NULL || !shadow_key_bound(keys, key)) {
        return true;
    }
    if (keys->rules[SHADOW_KEYS].budget > 0 || (key >= 0 && keys->rules[key].budget > 0)) {
        return false; /* perhaps */
    }
    used = uses->tasks[use_of(task)];
    if (key < 0) {
        return keys->rates[SHADOW_KEYS].interval_ns == 0 &&
               used < keys->rules[SHADOW_KEYS].concurrency;
    }
    return shadow_key_rates_let(keys, (unsigned)key, model->now_ms) &&
           (keys->rules[key].concurrency == 0 || used < keys->rules[key].concurrency) &&
           (keys->rules[SHADOW_KEYS].concurrency == 0 ||
            used < keys->rules[SHADOW_KEYS].concurrency);
}
