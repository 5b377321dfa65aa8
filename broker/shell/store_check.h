/* store_check: what there is to know about a store's database without a broker, or its rows.
 *
 * For files that were opened to read. One thread. */
#ifndef SLUICE_BROKER_SHELL_STORE_CHECK_H
#define SLUICE_BROKER_SHELL_STORE_CHECK_H

#include "broker/shell/store_file.h"

struct store_figures {
    uint64_t bytes;       /* of the database, without its log */
    uint64_t free_bytes;  /* of these are used again before it grows */
    uint64_t log_bytes;
    uint64_t large, large_bytes;         /* bodies beside their rows */
    uint64_t set_aside, set_aside_bytes; /* damaged rows that a broker found, without such bodies */
    uint64_t orphans, orphan_bytes;      /* bodies that no row has, neither good nor set aside */
};

/* False: `problem` says what cannot be read. */
bool store_check_figures(struct store_file *file, struct store_figures *figures,
                         struct problem *problem);

/* What SQLite itself finds wrong with the file, sentence by sentence, 100 at most. Reads all of it.
 * False: `problem` says why that cannot be found out. */
bool store_check_pages(struct store_file *file, void (*say)(void *context, const char *sentence),
                       void *context, struct problem *problem);

#endif
