#include "tests/sim/rules.h"

#include "tests/sim/operator.h"

/* No bounds of starts; queues, and how tasks are tried, stay as they are. */
static const struct limit_values unbounded = {.max_tasks = LIMIT_UNCHANGED,
                                              .max_bytes = LIMIT_UNCHANGED,
                                              .attempts = LIMIT_UNCHANGED,
                                              .backoff_ms = LIMIT_UNCHANGED,
                                              .backoff_max_ms = LIMIT_UNCHANGED,
                                              .max_run_ms = LIMIT_UNCHANGED,
                                              .lease_ms = LIMIT_UNCHANGED};

/* All bounds and the breaker at once, or some, or none. */
static void draw_policy(struct world *world, struct limit_values *values)
{
    const struct sim_options *options = &world->options;
    struct random *random = &world->policies;

    values->concurrency = random_chance(random, 500) ? random_between(random, 1, 8) : 0;
    if (random_chance(random, 400)) {
        values->rate = random_between(random, 1, 100);
        values->rate_ms = random_between(random, 100, 2000);
        values->burst = random_between(random, 1, 10);
    }
    if (random_chance(random, 300)) {
        values->breaker_failures = random_between(random, 1, 4);
        values->breaker_open_ms = random_between(random, 1, 3000);
        values->breaker_probes = random_between(random, 1, 3);
        values->breaker_refuse = random_chance(random, 300);
    }
    values->refuse = options->policy_changes > 300 && random_chance(random, 200);
    if (random_chance(&world->budgets, options->breakers)) {
        values->breaker_percent = random_between(&world->budgets, 10, 100);
        values->breaker_min = random_between(&world->budgets, 1, 10);
        values->breaker_ms = random_between(&world->budgets, 10, 3000);
        values->breaker_open_ms = random_between(&world->budgets, 1, 3000);
        values->breaker_probes = random_between(&world->budgets, 0, 3);
        values->breaker_refuse = random_chance(&world->budgets, 300);
    }
    if (random_chance(&world->budgets, options->budgets)) {
        values->budget = random_between(&world->budgets, 1, 200);
        values->budget_ms = 500ULL << random_below(&world->budgets, 4); /* often the same again */
        values->refuse = values->refuse || random_chance(&world->budgets, 400);
    }
}

/* What an operator does not mention stays. */
static void leave_some(struct random *random, struct limit_values *values)
{
    if (random_chance(random, 300)) {
        values->concurrency = LIMIT_UNCHANGED;
    }
    if (random_chance(random, 300)) {
        values->rate = values->rate_ms = values->burst = LIMIT_UNCHANGED;
    }
    if (random_chance(random, 300)) {
        values->budget = values->budget_ms = LIMIT_UNCHANGED;
    }
    if (random_chance(random, 300)) {
        values->breaker_failures = values->breaker_percent = values->breaker_min =
            values->breaker_ms = LIMIT_UNCHANGED;
    }
}

/* By its configuration, or all of a sudden. */
static void set_policy(struct world *world, const char *service, struct limit_values *values)
{
    if (world->broker.core != NULL &&
        random_chance(&world->budgets, world->options.said_live)) {
        leave_some(&world->budgets, values);
        operator_limit(&world->broker, service, values);
    } else {
        sim_broker_police(&world->broker, service, values);
    }
}

static void policy_loop(void *context, uint64_t argument)
{
    struct world *world = context;
    struct random *random = &world->policies;

    if (world->calm) {
        return;
    }
    agenda_enter(&world->agenda, world->agenda.now_us + 1000 * (500 + random_wait(random, 5000)),
                 policy_loop, world, 0);
    if (random_chance(random, world->options.policy_changes)) {
        struct limit_values values = unbounded;

        draw_policy(world, &values);
        set_policy(world, world_service((unsigned)random_below(random, world->options.services)),
                   &values);
    }
}

