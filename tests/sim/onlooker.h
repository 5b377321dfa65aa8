/* onlooker: a peer that follows the protocol and watches: few events at a time, and the streams
 * of other peers' tasks, from where it stopped when its connection was cut. It signals, too. */
#ifndef SLUICE_TESTS_SIM_ONLOOKER_H
#define SLUICE_TESTS_SIM_ONLOOKER_H

#include "tests/sim/world.h"

struct onlooker *onlooker_new(struct world *world, unsigned index);
void onlooker_stop(struct onlooker *onlooker);
void onlooker_free(struct onlooker *onlooker);

#endif
