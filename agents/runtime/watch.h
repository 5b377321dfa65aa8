/* watch: what a watcher holds of the broker's events. */
#ifndef SLUICE_RUNTIME_WATCH_H
#define SLUICE_RUNTIME_WATCH_H

#include "agents/runtime/runtime.h"

/* Upcalls of the peer. */
void watch_receive(struct watching *watching, const struct event_message *event, bool restarted);
void watch_over(void *user, const struct error *error);

#endif
