/* stream_ring: the chunks that a stream keeps. For stream.c alone. None of it keeps the budget:
 * that is task_resized, around it. */
#ifndef SLUICE_BROKER_CORE_STREAM_RING_H
#define SLUICE_BROKER_CORE_STREAM_RING_H

#include "broker/core/stream.h"

/* Where chunk `number` is kept; it is in the ring. */
struct blob **ring_slot(const struct stream *stream, uint64_t number);
/* Takes over `blob` (NULL: an empty chunk) on success only. False: no memory. */
bool ring_push(struct broker *broker, struct stream *stream, struct blob *blob);
void ring_drop_first(struct broker *broker, struct stream *stream);
/* Nothing is in it, and `number` is the next to come. */
void ring_reset(struct broker *broker, struct stream *stream, uint64_t number);
/* The number below which nobody who matters has anything left to read. */
uint64_t ring_spare(const struct stream *stream);
/* Lets the oldest go until the ring is within its bounds. */
void ring_trim(struct broker *broker, struct stream *stream);

#endif
