/* store_load: all rows of a store's database, and nothing that was not written.
 *
 * The caller's thread, and one more until it returns. */
#ifndef SLUICE_BROKER_SHELL_STORE_LOAD_H
#define SLUICE_BROKER_SHELL_STORE_LOAD_H

#include "broker/shell/store.h"
#include "broker/shell/store_file.h"

/* As store_load. A `file` that was mended is another one. Of one that was opened to read nothing is
 * mended, nor set aside. */
bool store_file_load(struct store_file *file, const struct store_taker *taker, uint64_t *next_key,
                     struct store_report *report, struct problem *problem);

#endif
