/* router: the socket that everybody connects to. */
#ifndef SLUICE_BROKER_SHELL_ROUTER_H
#define SLUICE_BROKER_SHELL_ROUTER_H

#include "broker/shell/config.h"

struct router {
    void *context;
    void *socket;                                         /* ZMQ_ROUTER */
    char bound[CONFIG_ENDPOINTS_MAX * ENDPOINT_TEXT_MAX]; /* real addresses, spaces between */
};

/* Makes the socket and binds every endpoint of `config`. False: `problem` says why, and
 * nothing is left open. */
bool router_open(struct router *router, const struct config *config, struct problem *problem);

/* Closes it. What was sent has a moment to reach the wire: half a second at most. */
void router_close(struct router *router);

#endif
