#include "broker/shell/store_load.h"

#include "broker/shell/store_mend.h"
#include "common/check.h"

#include <stdlib.h>
#include <time.h>

#define KEYS_SKIPPED (1ULL << 32) /* more than a broker has used since it last said */

/* A row that is to be set aside. */
struct aside {
    uint64_t key;
    const char *why;
};

struct load {
    struct store_file *file;
    const struct store_taker *taker;
    struct store_report *report;
    uint64_t key_max; /* of the rows that were given */
    int64_t from;     /* keys below it have been seen */
    struct aside *asides;
    size_t aside_count, aside_capacity;
};

/* ---- one row ------------------------------------------------------------------------- */

/* *body: a new reference; NULL: it is not there, or cannot be read. */
static int get_large(struct store_file *file, uint64_t key, int part, struct blob **body)
{
    sqlite3_stmt *statement = file->statements[STORE_GET_LARGE];
    int code;

    *body = NULL;
    sqlite3_bind_int64(statement, 1, (int64_t)key);
    sqlite3_bind_int(statement, 2, part);
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW && sqlite3_column_type(statement, 0) == SQLITE_BLOB) {
        *body = blob_new(span_of(sqlite3_column_blob(statement, 0),
                                 (size_t)sqlite3_column_bytes(statement, 0)));
        code = *body != NULL ? SQLITE_DONE : SQLITE_NOMEM;
    } else if (code == SQLITE_ROW) {
        code = SQLITE_DONE; /* something else: as good as nothing */
    }
    sqlite3_reset(statement);
    return code == SQLITE_DONE || store_file_is_damage(code) ? SQLITE_OK : code;
}

/* *why: NULL if the parts are as they were written. */
static int get_parts(struct load *load, sqlite3_stmt *statement, struct store_parts *parts,
                     const char **why)
{
    size_t large_bytes;
    int code = SQLITE_OK;

    *why = NULL;
    for (int i = 0; code == SQLITE_OK && *why == NULL && i < STORE_PART_COUNT; i++) {
        if (sqlite3_column_type(statement, 1 + i) != SQLITE_BLOB) {
            *why = "a part is missing";
            return SQLITE_OK;
        }
        parts->parts[i] = span_of(sqlite3_column_blob(statement, 1 + i),
                                  (size_t)sqlite3_column_bytes(statement, 1 + i));
        if (parts->parts[i].data == NULL && parts->parts[i].size > 0) {
            return SQLITE_NOMEM;
        }
        *why = store_part_check(parts->key, (enum store_part)i, parts->parts[i], &large_bytes);
        if (*why == NULL && large_bytes > 0) {
            code = get_large(load->file, parts->key, i, &parts->large[i]);
            *why = parts->large[i] == NULL ? "a payload is missing" : NULL;
        }
    }
    return code;
}

static int note_damage(struct load *load, uint64_t key, const char *why)
{
    if (load->aside_count == load->aside_capacity) {
        size_t capacity = load->aside_capacity > 0 ? load->aside_capacity * 2 : 64;
        struct aside *asides = realloc(load->asides, capacity * sizeof *asides);

        if (asides == NULL) {
            return SQLITE_NOMEM;
        }
        load->asides = asides;
        load->aside_capacity = capacity;
    }
    load->asides[load->aside_count++] = (struct aside){key, why};
    load->report->damaged++;
    load->taker->damaged(load->taker->context, key, why);
    return SQLITE_OK;
}

static int take_row(struct load *load, sqlite3_stmt *statement)
{
    struct store_parts parts = {.key = (uint64_t)sqlite3_column_int64(statement, 0)};
    struct store_row row;
    const char *why;
    int code = get_parts(load, statement, &parts, &why);

    if (code == SQLITE_OK && why == NULL) {
        why = parts.key > 0 && parts.key <= STORE_KEY_MAX ? store_row_read(&parts, &row)
                                                          : "its key is impossible";
    }
    if (code == SQLITE_OK && why != NULL) {
        code = note_damage(load, parts.key, why);
    } else if (code == SQLITE_OK) {
        load->key_max = parts.key;
        load->report->rows++;
        load->taker->take(load->taker->context, &row);
    }
    for (unsigned i = 0; i < STORE_PART_COUNT; i++) {
        blob_unref(parts.large[i]);
    }
    return code;
}

/* ---- all rows ------------------------------------------------------------------------ */

