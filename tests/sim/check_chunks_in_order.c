/* A reader gets every chunk of the running attempt in order, once, as its worker said it, no more
 * than it takes, and at once; what is left out is exactly what the ring no longer has, so that one
 * who is back within the ring misses nothing. The end brings the rest, then RESULT. */
#include "tests/sim/check.h"

#include "tests/sim/shadow_stream.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>

#define PROPERTY "chunks_in_order"

/* Where a READ of what has ended stands: nobody is left on that stream. */
static bool replayed(const struct model *model, const struct shadow_task *task,
                     const struct fact *fact)
{
    return shadow_ended(task) && !model->subject_live && model->subject == task &&
           model_event_is(model, COMMAND_READ) && fact->connection == model->event->from;
}

/* What it is sent next: what it lacks, if the ring has it. */
static uint64_t expected_next(const struct model *model, const struct shadow_task *task,
                              const struct shadow_reader *reader)
{
    uint64_t first = shadow_ring_first(model, task->stream);
    uint64_t next = reader == NULL  ? model->replay_next
                    : reader->away ? reader->asked
                                   : reader->next;

    return next > first ? next : first;
}

static void see_chunk(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_task(model, &fact->id);
    const struct shadow_stream *stream = task == NULL ? NULL : task->stream;
    const struct shadow_reader *reader;
    uint64_t expected;

    MODEL_CHECK(model, PROPERTY,
                stream != NULL && fact->attempt == stream->attempt &&
                    fact->sequence < stream->next,
                "CHUNK %s, attempt %" PRIu64 ", number %" PRIu64 ", which no worker said",
                model_id_text(&fact->id), fact->attempt, fact->sequence);
    MODEL_CHECK(model, PROPERTY, fact->digest == stream->chunks[fact->sequence].digest,
                "CHUNK %s, number %" PRIu64 ": not what its worker said",
                model_id_text(&fact->id), fact->sequence);
    reader = model_reader(model, task, fact->connection);
    MODEL_CHECK(model, PROPERTY, reader != NULL || replayed(model, task, fact),
                "CHUNK %s to c%u, which does not read it", model_id_text(&fact->id),
                fact->connection);
    MODEL_CHECK(model, PROPERTY, reader == NULL || !reader->away || shadow_ended(task),
                "CHUNK %s to c%u, which has not said READ on this connection",
                model_id_text(&fact->id), fact->connection);
    expected = expected_next(model, task, reader);
    MODEL_CHECK(model, PROPERTY,
                stream->vague ? fact->sequence >= (reader != NULL ? reader->next : 0)
                              : fact->sequence == expected,
                "CHUNK %s to c%u: number %" PRIu64 ", expected %" PRIu64,
                model_id_text(&fact->id), fact->connection, fact->sequence, expected);
    if (reader == NULL) {
        sometimes(SOMETIMES_STREAM_REPLAYED);
        return;
    }
    MODEL_CHECK(model, PROPERTY,
                shadow_ended(task) || stream->vague ||
                    fact->sequence < reader->until + (fact->sequence - reader->next),
                "CHUNK %s to c%u: number %" PRIu64 ", and it takes none from %" PRIu64 " on",
                model_id_text(&fact->id), fact->connection, fact->sequence, reader->until);
    if (fact->sequence > reader->next) {
        sometimes(SOMETIMES_GAP_TOLD);
    }
}

/* RESULT says that there is no more. */
static void see_result(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_task(model, &fact->id);
    const struct shadow_stream *stream = task == NULL ? NULL : task->stream;
    const struct shadow_reader *reader;

    if (stream == NULL || fact->outcome == OUTCOME_REFUSED || stream->vague) {
        return;
    }
    reader = model_reader(model, task, fact->connection);
    MODEL_CHECK(model, PROPERTY, reader == NULL || reader->next >= stream->next,
                "RESULT of %s to c%u, which has had chunks below %" PRIu64 " of %" PRIu64,
                model_id_text(&fact->id), fact->connection, reader->next, stream->next);
    if (reader == NULL && replayed(model, task, fact) && !task->needed) {
        MODEL_CHECK(model, PROPERTY, model->replay_next >= stream->next,
                    "RESULT of %s to c%u, which has had chunks below %" PRIu64 " of %" PRIu64,
                    model_id_text(&fact->id), fact->connection, model->replay_next,
                    stream->next);
    }
}

static void on_fact(struct model *model, const struct fact *fact)
{
    if (fact->kind == FACT_SEND && fact->command == COMMAND_CHUNK_OUT) {
        see_chunk(model, fact);
    } else if (fact->kind == FACT_SEND && fact->command == COMMAND_RESULT) {
        see_result(model, fact);
    }
}

static void check_stream(struct model *model, const struct shadow_stream *stream)
{
    list_each(at, &stream->readers) {
        const struct shadow_reader *reader = list_entry(at, struct shadow_reader, link);

        MODEL_CHECK(model, PROPERTY,
                    reader->away || reader->next >= reader->until ||
                        reader->next >= stream->next || stream->vague ||
                        shadow_ended(stream->task),
                    "a reader of %s has had chunks below %" PRIu64 " of %" PRIu64
                    ", and takes those below %" PRIu64,
                    model_id_text(&stream->task->id), reader->next, stream->next,
                    reader->until);
    }
}

static void after(struct model *model, const struct broker *core)
{
    list_each(at, &model->streams_touched) {
        check_stream(model, list_entry(at, struct shadow_stream, touched));
    }
}

const struct checker check_chunks_in_order = {
    .property = PROPERTY, .fact = on_fact, .after = after};
