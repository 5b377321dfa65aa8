#include "broker/core/stream.h"

#include "broker/core/ending.h"
#include "broker/core/retention.h"
#include "broker/core/stream_ring.h"
#include "common/mutant.h"

static_assert(sizeof(struct reader) <= READER_BYTES, "what a reader takes is counted");

uint64_t stream_bytes(const struct stream *stream)
{
    return sizeof *stream + stream->block_count * sizeof(struct stream_block) + stream->bytes +
           (stream->next - stream->first) * blob_overhead();
}

/* ---- readers ----------------------------------------------------------------- */

static struct reader *reader_new(struct broker *broker, struct stream *stream, struct peer *peer)
{
    struct reader *reader = pool_get(&broker->reader_pool);

    if (reader == NULL) {
        return NULL;
    }
    reader->stream = stream;
    reader->peer = peer;
    reader->away = true; /* it begins where its READ says */
    list_init(&reader->stream_link);
    list_init(&reader->peer_link);
    list_push_back(&stream->readers, &reader->stream_link);
    list_push_back(&peer->readers, &reader->peer_link);
    stream->reader_count++;
    peer->reader_count++;
    return reader;
}

static void reader_free(struct broker *broker, struct reader *reader)
{
    struct stream *stream = reader->stream;

    if (stream->pacer == reader) {
        stream->pacer = NULL;
        stream->unread = 0;
    }
    list_unlink(&reader->stream_link);
    list_unlink(&reader->peer_link);
    stream->reader_count--;
    reader->peer->reader_count--;
    pool_put(&broker->reader_pool, reader);
}

static struct reader *reader_find(const struct stream *stream, const struct peer *peer)
{
    list_each(link, &stream->readers) {
        struct reader *reader = list_entry(link, struct reader, stream_link);

        if (reader->peer == peer) {
            return reader;
        }
    }
    return NULL;
}

static void send_chunk(struct broker *broker, struct peer *peer, const struct stream *stream,
                       uint64_t number)
{
    struct message message = {.command = COMMAND_CHUNK_OUT};
    struct blob *blob = *ring_slot(stream, number);

    message.chunk.id = stream->task->id;
    message.chunk.attempt = stream->attempt;
    message.chunk.sequence = number;
    message.chunk.payload = (struct payload){.bytes = blob_span(blob), .blob = blob};
    peer_send(broker, peer, &message);
}

/* What the ring no longer has is skipped, and takes none of the reader's credit. */
static void reader_feed(struct broker *broker, struct reader *reader)
{
    const struct stream *stream = reader->stream;

    if (reader->away || reader->sent >= reader->until) {
        return;
    }
    if (reader->sent < stream->first) {
        reader->until += stream->first - reader->sent;
        reader->sent = stream->first;
    }
    while (reader->sent < stream->next && reader->sent < reader->until) {
        if (!(MUTANT(CHUNK_SKIPPED) && reader->sent % 8 == 5)) {
            send_chunk(broker, reader->peer, stream, reader->sent);
        }
        reader->sent++;
    }
}

static uint64_t chunk_size(const struct stream *stream, uint64_t number)
{
    return blob_span(*ring_slot(stream, number)).size;
}

/* It has all below `number`. */
static void reader_acknowledge(struct reader *reader, uint64_t number)
{
    struct stream *stream = reader->stream;

    if (stream->pacer == reader) {
        uint64_t at = reader->asked > stream->first ? reader->asked : stream->first;

        for (; at < number && at < stream->next; at++) {
            stream->unread -= chunk_size(stream, at);
        }
    }
    reader->asked = number;
}

static void reader_move(struct reader *reader, const struct read *read)
{
    const struct stream *stream = reader->stream;
    bool here = read->attempt == 0 || read->attempt == stream->attempt;
    /* Of an earlier attempt nothing comes any more: only the credit is news. */
    uint64_t from = here ? read->sequence : 0;

    if (from < reader->asked) {
        from = reader->asked; /* it has what it has acknowledged */
    }
    if (reader->away) {
        reader->sent = from;
        reader->away = false;
    }
    if (from > reader->asked) {
        reader_acknowledge(reader, from);
    }
    if (reader->sent < from) {
        reader->sent = from;
    }
    reader->credit = read->credit;
    reader->until = from + read->credit > reader->sent ? from + read->credit : reader->sent;
}

