#include "agents/retriever/search.h"

#include "agents/retriever/query.h"
#include "common/check.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Every passage with any of the words. The source comes along, for the bound on hits
 * of one source; the rest is fetched for the winners alone. */
#define SQL_MATCH                                                                                  \
    "SELECT p.id, p.source, p.ordinal, p.key, passage_rank(passages_fts, ?2) FROM passages_fts"    \
    " JOIN passages p ON p.id = passages_fts.rowid WHERE passages_fts MATCH ?1"
#define SQL_IN_PREFIX                                                                              \
    " AND p.source IN (SELECT id FROM sources WHERE substr(path, 1, length(?3)) = ?3)"
#define SQL_PASSAGE                                                                                \
    "SELECT p.key, s.path, f.title, f.text, s.kind, p.line_start, p.line_end, p.page,"             \
    " p.source, p.ordinal FROM passages p JOIN sources s ON s.id = p.source"                       \
    " JOIN passages_fts f ON f.rowid = p.id WHERE "

static char *text_copy(const char *text)
{
    char *copy = strdup(text == NULL ? "" : text);

    CHECK(copy != NULL);
    return copy;
}

static char *column_copy(sqlite3_stmt *statement, int column)
{
    return text_copy((const char *)sqlite3_column_text(statement, column));
}

static void hit_deinit(struct hit *hit)
{
    free(hit->source);
    free(hit->title);
    free(hit->text);
    *hit = (struct hit){0};
}

void search_deinit(struct search *search)
{
    for (size_t i = 0; i < search->hit_count; i++) {
        hit_deinit(&search->hits[i]);
    }
    free(search->hits);
    search->hits = NULL;
    search->hit_count = 0;
}

/* ---- candidates ------------------------------------------------------------------ */

struct candidate {
    int64_t passage, source;
    /* These two break ties: they are the same in every replica, which row ids are not. */
    int64_t ordinal, key;
    double score;
};

struct candidates {
    struct candidate *rows;
    size_t count, capacity;
};

static void candidate_push(struct candidates *list, struct candidate row)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 256 : list->capacity * 2;
        list->rows = realloc(list->rows, list->capacity * sizeof *list->rows);
        CHECK(list->rows != NULL);
    }
    list->rows[list->count++] = row;
}

static int candidate_compare(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;

    if (a->score != b->score) {
        return a->score > b->score ? -1 : 1;
    }
    if (a->ordinal != b->ordinal) {
        return a->ordinal < b->ordinal ? -1 : 1;
    }
    return (a->key > b->key) - (a->key < b->key);
}

static int candidates_find(sqlite3 *db, const struct query *query, const char *prefix,
                           struct candidates *list)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, prefix == NULL ? SQL_MATCH : SQL_MATCH SQL_IN_PREFIX, -1,
                                &statement, NULL);

    if (rc != SQLITE_OK) {
        return rc;
    }
    sqlite3_bind_text(statement, 1, query->match.data, (int)query->match.size, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 2, query->weights,
                      (int)(query->term_count * sizeof query->weights[0]), SQLITE_STATIC);
    if (prefix != NULL) {
        sqlite3_bind_text(statement, 3, prefix, -1, SQLITE_STATIC);
    }
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        candidate_push(list, (struct candidate){
                                 .passage = sqlite3_column_int64(statement, 0),
                                 .source = sqlite3_column_int64(statement, 1),
                                 .ordinal = sqlite3_column_int64(statement, 2),
                                 .key = sqlite3_column_int64(statement, 3),
                                 .score = sqlite3_column_double(statement, 4),
                             });
    }
    sqlite3_finalize(statement);
    if (list->count > 0) {
        qsort(list->rows, list->count, sizeof *list->rows, candidate_compare);
    }
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* ---- hits ------------------------------------------------------------------------ */

