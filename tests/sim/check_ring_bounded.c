/* A stream's ring is within its bounds, in chunks and in bytes: nobody is sent, and QUERY does not
 * count, what must have slid out. What a pacer has not read is never more than it holds. */
#include "tests/sim/check.h"

#include "tests/sim/shadow_stream.h"

#include <inttypes.h>

#define PROPERTY "ring_bounded"

static void on_fact(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_task(model, &fact->id);

    if (fact->kind == FACT_SEND && fact->command == COMMAND_CHUNK_OUT && task != NULL &&
        task->stream != NULL) {
        MODEL_CHECK(model, PROPERTY,
                    fact->sequence >= shadow_ring_first(model, task->stream),
                    "CHUNK %s, number %" PRIu64 " of %" PRIu64
                    ": the ring has kept more than %" PRIu64 " chunks, or %" PRIu64 " bytes",
                    model_id_text(&fact->id), fact->sequence, task->stream->next,
                    model->core.stream_chunks, model->core.stream_bytes);
    }
}

static void after(struct model *model, const struct broker *core)
{
    list_each(at, &model->streams_touched) {
        const struct shadow_stream *stream = list_entry(at, struct shadow_stream, touched);
        const struct shadow_reader *pacer = shadow_pacer(stream);

        MODEL_CHECK(model, PROPERTY,
                    pacer == NULL || pacer->asked >= shadow_ring_first(model, stream),
                    "%s has said %" PRIu64 " chunks, its submitter has read %" PRIu64
                    ", and what lies between is more than the ring holds",
                    model_id_text(&stream->task->id), stream->next, pacer->asked);
    }
}

const struct checker check_ring_bounded = {
    .property = PROPERTY, .fact = on_fact, .after = after};
