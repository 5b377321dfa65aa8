#include "broker/shell/store_rows.h"

#include <stdlib.h>

void store_rows_clear(struct store_rows *rows)
{
    for (size_t i = 0; i < rows->blob_count; i++) {
        blob_unref(rows->blobs[i]);
    }
    rows->count = rows->size = rows->blob_count = rows->blob_bytes = 0;
}

void store_rows_deinit(struct store_rows *rows)
{
    store_rows_clear(rows);
    free(rows->bytes);
    *rows = (struct store_rows){.count = 0};
}

/* Nothing points there yet: it may move. */
static bool reserve(struct store_rows *rows, size_t bytes)
{
    size_t capacity = bytes > STORE_ROWS_BYTES ? bytes : STORE_ROWS_BYTES;

    if (capacity > rows->capacity) {
        free(rows->bytes);
        rows->bytes = malloc(capacity);
        rows->capacity = rows->bytes != NULL ? capacity : 0;
    }
    return rows->bytes != NULL;
}

static size_t copied_bytes(const struct store_parts *parts)
{
    size_t bytes = 0;

    for (unsigned i = 0; i < STORE_PART_COUNT; i++) {
        bytes += parts->parts[i].size;
    }
    return bytes;
}

enum store_rows_result store_rows_add(struct store_rows *rows, const struct store_parts *parts,
                                      const char **why)
{
    struct store_parts copy = *parts;
    size_t bytes = copied_bytes(parts), at = rows->size;

    if (rows->count == STORE_ROWS_MAX || rows->blob_bytes > STORE_ROWS_BYTES ||
        (rows->count > 0 && bytes > rows->capacity - rows->size)) {
        return STORE_ROWS_FULL;
    }
    if (rows->count == 0 && !reserve(rows, bytes)) {
        return STORE_ROWS_NO_MEMORY;
    }
    for (unsigned i = 0; i < STORE_PART_COUNT; i++) {
        if (parts->parts[i].size > 0) {
            memcpy(rows->bytes + at, parts->parts[i].data, parts->parts[i].size);
        }
        copy.parts[i] = span_of(rows->bytes + at, parts->parts[i].size);
        at += parts->parts[i].size;
    }
    *why = store_row_read(&copy, &rows->rows[rows->count]);
    if (*why != NULL) {
        return STORE_ROWS_DAMAGED;
    }
    for (unsigned i = 0; i < STORE_PART_COUNT; i++) {
        if (copy.large[i] != NULL) {
            rows->blobs[rows->blob_count++] = blob_ref(copy.large[i]);
            rows->blob_bytes += blob_span(copy.large[i]).size;
        }
    }
    rows->size = at;
    rows->count++;
    return STORE_ROWS_ADDED;
}
