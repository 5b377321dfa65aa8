#include "broker/core/stream_ring.h"

#include "common/mutant.h"

struct blob **ring_slot(const struct stream *stream, uint64_t number)
{
    struct stream_block *block = stream->head;
    uint64_t base = stream->base;

    CHECK(number >= base);
    for (; number - base >= STREAM_BLOCK; base += STREAM_BLOCK) {
        block = block->next;
    }
    return &block->chunks[number - base];
}

static void ring_put_head(struct broker *broker, struct stream *stream)
{
    struct stream_block *head = stream->head;

    stream->head = head->next;
    stream->tail = head->next == NULL ? NULL : stream->tail;
    stream->base += STREAM_BLOCK;
    stream->block_count--;
    pool_put(&broker->stream_block_pool, head);
}

void ring_drop_first(struct broker *broker, struct stream *stream)
{
    struct blob **slot = ring_slot(stream, stream->first);

    CHECK(stream->first < stream->next);
    stream->bytes -= blob_span(*slot).size;
    if (stream->pacer != NULL && stream->first >= stream->pacer->asked) {
        stream->unread -= blob_span(*slot).size; /* a new attempt: nobody is going to */
    }
    blob_unref(*slot);
    *slot = NULL;
    stream->first++;
    if (stream->first == stream->base + STREAM_BLOCK) {
        ring_put_head(broker, stream);
    }
}

void ring_reset(struct broker *broker, struct stream *stream, uint64_t number)
{
    while (stream->first < stream->next) {
        ring_drop_first(broker, stream);
    }
    while (stream->head != NULL) {
        ring_put_head(broker, stream);
    }
    stream->base = stream->first = stream->next = number;
    CHECK(stream->unread == 0);
}

bool ring_push(struct broker *broker, struct stream *stream, struct blob *blob)
{
    if (stream->next == stream->base + (uint64_t)stream->block_count * STREAM_BLOCK) {
        struct stream_block *block = pool_get(&broker->stream_block_pool);

        if (block == NULL) {
            return false;
        }
        if (stream->tail == NULL) {
            stream->head = block;
        } else {
            stream->tail->next = block;
        }
        stream->tail = block;
        stream->block_count++;
    }
    stream->tail->chunks[(stream->next - stream->base) % STREAM_BLOCK] = blob;
    stream->bytes += blob_span(blob).size;
    if (stream->pacer != NULL && stream->next >= stream->pacer->asked) {
        stream->unread += blob_span(blob).size;
    }
    stream->next++;
    return true;
}

uint64_t ring_spare(const struct stream *stream)
{
    return stream->pacer == NULL || stream->pacer->asked > stream->next ? stream->next
                                                                       : stream->pacer->asked;
}

static bool ring_over(const struct broker *broker, const struct stream *stream)
{
    return stream->next - stream->first > broker->options.stream_chunks ||
           stream->bytes > broker->options.stream_bytes;
}

void ring_trim(struct broker *broker, struct stream *stream)
{
    while (stream->first < stream->next && ring_over(broker, stream) &&
           !MUTANT(RING_UNBOUNDED)) {
        CHECK(stream->first < ring_spare(stream) || MUTANT(WORKER_NOT_PAUSED));
        ring_drop_first(broker, stream);
    }
}
