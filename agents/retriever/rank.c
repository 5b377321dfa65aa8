/* rank: BM25F (Robertson, Zaragoza, Taylor: Simple BM25 extension to multiple
 * weighted fields, CIKM 2004) over title and text, with the inverse document
 * frequency of Lucene, which cannot be negative.
 *
 * Nearness of the terms (the MinDist of Tao and Zhai, SIGIR 2007) was tried and
 * gained nothing on the collection we measure with; it is not here. */
#include "agents/retriever/rank.h"

#include "agents/retriever/query.h"

#include <math.h>
#include <stdlib.h>

enum { COLUMN_TITLE, COLUMN_TEXT, COLUMN_COUNT };

#define RANK_K1 1.5

static const struct {
    double weight;
    double b; /* how much length counts against it */
} rank_columns[COLUMN_COUNT] = {
    [COLUMN_TITLE] = {.weight = 2.0, .b = 0.5},
    [COLUMN_TEXT] = {.weight = 1.0, .b = 0.75},
};

/* What does not change from row to row of one query. */
struct rank {
    int phrase_count;
    double idf[QUERY_TERMS_MAX]; /* times the weight that was asked for */
    double column_average[COLUMN_COUNT];
};

static int phrase_row_count(const Fts5ExtensionApi *api, Fts5Context *fts, void *arg)
{
    ++*(sqlite3_int64 *)arg;
    return SQLITE_OK;
}

static int rank_prepare(const Fts5ExtensionApi *api, Fts5Context *fts, struct rank *rank,
                        const double *weights, int weight_count)
{
    sqlite3_int64 rows = 0;
    int rc = api->xRowCount(fts, &rows);

    rank->phrase_count = api->xPhraseCount(fts);
    if (rank->phrase_count > weight_count || rank->phrase_count > (int)QUERY_TERMS_MAX) {
        return SQLITE_MISUSE;
    }
    for (int i = 0; rc == SQLITE_OK && i < COLUMN_COUNT; i++) {
        sqlite3_int64 tokens = 0;

        rc = api->xColumnTotalSize(fts, i, &tokens);
        rank->column_average[i] = rows > 0 && tokens > 0 ? (double)tokens / (double)rows : 1.0;
    }
    for (int i = 0; rc == SQLITE_OK && i < rank->phrase_count; i++) {
        sqlite3_int64 hits = 0;

        rc = api->xQueryPhrase(fts, i, &hits, phrase_row_count);
        rank->idf[i] =
            weights[i] * log(1.0 + ((double)(rows - hits) + 0.5) / ((double)hits + 0.5));
    }
    return rc;
}

/* Made for the first row of a query, then found again. */
static int rank_find(const Fts5ExtensionApi *api, Fts5Context *fts, sqlite3_value *weights,
                     struct rank **rank)
{
    int rc;

    *rank = api->xGetAuxdata(fts, 0);
    if (*rank != NULL) {
        return SQLITE_OK;
    }
    *rank = calloc(1, sizeof **rank);
    if (*rank == NULL) {
        return SQLITE_NOMEM;
    }
    rc = rank_prepare(api, fts, *rank, sqlite3_value_blob(weights),
                      sqlite3_value_bytes(weights) / (int)sizeof(double));
    if (rc != SQLITE_OK) {
        free(*rank);
        return rc;
    }
    return api->xSetAuxdata(fts, *rank, free); /* frees it on failure */
}

/* How often each phrase is in a row, weighted by column and normalised for length. */
struct tally {
    double frequency[QUERY_TERMS_MAX];
};

static int tally_row(const Fts5ExtensionApi *api, Fts5Context *fts, const struct rank *rank,
                     struct tally *tally)
{
    double norm[COLUMN_COUNT];
    int count = 0;
    int rc = api->xInstCount(fts, &count);

    for (int i = 0; rc == SQLITE_OK && i < COLUMN_COUNT; i++) {
        int tokens = 0;

        rc = api->xColumnSize(fts, i, &tokens);
        norm[i] = rank_columns[i].weight /
                  (1.0 - rank_columns[i].b +
                   rank_columns[i].b * (double)tokens / rank->column_average[i]);
    }
    for (int i = 0; rc == SQLITE_OK && i < count; i++) {
        int phrase, column, offset;

        rc = api->xInst(fts, i, &phrase, &column, &offset);
        if (rc == SQLITE_OK) {
            tally->frequency[phrase] += norm[column];
        }
    }
    return rc;
}

static void rank_row(const Fts5ExtensionApi *api, Fts5Context *fts, sqlite3_context *context,
                     int argc, sqlite3_value **argv)
{
    struct tally tally = {0};
    struct rank *rank;
    double score = 0;
    int rc;

    if (argc != 1 || sqlite3_value_type(argv[0]) != SQLITE_BLOB) {
        sqlite3_result_error(context, "passage_rank wants one blob of weights", -1);
        return;
    }
    rc = rank_find(api, fts, argv[0], &rank);
    if (rc == SQLITE_OK) {
        rc = tally_row(api, fts, rank, &tally);
    }
    if (rc != SQLITE_OK) {
        sqlite3_result_error_code(context, rc);
        return;
    }
    for (int i = 0; i < rank->phrase_count; i++) {
        double tf = tally.frequency[i];

        score += rank->idf[i] * tf * (RANK_K1 + 1.0) / (tf + RANK_K1);
    }
    sqlite3_result_double(context, score);
}

/* The pointer to the extension interface, as SQLite's documentation has it. */
static fts5_api *fts5_api_find(sqlite3 *db)
{
    sqlite3_stmt *statement = NULL;
    fts5_api *api = NULL;

    if (sqlite3_prepare_v2(db, "SELECT fts5(?1)", -1, &statement, NULL) == SQLITE_OK) {
        sqlite3_bind_pointer(statement, 1, &api, "fts5_api_ptr", NULL);
        sqlite3_step(statement);
    }
    sqlite3_finalize(statement);
    return api;
}

int rank_register(sqlite3 *db)
{
    fts5_api *api = fts5_api_find(db);

    if (api == NULL) {
        return SQLITE_ERROR;
    }
    return api->xCreateFunction(api, "passage_rank", NULL, rank_row, NULL);
}
