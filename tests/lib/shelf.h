/* shelf: a store in memory that keeps every record, so that a test can go back to any of them.
 *
 * What a disk would have after a crash is what was recorded up to some sequence: shelf_rows gives
 * the rows of such a moment. Deep copies; one thread. */
#ifndef SLUICE_TESTS_LIB_SHELF_H
#define SLUICE_TESTS_LIB_SHELF_H

#include "broker/core/store.h"

#include <stdbool.h>
#include <stddef.h>

struct shelf;

struct shelf *shelf_new(void);
void shelf_free(struct shelf *shelf); /* accepts NULL */
/* CHECKs that its sequence is the next one, and that it makes sense of its row. */
void shelf_add(struct shelf *shelf, const struct store_record *record);
/* The broker is gone: what was recorded after `sequence` is, too. The next broker counts from 1. */
void shelf_crash(struct shelf *shelf, uint64_t sequence);
uint64_t shelf_last(const struct shelf *shelf); /* sequence; 0: none since the last crash */
uint64_t shelf_next_key(const struct shelf *shelf);
size_t shelf_count(const struct shelf *shelf); /* rows */
/* In the order of keys. Rows are borrowed until the next call of shelf_add or shelf_crash. */
const struct store_row *shelf_row(struct shelf *shelf, size_t index);
/* It cannot be read any more: those behind it move up. */
void shelf_lose(struct shelf *shelf, size_t index);

#endif
