#include "tests/sim/world.h"

#include "common/check.h"
#include "tests/sim/agent.h"
#include "tests/sim/hostile.h"
#include "tests/sim/onlooker.h"
#include "tests/sim/operator.h"
#include "tests/sim/rules.h"
#include "tests/sim/sometimes.h"

#include <stdlib.h>

/* After the faults: while tasks end, the world may take its time; when none has for longer than
 * any deadline, retry, silence and grace that it can draw, one after another, it is stuck. And
 * nothing that was ever submitted may keep it busy for longer than REST_MS_MAX. */
#define REST_STALL_MS 300000
#define REST_MS_MAX 20000000
#define REST_LOOK_MS 1000
/* From here on workers are quick, links are fast, and handlers have no more children: what waits for
 * a short queue, or for a memory full of parents, is refused a hundred thousand times otherwise. */
#define REST_STEPS 60000
#define BURST_MS 3000
#define LOST_MS 3000 /* a broker without its store goes on so long */

uint64_t world_now_ms(const struct world *world)
{
    return world->agenda.now_us / 1000;
}

void world_saw_id(struct world *world, const struct id *id)
{
    world->ids[world->id_count++ % WORLD_IDS] = *id;
}

struct id world_some_id(const struct world *world, struct random *random)
{
    uint64_t n = world->id_count < WORLD_IDS ? world->id_count : WORLD_IDS;

    return n > 0 ? world->ids[random_below(random, n)] : random_id(random);
}

const char *world_service(unsigned index)
{
    static const char *const names[WORLD_LONE_SERVICE + 1] = {
        "echo", "search", "weigh", "write", "fetch", "spare1", "spare2", "lone"};

    CHECK(index <= WORLD_LONE_SERVICE);
    return names[index];
}

bool world_in_burst(const struct world *world, unsigned service)
{
    struct random random;

    /* Nobody's stream: whoever asks at the same time gets the same answer. */
    random_init(&random, world->options.seed, "bursts",
                world_now_ms(world) / BURST_MS * (WORLD_LONE_SERVICE + 1) + service);
    return !world->calm && random_chance(&random, world->options.bursts);
}

/* ---- faults --------------------------------------------------------------------------- */

/* One that works, each as likely as the others. NULL: none. */
static struct link *some_link(struct world *world, struct random *random)
{
    struct link *chosen = NULL;
    uint64_t up = 0;

    list_each(at, &world->net.links) {
        struct link *link = list_entry(at, struct link, all);

        if (link->node_up && link->broker_up && random_below(random, ++up) == 0) {
            chosen = link;
        }
    }
    return chosen;
}

static void blip_loop(void *context, uint64_t argument)
{
    struct world *world = context;
    const struct sim_options *options = &world->options;
    struct random *random = &world->blips;
    struct link *link;

    if (world->calm) {
        return;
    }
    agenda_enter(&world->agenda,
                 world->agenda.now_us + 1000 * (1 + random_wait(random, options->blip_every_ms)),
                 blip_loop, world, 0);
    link = some_link(world, random);
    if (link != NULL) {
        link_blip(link, 1 + random_wait(random, 1000ULL * options->blip_ms));
    }
}

static void cut_loop(void *context, uint64_t argument)
{
    struct world *world = context;
    struct link *chosen;

    if (world->calm) {
        return;
    }
    agenda_enter(&world->agenda,
                 world->agenda.now_us +
                     1000 * (1 + random_wait(&world->net.random, world->options.cut_every_ms)),
                 cut_loop, world, 0);
    chosen = some_link(world, &world->net.random);
    if (chosen != NULL) {
        link_cut(chosen);
    }
}

static void broker_back(void *context, uint64_t argument)
{
    struct world *world = context;

    if (world->broker.core == NULL) {
        sim_broker_start(&world->broker);
    }
}

static void restart_loop(void *context, uint64_t argument)
{
    struct world *world = context;
    struct random *random = &world->operator;

    if (world->calm) {
        return;
    }
    agenda_enter(&world->agenda,
                 world->agenda.now_us +
                     1000 * (1 + random_wait(random, world->options.restart_every_ms)),
                 restart_loop, world, 1);
    if (argument == 0) {
        return;
    }
    sim_broker_kill(&world->broker);
    agenda_enter(&world->agenda,
                 world->agenda.now_us + 1000 * random_wait(random, world->options.restart_ms),
                 broker_back, world, 0);
}

static void full_loop(void *context, uint64_t full)
{
    struct world *world = context;
    const struct sim_options *options = &world->options;

    if (world->calm) {
        return;
    }
    agenda_enter(&world->agenda,
                 world->agenda.now_us +
                     1000 * (1 + random_wait(&world->disks, full ? options->full_ms
                                                                 : options->full_every_ms)),
                 full_loop, world, !full);
    sim_broker_store(&world->broker, full ? STORE_FULL : STORE_OPEN);
}

