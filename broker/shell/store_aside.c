#include "broker/shell/store_aside.h"

static_assert(STORE_ASIDE_MAX == 1000 && STORE_ASIDE_BYTES == 67108864, "as they stand below");

/* Counted from the newest one on: what is beyond the bounds goes. */
static const char prune[] =
    "DELETE FROM damaged WHERE key IN (SELECT key FROM ("
    " SELECT key, row_number() OVER newest AS number, sum("
    "  coalesce(length(task), 0) + coalesce(length(attempts), 0) + coalesce(length(checkpoint), 0)"
    "  + coalesce(length(outcome), 0) + (SELECT coalesce(sum(length(body)), 0) FROM payload"
    "   WHERE payload.key = damaged.key)) OVER newest AS bytes"
    " FROM damaged WINDOW newest AS (ORDER BY found_unix_ms DESC, key DESC))"
    " WHERE number > 1000 OR bytes > 67108864)";

static const char drop_orphans[] =
    "DELETE FROM payload WHERE NOT EXISTS (SELECT 1 FROM task WHERE task.key = payload.key)"
    " AND NOT EXISTS (SELECT 1 FROM damaged WHERE damaged.key = payload.key)";

/* In a transaction that has begun. */
static int put_all(struct store_file *file, const struct store_aside *rows, size_t count,
                   uint64_t unix_ms)
{
    sqlite3_stmt *copy = store_file_prepare(
        file, "INSERT OR REPLACE INTO damaged SELECT key, ?2, ?3, task, attempts, checkpoint,"
              " outcome FROM task WHERE key = ?1");
    sqlite3_stmt *drop = store_file_prepare(file, "DELETE FROM task WHERE key = ?1");
    int code = copy != NULL && drop != NULL ? SQLITE_OK : sqlite3_errcode(file->db);

    for (size_t i = 0; code == SQLITE_OK && i < count; i++) {
        sqlite3_bind_int64(copy, 1, (int64_t)rows[i].key);
        sqlite3_bind_text(copy, 2, rows[i].why, -1, SQLITE_STATIC);
        sqlite3_bind_int64(copy, 3, (int64_t)unix_ms);
        sqlite3_bind_int64(drop, 1, (int64_t)rows[i].key);
        code = store_file_run(copy);
        code = code != SQLITE_OK ? code : store_file_run(drop);
    }
    sqlite3_finalize(copy);
    sqlite3_finalize(drop);
    return code;
}

int store_aside_put(struct store_file *file, const struct store_aside *rows, size_t count,
                    uint64_t unix_ms)
{
    int code = store_file_execute(file, "BEGIN IMMEDIATE");

    code = code != SQLITE_OK ? code : put_all(file, rows, count, unix_ms);
    code = code != SQLITE_OK ? code : store_file_execute(file, prune);
    code = code != SQLITE_OK ? code : store_file_execute(file, drop_orphans);
    code = code != SQLITE_OK ? code : store_file_execute(file, "COMMIT");
    if (code != SQLITE_OK && !sqlite3_get_autocommit(file->db)) {
        store_file_execute(file, "ROLLBACK");
    }
    store_file_left(file, code == SQLITE_OK);
    return code;
}
