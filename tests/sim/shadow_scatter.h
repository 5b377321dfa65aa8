/* shadow_scatter: what a SUBMIT to all workers becomes. */
#ifndef SLUICE_TESTS_SIM_SHADOW_SCATTER_H
#define SLUICE_TESTS_SIM_SHADOW_SCATTER_H

#include "tests/sim/shadow.h"

/* `fact` says that a task appears in the step of such a SUBMIT: as what it might have been submitted
 * by itself, a part or the join over the parts. Its needs are good until the next call. */
struct submit shadow_scatter_submit(struct model *model, const struct fact *fact,
                                    const struct submit *said);
/* Number of the offer that it is a part for; 0: it is none. The parts appear in the order of the
 * offers. */
uint64_t shadow_scatter_offer(const struct model *model, const struct fact *fact);
/* How many workers it has to reach. */
size_t shadow_scatter_width(const struct model *model, const struct submit *submit);

#endif