/* ---- the worker's pace ------------------------------------------------------- */

/* How far the worker may go so that what the pacer has not read fits the ring, however large
 * the chunks are. One is always possible. */
static uint64_t flow_allowed(const struct broker *broker, const struct stream *stream)
{
    uint64_t unread = stream->next - ring_spare(stream);
    uint64_t chunks = broker->options.stream_chunks, bytes = broker->options.stream_bytes;
    uint64_t room = unread < chunks ? chunks - unread : 0;
    uint64_t room_bytes = stream->unread < bytes ? bytes - stream->unread : 0;

    if (room > room_bytes / CHUNK_BYTES_MAX) {
        room = room_bytes / CHUNK_BYTES_MAX;
    }
    if (room == 0 && unread == 0) {
        room = 1;
    }
    return stream->next + room;
}

/* Tells the worker how far it may go, when it is news: once it has used half of what it had. */
static void flow_update(struct broker *broker, struct stream *stream)
{
    struct message message = {.command = COMMAND_FLOW};
    uint64_t allowed;

    if (stream->until == 0 || stream->task->state != TASK_LEASED) {
        return;
    }
    allowed = stream->pacer == NULL ? 0 : flow_allowed(broker, stream);
    if (allowed > 0 && (allowed <= stream->until ||
                        stream->until - stream->next > (allowed - stream->next) / 2)) {
        return;
    }
    stream->until = allowed;
    message.flow.id = stream->task->id;
    message.flow.attempt = stream->attempt;
    message.flow.until = allowed;
    peer_send(broker, stream->task->offer->peer, &message);
}

bool stream_paused(const struct stream *stream)
{
    return stream->until > 0 && stream->next >= stream->until;
}

/* ---- its life ---------------------------------------------------------------- */

/* The stream of a task that has not ended, made if it is missing. NULL: no memory. */
static struct stream *stream_of(struct broker *broker, struct task *task)
{
    struct extra *extra = task_extra(broker, task);
    struct stream *stream = extra == NULL ? NULL : extra->stream;

    if (extra == NULL || stream != NULL) {
        return stream;
    }
    stream = pool_get(&broker->stream_pool);
    if (stream == NULL) {
        return NULL;
    }
    uint64_t before = task_bytes(task);

    stream->task = task;
    stream->attempt = task_attempt(task);
    list_init(&stream->readers);
    extra->stream = stream;
    task_resized(broker, task, before);
    return stream;
}

bool stream_open_paced(struct broker *broker, struct task *task, uint64_t credit)
{
    struct stream *stream = stream_of(broker, task);
    struct reader *reader = stream == NULL ? NULL : reader_new(broker, stream, task->owner);

    if (reader == NULL) {
        return false; /* the caller frees the task, and the stream with it */
    }
    reader->away = false;
    reader->credit = reader->until = credit;
    stream->pacer = reader;
    return true;
}

uint64_t stream_begin(struct broker *broker, struct task *task)
{
    struct stream *stream = task->extra->stream;
    uint64_t before = task_bytes(task);

    if (stream == NULL) {
        return 0;
    }
    ring_reset(broker, stream, 0);
    task_resized(broker, task, before);
    stream->attempt = task_attempt(task);
    list_each(link, &stream->readers) {
        struct reader *reader = list_entry(link, struct reader, stream_link);

        reader->asked = reader->sent = 0;
        reader->until = reader->credit;
    }
    stream->until = stream->pacer == NULL || MUTANT(WORKER_NOT_PAUSED)
                        ? 0
                        : flow_allowed(broker, stream);
    return stream->until;
}

/* Room for one more chunk that must not be lost: for it chunks go that the pacer has. */
static bool make_room_paced(struct broker *broker, struct stream *stream, uint64_t bytes)
{
    uint64_t before = task_bytes(stream->task);
    bool room;

    bytes += blob_overhead() + sizeof(struct stream_block);
    while (!(room = retention_make_room(broker, bytes)) && stream->first < ring_spare(stream)) {
        ring_drop_first(broker, stream);
        task_resized(broker, stream->task, before);
        before = task_bytes(stream->task);
    }
    return room;
}

