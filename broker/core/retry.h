/* retry: what follows when an attempt is over without an outcome. */
#ifndef SLUICE_BROKER_CORE_RETRY_H
#define SLUICE_BROKER_CORE_RETRY_H

#include "broker/core/state.h"

/* The attempt is over without an outcome: the next one, or the end with `error`.
 * The lease is already released or stray. `delay_ms`: 0: at once, to the front. */
void task_retry(struct broker *broker, struct task *task, enum error_code error,
                struct blob *body, uint64_t delay_ms);

#endif
