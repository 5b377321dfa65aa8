/* scatter: a submit to every worker of a service.
 *
 * It becomes a held task for each worker that would take something now, which nobody else may
 * serve, and in its own name a settled join over these. One step does all of it or nothing. */
#ifndef SLUICE_BROKER_CORE_SCATTER_H
#define SLUICE_BROKER_CORE_SCATTER_H

#include "broker/core/state.h"

/* SUBMIT with route `all`; its id is not known. PROTOCOL.md, SUBMIT. With an error retry_after_ms
 * says when it might be accepted; 0: never. */
enum error_code scatter_accept(struct broker *broker, struct peer *peer,
                               const struct submit *submit, uint64_t *retry_after_ms);

#endif
