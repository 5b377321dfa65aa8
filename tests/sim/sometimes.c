#include "tests/sim/sometimes.h"

#include <stddef.h>

uint64_t sometimes_counts[SOMETIMES_COUNT];

const char *sometimes_name(unsigned state)
{
    static const char *const names[] = {
#define SOMETIMES_NAME(name) #name,
        SOMETIMES(SOMETIMES_NAME)
#undef SOMETIMES_NAME
    };

    return state < SOMETIMES_COUNT ? names[state] : NULL;
}
