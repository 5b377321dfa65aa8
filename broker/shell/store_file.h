/* store_file: the SQLite database that a store is.
 *
 * One connection that nobody else shares (locking_mode=EXCLUSIVE), a write-ahead log that is synced
 * at each commit (synchronous=FULL), and checkpoints only when they are asked for. One table of
 * rows, in parts (store_row.h); bodies of more than 8 KiB beside it; what is damaged, set aside;
 * a number that no key has reached.
 *
 * What SQLite finds wrong is mended (store_mend.h), what it does not find the parts' digests do.
 *
 * One thread at a time. */
#ifndef SLUICE_BROKER_SHELL_STORE_FILE_H
#define SLUICE_BROKER_SHELL_STORE_FILE_H

#include "broker/shell/store_batch.h"
#include "broker/shell/store_log.h"
#include "broker/shell/store_path.h"
#include "common/problem.h"

#include <sqlite3.h>

#define STORE_SCHEMA_VERSION 1
#define STORE_KEY_MAX ((uint64_t)INT64_MAX - (1ULL << 40)) /* SQLite's keys are signed */
/* Of a row that is found: there are keys behind it for as long as anybody will want. */
#define STORE_KEY_FOUND_MAX (STORE_KEY_MAX - (1ULL << 60))

enum store_file_result {
    STORE_FILE_OK,
    STORE_FILE_FULL,   /* no room: nothing changed, and it may be tried again */
    STORE_FILE_FAILED, /* nothing that was not acknowledged before can be relied on */
};

enum store_statement {
    STORE_BEGIN,
    STORE_COMMIT,
    STORE_INSERT,
    STORE_UPDATE,
    STORE_DELETE,
    STORE_PUT_LARGE,
    STORE_DELETE_LARGE,
    STORE_GET_LARGE,
    STORE_RESERVE,
    STORE_STATEMENT_COUNT,
};

struct store_file {
    sqlite3 *db;
    sqlite3_stmt *statements[STORE_STATEMENT_COUNT];
    char path[STORE_PATH_MAX];
    uint64_t reserved;    /* keys below it may have been used */
    bool reserved_lost;   /* the number that says so was damaged, or is not there */
    bool has_large;       /* some row may have a body beside it */
    bool reading;         /* nothing may be changed */
    bool settled;         /* see store_file_settle */
    int wal_pages;        /* since the last checkpoint; SQLite's pages */
    struct store_log log; /* as it was found */
    char why[256];        /* of the last result that was not OK */
};

/* Opens or makes the database. False: `problem` says why, and `file` is closed. */
bool store_file_open(struct store_file *file, const char *path, struct problem *problem);
/* Opens one that is there, of our version, to look at it: nothing is changed in it, nor in the log
 * that a broker left which was killed. It is locked meanwhile, as it is by a broker. */
bool store_file_open_to_read(struct store_file *file, const char *path, struct problem *problem);
/* With a checkpoint, unless `lost` or opened to read. Accepts one that is closed. */
void store_file_close(struct store_file *file, bool lost);

/* Writes the batch as one transaction; when this returns STORE_FILE_OK it is on the disk. */
enum store_file_result store_file_write(struct store_file *file, const struct store_batch *batch);
/* Before the first write, before anybody is told what was read, and after what failed: copies the
 * log that is there, and begins it anew, if that has not been done. If a sync of that log failed,
 * which ended the broker before this one, it is read as if it were whole, for it is still in
 * memory; but no sync writes it any more, and what followed it would be lost with it. So the
 * database is written anew. And what is behind its end, of a transaction that was cut, must not
 * look like the log to come. */
enum store_file_result store_file_settle(struct store_file *file);
/* Copies the log into the database; FULL: some of it is still in the log, where it is as safe. */
enum store_file_result store_file_checkpoint(struct store_file *file);
/* A transaction has ended. If it is not `good` the log may have frames of it behind its end, which
 * later ones write over in part: what is left of them then would look like damage, if the last
 * transaction is torn. So the log is begun anew before the next one. */
void store_file_left(struct store_file *file, bool good);
uint64_t store_file_wal_bytes(const struct store_file *file);

/* The database's own size, in bytes. */
uint64_t store_file_bytes(struct store_file *file);
/* That of the log as it is on the disk. */
uint64_t store_file_log_bytes(const struct store_file *file);

/* ---- for those who read it ------------------------------------------------------------ */

/* What SQLite's result `code` comes to; keeps what it said in file->why. */
enum store_file_result store_file_judge(struct store_file *file, int code, const char *doing);
/* Not the disk's failure, but what is on it. */
bool store_file_is_damage(int code);
/* Runs a statement that gives no row; it is ready for the next time. */
int store_file_run(sqlite3_stmt *statement);
/* Writes that keys below `below` may have been used. */
int store_file_reserve(struct store_file *file, uint64_t below);
int store_file_execute(struct store_file *file, const char *sql);
/* What SQLite itself can find: pages in two places or in none, cells that overlap, keys out of
 * order. A list of free pages that is wrong would damage what is good. SQLITE_CORRUPT: it has
 * found something. */
int store_file_quick_check(struct store_file *file);
/* The one number that `sql` gives. False: file->why says why not. */
bool store_file_ask(struct store_file *file, const char *sql, int64_t *number);
/* For the rows of `sql`; NULL: file->why says why not. */
sqlite3_stmt *store_file_prepare(struct store_file *file, const char *sql);

#endif
