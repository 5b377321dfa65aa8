/* index_write: sources go in and out of the index, each with all its passages. */
#include "agents/retriever/index_state.h"

#include "agents/retriever/passage.h"
#include "agents/retriever/utf8.h"

#include <stdio.h>

static const char *const index_sql[STATEMENT_COUNT] = {
    [STATEMENT_FIND] = "SELECT id, kind, bytes, modified_ns, changed_ns, passages"
                       " FROM sources WHERE path = ?1",
    [STATEMENT_PUT_SOURCE] =
        "INSERT INTO sources(path, kind, title, bytes, modified_ns, changed_ns, passages)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, 0)",
    [STATEMENT_SET_PASSAGES] =
        "UPDATE sources SET passages = ?2, bytes = ifnull(?3, bytes) WHERE id = ?1",
    [STATEMENT_PUT_PASSAGE] =
        "INSERT INTO passages(source, ordinal, key, line_start, line_end, page)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
    [STATEMENT_PUT_TEXT] = "INSERT INTO passages_fts(rowid, title, text) VALUES(?1, ?2, ?3)",
    [STATEMENT_DELETE_TEXT] =
        "DELETE FROM passages_fts WHERE rowid IN (SELECT id FROM passages WHERE source = ?1)",
    [STATEMENT_DELETE_PASSAGES] = "DELETE FROM passages WHERE source = ?1",
    [STATEMENT_DELETE_SOURCE] = "DELETE FROM sources WHERE id = ?1",
    [STATEMENT_LIST] = "SELECT id, path, passages FROM sources WHERE id > ?1 ORDER BY id LIMIT 1",
};

int index_statements_prepare(struct index *index)
{
    int rc = SQLITE_OK;

    for (int i = 0; rc == SQLITE_OK && i < STATEMENT_COUNT; i++) {
        rc = sqlite3_prepare_v3(index->writer, index_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                &index->statements[i], NULL);
    }
    return rc;
}

static enum index_result fault(struct index *index)
{
    snprintf(index->error, sizeof index->error, "%s", sqlite3_errmsg(index->writer));
    if (!sqlite3_get_autocommit(index->writer)) {
        sqlite3_exec(index->writer, "ROLLBACK", NULL, NULL, NULL);
    }
    index->passage_count = index->committed_count;
    return INDEX_FAULT;
}

const char *index_error(const struct index *index)
{
    return index->error;
}

enum index_result index_begin(struct index *index)
{
    return sqlite3_exec(index->writer, "BEGIN", NULL, NULL, NULL) == SQLITE_OK ? INDEX_OK
                                                                             : fault(index);
}

