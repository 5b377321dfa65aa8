/* registry: the services of a peer: name, handler, schema. */
#ifndef SLUICE_RUNTIME_REGISTRY_H
#define SLUICE_RUNTIME_REGISTRY_H

#include "agents/runtime/runtime.h"
#include "agents/runtime/schema.h"

/* Lives as long as the peer: a task that is under way when a service is withdrawn
 * still finds its handler. */
struct service {
    struct sluice *sluice;
    char *name;
    sluice_handler_fn *handler;
    void *arg;
    bool sync;
    struct schema *schema; /* NULL: none */
    struct offering *offering;
    struct list link; /* sluice.services */
};

#endif
