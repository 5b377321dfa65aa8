/* broker: a broker process in the simulated world: the real core behind the real codec, with a
 * shell like that of sluice-broker: outboxes, EAGAIN, EHOSTUNREACH, one message a peer a turn. */
#ifndef SLUICE_TESTS_SIM_BROKER_H
#define SLUICE_TESTS_SIM_BROKER_H

#include "broker/core/broker.h"
#include "tests/sim/disk.h"
#include "tests/sim/model.h"
#include "tests/sim/net.h"

struct outbox;

#define OPERATOR_CONNECTION 0xfffffff0u /* no link has it */

struct sim_broker {
    struct net *net;
    struct agenda *agenda;
    const struct sim_options *options;
    struct model *model;
    struct random random;
    struct broker *core;      /* NULL: the process is down */
    uint64_t incarnation;
    uint64_t tick;            /* the newest agenda entry for the core's deadline */
    struct list dirty;        /* outboxes with something to send */
    bool draining;
    bool retrying;            /* an agenda entry will flush again */
    bool quiet_sends;         /* the core sends while the process ends: nobody hears */
    struct disk disk;
    uint64_t steps, visits, restarts, starts; /* starts: of numbers, in all incarnations */
    void (*operator_hears)(void *context, const struct message *message);
    void *operator_context;
};

void sim_broker_init(struct sim_broker *broker, struct net *net, const struct sim_options *options,
                     struct model *model);
void sim_broker_deinit(struct sim_broker *broker);
void sim_broker_start(struct sim_broker *broker);
/* kill -9 */
void sim_broker_kill(struct sim_broker *broker);
void sim_broker_drain(struct sim_broker *broker);
/* Its store is full, has room again, or is lost: then it is drained, too. */
void sim_broker_store(struct sim_broker *broker, enum store_state state);
bool sim_broker_drained(const struct sim_broker *broker); /* false: or down */
/* The operator changes the bounds of a service. */
void sim_broker_limit(struct sim_broker *broker, const char *service, uint64_t max_tasks,
                      uint64_t max_bytes);
/* The operator changes what may start of a service. */
void sim_broker_police(struct sim_broker *broker, const char *service,
                       const struct limit_values *values);
/* The same of a fairness key, by its place in the model (shadow_key.h). */
void sim_broker_police_key(struct sim_broker *broker, const char *service, unsigned rule,
                           const struct limit_values *values);
/* The same of the only tenant, at `service` or (empty) everywhere. */
void sim_broker_police_tenant(struct sim_broker *broker, const char *service,
                              const struct limit_values *values);
/* What an operator says, who is right there; `hears` is called for each answer. */
void sim_broker_operate(struct sim_broker *broker, const struct message *message,
                        void (*hears)(void *context, const struct message *message),
                        void *context);
uint64_t sim_broker_now_ms(const struct sim_broker *broker);

#endif
