/* store: what `sluice store` can do with the database of a broker, without a broker.
 *
 * Each prints what it found, as JSON if `json`, and returns the exit code. */
#ifndef SLUICE_CLI_STORE_STORE_H
#define SLUICE_CLI_STORE_STORE_H

#include <stdbool.h>

/* The values of enum exit_code, whose header the protocol's cannot stand beside. */
enum store_exit {
    STORE_EXIT_DONE = 0,
    STORE_EXIT_DAMAGED = 1, /* damage was found, or it did not work out */
    STORE_EXIT_USAGE = 2,   /* there is no such store, or not the right to it */
};

enum store_exit check_run(const char *path, bool json);
enum store_exit stats_run(const char *path, bool json);
/* `file` NULL or "-": standard output, or input. */
enum store_exit export_run(const char *path, const char *file, bool json);
enum store_exit import_run(const char *path, const char *file, bool json);
enum store_exit compact_run(const char *path, bool json);

#endif
