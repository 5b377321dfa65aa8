#include "cli/quantity.h"

#include <stdio.h>

const char *quantity_ms(uint64_t ms, char text[QUANTITY_SIZE])
{
    uint64_t s = ms / 1000;

    if (ms < 1000) {
        snprintf(text, QUANTITY_SIZE, "%llu ms", (unsigned long long)ms);
    } else if (s < 60) {
        snprintf(text, QUANTITY_SIZE, "%llu.%llu s", (unsigned long long)s,
                 (unsigned long long)(ms % 1000 / 100));
    } else if (s < 3600) {
        snprintf(text, QUANTITY_SIZE, "%llu m %02llu s", (unsigned long long)(s / 60),
                 (unsigned long long)(s % 60));
    } else if (s < 48 * 3600) {
        snprintf(text, QUANTITY_SIZE, "%llu h %02llu m", (unsigned long long)(s / 3600),
                 (unsigned long long)(s / 60 % 60));
    } else {
        snprintf(text, QUANTITY_SIZE, "%llu d %02llu h", (unsigned long long)(s / 86400),
                 (unsigned long long)(s / 3600 % 24));
    }
    return text;
}

const char *quantity_bytes(uint64_t bytes, char text[QUANTITY_SIZE])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes / 1024;
    unsigned unit = 0;

    if (bytes < 1024) {
        snprintf(text, QUANTITY_SIZE, "%llu B", (unsigned long long)bytes);
        return text;
    }
    /* 1023.95 would be printed as 1024.0. */
    while (value >= 1023.95 && unit < 3) {
        value /= 1024;
        unit++;
    }
    snprintf(text, QUANTITY_SIZE, "%.1f %s", value, units[unit]);
    return text;
}

const char *quantity_count(uint64_t count, char text[QUANTITY_SIZE])
{
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
    int to = 0;

    for (int from = 0; from < length; from++) {
        if (from > 0 && (length - from) % 3 == 0) {
            text[to++] = ',';
        }
        text[to++] = digits[from];
    }
    text[to] = '\0';
    return text;
}
