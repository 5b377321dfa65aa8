/* retrieval: how well the retriever finds, on a collection with judgements.
 *
 *   retrieval DIR
 *
 * DIR holds CISI.ALL, CISI.QRY and CISI.REL, or a collection of that form (the
 * test collections of the University of Glasgow). Every document becomes a file in a
 * private folder; the retriever's own code reads, splits, indexes and searches it,
 * one hit a file. Beside it, in the same run, plain BM25 (k1 1.2, b 0.75, idf of
 * Lucene) ranks whole documents, with the same stemmer: once with every word of the
 * query, once without stop words. Exit code 1 when ours is below the better one. */
#include "agents/retriever/query.h"
#include "agents/retriever/scan.h"
#include "agents/retriever/search.h"
#include "common/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ITEMS_MAX 20000

struct item {
    struct buffer title, text;
};

struct collection {
    struct item documents[ITEMS_MAX + 1], queries[ITEMS_MAX + 1]; /* by number, from 1 */
    size_t document_max, query_max;
    uint8_t *relevant; /* [query][document] */
    size_t *relevant_count;
};

struct ranking {
    uint32_t documents[ITEMS_MAX];
    size_t count;
};

struct measures {
    double ndcg10, map, recall100;
    size_t queries;
};

static FILE *collection_open(const char *folder, const char *suffix)
{
    char path[4096];
    FILE *file;

    snprintf(path, sizeof path, "%s/CISI.%s", folder, suffix);
    file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    return file;
}

/* .I number, .T title, .A author, .W text, .X references (left out). */
static size_t items_read(FILE *file, struct item *items)
{
    char line[65536], field = 0;
    size_t number = 0, max = 0;

    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '.' && line[1] == 'I') {
            number = strtoul(line + 2, NULL, 10);
            CHECK(number >= 1 && number <= ITEMS_MAX);
            max = number > max ? number : max;
            field = 0;
        } else if (line[0] == '.' && line[1] != '\0' && strchr("TAWXBKCN", line[1]) != NULL &&
                   line[2] <= ' ') {
            field = line[1];
        } else if (field == 'T') {
            buffer_add_text(&items[number].title, line);
        } else if (field == 'W') {
            buffer_add_text(&items[number].text, line);
        }
    }
    fclose(file);
    return max;
}

static void judgements_read(FILE *file, struct collection *c)
{
    unsigned query, document;
    char line[1024];

    c->relevant = calloc((c->query_max + 1) * (c->document_max + 1), 1);
    c->relevant_count = calloc(c->query_max + 1, sizeof *c->relevant_count);
    CHECK(c->relevant != NULL && c->relevant_count != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%u %u", &query, &document) == 2 && query >= 1 && query <= c->query_max &&
            document >= 1 && document <= c->document_max) {
            uint8_t *cell = &c->relevant[query * (c->document_max + 1) + document];

            c->relevant_count[query] += !*cell;
            *cell = 1;
        }
    }
    fclose(file);
}

static void measure(const struct collection *c, size_t query, const struct ranking *ranking,
                    struct measures *sum)
{
    size_t relevant = c->relevant_count[query], found = 0;
    double gain = 0, ideal = 0, precision = 0, recall = 0;

    for (size_t i = 0; i < ranking->count; i++) {
        if (!c->relevant[query * (c->document_max + 1) + ranking->documents[i]]) {
            continue;
        }
        found++;
        gain += i < 10 ? 1.0 / log2((double)i + 2) : 0;
        recall += i < 100;
        precision += (double)found / (double)(i + 1);
    }
    for (size_t i = 0; i < 10 && i < relevant; i++) {
        ideal += 1.0 / log2((double)i + 2);
    }
    sum->ndcg10 += gain / ideal;
    sum->map += precision / (double)relevant;
    sum->recall100 += recall / (double)relevant;
    sum->queries++;
}

static void measures_print(const char *name, const struct measures *sum)
{
    double n = (double)sum->queries;

    printf("%-24s nDCG@10 %.4f  MAP %.4f  recall@100 %.4f\n", name, sum->ndcg10 / n, sum->map / n,
           sum->recall100 / n);
}

/* ---- the reference ------------------------------------------------------------------- */

struct reference {
    sqlite3 *db;
    double *length; /* of each document, in words */
    double average, documents;
};

static void sql(sqlite3 *db, const char *text)
{
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) {
        fprintf(stderr, "%s\n", sqlite3_errmsg(db));
        exit(2);
    }
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *text)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(db, text, -1, &statement, NULL) != SQLITE_OK) {
        fprintf(stderr, "%s\n", sqlite3_errmsg(db));
        exit(2);
    }
    return statement;
}

