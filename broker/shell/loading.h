/* loading: what a store has kept comes back into the core. */
#ifndef SLUICE_BROKER_SHELL_LOADING_H
#define SLUICE_BROKER_SHELL_LOADING_H

#include "broker/core/broker.h"
#include "broker/shell/journal.h"
#include "broker/shell/store.h"
#include "common/problem.h"

#include <stdbool.h>

/* Loads the rows of `store`, of the file `path`, into `broker`, and starts it. Says how far it is
 * every two seconds, what is damaged, and what it came to. False: `problem` says why not. */
bool loading_run(struct store *store, const char *path, struct broker *broker,
                 struct journal *journal, struct problem *problem);

#endif
