/* visit: one short stay at a broker: connect, run a function, leave. */
#ifndef SLUICE_CLI_VISIT_H
#define SLUICE_CLI_VISIT_H

#include "agents/runtime/sluice.h"
#include "cli/command.h"

/* Runs `fn` on a fiber of a peer connected to cli->broker and returns what it
 * returned, an exit code. Nobody there, or nobody who speaks sluice: says so and
 * how to start one, at once, and returns EXIT_NO_BROKER. */
int visit(struct cli *cli, const struct command *self, sluice_main_fn *fn, void *arg);

/* Asks the broker; SUSPENDS. EXIT_DONE: *reply is yours. Otherwise the refusal is
 * printed. `id` and `cursor` may be NULL. */
int visit_query(struct sluice *sluice, const char *what, const struct sluice_id *id,
                const char *cursor, json_t **reply);

/* The same of CONTROL. What there is not, -EINVAL, is EXIT_USAGE. */
int visit_control(struct sluice *sluice, const char *what,
                  const struct sluice_control_options *options, json_t **reply);

/* The same of a page of detached tasks. */
int visit_list(struct sluice *sluice, const char *service, const char *state,
               const char *cursor, json_t **reply);

/* All pages of a query, joined into one array; as visit_query. `key` is the rows' name. */
int visit_pages(struct sluice *sluice, const char *what, const char *key, json_t **rows);

/* Says on standard error that nobody offers `service`, if so: it may be a slip. NULL: none is
 * meant. */
void visit_note_absent(struct sluice *sluice, const char *service);

/* Reads a task's id. False: said so. */
bool visit_id(const struct command *self, const char *text, struct sluice_id *id);

#endif
