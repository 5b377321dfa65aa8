#include "common/duration.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Milliseconds of `unit`; 0: there is no such unit. */
static uint64_t unit_ms(const char *unit)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"", 1},         {"ms", 1},         {"s", 1000},
                 {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000}};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(unit, units[i].name) == 0) {
            return units[i].ms;
        }
    }
    return 0;
}

bool duration_parse(const char *text, uint64_t max_ms, uint64_t *ms)
{
    unsigned long long value;
    uint64_t unit;
    char *end;

    errno = 0;
    value = strtoull(text, &end, 10);
    unit = unit_ms(end);
    if (*text < '0' || *text > '9' || errno != 0 || unit == 0 || value > max_ms / unit) {
        return false;
    }
    *ms = value * unit;
    return true;
}