/* What nobody paces slides through the ring; without memory there is less of a ring. */
static void shed(struct broker *broker, struct stream *stream)
{
    uint64_t before;

    while (stream->first < stream->next && !retention_make_room(broker, 0)) {
        before = task_bytes(stream->task);
        ring_drop_first(broker, stream);
        task_resized(broker, stream->task, before);
    }
}

static enum error_code check_chunk(const struct stream *stream, const struct chunk *chunk)
{
    if (chunk->sequence != stream->next) {
        return ERROR_BAD_MESSAGE;
    }
    if (chunk->payload.bytes.size > CHUNK_BYTES_MAX) {
        return ERROR_TOO_LARGE;
    }
    return stream_paused(stream) ? ERROR_LIMIT_EXCEEDED : ERROR_NONE;
}

static enum error_code take(struct broker *broker, struct stream *stream,
                            const struct payload *payload)
{
    struct blob *blob = NULL;
    bool kept;

    if (stream->pacer != NULL && !make_room_paced(broker, stream, payload->bytes.size)) {
        return ERROR_MEMORY_FULL;
    }
    uint64_t before = task_bytes(stream->task);

    if (payload->bytes.size > 0) {
        blob = payload->blob != NULL ? blob_ref(payload->blob) : blob_new(payload->bytes);
    }
    kept = (blob != NULL || payload->bytes.size == 0) && ring_push(broker, stream, blob);
    if (!kept) {
        blob_unref(blob);
        if (stream->pacer != NULL) {
            return ERROR_MEMORY_FULL;
        }
        ring_reset(broker, stream, stream->next + 1); /* readers see the gap */
    }
    task_resized(broker, stream->task, before);
    return ERROR_NONE;
}

enum error_code stream_take(struct broker *broker, struct task *task, const struct chunk *chunk)
{
    struct stream *stream;
    enum error_code code;
    uint64_t before;

    /* What somebody waits for has its stream since its SUBMIT. Of any other one is made whatever
     * the budget says, and what does not fit is shed below. */
    stream = stream_of(broker, task);
    if (stream == NULL) {
        return ERROR_MEMORY_FULL;
    }
    code = check_chunk(stream, chunk);
    if (code == ERROR_NONE) {
        code = take(broker, stream, &chunk->payload);
    }
    if (code != ERROR_NONE) {
        return code;
    }
    broker->stats.chunks++;
    list_each(link, &stream->readers) {
        reader_feed(broker, list_entry(link, struct reader, stream_link));
    }
    before = task_bytes(task);
    ring_trim(broker, stream);
    task_resized(broker, task, before);
    if (stream->pacer == NULL) {
        shed(broker, stream);
    }
    flow_update(broker, stream);
    return ERROR_NONE;
}

static enum error_code reader_open(struct broker *broker, struct task *task, struct peer *peer,
                                   struct reader **reader)
{
    struct stream *stream = task->extra == NULL ? NULL : task->extra->stream;

    if (peer->reader_count >= broker->options.window_tasks ||
        (stream != NULL && stream->reader_count >= broker->options.stream_readers)) {
        return ERROR_LIMIT_EXCEEDED;
    }
    if (!retention_make_room(broker,
                             sizeof(struct extra) + sizeof *stream + sizeof(struct reader))) {
        return ERROR_MEMORY_FULL;
    }
    stream = stream_of(broker, task);
    *reader = stream == NULL ? NULL : reader_new(broker, stream, peer);
    return *reader == NULL ? ERROR_MEMORY_FULL : ERROR_NONE;
}

