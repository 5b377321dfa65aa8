/* question: a request of a fiber that waits for the broker's REPLY. */
#ifndef SLUICE_AGENTS_RUNTIME_QUESTION_H
#define SLUICE_AGENTS_RUNTIME_QUESTION_H

#include "agents/runtime/future.h"

#define QUESTION_TIMEOUT_MS 10000

struct question {
    struct asking asking;
    struct strand *strand;
    struct request *request; /* NULL: answered */
    int rc;
    json_t *reply;
};

/* Of the strand that runs; `caller` is named if there is none. Its `asking` is the user of the
 * request that is then made. */
struct question question_new(const char *caller);

/* SUSPENDS until it is answered. 0: *reply is the body; -EREMOTEIO: it is the error map; both are
 * the caller's. -ENOMEM: `request` is NULL; -ETIMEDOUT, -EBADMSG; -ECANCELED: the strand's own
 * task was cancelled. */
int question_wait(struct sluice *sluice, struct question *question, json_t **reply);

#endif
