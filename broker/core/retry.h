/* retry: what follows when an attempt is over without a result: the next one, and when, or the
 * end. PROTOCOL.md, FAIL. */
#ifndef SLUICE_BROKER_CORE_RETRY_H
#define SLUICE_BROKER_CORE_RETRY_H

#include "broker/core/state.h"

struct failure {
    enum error_code error;    /* the broker's; NONE: the worker's, which is `said` */
    const struct error *said; /* with ERROR_NONE */
    struct blob *map;         /* what it becomes a RESULT's error of; with ERROR_NONE.
                               * NULL: no room for it; if that was the last attempt, the error is
                               * memory_full, but what follows is decided by what was said */
    bool retryable;           /* by itself; the task's retry_on and final_on may know better */
    bool at_once;             /* nothing speaks against the next worker: no backoff */
};

/* The attempt of a leased task is over: its lease is already released or stray. Takes over
 * failure->map. */
void task_attempt_failed(struct broker *broker, struct task *task, const struct failure *failure);

/* The broker itself ends the attempt that the task has: its dead letter tells why, if it becomes
 * one. */
void task_note_cause(struct broker *broker, struct task *task, enum error_code error);

/* True when `code` is one of `codes`, which are separated by spaces. */
bool codes_name(struct span codes, struct span code);

#endif
