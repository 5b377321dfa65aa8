/* store_mend: a new database with all that can still be read of a damaged one.
 *
 * SQLite does not write to a tree that it finds damaged, and a list of free pages that is wrong
 * makes it overwrite what is good. So nothing goes on in such a file: its rows are copied, by
 * ranges of keys that get smaller around what cannot be read. The new database takes the place of
 * the old one, which is kept beside it as PATH.damaged-UNIX_MS. */
#ifndef SLUICE_BROKER_SHELL_STORE_MEND_H
#define SLUICE_BROKER_SHELL_STORE_MEND_H

#include "broker/shell/store_file.h"

struct store_mended {
    uint64_t unix_ms;    /* in the old one's new name */
    uint64_t lost_key;   /* the lowest key where reading failed; 0: it nowhere did */
};

/* True: `file` is the new database, open. False: `problem` says why; the old one is where it was,
 * and `file` may be closed. */
bool store_mend(struct store_file *file, struct store_mended *mended, struct problem *problem);

/* `rows` gives those from key ?1 to ?2, and cannot be read at `hole`. Where it can again: a page
 * that cannot be read takes with it all keys from the page before it on, and most of them may be
 * nobody's. INT64_MAX: nowhere. */
int64_t store_hole_end(sqlite3_stmt *rows, int64_t hole);

#endif
