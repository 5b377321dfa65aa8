/* number_from: how long and from which seed a test runs, as its environment says. */
#ifndef SLUICE_TESTS_UNIT_NUMBER_FROM_H
#define SLUICE_TESTS_UNIT_NUMBER_FROM_H

#include <stdint.h>
#include <stdlib.h>

static inline uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);

    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

#endif
