/* cases: the named cases of a system test's program, of which a run of it is one. */
#ifndef SLUICE_TESTS_SYSTEM_CASES_H
#define SLUICE_TESTS_SYSTEM_CASES_H

#include "agents/runtime/sluice.h"
#include "tests/system/require.h"

#include <string.h>

/* `run` returns the exit status. */
struct named_case {
    const char *name;
    int (*run)(struct sluice *sluice);
};

struct choice {
    const struct named_case *cases;
    size_t count;
    const char *name;
};

/* What run_case gets: an array, and the name of one of it. */
#define CHOICE(cases, name) (&(struct choice){(cases), sizeof (cases) / sizeof *(cases), (name)})

/* For sluice_run. */
static inline int run_case(struct sluice *sluice, void *arg)
{
    const struct choice *choice = arg;

    for (size_t i = 0; i < choice->count; i++) {
        if (strcmp(choice->cases[i].name, choice->name) == 0) {
            return choice->cases[i].run(sluice);
        }
    }
    printf("no such case: %s\n", choice->name);
    return 2;
}

#endif
