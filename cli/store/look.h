/* look: a store that is only looked at. */
#ifndef SLUICE_CLI_STORE_LOOK_H
#define SLUICE_CLI_STORE_LOOK_H

#include "broker/shell/store_file.h"
#include "cli/store/store.h"

/* Opens it. False: said why. */
bool look_open(struct store_file *file, const char *path);

/* Says `sluice: PROBLEM` and returns `code`. */
enum store_exit look_fail(enum store_exit code, const struct problem *problem);

/* Says so, if it is: only a broker mends it. */
bool look_log_damaged(const struct store_log *log);

#endif