/* As server.c does: a broker whose store is lost ends when what is not durable has, or after a
 * time. */
static void lost_end(void *context, uint64_t until_ms)
{
    struct world *world = context;
    struct sim_broker *broker = &world->broker;

    if (world->calm || broker->core == NULL || broker->disk.state != STORE_LOST) {
        return;
    }
    if (!sim_broker_drained(broker) && world_now_ms(world) < until_ms) {
        agenda_enter(&world->agenda, world->agenda.now_us + 100000, lost_end, world, until_ms);
        return;
    }
    sim_broker_kill(broker);
    agenda_enter(&world->agenda,
                 world->agenda.now_us +
                     1000 * random_wait(&world->losses, world->options.restart_ms),
                 broker_back, world, 0);
}

static void lost_loop(void *context, uint64_t argument)
{
    struct world *world = context;

    if (world->calm) {
        return;
    }
    agenda_enter(&world->agenda,
                 world->agenda.now_us +
                     1000 * (1 + random_wait(&world->losses, world->options.lost_every_ms)),
                 lost_loop, world, 1);
    if (argument == 1 && world->broker.core != NULL) {
        sim_broker_store(&world->broker, STORE_LOST);
        lost_end(world, world_now_ms(world) + LOST_MS);
    }
}

static void drain_once(void *context, uint64_t argument)
{
    struct world *world = context;

    if (!world->calm) {
        sim_broker_drain(&world->broker);
    }
}

static void drain_loop(void *context, uint64_t argument)
{
    struct world *world = context;
    struct random *random = &world->drains;

    if (world->calm) {
        return;
    }
    agenda_enter(&world->agenda, world->agenda.now_us + 1000 * (500 + random_wait(random, 5000)),
                 drain_loop, world, 0);
    if (random_chance(random, world->options.drains) && world->broker.core != NULL) {
        operator_drain(&world->broker, random, world->options.services);
    }
}

static void desk_loop(void *context, uint64_t argument)
{
    struct world *world = context;
    struct random *random = &world->desk;

    if (world->calm) {
        return;
    }
    agenda_enter(&world->agenda, world->agenda.now_us + 1000 * (500 + random_wait(random, 3000)),
                 desk_loop, world, 0);
    if (world->broker.core == NULL) {
        return;
    }
    if (random_chance(random, world->options.pauses)) {
        operator_pause(&world->broker, random, world->options.services);
    }
    if (random_chance(random, world->options.exhumed)) {
        operator_exhume(&world->broker, random, world->options.services);
    }
}

static void limit_loop(void *context, uint64_t argument)
{
    struct world *world = context;
    struct random *random = &world->operator;

    if (world->calm) {
        return;
    }
    agenda_enter(&world->agenda, world->agenda.now_us + 1000 * (500 + random_wait(random, 5000)),
                 limit_loop, world, 0);
    if (random_chance(random, world->options.limit_changes)) {
        sim_broker_limit(&world->broker,
                         world_service((unsigned)random_below(random, world->options.services)),
                         random_between(random, 1, world->options.queue_tasks),
                         random_between(random, 1, world->options.queue_bytes));
    }
}

static void begin_faults(struct world *world)
{
    const struct sim_options *options = &world->options;

    random_init(&world->operator, options->seed, "operator", 0);
    if (options->cut_every_ms > 0) {
        cut_loop(world, 0);
    }
    if (options->restart_every_ms > 0) {
        restart_loop(world, 0);
    }
    if (options->limit_changes > 0) {
        limit_loop(world, 0);
    }
    random_init(&world->blips, options->seed, "blips", 0);
    if (options->blip_every_ms > 0) {
        blip_loop(world, 0);
    }
    random_init(&world->drains, options->seed, "drains", 0);
    if (options->drains > 0) {
        drain_loop(world, 0);
    }
    random_init(&world->desk, options->seed, "desk", 0);
    if (options->pauses > 0 || options->exhumed > 0) {
        desk_loop(world, 0);
    }
    random_init(&world->disks, options->seed, "disks", 0);
    if (options->full_every_ms > 0) {
        full_loop(world, 0);
    }
    random_init(&world->losses, options->seed, "losses", 0);
    if (options->lost_every_ms > 0) {
        lost_loop(world, 0);
    }
    rules_begin(world);
    if (random_chance(&world->operator, options->drain)) {
        agenda_enter(&world->agenda,
                     1000 * random_below(&world->operator, options->duration_ms), drain_once,
                     world, 0);
    }
}

/* ---- life -------------------------------------------------------------------------------- */