static void text_insert(sqlite3_stmt *insert, size_t number, const char *title, const char *text)
{
    struct buffer body = {0};

    buffer_add_text(&body, title);
    buffer_add_text(&body, " ");
    buffer_add_text(&body, text);
    sqlite3_bind_int64(insert, 1, (int64_t)number);
    sqlite3_bind_text(insert, 2, body.data, (int)body.size, SQLITE_STATIC);
    CHECK(sqlite3_step(insert) == SQLITE_DONE);
    sqlite3_reset(insert);
    buffer_deinit(&body);
}

/* FTS5 is used as a stemmer and a counter of words here, not to rank. */
static void reference_open(struct reference *r, struct collection *c)
{
    sqlite3_stmt *statement;

    CHECK(sqlite3_open(":memory:", &r->db) == SQLITE_OK);
    sql(r->db, "CREATE VIRTUAL TABLE d USING fts5(t, tokenize='porter unicode61');"
               "CREATE VIRTUAL TABLE q USING fts5(t, tokenize='porter unicode61');"
               "CREATE VIRTUAL TABLE dv USING fts5vocab(d, 'instance');"
               "CREATE VIRTUAL TABLE qv USING fts5vocab(q, 'instance'); BEGIN");
    statement = prepare(r->db, "INSERT INTO d(rowid, t) VALUES(?1, ?2)");
    for (size_t i = 1; i <= c->document_max; i++) {
        text_insert(statement, i, buffer_text(&c->documents[i].title),
                    buffer_text(&c->documents[i].text));
    }
    sqlite3_finalize(statement);
    sql(r->db, "COMMIT; CREATE TABLE tf AS SELECT term, doc, count(*) AS n FROM dv GROUP BY 1, 2;"
               "CREATE INDEX tf_term ON tf(term)");
    r->length = calloc(c->document_max + 1, sizeof *r->length);
    CHECK(r->length != NULL);
    r->documents = (double)c->document_max;
    statement = prepare(r->db, "SELECT doc, sum(n) FROM tf GROUP BY doc");
    while (sqlite3_step(statement) == SQLITE_ROW) {
        r->length[sqlite3_column_int64(statement, 0)] = sqlite3_column_double(statement, 1);
        r->average += sqlite3_column_double(statement, 1) / r->documents;
    }
    sqlite3_finalize(statement);
}

static const double *scores; /* for the comparison below */

static int score_compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

    return scores[a] != scores[b] ? (scores[a] > scores[b] ? -1 : 1) : (a > b) - (a < b);
}

static void term_score(struct reference *r, sqlite3_stmt *postings, const char *term, double weight,
                       double *score)
{
    double documents = 0, idf;

    sqlite3_bind_text(postings, 1, term, -1, SQLITE_STATIC);
    while (sqlite3_step(postings) == SQLITE_ROW) {
        documents++;
    }
    sqlite3_reset(postings);
    idf = log(1 + (r->documents - documents + 0.5) / (documents + 0.5));
    while (sqlite3_step(postings) == SQLITE_ROW) {
        size_t document = (size_t)sqlite3_column_int64(postings, 0);
        double tf = sqlite3_column_double(postings, 1);

        score[document] += weight * idf * tf * 2.2 /
                           (tf + 1.2 * (0.25 + 0.75 * r->length[document] / r->average));
    }
    sqlite3_reset(postings);
}

static void reference_rank(struct reference *r, size_t document_max, const char *query,
                           struct ranking *ranking)
{
    double *score = calloc(document_max + 1, sizeof *score);
    sqlite3_stmt *terms, *postings = prepare(r->db, "SELECT doc, n FROM tf WHERE term = ?1");
    sqlite3_stmt *insert = prepare(r->db, "INSERT INTO q(rowid, t) VALUES(?1, ?2)");

    CHECK(score != NULL);
    sql(r->db, "DELETE FROM q");
    text_insert(insert, 1, "", query);
    sqlite3_finalize(insert);
    terms = prepare(r->db, "SELECT term, count(*) FROM qv GROUP BY term");
    while (sqlite3_step(terms) == SQLITE_ROW) {
        term_score(r, postings, (const char *)sqlite3_column_text(terms, 0),
                   sqlite3_column_double(terms, 1), score);
    }
    sqlite3_finalize(terms);
    sqlite3_finalize(postings);
    ranking->count = 0;
    for (uint32_t i = 1; i <= document_max; i++) {
        if (score[i] > 0) {
            ranking->documents[ranking->count++] = i;
        }
    }
    scores = score;
    qsort(ranking->documents, ranking->count, sizeof ranking->documents[0], score_compare);
    free(score);
}

