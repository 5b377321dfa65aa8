/* store_shrink: room that a store's database does not need any more.
 *
 * What is forgotten leaves free pages, which are used again: the file is as large as it ever had to
 * be. SQLite could keep a list of whose each page is (auto_vacuum) and give them back one by one,
 * which costs the store's thread 3 to 5 % of all it does. So the file is written anew instead:
 * in an idle moment if hardly anything is left in it, or by people while no broker runs. */
#ifndef SLUICE_BROKER_SHELL_STORE_SHRINK_H
#define SLUICE_BROKER_SHELL_STORE_SHRINK_H

#include "broker/shell/store_file.h"

#define STORE_SHRINK_FREE_BYTES (16 * 1024 * 1024) /* less is not worth it */
#define STORE_SHRINK_KEPT_BYTES (16 * 1024 * 1024) /* more takes too long while a broker runs */

/* True: so much of it is free, and so little is not. */
bool store_shrink_pays(struct store_file *file);

/* Writes what is left into the log, in one transaction; the next checkpoint makes the file small.
 * FULL: nothing changed. */
enum store_file_result store_shrink(struct store_file *file);

struct store_compacted {
    uint64_t before_bytes, after_bytes;
};

/* The same of the store at `path`, however large, by a new file that takes its place: at each
 * moment there is a whole one. False: `problem` says why, and it is as it was. */
bool store_compact(const char *path, struct store_compacted *compacted, struct problem *problem);

#endif
