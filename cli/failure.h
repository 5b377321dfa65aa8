/* failure: how a task that did not end well is told to a person. */
#ifndef SLUICE_CLI_FAILURE_H
#define SLUICE_CLI_FAILURE_H

#include "agents/runtime/sluice.h"

/* Prints what, code, message and what to do about it to standard error. */
void failure_print(const char *what, enum sluice_outcome outcome,
                   const struct sluice_error *error);

/* The same of an error map: the refusal of a query. */
void failure_print_json(const char *what, const json_t *error);

/* What a person can do about `code`; NULL: nothing known, as for an application's own code. */
const char *failure_advice(const char *code);

#endif
