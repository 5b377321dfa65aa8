/* arguments: the command line. */
#ifndef SLUICE_BROKER_SHELL_ARGUMENTS_H
#define SLUICE_BROKER_SHELL_ARGUMENTS_H

#include "broker/shell/config.h"

#include <stdio.h>

enum arguments_result {
    ARGUMENTS_RUN,   /* start the broker */
    ARGUMENTS_CHECK, /* --check-config: the config is good, do no more */
    ARGUMENTS_HELP,
    ARGUMENTS_VERSION,
    ARGUMENTS_BAD, /* `problem` is the sentence to print */
};

/* Reads the command line and the config file that it names into `config`
 * (initialised by the caller). The order of arguments does not matter: the
 * file first, then the options. Endpoints on the command line replace those of
 * the file. After RUN and CHECK the config is complete. */
enum arguments_result arguments_read(struct config *config, int argc, char *const argv[],
                                     struct problem *problem);

/* What --help prints. */
void arguments_print_help(FILE *stream);

#endif
