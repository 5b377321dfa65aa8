/* store_log: what a write-ahead log says that SQLite does not read.
 *
 * SQLite reads its log up to the last transaction before the first frame whose checksum is wrong
 * (sqlite.org/fileformat2.html, section 4), and says nothing of what is behind: after a loss of
 * power that was under way, and nobody had been told of it. But if the disk has damaged a frame,
 * transactions are behind it that were acknowledged, and the database goes back to before them.
 *
 * The two are told apart by this: a transaction is synced before the next one begins. If sound
 * frames of another one follow a wrong frame, what is wrong was on the disk, and is damage. Then
 * the frame is taken as it is, and the log is summed up anew from there on: what is damaged in the
 * page that it holds is found as it is found in the database, by SQLite's check of its pages and by
 * the digests of the rows, and everything else is there. Of the last transaction nobody can say
 * whether it was confirmed. The log has no frames of a transaction that was cut earlier, or that
 * failed: it is begun anew at each start, and after each failure (store_file_left).
 *
 * A log that has been copied into the database stays as it is until the next transaction. If it is
 * damaged then, and its last transaction were left out for that, what is left would be older than
 * the database, and be taken for newer. So a frame is restored if its sums prove that the database
 * has what it held; one bit of its head may be wrong, too.
 *
 * One thread. */
#ifndef SLUICE_BROKER_SHELL_STORE_LOG_H
#define SLUICE_BROKER_SHELL_STORE_LOG_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

enum store_log_state {
    STORE_LOG_WHOLE,
    STORE_LOG_CUT,     /* its last transaction cannot be read: it was never confirmed, or is lost */
    STORE_LOG_MENDED,  /* its wrong frames can be restored, or taken as they are */
    STORE_LOG_DAMAGED, /* transactions that had been confirmed cannot be read */
};

struct store_log {
    enum store_log_state state;
    bool copied;           /* some are restored by what the database has */
    uint64_t wrong_frames; /* that are restored, or taken as they are */
    uint64_t lost_frames;  /* that are not read */
    uint64_t lost_commits; /* ends of transactions among them */
    uint64_t kept_unix_ms; /* not 0: a copy of it is PATH-wal.damaged-KEPT_UNIX_MS */
};

/* Something that had been confirmed is wrong in it. One whose end was cut is none: that is what a
 * loss of power leaves. */
static inline bool store_log_is_damaged(const struct store_log *log)
{
    return log->wrong_frames > 0 || log->state == STORE_LOG_DAMAGED;
}

/* Looks at the log of `db`, which has just been opened in EXCLUSIVE mode; changes nothing.
 * SQLITE_OK, or what reading came to. */
int store_log_look(sqlite3 *db, struct store_log *log);

/* What MENDED means: restores, and sums the log up anew. Then close `db` without a checkpoint,
 * for it knows another log, and open it again. SQLITE_OK, or what reading or writing came to. */
int store_log_mend(sqlite3 *db);

/* Keeps a copy of the log of the database at `path`, if it can: log->kept_unix_ms. */
void store_log_keep(const char *path, struct store_log *log);

#endif
