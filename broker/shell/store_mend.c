#include "broker/shell/store_mend.h"

#include "broker/shell/store_path.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define RANGES_MAX 65536 /* so many reads are made to get around what is damaged in one table */

struct range {
    int64_t from, to; /* both included */
};

struct copy {
    sqlite3_stmt *from; /* gives the rows of a range, the key first */
    sqlite3_stmt *to;
    struct range *ranges;
    size_t count;
    bool unique;  /* one row has one key */
    int64_t lost; /* the lowest key that could not be read; 0: none */
};

/* ---- one table ----------------------------------------------------------------------- */

static void note_lost(struct copy *copy, int64_t key)
{
    if (copy->lost == 0 || key < copy->lost) {
        copy->lost = key;
    }
}

static int copy_row(struct copy *copy)
{
    int code;

    for (int i = 0; i < sqlite3_column_count(copy->from); i++) {
        sqlite3_bind_value(copy->to, i + 1, sqlite3_column_value(copy->from, i));
    }
    code = store_file_run(copy->to);
    if (code == SQLITE_OK && copy->unique && sqlite3_changes(sqlite3_db_handle(copy->to)) == 0) {
        note_lost(copy, sqlite3_column_int64(copy->from, 0)); /* a key that is there: not its own */
    }
    return code;
}

/* Nothing could be read from `range.from` on: the halves are tried later. */
static void split(struct copy *copy, struct range range)
{
    int64_t middle = (int64_t)(((uint64_t)range.to - (uint64_t)range.from) / 2 +
                               (uint64_t)range.from);

    note_lost(copy, range.from); /* even if nothing fails any more: a search may pass it by */
    if (range.from < range.to && copy->count + 2 <= RANGES_MAX) {
        copy->ranges[copy->count++] = (struct range){range.from, middle};
        copy->ranges[copy->count++] = (struct range){middle + 1, range.to};
    }
}

static int copy_range(struct copy *copy, struct range range)
{
    int code = SQLITE_DONE, written = SQLITE_OK;
    int64_t key;

    sqlite3_bind_int64(copy->from, 1, range.from);
    sqlite3_bind_int64(copy->from, 2, range.to);
    while (written == SQLITE_OK && (code = sqlite3_step(copy->from)) == SQLITE_ROW) {
        key = sqlite3_column_int64(copy->from, 0);
        written = copy_row(copy);
        if (key >= range.from && key < range.to) {
            range.from = key + copy->unique; /* otherwise more of the key may come */
        }
    }
    sqlite3_reset(copy->from);
    if (written != SQLITE_OK || code == SQLITE_DONE) {
        return written;
    }
    if (!store_file_is_damage(code)) {
        return code;
    }
    split(copy, range);
    return SQLITE_OK;
}

static int copy_table(struct store_file *from, struct store_file *to, const char *select,
                      const char *put, uint64_t *lost, bool unique)
{
    struct copy copy = {.from = store_file_prepare(from, select),
                        .to = store_file_prepare(to, put),
                        .ranges = malloc(RANGES_MAX * sizeof(struct range)),
                        .unique = unique};
    int code = SQLITE_OK;

    if (copy.from == NULL || copy.to == NULL || copy.ranges == NULL) {
        code = copy.from == NULL ? sqlite3_errcode(from->db) : SQLITE_NOMEM;
    } else {
        copy.ranges[copy.count++] = (struct range){INT64_MIN, INT64_MAX};
        for (size_t i = 0; code == SQLITE_OK && i < copy.count; i++) {
            code = copy_range(&copy, copy.ranges[i]);
        }
    }
    *lost = copy.lost < 0 ? 1 : (uint64_t)copy.lost;
    free(copy.ranges);
    sqlite3_finalize(copy.from);
    sqlite3_finalize(copy.to);
    return code;
}

/* ---- the whole ----------------------------------------------------------------------- */

/* False: `problem` says why. */
static bool copy_all(struct store_file *from, struct store_file *to, struct store_mended *mended,
                     struct problem *problem)
{
    uint64_t other;
    int code = store_file_execute(to, "BEGIN");

    code = code != SQLITE_OK
               ? code
               : copy_table(from, to, "SELECT * FROM task WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
                            "INSERT OR IGNORE INTO task VALUES (?1, ?2, ?3, ?4, ?5)",
                            &mended->lost_key, true);
    code = code != SQLITE_OK
               ? code
               : copy_table(from, to,
                            "SELECT * FROM payload WHERE key BETWEEN ?1 AND ?2 ORDER BY key, part",
                            "INSERT OR IGNORE INTO payload VALUES (?1, ?2, ?3)", &other, false);
    code = code != SQLITE_OK
               ? code
               : copy_table(from, to,
                            "SELECT * FROM damaged WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
                            "INSERT OR IGNORE INTO damaged VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                            &other, true);
    if (code == SQLITE_OK) {
        code = from->reserved_lost ? store_file_execute(to, "DELETE FROM reserved")
                                   : store_file_reserve(to, from->reserved);
    }
    code = code != SQLITE_OK ? code : store_file_execute(to, "COMMIT");
    if (code != SQLITE_OK) {
        problem_set(problem, "the store %s is damaged, and cannot be copied to %s: %s",
                    from->path, to->path, sqlite3_errstr(code));
    }
    return code == SQLITE_OK;
}

/* Both are closed. At each moment there is a database at `path`: the old one, or the new one. */
static bool swap(const char *path, const char *mend, uint64_t unix_ms, struct problem *problem)
{
    char kept[STORE_PATH_LONG_MAX];

    snprintf(kept, sizeof kept, "%s.damaged-%" PRIu64, path, unix_ms);
    if (store_path_has_log(path)) { /* it would be taken for the new one's */
        problem_set(problem, "the store %s is damaged, and its log cannot be written back: make "
                    "room, or restore the store", path);
        return false;
    }
    if (link(path, kept) != 0 || !store_path_sync(path) || rename(mend, path) != 0 ||
        !store_path_sync(path)) {
        problem_set(problem, "the store %s is damaged, and %s cannot take its place: %s", path,
                    mend, strerror(errno));
        return false;
    }
    return true;
}

bool store_mend(struct store_file *file, struct store_mended *mended, struct problem *problem)
{
    struct timespec now;
    struct store_file new;
    char path[STORE_PATH_MAX], mend[STORE_PATH_LONG_MAX];
    bool copied;

    clock_gettime(CLOCK_REALTIME, &now);
    *mended = (struct store_mended){
        .unix_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000};
    snprintf(path, sizeof path, "%s", file->path);
    snprintf(mend, sizeof mend, "%s.mend", path);
    store_path_remove(mend);
    if (!store_file_open(&new, mend, problem)) {
        return false;
    }
    copied = copy_all(file, &new, mended, problem);
    store_file_close(&new, false);
    store_file_close(file, !copied);
    if (!copied || !swap(path, mend, mended->unix_ms, problem)) {
        store_path_remove(mend);
        return false;
    }
    return store_file_open(file, path, problem);
}
