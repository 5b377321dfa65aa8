/* agent: an honest process: the real peer machine of libsluice over a simulated link.
 *
 * Submits, joins, cancels and asks; works, has children, tells progress, fails, hangs, is
 * late; crashes and is started again as another session; is stopped and goes on. */
#ifndef SLUICE_TESTS_SIM_AGENT_H
#define SLUICE_TESTS_SIM_AGENT_H

#include "tests/sim/world.h"

struct agent *agent_new(struct world *world, unsigned index, bool submits, bool works);
void agent_free(struct agent *agent);
/* No more faults: comes back, ends what hangs, offers everything. */
void agent_calm(struct agent *agent);
/* Tasks that it waits for. */
size_t agent_pending(const struct agent *agent);
/* CHECKs its half: every task ended once. */
void agent_check_rest(const struct agent *agent);
uint64_t agent_submitted(const struct agent *agent);

#endif
