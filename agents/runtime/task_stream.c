#include "agents/runtime/task_stream.h"

#include "common/check.h"

#include <errno.h>
#include <stdlib.h>

struct kept {
    struct list link;
    struct blob *payload;
};

void task_stream_init(struct task_stream *stream, const struct payload *checkpoint)
{
    *stream = (struct task_stream){.checkpoint = checkpoint->bytes,
                                   .checkpoint_blob = blob_ref(checkpoint->blob)};
    list_init(&stream->senders);
    list_init(&stream->listeners);
    list_init(&stream->signals);
}

bool task_stream_keep(struct task_stream *stream)
{
    if (stream->checkpoint.size == 0 || stream->checkpoint_blob != NULL) {
        return true;
    }
    stream->checkpoint_blob = blob_new(stream->checkpoint);
    stream->checkpoint = blob_span(stream->checkpoint_blob);
    return stream->checkpoint_blob != NULL;
}

static struct blob *take_first(struct task_stream *stream)
{
    struct kept *kept = list_entry(list_pop_front(&stream->signals), struct kept, link);
    struct blob *payload = kept->payload;

    free(kept);
    return payload;
}

void task_stream_deinit(struct task_stream *stream)
{
    while (!list_empty(&stream->signals)) {
        blob_unref(take_first(stream));
    }
    blob_unref(stream->signal);
    blob_unref(stream->checkpoint_blob);
}

void task_stream_flow(struct lease *lease)
{
    strands_wake(&task_stream(peer_lease_user(lease))->senders);
}

/* False: no memory. */
static bool keep_signal(struct task_stream *stream, const struct payload *payload)
{
    struct kept *kept = malloc(sizeof *kept);

    if (kept == NULL) {
        return false;
    }
    list_init(&kept->link);
    kept->payload = payload->blob != NULL ? blob_ref(payload->blob) : blob_new(payload->bytes);
    if (kept->payload == NULL) {
        free(kept);
        return false;
    }
    list_push_back(&stream->signals, &kept->link);
    return true;
}

/* The broker keeps what it sent for the next attempt, and bounds it: so many are here at most.
 * That attempt gets what has no room here, too: better no more than a hole that nobody sees. */
void task_stream_signal(struct lease *lease, const struct payload *payload)
{
    struct task_stream *stream = task_stream(peer_lease_user(lease));

    stream->deaf = stream->deaf || !keep_signal(stream, payload);
    strands_wake(&stream->listeners);
}

static enum wake wait_in(struct list *waiting, const char *function, uint64_t deadline_ms)
{
    struct strand *strand = strand_here(function);
    bool giving = task_wait_begin(strand);
    enum wake woken;

    list_push_back(waiting, &strand->ready);
    woken = strand_park(strand, deadline_ms);
    list_unlink(&strand->ready);
    if (giving) {
        task_wait_end(strand);
    }
    return woken;
}

int sluice_chunk(struct sluice_task *task, struct sluice_bytes bytes)
{
    struct peer *peer = runtime_peer(sluice_task_peer(task));
    struct payload payload = {.bytes = span_of(bytes.data, bytes.size)};

    if (bytes.size > CHUNK_BYTES_MAX) {
        return -EMSGSIZE;
    }
    for (;;) {
        struct lease *lease = task_held(task);

        if (lease == NULL || sluice_task_cancelled(task)) {
            return -ECANCELED;
        }
        if (peer_chunk_room(peer, lease)) {
            break;
        }
        if (task_is_sync(task)) {
            return -EAGAIN;
        }
        if (wait_in(&task_stream(task)->senders, "sluice_chunk", STRAND_NEVER) ==
            WAKE_CANCELLED) {
            return -ECANCELED;
        }
    }
    if (bytes.size > PAYLOAD_INLINE_MAX) {
        payload.blob = blob_new(payload.bytes);
        if (payload.blob == NULL) {
            return -ENOMEM;
        }
        payload.bytes = blob_span(payload.blob);
    }
    peer_chunk(peer, task_held(task), payload);
    blob_unref(payload.blob);
    return 0;
}

int sluice_checkpoint(struct sluice_task *task, struct sluice_bytes bytes)
{
    struct payload payload = {.bytes = span_of(bytes.data, bytes.size)};

    if (bytes.size > CHECKPOINT_MAX) {
        return -EMSGSIZE;
    }
    if (task_held(task) == NULL || sluice_task_cancelled(task)) {
        return -ECANCELED;
    }
    if (bytes.size > PAYLOAD_INLINE_MAX) {
        payload.blob = blob_new(payload.bytes);
        if (payload.blob == NULL) {
            return -ENOMEM;
        }
        payload.bytes = blob_span(payload.blob);
    }
    peer_checkpoint(runtime_peer(sluice_task_peer(task)), task_held(task), payload);
    blob_unref(payload.blob);
    return 0;
}

struct sluice_bytes sluice_task_checkpoint(struct sluice_task *task)
{
    struct span span = task_stream(task)->checkpoint;

    return (struct sluice_bytes){span.data, span.size};
}

int sluice_signal_wait(struct sluice_task *task, uint64_t timeout_ms, struct sluice_bytes *payload)
{
    struct task_stream *stream = task_stream(task);
    uint64_t until_ms = STRAND_NEVER;
    struct span span;

    if (timeout_ms > 0 && list_empty(&stream->signals)) {
        until_ms = runtime_deadline_ms(sluice_task_peer(task), timeout_ms);
    }
    while (list_empty(&stream->signals)) {
        if (task_held(task) == NULL || sluice_task_cancelled(task)) {
            return -ECANCELED;
        }
        if (stream->deaf) {
            return -ENOMEM;
        }
        if (task_is_sync(task)) {
            return -EAGAIN;
        }
        switch (wait_in(&stream->listeners, "sluice_signal_wait", until_ms)) {
        case WAKE_EVENT:
            break;
        case WAKE_TIMEOUT:
            return -ETIMEDOUT;
        case WAKE_CANCELLED:
            return -ECANCELED;
        }
    }
    blob_unref(stream->signal);
    stream->signal = take_first(stream);
    span = blob_span(stream->signal);
    *payload = (struct sluice_bytes){span.data, span.size};
    return 0;
}
