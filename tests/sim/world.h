/* world: one simulated cluster: a broker, agents, hostile peers, an operator and their faults. */
#ifndef SLUICE_TESTS_SIM_WORLD_H
#define SLUICE_TESTS_SIM_WORLD_H

#include "tests/sim/agenda.h"
#include "tests/sim/broker.h"
#include "tests/sim/model.h"
#include "tests/sim/net.h"
#include "tests/sim/options.h"

#define WORLD_IDS 64 /* ids that hostile peers and questions draw from */

struct agent;
struct hostile;
struct onlooker;

struct world {
    struct sim_options options;
    struct agenda agenda;
    struct net net;
    struct model model;
    struct sim_broker broker;
    struct agent **agents;
    size_t agent_count;
    struct hostile **hostiles;
    size_t hostile_count;
    struct onlooker **onlookers;
    size_t onlooker_count;
    struct random operator, policies, drains, budgets, blips, key_rules, desk, tenants,
        disks, losses;
    bool calm;               /* the faults are over */
    struct id ids[WORLD_IDS]; /* tasks that somebody submitted lately */
    uint64_t id_count;
};

struct world_report {
    uint64_t hash, steps, events, virtual_ms, submitted, joins, checks; /* joins: that have ended */
};

/* Builds the world of `options`, runs it to its end and takes it down. A violation ends
 * the process. */
struct world_report world_run(const struct sim_options *options, bool trace);

uint64_t world_now_ms(const struct world *world);
void world_saw_id(struct world *world, const struct id *id);
struct id world_some_id(const struct world *world, struct random *random);
/* Name of service `index`; the last one is offered by nobody until the world is calm. */
const char *world_service(unsigned index);
#define WORLD_LONE_SERVICE 7
/* At this time most attempts of that service fail. */
bool world_in_burst(const struct world *world, unsigned service);

#endif