/* Weights alone, or a cap and a rate, or all of them, or none. */
static void draw_key_rule(struct random *random, struct limit_values *values)
{
    uint64_t kind = random_below(random, 10);

    *values = (struct limit_values){.weight = kind < 6 ? random_between(random, 0, 5) : 0};
    if (kind >= 4 && kind < 8) {
        values->concurrency = random_between(random, 1, 3);
    }
    if (kind == 7 || kind == 8) {
        values->budget = random_between(random, 1, 200);
        values->budget_ms = 100 * random_between(random, 1, 50);
    }
    if (kind == 5 || kind == 8) {
        values->rate = random_between(random, 1, 100);
        values->rate_ms = random_between(random, 100, 2000);
        values->burst = random_between(random, 1, 10);
    }
}

static void key_loop(void *context, uint64_t argument)
{
    struct world *world = context;
    struct random *random = &world->key_rules;

    if (world->calm) {
        return;
    }
    agenda_enter(&world->agenda, world->agenda.now_us + 1000 * (500 + random_wait(random, 5000)),
                 key_loop, world, 0);
    if (random_chance(random, world->options.key_rules)) {
        unsigned service = (unsigned)random_below(random, world->options.services);
        uint64_t rule = random_below(random, SHADOW_KEYS + 3);
        struct limit_values values;

        draw_key_rule(random, &values);
        sim_broker_police_key(&world->broker, world_service(service),
                              rule < SHADOW_KEYS ? (unsigned)rule : SHADOW_KEYS, &values);
    }
}

static void draw_tenant_rule(struct random *random, struct limit_values *values)
{
    values->concurrency = random_chance(random, 500) ? random_between(random, 1, 12) : 0;
    if (random_chance(random, 300)) {
        values->rate = random_between(random, 1, 100);
        values->rate_ms = random_between(random, 100, 2000);
        values->burst = random_between(random, 1, 10);
    }
    if (random_chance(random, 500)) {
        values->budget = random_between(random, 1, 400);
        values->budget_ms = 500ULL << random_below(random, 4);
    }
    values->refuse = random_chance(random, 300);
}

/* Of a service, or of all. */
static void tenant_loop(void *context, uint64_t argument)
{
    struct world *world = context;
    struct random *random = &world->tenants;

    if (world->calm) {
        return;
    }
    agenda_enter(&world->agenda, world->agenda.now_us + 1000 * (500 + random_wait(random, 5000)),
                 tenant_loop, world, 0);
    if (random_chance(random, world->options.tenant_rules)) {
        uint64_t service = random_below(random, 2ULL * world->options.services);
        struct limit_values values = {0};

        draw_tenant_rule(random, &values);
        sim_broker_police_tenant(&world->broker,
                                 service < world->options.services
                                     ? world_service((unsigned)service) : "", &values);
    }
}

void rules_lift(struct world *world)
{
    static const struct limit_values none = {0};

    if (world->options.tenant_rules > 0) {
        sim_broker_police_tenant(&world->broker, "", &none);
    }
    for (unsigned i = 0; world->options.tenant_rules > 0 && i < world->options.services; i++) {
        sim_broker_police_tenant(&world->broker, world_service(i), &none);
    }

    for (unsigned i = 0; world->options.key_rules > 0 && i < world->options.services; i++) {
        for (unsigned rule = 0; rule <= SHADOW_KEYS; rule++) {
            sim_broker_police_key(&world->broker, world_service(i), rule, &none);
        }
    }
    for (unsigned i = 0; world->options.policy_changes > 0 && i < world->options.services; i++) {
        sim_broker_police(&world->broker, world_service(i), &unbounded);
    }
}

void rules_begin(struct world *world)
{
    const struct sim_options *options = &world->options;

    random_init(&world->policies, options->seed, "policies", 1);
    random_init(&world->budgets, options->seed, "budgets", 0);
    if (options->policy_changes > 0) {
        policy_loop(world, 0);
    }
    random_init(&world->key_rules, options->seed, "key_rules", 1);
    if (options->key_rules > 0) {
        key_loop(world, 0);
    }
    random_init(&world->tenants, options->seed, "tenants", 0);
    if (options->tenant_rules > 0) {
        tenant_loop(world, 0);
    }
}
