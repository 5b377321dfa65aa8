/* store_aside: damaged rows, out of the way, for people to look at: the table `damaged`.
 *
 * Their large bodies stay where they are. There are STORE_ASIDE_MAX of them at most, with
 * STORE_ASIDE_BYTES: the oldest go for others. Payloads that no row has go, too. */
#ifndef SLUICE_BROKER_SHELL_STORE_ASIDE_H
#define SLUICE_BROKER_SHELL_STORE_ASIDE_H

#include "broker/shell/store_file.h"

#define STORE_ASIDE_MAX 1000
#define STORE_ASIDE_BYTES (64 * 1024 * 1024)

struct store_aside {
    uint64_t key;
    const char *why; /* static */
};

/* Sets them all aside, or none. SQLite's result. */
int store_aside_put(struct store_file *file, const struct store_aside *rows, size_t count,
                    uint64_t unix_ms);

#endif