static void hit_read(sqlite3_stmt *statement, struct hit *hit)
{
    snprintf(hit->id, sizeof hit->id, "%016" PRIx64, (uint64_t)sqlite3_column_int64(statement, 0));
    hit->source = column_copy(statement, 1);
    hit->title = column_copy(statement, 2);
    hit->text = column_copy(statement, 3);
    hit->kind = (enum kind)sqlite3_column_int(statement, 4);
    hit->line_start = (uint32_t)sqlite3_column_int64(statement, 5);
    hit->line_end = (uint32_t)sqlite3_column_int64(statement, 6);
    hit->page = (uint32_t)sqlite3_column_int64(statement, 7);
}

static int hits_read(sqlite3 *db, struct search *search, const struct candidates *chosen)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, SQL_PASSAGE "p.id = ?1", -1, &statement, NULL);

    search->hits = calloc(chosen->count + 1, sizeof *search->hits);
    CHECK(search->hits != NULL);
    for (size_t i = 0; rc == SQLITE_OK && i < chosen->count; i++) {
        sqlite3_bind_int64(statement, 1, chosen->rows[i].passage);
        rc = sqlite3_step(statement);
        if (rc == SQLITE_ROW) {
            struct hit *hit = &search->hits[search->hit_count++];

            hit_read(statement, hit);
            hit->score = chosen->rows[i].score;
        }
        rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
    return rc;
}

/* Keeps the first `limit` of the sorted candidates, with at most `per_source` of each. */
static void candidates_choose(struct candidates *list, const struct search *search)
{
    size_t count = 0;

    for (size_t i = 0; i < list->count && count < search->limit; i++) {
        size_t same = 0;

        for (size_t j = 0; search->per_source > 0 && j < count; j++) {
            same += list->rows[j].source == list->rows[i].source;
        }
        if (search->per_source == 0 || same < search->per_source) {
            list->rows[count++] = list->rows[i];
        }
    }
    list->count = count;
}

static int hit_compare(const void *left, const void *right)
{
    const struct hit *a = left, *b = right;
    int order;

    if (a->score != b->score) {
        return a->score > b->score ? -1 : 1;
    }
    order = strcmp(a->source, b->source);
    return order != 0 ? order : (a->line_start > b->line_start) - (a->line_start < b->line_start);
}

int search_run(struct index *index, struct search *search)
{
    struct candidates list = {0};
    struct query query = {0};
    sqlite3 *db;
    int rc = SQLITE_OK;

    CHECK(search->limit >= 1 && search->limit <= SEARCH_HITS_MAX);
    search->hits = NULL;
    search->hit_count = 0;
    search->total = 0;
    if (!query_build(&query, search->query)) {
        query_deinit(&query);
        return SQLITE_OK;
    }
    db = index_reader_take(index);
    /* One transaction: what is chosen is still there when it is read. */
    sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
    rc = candidates_find(db, &query, search->prefix, &list);
    if (rc == SQLITE_OK) {
        search->total = list.count;
        candidates_choose(&list, search);
        rc = hits_read(db, search, &list);
    }
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    index_reader_give(index, db);
    if (rc != SQLITE_OK) {
        search_deinit(search);
    } else if (search->hit_count > 0) {
        qsort(search->hits, search->hit_count, sizeof search->hits[0], hit_compare);
    }
    free(list.rows);
    query_deinit(&query);
    return rc;
}

/* ---- one passage ------------------------------------------------------------------- */

static bool id_parse_key(const char *id, int64_t *key)
{
    char *end;

    if (strlen(id) != PASSAGE_ID_TEXT_SIZE - 1 ||
        strspn(id, "0123456789abcdef") != PASSAGE_ID_TEXT_SIZE - 1) {
        return false;
    }
    *key = (int64_t)strtoull(id, &end, 16);
    return true;
}