static void build(struct world *world)
{
    const struct sim_options *options = &world->options;

    agenda_init(&world->agenda);
    net_init(&world->net, &world->agenda, options);
    model_init(&world->model, options);
    sim_broker_init(&world->broker, &world->net, options, &world->model);
    sim_broker_start(&world->broker);
    world->agents = calloc(options->submitters + options->workers, sizeof *world->agents);
    world->hostiles = calloc(options->hostiles + 1, sizeof *world->hostiles);
    world->onlookers = calloc(options->onlookers + 1, sizeof *world->onlookers);
    CHECK(world->agents != NULL && world->hostiles != NULL && world->onlookers != NULL);
    for (unsigned i = 0; i < options->workers; i++) {
        world->agents[world->agent_count++] = agent_new(world, i, false, true);
    }
    for (unsigned i = 0; i < options->submitters; i++) {
        world->agents[world->agent_count++] =
            agent_new(world, options->workers + i, true, false);
    }
    for (unsigned i = 0; i < options->hostiles; i++) {
        world->hostiles[world->hostile_count++] = hostile_new(world, i);
    }
    for (unsigned i = 0; i < options->onlookers; i++) {
        world->onlookers[world->onlooker_count++] = onlooker_new(world, i);
    }
    begin_faults(world);
}

/* What has not ended, for anybody. */
static uint64_t unfinished(const struct world *world)
{
    struct broker_stats stats;
    uint64_t count = 0;

    for (size_t i = 0; i < world->agent_count; i++) {
        count += agent_pending(world->agents[i]);
    }
    broker_stats(world->broker.core, &stats);
    return count + stats.tasks;
}

static uint64_t ended_tasks(const struct world *world)
{
    struct broker_stats stats;

    broker_stats(world->broker.core, &stats);
    return stats.done + stats.failed + stats.cancelled + stats.expired;
}

static void run_until(struct world *world, uint64_t until_ms)
{
    while (agenda_step(&world->agenda, until_ms * 1000)) {
    }
}

/* The faults stop; everybody comes back and finishes. */
static void calm_down(struct world *world)
{
    uint64_t begin_ms = world_now_ms(world), progress_ms = begin_ms, ended = 0;
    bool held = world->options.drains > 0 || world->options.pauses > 0;

    world->calm = true;
    rules_lift(world);
    for (size_t i = 0; i < world->hostile_count; i++) {
        hostile_stop(world->hostiles[i]);
    }
    for (size_t i = 0; i < world->onlooker_count; i++) {
        onlooker_stop(world->onlookers[i]);
    }
    if (world->broker.draining) {
        sometimes(SOMETIMES_BROKER_DRAINED);
        sim_broker_kill(&world->broker);
    }
    if (world->broker.core == NULL) {
        sim_broker_start(&world->broker);
    }
    rules_lift(world); /* what was said of it is there again */
    sim_broker_store(&world->broker, STORE_OPEN);
    for (size_t i = 0; i < world->agent_count; i++) {
        agent_calm(world->agents[i]);
    }
    do {
        held = held && !operator_let_go(&world->broker, world->options.services);
        run_until(world, world_now_ms(world) + REST_LOOK_MS);
        if (world->broker.steps > REST_STEPS) {
            world->options.work_ms = 0;
            world->options.latency_us = 1;
            world->options.children = 0;
        }
        if (ended_tasks(world) != ended) {
            ended = ended_tasks(world);
            progress_ms = world_now_ms(world);
        }
    } while ((held || unfinished(world) > 0) &&
             world_now_ms(world) < progress_ms + REST_STALL_MS &&
             world_now_ms(world) < begin_ms + REST_MS_MAX);
    /* Answers under way arrive, and the broker notices who has died unseen. */
    run_until(world, world_now_ms(world) + world->options.silence_ms + world->options.resume_ms +
                         REST_LOOK_MS);
}

static void take_down(struct world *world)
{
    for (size_t i = 0; i < world->agent_count; i++) {
        agent_free(world->agents[i]);
    }
    for (size_t i = 0; i < world->hostile_count; i++) {
        hostile_free(world->hostiles[i]);
    }
    for (size_t i = 0; i < world->onlooker_count; i++) {
        onlooker_free(world->onlookers[i]);
    }
    sim_broker_deinit(&world->broker);
    net_deinit(&world->net);
    model_deinit(&world->model);
    agenda_deinit(&world->agenda);
    free(world->agents);
    free(world->hostiles);
    free(world->onlookers);
}

struct world_report world_run(const struct sim_options *options, bool trace)
{
    struct world *world = calloc(1, sizeof *world);
    struct world_report report = {0};

    CHECK(world != NULL);
    world->options = *options;
    world->model.trace = trace;
    build(world);
    world->model.trace = trace;
    run_until(world, options->duration_ms);
    calm_down(world);
    model_at_rest(&world->model, world->broker.core);
    for (size_t i = 0; i < world->agent_count; i++) {
        agent_check_rest(world->agents[i]);
        report.submitted += agent_submitted(world->agents[i]);
    }
    report.hash = world->model.hash;
    report.steps = world->broker.steps;
    report.events = world->agenda.fired;
    report.virtual_ms = world_now_ms(world);
    report.joins = world->model.joins;
    report.checks = world->model.checks;
    take_down(world);
    free(world);
    return report;
}
