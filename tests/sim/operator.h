/* operator: somebody who drains workers, services and the broker, and takes it back.
 *
 * A visit is a session of its own: HELLO, QUERY peers to learn the workers' numbers, CONTROL, BYE,
 * all in one moment, and straight into the broker: what becomes of messages on their way is
 * others' business. */
#ifndef SLUICE_TESTS_SIM_OPERATOR_H
#define SLUICE_TESTS_SIM_OPERATOR_H

#include "tests/sim/broker.h"

/* Drains something, or undrains it: one of the first `services` services, a peer, the broker. */
void operator_visit(struct sim_broker *broker, struct random *random, unsigned services);
/* Undrains all there is. False: the broker would not have it; try again. */
bool operator_undrain_all(struct sim_broker *broker, unsigned services);

#endif
