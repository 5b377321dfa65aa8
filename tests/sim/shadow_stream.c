#include "tests/sim/shadow_stream.h"

#include "common/check.h"
#include "tests/sim/shadow.h"

#include <stdlib.h>
#include <string.h>

/* More than a chunk's records, and what counts against the budget without being told (readers,
 * strays, turns, versions, accounts of keys), take. */
#define SHORT_OF_MEMORY 40960

/* ---- who reads ------------------------------------------------------------------------- */

const struct shadow_session *model_holder(const struct model *model,
                                          const struct shadow_task *task)
{
    list_each(at, &model->leases) {
        const struct shadow_lease *lease = list_entry(at, struct shadow_lease, link);

        if (lease->task_order == task->order && lease->attempt == task->attempt) {
            return lease->offer->session;
        }
    }
    return NULL;
}

static struct shadow_reader *reader_of(const struct shadow_stream *stream, const struct id *session)
{
    list_each(at, &stream->readers) {
        struct shadow_reader *reader = list_entry(at, struct shadow_reader, link);

        if (id_equal(&reader->session, session)) {
            return reader;
        }
    }
    return NULL;
}

struct shadow_reader *model_reader(const struct model *model, const struct shadow_task *task,
                                   uint32_t connection)
{
    const struct shadow_session *session = model_session(model, connection);

    return session == NULL || task->stream == NULL ? NULL
                                                   : reader_of(task->stream, &session->id);
}

bool shadow_told_as_reader(const struct model *model, const struct shadow_task *task,
                           uint32_t connection)
{
    const struct shadow_reader *reader = model_reader(model, task, connection);
    bool owner = reader != NULL && id_equal(&reader->session, &task->session) &&
                 !task->orphan && !task->alone;

    return reader != NULL && (!owner || task->held);
}

struct shadow_reader *shadow_pacer(const struct shadow_stream *stream)
{
    list_each(at, &stream->readers) {
        struct shadow_reader *reader = list_entry(at, struct shadow_reader, link);

        if (reader->pacer) {
            return reader;
        }
    }
    return NULL;
}

static void reader_drop(struct shadow_reader *reader)
{
    list_unlink(&reader->link);
    free(reader);
}

static struct shadow_reader *reader_add(struct shadow_stream *stream, const struct id *session)
{
    struct shadow_reader *reader = calloc(1, sizeof *reader);

    CHECK(reader != NULL);
    reader->session = *session;
    reader->away = true;
    list_init(&reader->link);
    list_push_back(&stream->readers, &reader->link);
    return reader;
}

/* ---- the ring -------------------------------------------------------------------------- */

uint64_t shadow_ring_first(const struct model *model, const struct shadow_stream *stream)
{
    uint64_t first = stream->next, bytes = 0;

    while (first > 0 && stream->next - first < model->core.stream_chunks) {
        bytes += stream->chunks[first - 1].bytes;
        if (bytes > model->core.stream_bytes) {
            break;
        }
        first--;
    }
    return first;
}

uint64_t shadow_allowed(const struct model *model, const struct shadow_stream *stream)
{
    const struct shadow_reader *pacer = shadow_pacer(stream);
    uint64_t chunks = model->core.stream_chunks, bytes = model->core.stream_bytes, unread = 0;
    uint64_t read = pacer->asked < stream->next ? pacer->asked : stream->next;
    uint64_t room = stream->next - read < chunks ? chunks - (stream->next - read) : 0;

    for (uint64_t i = read; i < stream->next; i++) {
        unread += stream->chunks[i].bytes;
    }
    bytes = unread < bytes ? (bytes - unread) / CHUNK_BYTES_MAX : 0;
    room = room < bytes ? room : bytes;
    return stream->next + (room == 0 && read == stream->next ? 1 : room);
}

static void touch(struct model *model, struct shadow_task *task)
{
    if (list_empty(&task->stream->touched)) {
        list_push_back(&model->streams_touched, &task->stream->touched);
    }
}

static struct shadow_stream *stream_of(struct model *model, struct shadow_task *task)
{
    if (task->stream == NULL) {
        task->stream = calloc(1, sizeof *task->stream);
        CHECK(task->stream != NULL);
        task->stream->task = task;
        task->stream->attempt = task->attempt;
        list_init(&task->stream->readers);
        list_init(&task->stream->touched);
    }
    touch(model, task);
    return task->stream;
}

