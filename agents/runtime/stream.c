#include "agents/runtime/stream.h"

#include "common/check.h"

#include <errno.h>
#include <stdlib.h>

struct kept {
    struct list link;
    struct blob *payload;
    struct sluice_chunk chunk;
};

struct sluice_stream {
    struct sluice *sluice;   /* NULL: freed before the stream */
    struct reading *reading; /* NULL: no more comes */
    struct list chunks;      /* not read yet, in order; the window at most */
    struct kept *current;    /* handed out last */
    struct strand *strand;   /* waits for the next; NULL: nobody */
    int error;
};

struct sluice_stream *stream_open(struct sluice *sluice, const struct id *id, uint64_t window,
                                  bool own)
{
    struct sluice_stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL) {
        return NULL;
    }
    window = window < STREAM_CREDIT_MAX ? window : STREAM_CREDIT_MAX;
    stream->sluice = sluice;
    list_init(&stream->chunks);
    stream->reading = peer_read(runtime_peer(sluice), id, window, own, stream);
    if (stream->reading == NULL) {
        free(stream);
        return NULL;
    }
    return stream;
}

static void kept_free(struct kept *kept)
{
    if (kept != NULL) {
        blob_unref(kept->payload);
        free(kept);
    }
}

static void wake(const struct sluice_stream *stream)
{
    if (stream->strand != NULL) {
        strand_wake(stream->strand);
    }
}

void stream_end(struct sluice_stream *stream)
{
    if (stream->reading != NULL && stream->sluice != NULL) {
        peer_unread(stream->sluice->peer, stream->reading);
    }
    stream->reading = NULL;
    wake(stream);
}

void stream_free(struct sluice_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    CHECK(stream->strand == NULL || runtime_over(stream->sluice));
    stream_end(stream);
    while (!list_empty(&stream->chunks)) {
        kept_free(list_entry(list_pop_front(&stream->chunks), struct kept, link));
    }
    kept_free(stream->current);
    free(stream);
}

void stream_orphan(struct sluice_stream *stream)
{
    stream->sluice = NULL;
    stream->strand = NULL; /* dropped with the peer */
    stream->reading = NULL;
}

/* NULL: no memory. */
static struct kept *kept_new(const struct chunk_upcall *upcall)
{
    const struct chunk *chunk = upcall->chunk;
    struct kept *kept = calloc(1, sizeof *kept);

    if (kept == NULL) {
        return NULL;
    }
    list_init(&kept->link);
    kept->payload = chunk->payload.blob != NULL ? blob_ref(chunk->payload.blob)
                                                : blob_new(chunk->payload.bytes);
    if (kept->payload == NULL) {
        free(kept);
        return NULL;
    }
    kept->chunk = (struct sluice_chunk){
        .attempt = (unsigned)chunk->attempt,
        .sequence = chunk->sequence,
        .lost = upcall->lost,
        .restarted = upcall->restarted,
        .bytes = {blob_span(kept->payload).data, blob_span(kept->payload).size},
    };
    return kept;
}

void stream_receive(struct reading *reading, const struct chunk_upcall *upcall)
{
    struct sluice_stream *stream = peer_reading_user(reading);
    struct kept *kept = kept_new(upcall);

    if (kept == NULL) {
        stream->error = -ENOMEM; /* better no more than a hole that nobody sees */
        stream_end(stream);
        return;
    }
    list_push_back(&stream->chunks, &kept->link);
    wake(stream);
}

void stream_over(void *user, const struct error *error)
{
    struct sluice_stream *stream = user;

    stream->reading = NULL;
    if (error != NULL) {
        stream->error = span_is(error->code, "not_found") ? -ENOENT : -EREMOTEIO;
    }
    wake(stream);
}

/* Waits until something has come, or nothing will. False: cancelled. */
static bool wait_for_chunk(struct sluice_stream *stream, struct strand *strand)
{
    bool giving = task_wait_begin(strand);
    bool woken = true;

    stream->strand = strand;
    while (woken && list_empty(&stream->chunks) && stream->reading != NULL) {
        woken = strand_park(strand, STRAND_NEVER) != WAKE_CANCELLED;
    }
    stream->strand = NULL;
    if (giving) {
        task_wait_end(strand);
    }
    return woken;
}

int sluice_next_chunk(struct sluice_stream *stream, struct sluice_chunk *chunk)
{
    struct strand *strand = strand_here("sluice_next_chunk");
    struct kept *kept;

    CHECK(stream->strand == NULL);
    if (list_empty(&stream->chunks) && stream->reading != NULL &&
        !wait_for_chunk(stream, strand)) {
        return -ECANCELED;
    }
    if (list_empty(&stream->chunks)) {
        return stream->error;
    }
    kept_free(stream->current);
    kept = stream->current = list_entry(list_pop_front(&stream->chunks), struct kept, link);
    *chunk = kept->chunk;
    if (stream->reading != NULL) {
        peer_reading_taken(stream->sluice->peer, stream->reading, kept->chunk.attempt,
                           kept->chunk.sequence);
    }
    return 1;
}

struct sluice_stream *sluice_read(struct sluice *sluice, const struct sluice_id *id,
                                  unsigned window)
{
    struct id task;

    memcpy(task.bytes, id->bytes, sizeof task.bytes);
    return stream_open(sluice, &task, window > 0 ? window : 64, false);
}

void sluice_stream_free(struct sluice_stream *stream)
{
    stream_free(stream);
}
