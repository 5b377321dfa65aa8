/* server: the loop: wait, read, step the core, carry out its effects. */
#ifndef SLUICE_BROKER_SHELL_SERVER_H
#define SLUICE_BROKER_SHELL_SERVER_H

#include "broker/shell/config.h"
#include "broker/shell/journal.h"

struct server;

/* Makes a broker and binds its endpoints. `config` and `journal` are borrowed and
 * must outlive it; `signals` is from process_open_signals. NULL: `problem` says
 * why, and nothing is left bound. */
struct server *server_new(const struct config *config, struct journal *journal, int signals,
                          struct problem *problem);

/* The addresses that were bound, with the ports found for `*`, spaces between. */
const char *server_bound(const struct server *server);

/* Serves until a signal has drained it or a second one stops it. False: its store was lost. */
bool server_run(struct server *server);

/* Says BYE to the connected peers and closes. Accepts NULL. */
void server_free(struct server *server);

#endif
