/* store_rows: the parts of a few rows of the store, with all that they point to.
 *
 * What one thread reads is handed to another by the hundred, which makes rows of it: their bytes
 * are all that goes from one core's cache to the other's.
 *
 * One thread at a time. */
#ifndef SLUICE_BROKER_SHELL_STORE_ROWS_H
#define SLUICE_BROKER_SHELL_STORE_ROWS_H

#include "broker/shell/store_row.h"

#define STORE_ROWS_MAX 256
#define STORE_ROWS_BYTES (256 * 1024) /* one row may have more, alone */

struct store_rows {
    struct store_parts rows[STORE_ROWS_MAX]; /* with references of their large bodies */
    size_t count, large_bytes;
    uint8_t *bytes; /* what the rows borrow from */
    size_t size, capacity;
};

/* Zeroed is empty. */
void store_rows_deinit(struct store_rows *rows);
/* Empty again; keeps its memory. */
void store_rows_clear(struct store_rows *rows);

enum store_rows_result {
    STORE_ROWS_ADDED,
    STORE_ROWS_FULL, /* hand them over, and add it to others: then it has room */
    STORE_ROWS_NO_MEMORY,
};

/* Copies the parts, which have passed store_part_check. */
enum store_rows_result store_rows_add(struct store_rows *rows, const struct store_parts *parts);

#endif
