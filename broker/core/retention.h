/* retention: ended tasks are remembered for a while, so that their outcomes can be told again.
 *
 * Bounded by time, count and bytes; the first of the three decides. An ended task that a join
 * needs is kept by that join, and joins the others when the last such join lets go of it. */
#ifndef SLUICE_BROKER_CORE_RETENTION_H
#define SLUICE_BROKER_CORE_RETENTION_H

#include "broker/core/state.h"

void retention_add(struct broker *broker, struct task *task);
/* The time of a task that is kept for a time of its own is over: forgets it. */
void retention_expire(struct broker *broker, struct task *task);
void retention_trim(struct broker *broker);
/* Takes an ended task out of retention: a join needs it, or it is to be freed. */
void retention_remove(struct broker *broker, struct task *task);
/* Forgets the oldest ended task. False: there is none. */
bool retention_evict(struct broker *broker);
/* Forgets ended tasks until `bytes` more fit into memory_max. False: they do not. */
bool retention_make_room(struct broker *broker, uint64_t bytes);

#endif
