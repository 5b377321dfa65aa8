#include "agents/runtime/task_stream.h"

#include "common/check.h"

#include <errno.h>
#include <stdlib.h>

struct kept {
    struct list link;
    struct blob *payload; /* NULL: empty */
};

static struct blob *keep(const struct payload *payload)
{
    if (payload->bytes.size == 0) {
        return NULL;
    }
    return payload->blob != NULL ? blob_ref(payload->blob) : blob_new(payload->bytes);
}

void task_stream_init(struct task_stream *stream, const struct payload *checkpoint)
{
    *stream = (struct task_stream){.checkpoint = keep(checkpoint)};
    list_init(&stream->senders);
    list_init(&stream->listeners);
    list_init(&stream->signals);
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
    blob_unref(stream->checkpoint);
}

void task_stream_flow(struct lease *lease)
{
    strands_wake(&task_stream(peer_lease_user(lease))->senders);
}

/* The broker keeps what it sent for the next attempt, and bounds it: so many are here at most. */
void task_stream_signal(struct lease *lease, const struct payload *payload)
{
    struct task_stream *stream = task_stream(peer_lease_user(lease));
    struct kept *kept = malloc(sizeof *kept);

    if (kept == NULL) {
        return;
    }
    list_init(&kept->link);
    kept->payload = keep(payload);
    list_push_back(&stream->signals, &kept->link);
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
    struct span span = blob_span(task_stream(task)->checkpoint);

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
