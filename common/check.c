#include "common/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *condition, const char *file, int line, const char *function)
{
    fprintf(stderr, "sluice: bug: CHECK(%s) failed in %s at %s:%d; please report this line\n",
            condition, function, file, line);
    abort();
}
