/* require: what a case of a system test's program must find true; else it says so and returns 1. */
#ifndef SLUICE_TESTS_SYSTEM_REQUIRE_H
#define SLUICE_TESTS_SYSTEM_REQUIRE_H

#include <stdio.h>

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                 \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

#endif