static int take_rows(struct load *load)
{
    sqlite3_stmt *statement = store_file_prepare(
        load->file, "SELECT key, task, attempts, checkpoint, outcome FROM task WHERE key >= ?1"
                    " ORDER BY key");
    int code, taken = SQLITE_OK;

    if (statement == NULL) {
        return sqlite3_errcode(load->file->db);
    }
    sqlite3_bind_int64(statement, 1, load->from);
    while (taken == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t key = sqlite3_column_int64(statement, 0);

        taken = take_row(load, statement);
        load->from = key < INT64_MAX ? key + 1 : key;
    }
    sqlite3_finalize(statement);
    return taken != SQLITE_OK ? taken : code == SQLITE_DONE ? SQLITE_OK : code;
}

/* What SQLite itself can find: pages in two places or in none, cells that overlap, keys out of
 * order. A list of free pages that is wrong would damage what is good. */
static int check(struct store_file *file)
{
    sqlite3_stmt *statement = store_file_prepare(file, "PRAGMA quick_check(1)");
    const char *said;
    int code;

    if (statement == NULL) {
        return sqlite3_errcode(file->db);
    }
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        said = (const char *)sqlite3_column_text(statement, 0);
        code = said != NULL && strcmp(said, "ok") == 0 ? SQLITE_OK : SQLITE_CORRUPT;
    }
    sqlite3_finalize(statement);
    return code;
}

static bool mend(struct load *load, struct problem *problem)
{
    struct store_mended mended;

    if (!store_mend(load->file, &mended, problem)) {
        return false;
    }
    load->report->mended_unix_ms = mended.unix_ms;
    if (mended.lost_key > 0) {
        load->report->damaged++;
        load->taker->damaged(load->taker->context, mended.lost_key,
                             "it could not be read, and maybe others after it");
    }
    return true;
}

/* Out of the way, for people to look at. */
static int set_aside(struct load *load)
{
    struct store_file *file = load->file;
    sqlite3_stmt *copy = store_file_prepare(
        file, "INSERT OR REPLACE INTO damaged SELECT key, ?2, ?3, task, attempts, checkpoint,"
              " outcome FROM task WHERE key = ?1");
    sqlite3_stmt *drop = store_file_prepare(file, "DELETE FROM task WHERE key = ?1");
    int code = copy != NULL && drop != NULL ? store_file_execute(file, "BEGIN IMMEDIATE")
                                            : sqlite3_errcode(file->db);

    for (size_t i = 0; code == SQLITE_OK && i < load->aside_count; i++) {
        sqlite3_bind_int64(copy, 1, (int64_t)load->asides[i].key);
        sqlite3_bind_text(copy, 2, load->asides[i].why, -1, SQLITE_STATIC);
        sqlite3_bind_int64(copy, 3, (int64_t)time(NULL) * 1000);
        sqlite3_bind_int64(drop, 1, (int64_t)load->asides[i].key);
        code = store_file_run(copy);
        code = code != SQLITE_OK ? code : store_file_run(drop);
    }
    code = code != SQLITE_OK ? code : store_file_execute(file, "COMMIT");
    sqlite3_finalize(copy);
    sqlite3_finalize(drop);
    if (code != SQLITE_OK && !sqlite3_get_autocommit(file->db)) {
        store_file_execute(file, "ROLLBACK");
    }
    return code;
}

static bool load_all(struct load *load, struct problem *problem)
{
    struct store_file *file = load->file;
    int code = check(file);

    code = code != SQLITE_OK ? code : take_rows(load);
    if (store_file_is_damage(code)) {
        if (!mend(load, problem)) {
            return false;
        }
        code = take_rows(load);
    }
    if (code == SQLITE_OK && load->aside_count > 0) {
        code = set_aside(load);
    }
    /* No room to set them aside: they stay where they are, and are found again the next time. */
    if (store_file_judge(file, code, "loading") == STORE_FILE_FAILED) {
        problem_set(problem, "cannot read the store %s: %s", file->path, file->why);
        return false;
    }
    return true;
}

bool store_file_load(struct store_file *file, const struct store_taker *taker, uint64_t *next_key,
                     struct store_report *report, struct problem *problem)
{
    struct load load = {.file = file, .taker = taker, .report = report, .from = INT64_MIN};
    bool loaded;

    *report = (struct store_report){0};
    loaded = load_all(&load, problem);
    free(load.asides);
    if (!loaded) {
        return false;
    }
    *next_key = load.key_max + 1 + (file->reserved_lost ? KEYS_SKIPPED : 0);
    if (file->reserved_lost) {
        file->reserved = 0; /* the next batch says it anew */
    } else if (file->reserved > *next_key) {
        *next_key = file->reserved;
    }
    report->bytes = store_file_bytes(file);
    return true;
}
