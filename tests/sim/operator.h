/* operator: somebody who drains workers, services and the broker, sets limits, pauses services, and
 * sees to dead letters.
 *
 * A visit is a session of its own: HELLO, questions, CONTROL, a look at QUERY limits, BYE, all in one
 * moment, and straight into the broker: what becomes of messages on their way is others'
 * business. */
#ifndef SLUICE_TESTS_SIM_OPERATOR_H
#define SLUICE_TESTS_SIM_OPERATOR_H

#include "tests/sim/broker.h"

/* Each is for some of the first `services` services; does nothing when it is not let in. */

/* Drains something, or undrains it: a service, a peer, the broker. */
void operator_drain(struct sim_broker *broker, struct random *random, unsigned services);
void operator_limit(struct sim_broker *broker, const char *service,
                    const struct limit_values *values);
/* Pauses a service for a while or until told, or resumes it. */
void operator_pause(struct sim_broker *broker, struct random *random, unsigned services);
/* Retries or drops a dead letter, or all of a service. */
void operator_exhume(struct sim_broker *broker, struct random *random, unsigned services);
/* Undrains and resumes all there is. False: the broker would not have it; try again. */
bool operator_let_go(struct sim_broker *broker, unsigned services);

#endif
