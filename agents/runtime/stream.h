/* stream: what a reader holds of a task's chunks. */
#ifndef SLUICE_RUNTIME_STREAM_H
#define SLUICE_RUNTIME_STREAM_H

#include "agents/runtime/runtime.h"

/* Of a task that this peer submits: SUBMIT says so. NULL: no memory, or too many. */
struct sluice_stream *stream_open(struct sluice *sluice, const struct id *id, uint64_t window,
                                  bool own);
void stream_end(struct sluice_stream *stream); /* no more comes; what has come can be read */
void stream_free(struct sluice_stream *stream); /* accepts NULL */
void stream_orphan(struct sluice_stream *stream); /* the peer is freed */

/* Upcalls of the peer. */
void stream_receive(struct reading *reading, const struct chunk_upcall *upcall);
void stream_over(void *user, const struct error *error);

#endif
