/* store: the records of broker/core/store.h on a disk, written by a thread of its own.
 *
 * The broker's thread copies records into a queue and goes on. The store's thread takes all that
 * is queued, writes what it comes to as one transaction, and when that is on the disk says so:
 * under load batches grow, idle means at once, and only what nobody waits for has a timer. Nothing
 * is said before the disk has confirmed it.
 *
 *     OPEN -> FULL   no room: what is queued waits, and is tried again every STORE_RETRY_MS
 *     FULL -> OPEN   it fitted
 *     any  -> LOST   any other failure, for good: nothing is written any more, nothing is
 *                    acknowledged; what was acknowledged is there at the next start
 *
 * The queue has no bound of its own: a durable task counts in the broker's budget until it is safe.
 *
 * Threads: all calls are the broker's thread's. */
#ifndef SLUICE_BROKER_SHELL_STORE_H
#define SLUICE_BROKER_SHELL_STORE_H

#include "broker/core/store.h"
#include "broker/shell/store_log.h"
#include "common/problem.h"

#define STORE_RETRY_MS 200
#define STORE_LAZY_MS 20   /* so long may what is forgotten stay where it is */
#define STORE_IDLE_MS 1000 /* without records for so long: the log is copied into the database */
/* The log is copied, idle or not, when it is larger; all that comes meanwhile waits, about 0.2 ms
 * for each MiB. Batches are small where little comes: there the pauses are to be short, at the
 * price of more of them. */
#define STORE_LOG_BYTES (16 * 1024 * 1024)
#define STORE_LOG_LIGHT_BYTES (512 * 1024)
#define STORE_LIGHT_RECORDS 64 /* of a batch, at most; */
#define STORE_LIGHT_BYTES 65536 /* they, too */

struct store;
struct store_backup;

/* Opens or makes the database at `path`, and locks it until store_close. NULL: `problem` says why
 * (a newer version, another program's, in use, no permission, ...), and what to do. */
struct store *store_open(const char *path, struct problem *problem);

/* Where rows go. What they point to is good for the call; large payloads have a blob. */
struct store_taker {
    void *context;
    void (*take)(void *context, const struct store_row *row);
    /* `why` is static. The row was set aside, in the database's table `damaged`. */
    void (*damaged)(void *context, uint64_t key, const char *why);
    /* These come next, and few enough to get ready for. NULL: nobody does. */
    void (*expect)(void *context, const struct store_row *rows, size_t count);
};

/* What was found. */
struct store_report {
    uint64_t rows;
    uint64_t damaged;        /* rows; those that could not even be counted are one */
    uint64_t bytes;          /* of the database */
    uint64_t mended_unix_ms; /* not 0: the database was damaged, has been replaced by what could be
                              * read of it, and is now PATH.damaged-MENDED_UNIX_MS. Rows may be
                              * missing that nobody knew of any more */
    struct store_log log;    /* as it was found */
};

/* Gives each row, in the order of keys, from this thread; another one reads ahead. Once, before
 * store_start. A row that is damaged is told by its key, set aside and never given; the others
 * are. *next_key: greater than any key ever
 * used. False: it cannot be read (`problem`); close it. */
bool store_load(struct store *store, const struct store_taker *taker, uint64_t *next_key,
                struct store_report *report, struct problem *problem);

/* Starts the thread. False: `problem` says why; close it. */
bool store_start(struct store *store, struct problem *problem);

/* Queues a record. Takes references to large payloads, copies the rest; never waits for the disk.
 * Sequences increase one by one. If there is no memory, the store is LOST. */
void store_add(struct store *store, const struct store_record *record);
/* All that belongs together has been added: it is written now, or when what is being written is on
 * the disk. Until then it may be; but what is only forgotten waits up to STORE_LAZY_MS for
 * something to go with. */
void store_flush(struct store *store);

/* Readable when there is news; poll it, and leave reading to store_take_news. */
int store_fd(const struct store *store);

/* Makes a copy of the database while it is in use, in `folder`, or beside it if that is empty
 * (store_backup.h). One at a time: until news.backup_ended. Kept: `folder`. */
void store_back_up(struct store *store, const char *folder);

struct store_news {
    uint64_t sequence; /* all records up to it are on the disk; never goes back */
    enum store_state state; /* STORE_OPEN, STORE_FULL or STORE_LOST */
    char why[256];     /* of FULL and LOST: for people; else empty */
    uint64_t commits;  /* transactions since the start */
    uint64_t records;  /* acknowledged since the start */
    uint64_t writes;   /* rows written, changed or deleted for them */
    bool backup_ended; /* since the last news; store_last_backup says how */
};

/* The news, and the fd is quiet until there is more. Cheap. */
void store_take_news(struct store *store, struct store_news *news);
/* The backup that has ended, until the next store_back_up. */
const struct store_backup *store_last_backup(const struct store *store);

/* Writes what is queued, if there is room (it is tried once), ends the thread and closes the
 * database. Accepts NULL. */
void store_close(struct store *store);

#endif
