/* service: what the retriever offers: retriever.search, .passage and .sources.
 *
 * The handlers read their arguments on the loop, search on the thread pool, and
 * answer on the loop. Shapes of arguments and results: docs/retriever.md. */
#ifndef SLUICE_RETRIEVER_SERVICE_H
#define SLUICE_RETRIEVER_SERVICE_H

#include "agents/retriever/index.h"
#include "agents/runtime/sluice.h"

/* Offers all three. `index` is borrowed until `sluice` has stopped. 0 or a negative errno. */
int service_offer(struct sluice *sluice, struct index *index);

#endif
