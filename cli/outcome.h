/* outcome: how a task has ended, for people and programs. */
#ifndef SLUICE_CLI_OUTCOME_H
#define SLUICE_CLI_OUTCOME_H

#include "agents/runtime/sluice.h"
#include "cli/command.h"

/* Prints the result, or the failure with what to do about it; with --json one line however it
 * ended. `what` names the task in a failure. EXIT_DONE: it was done; else EXIT_TASK. */
int outcome_print(const struct cli *cli, const char *what, struct sluice_future *future);

#endif