static char *neighbour_text(sqlite3 *db, int64_t source, int64_t ordinal)
{
    static const char sql[] = "SELECT f.text FROM passages p JOIN passages_fts f"
                              " ON f.rowid = p.id WHERE p.source = ?1 AND p.ordinal = ?2";
    sqlite3_stmt *statement = NULL;
    char *text = NULL;

    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK) {
        sqlite3_bind_int64(statement, 1, source);
        sqlite3_bind_int64(statement, 2, ordinal);
        if (sqlite3_step(statement) == SQLITE_ROW) {
            text = column_copy(statement, 0);
        }
    }
    sqlite3_finalize(statement);
    return text == NULL ? text_copy("") : text;
}

static int passage_read(sqlite3 *db, int64_t key, struct passage_view *view)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, SQL_PASSAGE "p.key = ?1 LIMIT 1", -1, &statement, NULL);

    if (rc != SQLITE_OK) {
        return rc;
    }
    sqlite3_bind_int64(statement, 1, key);
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        int64_t source = sqlite3_column_int64(statement, 8);
        int64_t ordinal = sqlite3_column_int64(statement, 9);

        hit_read(statement, &view->hit);
        view->before = neighbour_text(db, source, ordinal - 1);
        view->after = neighbour_text(db, source, ordinal + 1);
    }
    sqlite3_finalize(statement);
    return rc == SQLITE_ROW ? SQLITE_OK : rc == SQLITE_DONE ? SQLITE_NOTFOUND : rc;
}

int search_passage(struct index *index, const char *id, struct passage_view *view)
{
    sqlite3 *db;
    int64_t key;
    int rc;

    *view = (struct passage_view){0};
    if (!id_parse_key(id, &key)) {
        return SQLITE_NOTFOUND;
    }
    db = index_reader_take(index);
    sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
    rc = passage_read(db, key, view);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    index_reader_give(index, db);
    return rc;
}

void passage_view_deinit(struct passage_view *view)
{
    hit_deinit(&view->hit);
    free(view->before);
    free(view->after);
    *view = (struct passage_view){0};
}

/* ---- sources ------------------------------------------------------------------------ */

static int sources_count(sqlite3 *db, size_t *total)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT count(*) FROM sources WHERE passages > 0", -1,
                                &statement, NULL);

    if (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        *total = (size_t)sqlite3_column_int64(statement, 0);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return rc;
}

static int sources_read(sqlite3 *db, const char *after, size_t limit, struct source_list *list)
{
    static const char sql[] = "SELECT path, title, kind, passages, bytes, modified_ns FROM sources"
                              " WHERE passages > 0 AND path > ?1 ORDER BY path LIMIT ?2";
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

    if (rc != SQLITE_OK) {
        return rc;
    }
    sqlite3_bind_text(statement, 1, after == NULL ? "" : after, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, (int64_t)limit + 1); /* one more, to know if there is */
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        if (list->count == limit) {
            list->more = true;
            continue;
        }
        list->rows[list->count++] = (struct source_row){
            .path = column_copy(statement, 0),
            .title = column_copy(statement, 1),
            .kind = (enum kind)sqlite3_column_int(statement, 2),
            .passages = (size_t)sqlite3_column_int64(statement, 3),
            .bytes = sqlite3_column_int64(statement, 4),
            .modified_ms = sqlite3_column_int64(statement, 5) / 1000000,
        };
    }
    sqlite3_finalize(statement);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int search_sources(struct index *index, const char *after, size_t limit, struct source_list *list)
{
    sqlite3 *db = index_reader_take(index);
    int rc;

    *list = (struct source_list){.rows = calloc(limit, sizeof *list->rows)};
    CHECK(list->rows != NULL);
    rc = sources_count(db, &list->total);
    if (rc == SQLITE_OK) {
        rc = sources_read(db, after, limit, list);
    }
    index_reader_give(index, db);
    return rc;
}

void source_list_deinit(struct source_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->rows[i].path);
        free(list->rows[i].title);
    }
    free(list->rows);
    *list = (struct source_list){0};
}