static void chunk_add(struct shadow_stream *stream, struct span payload)
{
    if (stream->next == stream->capacity) {
        stream->capacity = stream->capacity == 0 ? 16 : stream->capacity * 2;
        stream->chunks = realloc(stream->chunks, stream->capacity * sizeof *stream->chunks);
        CHECK(stream->chunks != NULL);
    }
    stream->chunks[stream->next++] =
        (struct shadow_chunk){fact_digest(payload), payload.size};
}

void shadow_stream_free(struct shadow_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    list_each(at, &stream->readers) {
        reader_drop(list_entry(at, struct shadow_reader, link));
    }
    list_unlink(&stream->touched);
    free(stream->chunks);
    free(stream);
}

/* ---- what peers say -------------------------------------------------------------------- */

void shadow_stream_submitted(struct model *model, struct shadow_task *task, uint64_t credit)
{
    if (credit > 0) {
        struct shadow_reader *reader = reader_add(stream_of(model, task), &task->session);

        reader->pacer = true;
        reader->away = model->restoring; /* then it has to come back first */
        reader->credit = reader->until = credit;
    }
}

/* Without memory, and with nothing else to forget, rings shrink. */
static bool memory_short(const struct model *model, uint64_t bytes)
{
    return model->after.retained == 0 && model->after.remembered == 0 &&
           model->before.memory_bytes + bytes + SHORT_OF_MEMORY > model->core.memory_max;
}

static void take_chunk(struct model *model, const struct chunk *chunk)
{
    struct shadow_task *task = model->subject;

    if (!model->current || task->state != SHADOW_LEASED) {
        return;
    }
    model->chunk_code = shadow_error_told(model);
    if (task->stream != NULL) {
        task->stream->bound = task->stream->until;
        task->stream->vague |= model->chunk_code != NULL &&
                               strcmp(model->chunk_code, "memory_full") == 0;
    }
    if (model->chunk_code == NULL) {
        struct shadow_stream *stream = stream_of(model, task);

        stream->vague = stream->vague || memory_short(model, chunk->payload.bytes.size);
        chunk_add(stream, chunk->payload.bytes);
    }
}

static void reader_move(struct shadow_reader *reader, const struct shadow_stream *stream,
                        const struct read *read)
{
    bool here = read->attempt == 0 || read->attempt == stream->attempt;
    uint64_t from = here ? read->sequence : 0;

    from = from > reader->asked ? from : reader->asked;
    if (reader->away) {
        reader->next = from;
        reader->away = false;
    }
    reader->asked = from;
    reader->next = reader->next > from ? reader->next : from;
    reader->credit = read->credit;
    reader->until = from + read->credit > reader->next ? from + read->credit : reader->next;
}

static void take_read(struct model *model, const struct shadow_session *session,
                      const struct read *read)
{
    struct shadow_task *task = model->subject;
    struct shadow_reader *reader;

    if (task == NULL || shadow_error_told(model) != NULL) {
        return;
    }
    if (shadow_ended(task)) {
        bool here = task->stream != NULL &&
                    (read->attempt == 0 || read->attempt == task->stream->attempt);

        model->replay_next = here ? read->sequence : 0;
        return;
    }
    reader = task->stream == NULL ? NULL : reader_of(task->stream, &session->id);
    if (read->credit == 0) {
        if (reader != NULL) {
            touch(model, task);
            reader_drop(reader);
        }
        return;
    }
    if (reader == NULL) {
        reader = reader_add(stream_of(model, task), &session->id);
    }
    touch(model, task);
    reader_move(reader, task->stream, read);
}

/* SUBMIT again, of a live task of its own: it reads on from what it has acknowledged. */
static void take_submit(struct model *model, const struct submit *submit)
{
    struct shadow_task *task = model->subject;
    struct shadow_reader *pacer;

    if (!model->subject_live || task->stream == NULL || submit->stream == 0 || task->orphan) {
        return;
    }
    pacer = shadow_pacer(task->stream);
    if (pacer != NULL && pacer->away && model_reader(model, task, model->event->from) == pacer) {
        const struct read read = {.sequence = pacer->asked, .credit = submit->stream};

        touch(model, task);
        reader_move(pacer, task->stream, &read);
    }
}

