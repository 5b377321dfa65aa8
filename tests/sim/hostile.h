/* hostile: a peer that does everything wrong that bytes can do: mutated and random frames, replays,
 * other peers' task ids, answers to tasks it does not hold or has answered, commands before
 * HELLO, and never reading. */
#ifndef SLUICE_TESTS_SIM_HOSTILE_H
#define SLUICE_TESTS_SIM_HOSTILE_H

#include "tests/sim/world.h"

struct hostile *hostile_new(struct world *world, unsigned index);
void hostile_stop(struct hostile *hostile); /* its process ends */
void hostile_free(struct hostile *hostile);

#endif
