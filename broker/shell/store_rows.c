#include "broker/shell/store_rows.h"

#include <stdlib.h>

void store_rows_clear(struct store_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        for (unsigned part = 0; part < STORE_PART_COUNT; part++) {
            blob_unref(rows->rows[i].large[part]);
        }
    }
    rows->count = rows->size = rows->large_bytes = 0;
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

enum store_rows_result store_rows_add(struct store_rows *rows, const struct store_parts *parts)
{
    struct store_parts *copy = &rows->rows[rows->count];
    size_t bytes = copied_bytes(parts);

    if (rows->count == STORE_ROWS_MAX || rows->large_bytes > STORE_ROWS_BYTES ||
        (rows->count > 0 && bytes > rows->capacity - rows->size)) {
        return STORE_ROWS_FULL;
    }
    if (rows->count == 0 && !reserve(rows, bytes)) {
        return STORE_ROWS_NO_MEMORY;
    }
    *copy = *parts;
    for (unsigned i = 0; i < STORE_PART_COUNT; i++) {
        copy->parts[i].data = rows->bytes + rows->size;
        if (parts->parts[i].size > 0) {
            memcpy(rows->bytes + rows->size, parts->parts[i].data, parts->parts[i].size);
        }
        rows->size += parts->parts[i].size;
        if (copy->large[i] != NULL) {
            blob_ref(copy->large[i]);
            rows->large_bytes += blob_span(copy->large[i]).size;
        }
    }
    rows->count++;
    return STORE_ROWS_ADDED;
}
