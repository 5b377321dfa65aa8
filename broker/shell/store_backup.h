/* store_backup: a copy of a store's database, made a little at a time while it is written to.
 *
 * SQLite's backup by the connection that writes: what changes in pages that are copied already is
 * changed in the copy, too, so it never begins again. The copy is written at PATH.part, synced in
 * small pieces as it grows, lest one long sync hold up the store's, and gets its name when it is
 * whole. It is as the store is at that moment.
 *
 * The thread of the file it copies. */
#ifndef SLUICE_BROKER_SHELL_STORE_BACKUP_H
#define SLUICE_BROKER_SHELL_STORE_BACKUP_H

#include "broker/shell/store_file.h"

#define STORE_BACKUPS_MAX 16 /* that may stand beside each other; nobody removes them but people */

struct store_backup {
    sqlite3 *to; /* NULL: none is under way */
    sqlite3_backup *copy;
    int fd;      /* of PATH.part, to sync it */
    char path[STORE_PATH_LONG_MAX];
    char part[STORE_PATH_LONG_MAX + sizeof ".part"];
    uint64_t unsynced; /* pages */
    uint64_t bytes;    /* of the copy, when it is there */
    struct problem problem; /* of a failure; else empty */
};

enum store_backup_result {
    STORE_BACKUP_MORE,
    STORE_BACKUP_DONE,   /* it is at backup->path */
    STORE_BACKUP_FAILED, /* backup->problem; nothing is left of it. The store is not to blame */
};

/* Begins one in `folder`, or beside the store if that is empty, named NAME.backup-UNIX_MS. */
enum store_backup_result store_backup_begin(struct store_backup *backup, struct store_file *file,
                                            const char *folder, uint64_t unix_ms);

/* Copies some more: about 256 KiB. */
enum store_backup_result store_backup_step(struct store_backup *backup);

/* Gives up one that is under way, or has not begun, because of `why`. */
void store_backup_cancel(struct store_backup *backup, const char *why);

#endif
