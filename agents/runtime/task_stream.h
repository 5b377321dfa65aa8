/* task_stream: what a handler does with its task before the end: chunks, checkpoints, signals. */
#ifndef SLUICE_RUNTIME_TASK_STREAM_H
#define SLUICE_RUNTIME_TASK_STREAM_H

#include "agents/runtime/runtime.h"

struct task_stream {
    struct list senders;     /* strands that wait for room for a chunk */
    struct list listeners;   /* those that wait for a signal */
    struct span checkpoint;  /* of an earlier attempt; empty: none */
    struct blob *checkpoint_blob; /* NULL: it is borrowed (sync) */
    struct list signals;     /* not asked for yet, in order */
    struct blob *signal;     /* the one asked for last */
    bool deaf;               /* no memory for one: neither that nor a later one is heard */
};

/* task.c */
struct task_stream *task_stream(struct sluice_task *task);
struct lease *task_held(struct sluice_task *task); /* NULL: ended */
bool task_is_sync(const struct sluice_task *task);

void task_stream_init(struct task_stream *stream, const struct payload *checkpoint);
/* The checkpoint does not stay where it is. False: no memory. */
bool task_stream_keep(struct task_stream *stream);
void task_stream_deinit(struct task_stream *stream);

/* Upcalls of the peer. */
void task_stream_flow(struct lease *lease);
void task_stream_signal(struct lease *lease, const struct payload *payload);

#endif