/* What it paced and has not read again for so long holds up no worker any more. */
static void take_ping(struct model *model, const struct shadow_session *session)
{
    if (model->now_ms < session->anew_ms + model->core.resume_ms) {
        return;
    }
    list_each(at, &model->tasks) {
        struct shadow_task *task = list_entry(at, struct shadow_task, link);
        struct shadow_reader *reader =
            task->stream == NULL ? NULL : reader_of(task->stream, &session->id);

        if (reader != NULL && reader->pacer && reader->away) {
            touch(model, task);
            reader_drop(reader);
        }
    }
}

void shadow_stream_event(struct model *model, const struct shadow_session *session)
{
    if (model_event_is(model, COMMAND_CHUNK)) {
        take_chunk(model, &model->event->message->chunk);
    } else if (model_event_is(model, COMMAND_READ)) {
        take_read(model, session, &model->event->message->read);
    } else if (model_event_is(model, COMMAND_SUBMIT)) {
        take_submit(model, &model->event->message->submit);
    } else if (model_event_is(model, COMMAND_PING)) {
        take_ping(model, session);
    } else if (model_event_is(model, COMMAND_BYE)) {
        shadow_stream_gone(model, session);
    }
}

void shadow_stream_away(struct model *model, const struct shadow_session *session)
{
    list_each(at, &model->tasks) {
        struct shadow_task *task = list_entry(at, struct shadow_task, link);
        struct shadow_reader *reader =
            task->stream == NULL ? NULL : reader_of(task->stream, &session->id);

        if (reader != NULL && reader->pacer) {
            reader->away = true; /* its worker waits for it */
            reader->next = reader->asked;
        } else if (reader != NULL) {
            reader_drop(reader);
        }
    }
}

void shadow_stream_gone(struct model *model, const struct shadow_session *session)
{
    list_each(at, &model->tasks) {
        struct shadow_task *task = list_entry(at, struct shadow_task, link);
        struct shadow_reader *reader =
            task->stream == NULL ? NULL : reader_of(task->stream, &session->id);

        if (reader != NULL) {
            touch(model, task);
            reader_drop(reader);
        }
    }
}

/* ---- what the broker says -------------------------------------------------------------- */

static void take_start(struct model *model, struct shadow_task *task, const struct fact *fact)
{
    struct shadow_stream *stream = task->stream;

    if (stream == NULL) {
        return;
    }
    touch(model, task);
    stream->attempt = fact->attempt;
    stream->next = 0;
    stream->vague = false;
    stream->until = fact->sequence;
    list_each(at, &stream->readers) {
        struct shadow_reader *reader = list_entry(at, struct shadow_reader, link);

        reader->asked = reader->next = 0;
        reader->until = reader->credit;
    }
}

static void take_chunk_out(struct model *model, struct shadow_task *task, const struct fact *fact)
{
    struct shadow_reader *reader = model_reader(model, task, fact->connection);

    if (reader == NULL) {
        model->replay_next = fact->sequence + 1;
        return;
    }
    reader->away = false; /* the end gives it all that it lacks */
    reader->until += fact->sequence - reader->next;
    reader->next = fact->sequence + 1;
}

void shadow_stream_fact(struct model *model, const struct fact *fact)
{
    struct shadow_task *task = model_task(model, &fact->id);
    struct shadow_reader *reader;

    if (task == NULL || fact->kind != FACT_SEND) {
        return;
    }
    if (fact->command == COMMAND_TASK) {
        take_start(model, task, fact);
    } else if (fact->command == COMMAND_CHUNK_OUT) {
        take_chunk_out(model, task, fact);
    } else if (fact->command == COMMAND_FLOW && task->stream != NULL) {
        task->stream->until = fact->sequence;
    } else if (fact->command == COMMAND_RESULT && fact->outcome != OUTCOME_REFUSED) {
        reader = model_reader(model, task, fact->connection);
        if (reader != NULL) {
            reader->told = true;
        }
    }
}

void shadow_stream_settle(struct model *model)
{
    struct list *at;

    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];
        const struct shadow_task *task = fact->kind == FACT_MOVE && fact->to >= SHADOW_DONE
                                             ? model_task(model, &fact->id)
                                             : NULL;

        if (task == NULL || !shadow_ended(task) || task->stream == NULL) {
            continue;
        }
        list_each(link, &task->stream->readers) {
            reader_drop(list_entry(link, struct shadow_reader, link));
        }
    }
    while ((at = list_pop_front(&model->streams_touched)) != NULL) {
        list_init(at);
    }
}
