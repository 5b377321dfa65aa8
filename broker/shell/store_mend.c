#include "broker/shell/store_mend.h"

#include "broker/shell/store_path.h"
#include "common/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HOLES_MAX 65536 /* so many places of a table may be damaged */
#define RANGES_MAX 512  /* so many reads are made to find what is good within one of them */

struct range {
    int64_t from, to; /* both included */
};

struct copy {
    sqlite3_stmt *from; /* gives the rows of a range, the key first */
    sqlite3_stmt *to;
    struct range ranges[RANGES_MAX]; /* of the hole that is looked at */
    size_t count;
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
    if (code == SQLITE_OK && sqlite3_changes(sqlite3_db_handle(copy->to)) == 0) {
        note_lost(copy, sqlite3_column_int64(copy->from, 0)); /* a key that is there: not its own */
    }
    return code;
}

/* Copies what can be read in one go. *broken: it ended at damage, at *hole or behind it. */
static int copy_range(struct copy *copy, struct range range, bool *broken, int64_t *hole)
{
    int code = SQLITE_DONE, written = SQLITE_OK;
    int64_t key;

    sqlite3_bind_int64(copy->from, 1, range.from);
    sqlite3_bind_int64(copy->from, 2, range.to);
    while (written == SQLITE_OK && (code = sqlite3_step(copy->from)) == SQLITE_ROW) {
        key = sqlite3_column_int64(copy->from, 0);
        written = copy_row(copy);
        if (key >= range.from && key < range.to) {
            range.from = key + 1;
        }
    }
    sqlite3_reset(copy->from);
    *broken = written == SQLITE_OK && store_file_is_damage(code);
    *hole = range.from;
    if (written != SQLITE_OK || code == SQLITE_DONE || *broken) {
        return written;
    }
    return code;
}

/* Whether reading can begin there. */
static bool is_good(sqlite3_stmt *rows, int64_t from)
{
    int code;

    sqlite3_bind_int64(rows, 1, from);
    sqlite3_bind_int64(rows, 2, INT64_MAX);
    code = sqlite3_step(rows);
    sqlite3_reset(rows);
    return !store_file_is_damage(code);
}