enum error_code stream_read(struct broker *broker, struct task *task, struct peer *peer,
                            const struct read *read)
{
    struct stream *stream = task->extra == NULL ? NULL : task->extra->stream;
    struct reader *reader = stream == NULL ? NULL : reader_find(stream, peer);
    enum error_code code = ERROR_NONE;

    if (read->credit == 0) {
        if (reader != NULL) {
            reader_free(broker, reader);
            flow_update(broker, stream);
        }
        return ERROR_NONE;
    }
    if (reader == NULL) {
        code = reader_open(broker, task, peer, &reader);
    }
    if (code == ERROR_NONE) {
        reader_move(reader, read);
        reader_feed(broker, reader);
        flow_update(broker, reader->stream);
    }
    return code;
}

void stream_read_again(struct broker *broker, struct task *task, uint64_t credit)
{
    const struct stream *stream = task->extra == NULL ? NULL : task->extra->stream;
    struct reader *pacer = stream == NULL ? NULL : stream->pacer;

    if (pacer != NULL && pacer->away) {
        const struct read read = {.sequence = pacer->asked, .credit = credit};

        reader_move(pacer, &read);
        reader_feed(broker, pacer);
    }
}

void stream_replay(struct broker *broker, const struct task *task, struct peer *peer,
                   const struct read *read)
{
    const struct stream *stream = task->extra == NULL ? NULL : task->extra->stream;
    uint64_t from;

    if (stream == NULL) {
        return;
    }
    from = read->attempt == 0 || read->attempt == stream->attempt ? read->sequence : 0;
    for (from = from < stream->first ? stream->first : from; from < stream->next; from++) {
        send_chunk(broker, peer, stream, from);
    }
}

void stream_close(struct broker *broker, struct task *task)
{
    struct stream *stream = task->extra == NULL ? NULL : task->extra->stream;
    struct list *link;

    if (stream == NULL) {
        return;
    }
    while ((link = list_first(&stream->readers)) != NULL) {
        struct reader *reader = list_entry(link, struct reader, stream_link);

        /* No more comes: its credit no longer matters, for the rest is a ring at most. */
        reader->sent = reader->away ? reader->asked : reader->sent;
        reader->away = false;
        reader->until = UINT64_MAX - stream->next;
        reader_feed(broker, reader);
        if (reader->peer != task->owner || task->held) {
            result_send(broker, reader->peer, task);
        }
        reader_free(broker, reader);
    }
    if (task->needed_by != NULL || stream->next == 0) {
        /* Joins keep outcomes for as long as they like: not what led to them. */
        uint64_t before = task_bytes(task);

        task->extra->stream = NULL;
        stream_free(broker, stream);
        task_resized(broker, task, before);
    }
}

void stream_tell(struct broker *broker, const struct stream *stream, const struct peer *except,
                 const struct message *message)
{
    list_each(link, &stream->readers) {
        const struct reader *reader = list_entry(link, struct reader, stream_link);

        if (reader->peer != except) {
            peer_send(broker, reader->peer, message);
        }
    }
}

void stream_free(struct broker *broker, struct stream *stream)
{
    struct list *link;

    while ((link = list_first(&stream->readers)) != NULL) {
        reader_free(broker, list_entry(link, struct reader, stream_link));
    }
    ring_reset(broker, stream, 0);
    pool_put(&broker->stream_pool, stream);
}

void stream_peer_away(struct broker *broker, struct peer *peer)
{
    struct list *link = peer->readers.next;

    while (link != &peer->readers) {
        struct reader *reader = list_entry(link, struct reader, peer_link);

        link = link->next;
        if (reader->stream->pacer == reader) {
            reader->away = true; /* the worker waits for it */
        } else {
            reader_free(broker, reader);
        }
    }
}

void stream_peer_stayed_away(struct broker *broker, struct peer *peer)
{
    struct list *link = peer->readers.next;

    while (link != &peer->readers) {
        struct reader *reader = list_entry(link, struct reader, peer_link);
        struct stream *stream = reader->stream;

        link = link->next;
        if (reader->away) {
            reader_free(broker, reader);
            flow_update(broker, stream);
        }
    }
}

void stream_peer_gone(struct broker *broker, struct peer *peer)
{
    struct list *link;

    while ((link = list_first(&peer->readers)) != NULL) {
        struct reader *reader = list_entry(link, struct reader, peer_link);
        struct stream *stream = reader->stream;

        reader_free(broker, reader);
        flow_update(broker, stream);
    }
}
