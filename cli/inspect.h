/* inspect: commands that ask the broker one question and print the answer. */
#ifndef SLUICE_CLI_INSPECT_H
#define SLUICE_CLI_INSPECT_H

#include "cli/command.h"

/* The `run` of such a command: its name is what is asked, its argument, if it
 * takes one, a task's id. */
int inspect_run(struct cli *cli, const struct command *self, int argc, char **argv);

#endif
