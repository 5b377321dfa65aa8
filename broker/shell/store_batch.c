#include "broker/shell/store_batch.h"

#include "common/check.h"

#include <stdlib.h>

#define QUEUE_BYTES_MIN (64 * 1024)
#define QUEUE_BYTES_KEPT (64 * 1024 * 1024) /* an empty queue gives back what is above it */
#define INDEX_BITS_MIN 10
#define CHANGES_MAX (UINT32_MAX / 4)

/* ---- the queue ----------------------------------------------------------------------- */

static size_t entry_size(size_t part_size)
{
    return (sizeof(struct store_entry) + part_size + 7) & ~(size_t)7;
}

static struct store_entry *queue_at(const struct store_queue *queue, size_t at)
{
    return (struct store_entry *)(void *)(queue->data + at);
}

struct span store_entry_part(const struct store_entry *entry)
{
    return span_of(entry + 1, entry->size);
}

void store_queue_clear(struct store_queue *queue)
{
    if (queue->large_bytes > 0) {
        for (size_t at = 0; at < queue->size; at += entry_size(queue_at(queue, at)->size)) {
            blob_unref(queue_at(queue, at)->large);
        }
    }
    if (queue->capacity > QUEUE_BYTES_KEPT) {
        free(queue->data);
        queue->data = NULL;
        queue->capacity = 0;
    }
    queue->size = queue->entries = queue->large_bytes = 0;
    queue->records = 0;
}

void store_queue_deinit(struct store_queue *queue)
{
    store_queue_clear(queue);
    free(queue->data);
    *queue = (struct store_queue){0};
}

static bool queue_reserve(struct store_queue *queue, size_t bytes)
{
    size_t capacity = queue->capacity > 0 ? queue->capacity : QUEUE_BYTES_MIN;
    uint8_t *data;

    if (bytes <= queue->capacity - queue->size) {
        return true;
    }
    while (capacity - queue->size < bytes) {
        capacity *= 2;
    }
    data = realloc(queue->data, capacity);
    if (data == NULL) {
        return false;
    }
    queue->data = data;
    queue->capacity = capacity;
    return true;
}

static size_t draft_size(const struct store_draft *draft)
{
    return draft->head_size + draft->body.size + STORE_DIGEST_BYTES;
}

/* There is room. `draft`: NULL if the entry has no part. */
static void queue_put(struct store_queue *queue, const struct store_record *record,
                      const struct store_draft *draft)
{
    struct store_entry *entry = queue_at(queue, queue->size);
    uint8_t *at = (uint8_t *)(entry + 1);

    *entry = (struct store_entry){.key = record->key, .what = (uint16_t)record->what};
    if (draft != NULL) {
        entry->part = (uint16_t)draft->part;
        entry->size = (uint32_t)draft_size(draft);
        entry->large = blob_ref(draft->large);
        queue->large_bytes += blob_span(draft->large).size;
        memcpy(at, draft->head, draft->head_size);
        if (draft->body.size > 0) {
            memcpy(at + draft->head_size, draft->body.data, draft->body.size);
        }
    }
    queue->size += entry_size(entry->size);
    queue->entries++;
}

bool store_queue_add(struct store_queue *queue, const struct store_record *record,
                     const struct store_encoder *encoder)
{
    size_t bytes = 0;

    if (record->what == STORE_FORGET) {
        bytes = entry_size(0);
    }
    for (size_t i = 0; i < encoder->count; i++) {
        bytes += entry_size(draft_size(&encoder->drafts[i]));
    }
    if (!queue_reserve(queue, bytes)) {
        return false;
    }
    if (record->what == STORE_FORGET) {
        queue_put(queue, record, NULL);
    }
    for (size_t i = 0; i < encoder->count; i++) {
        queue_put(queue, record, &encoder->drafts[i]);
    }
    queue->records++;
    queue->sequence = record->sequence;
    return true;
}

/* ---- the batch ----------------------------------------------------------------------- */

void store_batch_deinit(struct store_batch *batch)
{
    free(batch->changes);
    free(batch->index);
    *batch = (struct store_batch){0};
}

/* Room for `entries` different keys, none of them there yet, in 2^*bits slots. */
static bool batch_prepare(struct store_batch *batch, size_t entries, unsigned *bits)
{
    size_t slots;

    if (entries > CHANGES_MAX) {
        return false;
    }
    *bits = INDEX_BITS_MIN;
    while ((size_t)1 << *bits < entries * 2) {
        ++*bits;
    }
    slots = (size_t)1 << *bits;
    if (slots > batch->index_capacity) {
        store_batch_deinit(batch);
        batch->changes = malloc(slots / 2 * sizeof *batch->changes);
        batch->index = malloc(slots * sizeof *batch->index);
        if (batch->changes == NULL || batch->index == NULL) {
            store_batch_deinit(batch);
            return false;
        }
        batch->index_capacity = slots;
        batch->capacity = slots / 2;
    }
    /* As few slots as will do: they stay in the caches, and few are cleared. */
    memset(batch->index, 0, slots * sizeof *batch->index);
    batch->count = batch->writes = 0;
    batch->key_max = 0;
    return true;
}

/* The change of `key`, a new one if there is none; of the slots, 2^bits are in use. */
static struct store_change *batch_change(struct store_batch *batch, unsigned bits, uint64_t key)
{
    size_t slot = store_slot(key, bits), mask = ((size_t)1 << bits) - 1;
    struct store_change *change;

    for (; batch->index[slot] != 0; slot = (slot + 1) & mask) {
        change = &batch->changes[batch->index[slot] - 1];
        if (change->key == key) {
            return change;
        }
    }
    CHECK(batch->count < batch->capacity);
    change = &batch->changes[batch->count++];
    batch->index[slot] = (uint32_t)batch->count;
    *change = (struct store_change){.key = key, .kind = STORE_CHANGE_UPDATE};
    batch->key_max = key > batch->key_max ? key : batch->key_max;
    return change;
}

static void change_apply(struct store_change *change, struct store_entry *entry)
{
    if (entry->what == STORE_FORGET) {
        change->kind = change->kind == STORE_CHANGE_INSERT ? STORE_CHANGE_NOTHING
                                                           : STORE_CHANGE_DELETE;
        return;
    }
    if (entry->what == STORE_TASK || entry->what == STORE_DIRECTIVE) {
        change->kind = STORE_CHANGE_INSERT;
    }
    change->parts[entry->part] = entry;
}

static void change_seal(struct store_change *change)
{
    for (unsigned i = 0; i < STORE_PART_COUNT; i++) {
        struct store_entry *entry = change->parts[i];

        if (entry != NULL) {
            store_part_seal(change->key, (enum store_part)i, (uint8_t *)(entry + 1), entry->size,
                            entry->large);
        }
    }
}

bool store_batch_make(struct store_batch *batch, struct store_queue *queue)
{
    unsigned bits;

    if (!batch_prepare(batch, queue->entries, &bits)) {
        return false;
    }
    for (size_t at = 0; at < queue->size; at += entry_size(queue_at(queue, at)->size)) {
        struct store_entry *entry = queue_at(queue, at);

        change_apply(batch_change(batch, bits, entry->key), entry);
    }
    for (size_t i = 0; i < batch->count; i++) {
        struct store_change *change = &batch->changes[i];

        if (change->kind == STORE_CHANGE_INSERT || change->kind == STORE_CHANGE_UPDATE) {
            change_seal(change);
        }
        batch->writes += change->kind != STORE_CHANGE_NOTHING;
    }
    return true;
}
