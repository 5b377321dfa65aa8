/* mutant: which fault of the core is active, and what they are called. The faults themselves are in
 * broker/core, compiled in by SLUICE_MUTANTS only: see common/mutant.h. */
#ifndef SLUICE_TESTS_SIM_MUTANT_H
#define SLUICE_TESTS_SIM_MUTANT_H

#include "common/mutant.h"

extern unsigned mutant_active;      /* 0: none */
extern const unsigned mutant_count; /* 0: this build has none */
const char *mutant_name(unsigned mutant);
unsigned mutant_find(const char *name); /* 0: no such mutant */

#endif
