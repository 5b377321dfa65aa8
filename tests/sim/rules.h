/* rules: what services, fairness keys and the tenant may start: changed again and again, by the
 * broker's configuration or by an operator, while tasks wait and run. */
#ifndef SLUICE_TESTS_SIM_RULES_H
#define SLUICE_TESTS_SIM_RULES_H

#include "tests/sim/world.h"

/* Until the world is calm. */
void rules_begin(struct world *world);
/* Nothing is bounded any more. */
void rules_lift(struct world *world);

#endif
