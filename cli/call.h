/* call: submit one task and wait for it before the eyes of a person.
 *
 * Shows progress on standard error; the first Ctrl-C (or SIGTERM) cancels the
 * task and waits until it has stopped, a second one leaves at once. */
#ifndef SLUICE_CLI_CALL_H
#define SLUICE_CLI_CALL_H

#include "agents/runtime/sluice.h"

struct call {
    const char *service;
    json_t *payload;                      /* stolen by call_run, which leaves NULL */
    struct sluice_submit_options options; /* its callbacks are call_run's */
    /* What to say about a progress value, or NULL to say nothing new; borrowed. */
    const char *(*describe)(const json_t *value, char *text, size_t size);
    bool silent;                          /* no progress */
    bool stream_json;                     /* with options.stream: a line for each chunk */
    bool until_accepted;                  /* with options.detached: not for its outcome */
    bool interrupted;                     /* after call_run: somebody pressed Ctrl-C */
};

/* SUSPENDS until the task has ended, or the broker has taken it. The future is yours; NULL: no
 * memory. */
struct sluice_future *call_run(struct sluice *sluice, struct call *call);

/* How it ended as one JSON object: id, outcome, result or error, timing. A new reference. */
json_t *call_outcome_json(struct sluice_future *future);
/* What each worker made of it: a list, empty if it was not for all of them. The caller owns it. */
json_t *call_parts_json(struct sluice_future *future);

#endif