int64_t store_hole_end(sqlite3_stmt *rows, int64_t hole)
{
    uint64_t left = (uint64_t)INT64_MAX - (uint64_t)hole, bad = 0, good = 1;

    while (good < left && !is_good(rows, (int64_t)((uint64_t)hole + good))) {
        bad = good;
        good = good <= left / 2 ? good * 2 : left;
    }
    while (good - bad > 1) {
        uint64_t middle = bad + (good - bad) / 2;

        if (is_good(rows, (int64_t)((uint64_t)hole + middle))) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    return (int64_t)((uint64_t)hole + good);
}

/* What is good between pages that are damaged: the halves of what cannot be read, and theirs. */
static int copy_islands(struct copy *copy, struct range range)
{
    int code = SQLITE_OK;

    copy->ranges[0] = range;
    copy->count = 1;
    for (size_t i = 0; code == SQLITE_OK && i < copy->count; i++) {
        int64_t hole, middle;
        bool broken;

        range = copy->ranges[i];
        code = copy_range(copy, range, &broken, &hole);
        if (broken && hole < range.to && copy->count + 2 <= RANGES_MAX) {
            middle = (int64_t)(((uint64_t)range.to - (uint64_t)hole) / 2 + (uint64_t)hole);
            copy->ranges[copy->count++] = (struct range){hole, middle};
            copy->ranges[copy->count++] = (struct range){middle + 1, range.to};
        }
    }
    return code;
}

static int copy_rows(struct copy *copy)
{
    struct range range = {INT64_MIN, INT64_MAX};
    bool broken = true;
    int code = SQLITE_OK;

    for (size_t holes = 0; broken && code == SQLITE_OK && holes < HOLES_MAX; holes++) {
        int64_t hole, end;

        code = copy_range(copy, range, &broken, &hole);
        if (broken) {
            note_lost(copy, hole); /* even if nothing fails any more: a search may pass it by */
            end = store_hole_end(copy->from, hole);
            code = copy_islands(copy, (struct range){hole, end - 1});
            range.from = end;
            broken = end != INT64_MAX;
        }
    }
    return code;
}

static int copy_table(struct store_file *from, struct store_file *to, const char *select,
                      const char *put, uint64_t *lost)
{
    struct copy copy = {.from = store_file_prepare(from, select),
                        .to = store_file_prepare(to, put)};
    int code;

    if (copy.from == NULL || copy.to == NULL) {
        code = copy.from == NULL ? sqlite3_errcode(from->db) : SQLITE_NOMEM;
    } else {
        code = copy_rows(&copy);
    }
    *lost = copy.lost < 0 ? 1 : (uint64_t)copy.lost;
    sqlite3_finalize(copy.from);
    sqlite3_finalize(copy.to);
    return code;
}

/* ---- large bodies ---------------------------------------------------------------------- */

/* What is not there, or cannot be read, is passed by. */
static int copy_body(struct store_file *from, struct store_file *to, int64_t key, int part)
{
    sqlite3_stmt *get = from->statements[STORE_GET_LARGE];
    sqlite3_stmt *put = to->statements[STORE_PUT_LARGE];
    int code;

    sqlite3_bind_int64(get, 1, key);
    sqlite3_bind_int(get, 2, part);
    code = sqlite3_step(get);
    if (code == SQLITE_ROW) {
        sqlite3_bind_int64(put, 1, key);
        sqlite3_bind_int(put, 2, part);
        sqlite3_bind_value(put, 3, sqlite3_column_value(get, 0));
        code = store_file_run(put);
        sqlite3_clear_bindings(put);
    }
    sqlite3_reset(get);
    return code == SQLITE_DONE || store_file_is_damage(code) ? SQLITE_OK : code;
}

/* One by one, as a row's are found: to go through them all in order can end early at a key that is
 * damaged, and a row that a broker has been given would be without its body in the new database.
 * Of a part whose first byte has LARGE (x'80', store_row.h) there is one. */
static int copy_bodies(struct store_file *from, struct store_file *to)
{
    sqlite3_stmt *rows = store_file_prepare(
        to, "SELECT key, substr(task, 1, 1) >= x'80', substr(attempts, 1, 1) >= x'80',"
            " substr(checkpoint, 1, 1) >= x'80', substr(outcome, 1, 1) >= x'80' FROM task"
            " UNION ALL SELECT key, 1, 1, 1, 1 FROM damaged");
    int code = SQLITE_OK, stepped = SQLITE_DONE;

    if (rows == NULL) {
        return sqlite3_errcode(to->db);
    }
    while (code == SQLITE_OK && (stepped = sqlite3_step(rows)) == SQLITE_ROW) {
        for (int part = 0; code == SQLITE_OK && part < STORE_PART_COUNT; part++) {
            if (sqlite3_column_int(rows, 1 + part) != 0) {
                code = copy_body(from, to, sqlite3_column_int64(rows, 0), part);
            }
        }
    }
    sqlite3_finalize(rows);
    return code != SQLITE_OK ? code : stepped == SQLITE_DONE ? SQLITE_OK : stepped;
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
                            &mended->lost_key);
    code = code != SQLITE_OK
               ? code
               : copy_table(from, to,
                            "SELECT * FROM damaged WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
                            "INSERT OR IGNORE INTO damaged VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                            &other);
    code = code != SQLITE_OK ? code : copy_bodies(from, to);
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
    struct store_file new;
    char path[STORE_PATH_MAX], mend[STORE_PATH_LONG_MAX];
    bool copied;

    *mended = (struct store_mended){.unix_ms = clock_unix_ms()};
    snprintf(path, sizeof path, "%s", file->path);
    snprintf(mend, sizeof mend, "%s.mend", path);
    store_path_remove(mend);
    if (!store_file_open(&new, mend, problem)) {
        return false;
    }
    copied = copy_all(file, &new, mended, problem);
    store_file_close(&new, false);
    if (copied && store_path_has_log(mend)) {
        problem_set(problem, "the store %s is damaged, and there is no room for a copy of it: make "
                    "room, and start again", path);
        copied = false;
    }
    store_file_close(file, !copied);
    if (!copied || !swap(path, mend, mended->unix_ms, problem)) {
        store_path_remove(mend);
        return false;
    }
    return store_file_open(file, path, problem);
}
