/* A payload as the command line gives it: JSON. */
#ifndef SLUICE_CLI_PAYLOAD_H
#define SLUICE_CLI_PAYLOAD_H

#include "cli/command.h"

#include <jansson.h>

/* Of argument, or of standard input where that is "-". Yours; NULL: said what is wrong with it. */
json_t *payload_read(const struct command *self, const char *argument);

#endif
