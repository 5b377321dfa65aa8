#include "tests/sim/mutant.h"

#include <stddef.h>
#include <string.h>

unsigned mutant_active;

static const char *const names[] = {
    "",
#ifdef SLUICE_MUTANTS
#define MUTANT_NAME(name) #name,
    MUTANTS(MUTANT_NAME)
#undef MUTANT_NAME
#endif
};

const unsigned mutant_count = sizeof names / sizeof *names - 1;

const char *mutant_name(unsigned mutant)
{
    return mutant <= mutant_count ? names[mutant] : NULL;
}

unsigned mutant_find(const char *name)
{
    for (unsigned i = 1; i <= mutant_count; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return 0;
}
