/* A worker whose stream is paced is told exactly how far it may go so that what its submitter has
 * not read fits the ring, stops there, and is told to go on as soon as it may; without a pacer
 * nothing holds it. A CHUNK is refused for a reason of PROTOCOL.md, and for no other. */
#include "tests/sim/check.h"

#include "tests/sim/shadow_stream.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>

#define PROPERTY "worker_paced"

static void see_task(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_task(model, &fact->id);
    const struct shadow_reader *pacer =
        task == NULL || task->stream == NULL ? NULL : shadow_pacer(task->stream);
    uint64_t chunks = model->core.stream_chunks;
    uint64_t large = model->core.stream_bytes / CHUNK_BYTES_MAX;
    uint64_t expected = pacer == NULL ? 0 : chunks < large ? chunks : large;

    MODEL_CHECK(model, PROPERTY, fact->sequence == expected,
                "TASK %s lets its worker say %" PRIu64 " chunks, expected %" PRIu64,
                model_id_text(&fact->id), fact->sequence, expected);
}

static void see_flow(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_task(model, &fact->id);
    const struct shadow_session *holder = task == NULL ? NULL : model_holder(model, task);
    uint64_t expected;

    MODEL_CHECK(model, PROPERTY,
                holder != NULL && holder->connection == fact->connection &&
                    task->state == SHADOW_LEASED && fact->attempt == task->attempt &&
                    task->stream != NULL && task->stream->until > 0,
                "FLOW %s to c%u, attempt %" PRIu64 ": nobody waits for it there",
                model_id_text(&fact->id), fact->connection, fact->attempt);
    expected = shadow_pacer(task->stream) == NULL ? 0 : shadow_allowed(model, task->stream);
    MODEL_CHECK(model, PROPERTY, fact->sequence == expected,
                "FLOW %s up to %" PRIu64 ", expected %" PRIu64, model_id_text(&fact->id),
                fact->sequence, expected);
    MODEL_CHECK(model, PROPERTY, expected == 0 || expected > task->stream->until,
                "FLOW %s up to %" PRIu64 ", which is no news", model_id_text(&fact->id),
                expected);
    if (task->stream->next >= task->stream->until) {
        sometimes(SOMETIMES_WORKER_RESUMED);
    }
}

static void on_fact(struct model *model, const struct fact *fact)
{
    if (fact->kind == FACT_SEND && fact->command == COMMAND_TASK) {
        see_task(model, fact);
    } else if (fact->kind == FACT_SEND && fact->command == COMMAND_FLOW) {
        see_flow(model, fact);
    }
}

static void check_pace(struct model *model, const struct shadow_stream *stream)
{
    const char *task = model_id_text(&stream->task->id);
    bool paused = stream->until > 0 && stream->next >= stream->until;

    if (stream->task->state != SHADOW_LEASED) {
        return;
    }
    if (shadow_pacer(stream) == NULL) {
        MODEL_CHECK(model, PROPERTY, stream->until == 0,
                    "the worker of %s may go up to %" PRIu64 ", and nobody paces it", task,
                    stream->until);
        return;
    }
    MODEL_CHECK(model, PROPERTY, !paused || shadow_allowed(model, stream) == stream->next,
                "the worker of %s is held at %" PRIu64 ", and may go up to %" PRIu64, task,
                stream->next, shadow_allowed(model, stream));
    if (paused) {
        sometimes(SOMETIMES_WORKER_PAUSED);
    }
}

/* Why the CHUNK under way cannot be taken, memory aside; NULL: it can. By the stream as it was
 * before: one that was taken is its last one now. */
static const char *why_refused(const struct shadow_stream *stream, const struct chunk *chunk,
                               bool taken)
{
    uint64_t next = stream == NULL ? 0 : stream->next - taken;

    if (chunk->sequence != next) {
        return "bad_message";
    }
    if (chunk->payload.bytes.size > CHUNK_BYTES_MAX) {
        return "too_large";
    }
    return stream != NULL && stream->bound > 0 && next >= stream->bound ? "limit_exceeded" : NULL;
}

static void after_chunk(struct model *model)
{
    const struct chunk *chunk = &model->event->message->chunk;
    const char *told = model->chunk_code;
    const char *why;
    bool paced; /* a submitter waits for it */

    if (!model->current || (told == NULL && model->after.chunks == model->before.chunks)) {
        return; /* it is being cancelled */
    }
    why = why_refused(model->subject->stream, chunk, told == NULL);
    paced = model->subject->stream != NULL && model->subject->stream->bound > 0;
    MODEL_CHECK(model, PROPERTY,
                why == NULL ? told == NULL || (paced && strcmp(told, "memory_full") == 0)
                            : told != NULL && strcmp(told, why) == 0,
                "CHUNK %s, number %" PRIu64 ": answered '%s', expected '%s'",
                model_id_text(&chunk->id), chunk->sequence, told == NULL ? "" : told,
                why == NULL ? "" : why);
    if (why != NULL && strcmp(why, "limit_exceeded") == 0) {
        sometimes(SOMETIMES_FLOW_EXCEEDED);
    } else if (why != NULL) {
        sometimes(SOMETIMES_CHUNK_SKIPPED_AHEAD);
    }
}

static void after(struct model *model, const struct broker *core)
{
    list_each(at, &model->streams_touched) {
        check_pace(model, list_entry(at, struct shadow_stream, touched));
    }
    if (model_event_is(model, COMMAND_CHUNK)) {
        after_chunk(model);
    }
}

const struct checker check_worker_paced = {
    .property = PROPERTY, .fact = on_fact, .after = after};
