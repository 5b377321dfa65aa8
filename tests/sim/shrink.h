/* shrink: a smaller world that still breaks the same promise. */
#ifndef SLUICE_TESTS_SIM_SHRINK_H
#define SLUICE_TESTS_SIM_SHRINK_H

#include "tests/sim/options.h"

#include <stddef.h>

/* Runs the world in a child. True: it failed, and `property` names what it broke
 * ("crash", "timeout": it did not even get to say). */
bool shrink_try(const struct sim_options *options, char *property, size_t size);

/* Lowers one option after the other while the same property breaks, for at most `seconds`. */
struct sim_options shrink(const struct sim_options *failing, const char *property,
                          unsigned seconds);

#endif
