#include "tests/sim/options.h"

#include "proto/limits.h"
#include "tests/sim/random.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIM_OPTION_ROW(name, lowest, meaning)                                                      \
    {#name, lowest, meaning, (uint32_t)offsetof(struct sim_options, name)},
const struct sim_option sim_options[] = {SIM_OPTIONS(SIM_OPTION_ROW)};
const unsigned sim_option_count = sizeof sim_options / sizeof *sim_options;

uint32_t *sim_option_at(struct sim_options *options, unsigned index)
{
    return (uint32_t *)((char *)options + sim_options[index].offset);
}

/* Half of all worlds have none of it, the others between 1 and `most`. */
static uint32_t some(struct random *random, uint32_t most)
{
    uint64_t drawn = random_between(random, 1, most);

    return random_chance(random, 500) ? (uint32_t)drawn : 0;
}

/* Between `low` and `high`, small values as likely as large ones. */
static uint32_t scaled(struct random *random, uint32_t low, uint32_t high)
{
    uint32_t top = high;

    while (top > low && random_chance(random, 500)) {
        top /= 2;
    }
    return (uint32_t)random_between(random, low, top < low ? low : top);
}

static void draw_work(struct sim_options *o, struct random *random)
{
    o->submitters = scaled(random, 1, 6);
    o->workers = scaled(random, 1, 6);
    o->hostiles = some(random, 3);
    o->services = scaled(random, 1, 4);
    o->submit_every_ms = scaled(random, 5, 2000);
    o->tasks_max = scaled(random, 5, 100);
    o->payload_max = scaled(random, 0, 2000);
    o->large_payloads = some(random, 50);
    o->work_ms = scaled(random, 1, 3000);
    o->credit = scaled(random, 1, 16);
    o->deadlines = some(random, 500);
    o->queue_ttls = some(random, 300);
    o->leases = some(random, 400);
    o->receipts = some(random, 500);
    o->joins = some(random, 400);
    o->join_width = scaled(random, 0, 12);
    o->shared_needs = some(random, 300);
    o->children = some(random, 500);
    o->depth_max = scaled(random, 1, 4);
    o->cancels = some(random, 400);
    o->failures = some(random, 400);
    o->progress = some(random, 300);
    o->withdraws = some(random, 200);
    o->queries = some(random, 200);
    o->lone_service = some(random, 200);
}

static void draw_faults(struct sim_options *o, struct random *random)
{
    o->ignores_cancel = some(random, 300);
    o->hangs = some(random, 50);
    o->late = some(random, 100);
    o->crash_every_ms = some(random, 1) ? scaled(random, 1000, 60000) : 0;
    o->submitter_crash_every_ms = some(random, 1) ? scaled(random, 5000, 120000) : 0;
    o->pause_every_ms = some(random, 1) ? scaled(random, 3000, 60000) : 0;
    o->pause_ms = scaled(random, 10, 30000);
    o->latency_us = scaled(random, 10, 100000);
    o->cut_every_ms = some(random, 1) ? scaled(random, 1000, 60000) : 0;
    o->half_open = some(random, 500);
    o->reconnect_ms = scaled(random, 1, 20000);
    o->pipe_messages = scaled(random, 2, 64);
    o->restart_every_ms = some(random, 1) ? scaled(random, 3000, 60000) : 0;
    o->restart_ms = scaled(random, 1, 10000);
    o->drain = some(random, 200);
    o->limit_changes = some(random, 300);
}

static void draw_limits(struct sim_options *o, struct random *random)
{
    o->queue_tasks = scaled(random, 1, 200);
    o->queue_bytes = scaled(random, 100, 100000);
    o->window_tasks = scaled(random, 1, 300);
    o->memory_kib = 64 + scaled(random, 0, 2048);
    o->retain_ms = scaled(random, 1, 60000);
    o->retain_tasks = scaled(random, 0, 200);
    o->resume_ms = scaled(random, 100, 10000);
    o->silence_ms = scaled(random, 3000, 15000);
    o->cancel_grace_ms = scaled(random, 50, 10000);
    o->peers_spare = random_chance(random, 100) ? 0 : 64;
}

/* What a quarter of the budget must have room for, lest a memory full of parents stand still: one
 * chain of children, each as large as they come. */
static uint32_t chain_kib(const struct sim_options *o)
{
    uint32_t payload_kib = (o->large_payloads > 0 ? PAYLOAD_INLINE_MAX : o->payload_max) / 1024;

    return (o->depth_max + 1) * (payload_kib + 2);
}

/* Some worlds have less than their tasks would like. */
static void draw_tight_memory(struct sim_options *o)
{
    struct random random;

    random_init(&random, o->seed, "memory", 0);
    if (random_chance(&random, 300)) {
        o->memory_kib = (uint32_t)random_between(&random, 24, 64);
    }
    if (o->children > 0 && random_chance(&random, 150)) {
        /* And some are full of parents that wait for their children. */
        o->children = 800;
        o->large_payloads = 0;
        o->memory_kib = 24;
        o->window_tasks += 50;
        o->queue_tasks += 100;
        o->queue_bytes += 65536;
        o->submit_every_ms = 1 + o->submit_every_ms / 50;
        o->tasks_max += 100;
        o->credit += 50;
    }
    if (o->children > 0 && o->memory_kib < 4 * chain_kib(o)) {
        o->memory_kib = 4 * chain_kib(o);
    }
}

static void draw_retries(struct sim_options *o)
{
    struct random random;

    random_init(&random, o->seed, "retries", 0);
    o->delays = some(&random, 300);
    o->max_runs = some(&random, 300);
    o->backoffs = some(&random, 500);
    o->codes = some(&random, 500);
    o->detached = some(&random, 300);
    o->dead_letters = some(&random, 500);
    o->dead_tasks = scaled(&random, 0, 100);
}

static void draw_durables(struct sim_options *o)
{
    struct random random;

    random_init(&random, o->seed, "durables", 0);
    o->durables = some(&random, 1000);
    o->store_us = random_chance(&random, 700) ? scaled(&random, 1, 2000000) : 0;
    o->unsafe_kib = random_chance(&random, 300) ? scaled(&random, 1, 64) : 0;
    o->full_every_ms = some(&random, 1) ? scaled(&random, 1000, 60000) : 0;
    o->full_ms = scaled(&random, 1, 10000);
    o->lost_every_ms = random_chance(&random, 300) ? scaled(&random, 5000, 60000) : 0;
    o->torn = some(&random, 500);
    o->damaged = random_chance(&random, 200) ? scaled(&random, 1, 50) : 0;
    o->all_durable = random_chance(&random, 50);
    if (o->durables == 0) {
        o->all_durable = o->damaged = o->full_every_ms = o->lost_every_ms = o->torn = o->store_us = 0;
    }
}

static void draw_policies(struct sim_options *o)
{
    struct random random;

    random_init(&random, o->seed, "policies", 0);
    o->policy_changes = some(&random, 600);
    o->told_to_wait = some(&random, 300);
}

static void draw_drains(struct sim_options *o)
{
    struct random random;

    random_init(&random, o->seed, "drains", 1);
    o->drains = some(&random, 700);
}

static void draw_streams(struct sim_options *o)
{
    struct random random;

    random_init(&random, o->seed, "streams", 0);
    o->streams = some(&random, 600);
    o->chunks = scaled(&random, 1, 60);
    o->chunk_bytes = random_chance(&random, 100) ? CHUNK_BYTES_MAX : scaled(&random, 0, 300);
    o->slow_readers = some(&random, 500);
    o->checkpoints = some(&random, 400);
    o->signals = some(&random, 300);
    o->onlookers = some(&random, 3);
    o->watchers_noted = random_chance(&random, 700);
    o->ring_chunks = scaled(&random, 1, 64);
    o->ring_kib = 64 * scaled(&random, 1, 16);
}

static void draw_turns(struct sim_options *o)
{
    struct random random;

    random_init(&random, o->seed, "turns", 0);
    o->priorities = some(&random, 500);
    o->keys = some(&random, 700);
    o->orders = some(&random, 500);
}

static void draw_key_rules(struct sim_options *o)
{
    struct random random;

    random_init(&random, o->seed, "key_rules", 0);
    o->key_rules = some(&random, 700);
}

static void draw_joins(struct sim_options *o)
{
    struct random random;

    random_init(&random, o->seed, "joins", 0);
    o->join_some = some(&random, 800);
    o->join_tasks = some(&random, 800);
    o->join_levels = some(&random, 700);
}

static void draw_likeness(struct sim_options *o)
{
    struct random random;

    random_init(&random, o->seed, "twins", 0);
    o->twins = some(&random, 500);
    o->cached = some(&random, 600);
    o->affinities = some(&random, 700);
}

static void draw_gates(struct sim_options *o)
{
    struct random random;

    random_init(&random, o->seed, "gates", 0);
    o->costs = some(&random, 1000);
    o->cost_errors = some(&random, 1000);
    o->budgets = some(&random, 800);
    o->breakers = some(&random, 800);
    o->bursts = some(&random, 500);
    o->said_live = some(&random, 1000);
    o->pauses = some(&random, 400);
    o->exhumed = some(&random, 1000);
    o->tenant_rules = some(&random, 500);
}

static void draw_numbers(struct sim_options *o)
{
    struct random random;

    random_init(&random, o->seed, "numbered", 0);
    o->numbered = random_chance(&random, 500) ? (uint32_t)random_between(&random, 300, 1000) : 0;
    o->hold_ms = scaled(&random, 100, 5000);
    o->blip_every_ms = o->numbered > 0 && random_chance(&random, 700)
                           ? scaled(&random, 100, 20000) : 0;
    o->blip_ms = scaled(&random, 1, 2000);
    if (o->blip_every_ms > 0 && random_chance(&random, 300)) {
        /* Back before what was said over the link before has come. */
        o->latency_us = (uint32_t)random_between(&random, 10000, 200000);
        o->blip_every_ms = (uint32_t)random_between(&random, 100, 2000);
        o->blip_ms = (uint32_t)random_between(&random, 1, 50);
    }
    o->outbox_kib = o->numbered > 0 ? scaled(&random, 8, 128) : 128;
}

static void draw_pins(struct sim_options *o)
{
    struct random random;

    random_init(&random, o->seed, "pins", 0);
    o->pins = some(&random, 600);
    o->scatters = some(&random, 200);
}

static void draw_exclusives(struct sim_options *o)
{
    struct random random;

    random_init(&random, o->seed, "exclusives", 0);
    o->exclusives = random_chance(&random, 300) ? some(&random, 1000) : 0;
}

/* What offers of versions take for as long as they are there, and a task for each worker beside
 * that: no wait makes it less. */
static void make_room_for_versions(struct sim_options *o)
{
    if (o->pins > 0 || o->scatters > 0) {
        o->memory_kib += 3 * (o->services + 1) + o->workers;
    }
}

struct sim_options sim_options_draw(uint64_t seed)
{
    struct sim_options options = {.seed = seed};
    struct random random;

    random_init(&random, seed, "options", 0);
    options.duration_ms = scaled(&random, 5000, 120000);
    draw_work(&options, &random);
    draw_faults(&options, &random);
    draw_limits(&options, &random);
    draw_numbers(&options);
    draw_turns(&options);
    draw_likeness(&options);
    draw_pins(&options);
    draw_exclusives(&options);
    draw_drains(&options);
    draw_tight_memory(&options);
    draw_retries(&options);
    draw_policies(&options);
    draw_durables(&options);
    draw_streams(&options);
    draw_joins(&options);
    draw_gates(&options);
    draw_key_rules(&options);
    make_room_for_versions(&options);
    return options;
}

bool sim_options_set(struct sim_options *options, const char *assignment)
{
    const char *equals = strchr(assignment, '=');
    char *end;

    for (unsigned i = 0; equals != NULL && i < sim_option_count; i++) {
        size_t length = strlen(sim_options[i].name);

        if (length == (size_t)(equals - assignment) &&
            strncmp(assignment, sim_options[i].name, length) == 0) {
            *sim_option_at(options, i) = (uint32_t)strtoul(equals + 1, &end, 10);
            return *end == '\0' && end != equals + 1;
        }
    }
    return false;
}

void sim_options_print(const struct sim_options *options, const char *before)
{
    struct sim_options drawn = sim_options_draw(options->seed);
    struct sim_options copy = *options;

    for (unsigned i = 0; i < sim_option_count; i++) {
        if (*sim_option_at(&copy, i) != *sim_option_at(&drawn, i)) {
            printf("%s%s=%u", before, sim_options[i].name, *sim_option_at(&copy, i));
        }
    }
}