/* The words of a query that the retriever would look for. */
static char *without_stopwords(struct span text)
{
    struct query query = {0};
    char *words;

    query_build(&query, text);
    words = strdup(buffer_text(&query.match));
    CHECK(words != NULL);
    for (char *or = strstr(words, " OR "); or != NULL; or = strstr(or, " OR ")) {
        memset(or, ' ', 4);
    }
    query_deinit(&query);
    return words;
}

/* ---- ours ------------------------------------------------------------------------------ */

static void files_write(const char *folder, const struct collection *c)
{
    for (size_t i = 1; i <= c->document_max; i++) {
        char path[512];
        FILE *file;

        snprintf(path, sizeof path, "%s/%zu.md", folder, i);
        file = fopen(path, "w");
        CHECK(file != NULL);
        fputs("# ", file);
        for (const char *p = buffer_text(&c->documents[i].title); *p != '\0'; p++) {
            fputc(*p == '\n' ? ' ' : *p, file);
        }
        fprintf(file, "\n\n%s", buffer_text(&c->documents[i].text));
        fclose(file);
    }
}

static struct index *ours_open(const char *folder)
{
    char error[INDEX_ERROR_SIZE];
    const char *roots[] = {folder};
    struct folder found = {0};
    struct scan scan = {.index = index_open(NULL, error), .roots = roots, .root_count = 1};

    if (scan.index == NULL) {
        fprintf(stderr, "%s\n", error);
        exit(2);
    }
    CHECK(scan_run(&scan, &found));
    printf("%zu files, %zu passages, indexed in %llu ms\n", scan.files, scan.passages,
           (unsigned long long)scan.took_ms);
    folder_deinit(&found);
    return scan.index;
}

static void ours_rank(struct index *index, struct span query, struct ranking *ranking)
{
    struct search search = {.query = query, .limit = SEARCH_HITS_MAX, .per_source = 1};

    CHECK(search_run(index, &search) == SQLITE_OK);
    ranking->count = 0;
    for (size_t i = 0; i < search.hit_count; i++) {
        const char *name = strrchr(search.hits[i].source, '/') + 1;

        ranking->documents[ranking->count++] = (uint32_t)strtoul(name, NULL, 10);
    }
    search_deinit(&search);
}

static void files_remove(const char *folder, const struct collection *c)
{
    char path[512];

    for (size_t i = 1; i <= c->document_max; i++) {
        snprintf(path, sizeof path, "%s/%zu.md", folder, i);
        unlink(path);
    }
    rmdir(folder);
}

int main(int argc, char **argv)
{
    static struct collection c;
    static struct ranking ranking;
    char folder[] = "/tmp/sluice-retrieval-XXXXXX";
    struct measures ours = {0}, plain = {0}, stopped = {0};
    struct reference reference = {0};
    struct index *index;
    bool better;

    if (argc != 2) {
        fprintf(stderr, "usage: retrieval DIR\n");
        return 2;
    }
    c.document_max = items_read(collection_open(argv[1], "ALL"), c.documents);
    c.query_max = items_read(collection_open(argv[1], "QRY"), c.queries);
    judgements_read(collection_open(argv[1], "REL"), &c);
    CHECK(mkdtemp(folder) != NULL);
    files_write(folder, &c);
    index = ours_open(folder);
    reference_open(&reference, &c);
    for (size_t q = 1; q <= c.query_max; q++) {
        struct span text = buffer_span(&c.queries[q].text);
        char *words;

        if (c.relevant_count[q] == 0) {
            continue;
        }
        ours_rank(index, text, &ranking);
        measure(&c, q, &ranking, &ours);
        reference_rank(&reference, c.document_max, buffer_text(&c.queries[q].text), &ranking);
        measure(&c, q, &ranking, &plain);
        words = without_stopwords(text);
        reference_rank(&reference, c.document_max, words, &ranking);
        measure(&c, q, &ranking, &stopped);
        free(words);
    }
    printf("%zu queries with judgements\n", ours.queries);
    measures_print("sluice-retriever", &ours);
    measures_print("BM25", &plain);
    measures_print("BM25 without stop words", &stopped);
    index_close(index);
    files_remove(folder, &c);
    better = ours.ndcg10 >= fmax(plain.ndcg10, stopped.ndcg10) &&
             ours.map >= fmax(plain.map, stopped.map) &&
             ours.recall100 >= fmax(plain.recall100, stopped.recall100);
    return better ? 0 : 1;
}