enum index_result index_commit(struct index *index)
{
    if (sqlite3_exec(index->writer, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
        return fault(index);
    }
    index->committed_count = index->passage_count;
    return INDEX_OK;
}

/* Runs a statement that returns no rows. */
static int statement_run(sqlite3_stmt *statement)
{
    int rc = sqlite3_step(statement);

    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int run_with_id(struct index *index, enum statement which, int64_t id)
{
    sqlite3_bind_int64(index->statements[which], 1, id);
    return statement_run(index->statements[which]);
}

struct found_source {
    int64_t id; /* 0: not there */
    enum kind kind;
    struct file_stamp stamp;
    size_t passages;
};

static int source_find(struct index *index, const char *path, struct found_source *found)
{
    sqlite3_stmt *statement = index->statements[STATEMENT_FIND];
    int rc;

    *found = (struct found_source){0};
    sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC);
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        found->id = sqlite3_column_int64(statement, 0);
        found->kind = (enum kind)sqlite3_column_int(statement, 1);
        found->stamp.bytes = sqlite3_column_int64(statement, 2);
        found->stamp.modified_ns = sqlite3_column_int64(statement, 3);
        found->stamp.changed_ns = sqlite3_column_int64(statement, 4);
        found->passages = (size_t)sqlite3_column_int64(statement, 5);
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

bool index_has(struct index *index, const struct index_source *source)
{
    struct found_source found;

    return source_find(index, source->path, &found) == SQLITE_OK && found.id != 0 &&
           found.kind == source->kind && file_stamp_equal(&found.stamp, &source->stamp);
}

static int source_delete(struct index *index, int64_t id, size_t passages)
{
    int rc = run_with_id(index, STATEMENT_DELETE_TEXT, id);

    if (rc == SQLITE_OK) {
        rc = run_with_id(index, STATEMENT_DELETE_PASSAGES, id);
    }
    if (rc == SQLITE_OK) {
        rc = run_with_id(index, STATEMENT_DELETE_SOURCE, id);
    }
    if (rc == SQLITE_OK) {
        index->passage_count -= passages < index->passage_count ? passages : index->passage_count;
    }
    return rc;
}

struct put {
    struct index *index;
    const char *path;
    int64_t source_id;
    size_t passages;
    bool cut; /* there was no room for more */
    int rc;
};

/* FNV-1a, 64 bit (Fowler, Noll, Vo): over what the passage is, not over where this
 * process has it, so that every replica gives it the same id. */
static uint64_t hash_add(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001B3ULL;
    }
    return hash;
}

static uint64_t passage_key(const char *path, uint64_t ordinal, struct span text)
{
    uint64_t hash = 0xCBF29CE484222325ULL;

    hash = hash_add(hash, path, strlen(path) + 1);
    hash = hash_add(hash, &ordinal, sizeof ordinal);
    return hash_add(hash, text.data, text.size);
}

static bool passage_put(const struct passage *passage, void *arg)
{
    struct put *put = arg;
    struct index *index = put->index;
    sqlite3_stmt *row = index->statements[STATEMENT_PUT_PASSAGE];
    sqlite3_stmt *text = index->statements[STATEMENT_PUT_TEXT];

    if (index->passage_count >= INDEX_PASSAGES_MAX) {
        put->cut = true;
        return false;
    }
    /* Readers keep to UTF-8; one that errs costs this passage and not every answer. */
    if (!utf8_valid(passage->text) || !utf8_valid(passage->title)) {
        return true;
    }
    sqlite3_bind_int64(row, 1, put->source_id);
    sqlite3_bind_int64(row, 2, (int64_t)put->passages);
    sqlite3_bind_int64(row, 3, (int64_t)passage_key(put->path, put->passages, passage->text));
    sqlite3_bind_int64(row, 4, passage->line_start);
    sqlite3_bind_int64(row, 5, passage->line_end);
    sqlite3_bind_int64(row, 6, passage->page);
    put->rc = statement_run(row);
    if (put->rc == SQLITE_OK) {
        sqlite3_bind_int64(text, 1, sqlite3_last_insert_rowid(index->writer));
        sqlite3_bind_text(text, 2, (const char *)passage->title.data, (int)passage->title.size,
                          SQLITE_STATIC);
        sqlite3_bind_text(text, 3, (const char *)passage->text.data, (int)passage->text.size,
                          SQLITE_STATIC);
        put->rc = statement_run(text);
    }
    if (put->rc != SQLITE_OK) {
        return false;
    }
    put->passages++;
    index->passage_count++;
    return true;
}

static int source_insert(struct index *index, const struct index_source *source,
                         const char *title)
{
    sqlite3_stmt *statement = index->statements[STATEMENT_PUT_SOURCE];

    sqlite3_bind_text(statement, 1, source->path, -1, SQLITE_STATIC);
    sqlite3_bind_int(statement, 2, (int)source->kind);
    sqlite3_bind_text(statement, 3, title, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 4, source->stamp.bytes);
    sqlite3_bind_int64(statement, 5, source->stamp.modified_ns);
    sqlite3_bind_int64(statement, 6, source->stamp.changed_ns);
    return statement_run(statement);
}

enum index_result index_put(struct index *index, const struct index_source *source,
                            const struct document *document, size_t *passages)
{
    struct put put = {.index = index, .path = source->path};
    struct found_source found;
    int rc = source_find(index, source->path, &found);

    if (rc == SQLITE_OK && found.id != 0) {
        rc = source_delete(index, found.id, found.passages);
    }
    if (rc == SQLITE_OK) {
        rc = source_insert(index, source,
                           document == NULL ? "" : buffer_text(&document->title));
    }
    if (rc != SQLITE_OK) {
        return fault(index);
    }
    put.source_id = sqlite3_last_insert_rowid(index->writer);
    if (document != NULL) {
        passage_split(document, passage_put, &put);
    }
    *passages = put.passages;
    if (put.rc == SQLITE_OK) {
        sqlite3_bind_int64(index->statements[STATEMENT_SET_PASSAGES], 2, (int64_t)put.passages);
        if (put.cut) { /* a size that no file has: once there is room, it is read again */
            sqlite3_bind_int64(index->statements[STATEMENT_SET_PASSAGES], 3, -1);
        }
        put.rc = run_with_id(index, STATEMENT_SET_PASSAGES, put.source_id);
    }
    if (put.rc != SQLITE_OK) {
        return fault(index);
    }
    return index->passage_count >= INDEX_PASSAGES_MAX ? INDEX_FULL : INDEX_OK;
}

enum index_result index_prune(struct index *index, index_keep_fn *keep, void *arg,
                              size_t *removed)
{
    sqlite3_stmt *list = index->statements[STATEMENT_LIST];
    int64_t last = 0;
    int rc;

    *removed = 0;
    for (;;) {
        size_t passages;
        bool kept;

        sqlite3_bind_int64(list, 1, last);
        rc = sqlite3_step(list);
        if (rc != SQLITE_ROW) {
            break;
        }
        last = sqlite3_column_int64(list, 0);
        kept = keep((const char *)sqlite3_column_text(list, 1), arg);
        passages = (size_t)sqlite3_column_int64(list, 2);
        sqlite3_reset(list); /* the deletion below must not run under an open cursor */
        if (!kept) {
            rc = source_delete(index, last, passages);
            if (rc != SQLITE_OK) {
                return fault(index);
            }
            ++*removed;
        }
    }
    sqlite3_reset(list);
    return rc == SQLITE_DONE ? INDEX_OK : fault(index);
}

enum index_result index_optimize(struct index *index)
{
    return sqlite3_exec(index->writer, "INSERT INTO passages_fts(passages_fts) VALUES('optimize')",
                        NULL, NULL, NULL) == SQLITE_OK
               ? INDEX_OK
               : fault(index);
}
