#include "agents/retriever/index_state.h"

#include "agents/retriever/rank.h"
#include "common/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define INDEX_APPLICATION_ID 0x736C7569 /* "slui": a file that has it is ours */
#define INDEX_LAYOUT 1                  /* raise it when a table or a reader of files changes */

static const char index_schema[] =
    "CREATE TABLE sources("
    " id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, kind INTEGER NOT NULL,"
    " title TEXT NOT NULL, bytes INTEGER NOT NULL, modified_ns INTEGER NOT NULL,"
    " changed_ns INTEGER NOT NULL, passages INTEGER NOT NULL);"
    /* id is the rowid in passages_fts, key the id that the world sees. */
    "CREATE TABLE passages("
    " id INTEGER PRIMARY KEY, source INTEGER NOT NULL, ordinal INTEGER NOT NULL,"
    " key INTEGER NOT NULL, line_start INTEGER NOT NULL, line_end INTEGER NOT NULL,"
    " page INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX passages_by_source ON passages(source, ordinal);"
    "CREATE INDEX passages_by_key ON passages(key);"
    "CREATE VIRTUAL TABLE passages_fts USING fts5(title, text,"
    " tokenize='porter unicode61 remove_diacritics 2');";

static int64_t pragma_get(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t value = -1;

    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        value = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return value;
}

static int schema_create(sqlite3 *db)
{
    char sql[128];
    int rc;

    snprintf(sql, sizeof sql, "PRAGMA application_id=%d; PRAGMA user_version=%d",
             INDEX_APPLICATION_ID, INDEX_LAYOUT);
    rc = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(db, index_schema, NULL, NULL, NULL);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    }
    return rc == SQLITE_OK ? sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) : rc;
}

static const char index_drop[] = "DROP TABLE IF EXISTS passages_fts;"
                                 "DROP TABLE IF EXISTS passages; DROP TABLE IF EXISTS sources";

/* NULL, or why the database cannot be used. */
static const char *schema_ensure(sqlite3 *db)
{
    int64_t tables = pragma_get(db, "SELECT count(*) FROM sqlite_master");
    int64_t owner = pragma_get(db, "PRAGMA application_id");

    if (tables < 0 || owner < 0) {
        return sqlite3_errmsg(db);
    }
    if (tables > 0 && owner != INDEX_APPLICATION_ID) {
        return "it is a database of something else";
    }
    if (tables > 0 && pragma_get(db, "PRAGMA user_version") == INDEX_LAYOUT) {
        return NULL;
    }
    if (sqlite3_exec(db, index_drop, NULL, NULL, NULL) != SQLITE_OK ||
        schema_create(db) != SQLITE_OK) {
        return sqlite3_errmsg(db);
    }
    return NULL;
}

/* The file can be made again from the documents, so it need not survive a power cut
 * to the last commit (NORMAL), and a temporary one nothing at all (OFF). */
static const char *writer_open(struct index *index, const char *path)
{
    const char *pragmas = index->lock_fd < 0
        ? "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA temp_store=MEMORY"
        : "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY";
    const char *why;

    if (sqlite3_open_v2(path, &index->writer,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK) {
        return sqlite3_errmsg(index->writer);
    }
    sqlite3_busy_timeout(index->writer, 5000);
    if (pragma_get(index->writer, "SELECT count(*) FROM sqlite_master") < 0) {
        return sqlite3_errmsg(index->writer);
    }
    why = schema_ensure(index->writer);
    if (why != NULL) {
        return why;
    }
    if (sqlite3_exec(index->writer, pragmas, NULL, NULL, NULL) != SQLITE_OK) {
        return sqlite3_errmsg(index->writer);
    }
    if (index_statements_prepare(index) != SQLITE_OK) {
        return sqlite3_errmsg(index->writer);
    }
    index->passage_count =
        (size_t)pragma_get(index->writer, "SELECT count(*) FROM passages");
    index->committed_count = index->passage_count;
    return NULL;
}

static const char *readers_open(struct index *index, const char *path)
{
    for (int i = 0; i < INDEX_READERS; i++) {
        sqlite3 *reader = NULL;
        int rc = sqlite3_open_v2(path, &reader, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

        index->readers[index->reader_count++] = reader;
        /* The first look opens the log, which must happen while the file has its name. */
        if (rc != SQLITE_OK || rank_register(reader) != SQLITE_OK ||
            sqlite3_exec(reader, "PRAGMA query_only=ON", NULL, NULL, NULL) != SQLITE_OK ||
            pragma_get(reader, "SELECT count(*) FROM passages_fts WHERE rowid=0") < 0) {
            return sqlite3_errmsg(reader);
        }
        sqlite3_busy_timeout(reader, 5000);
    }
    return NULL;
}

static const char *lock_take(struct index *index, const char *path)
{
    struct buffer name = {0};
    const char *why = NULL;

    buffer_add_text(&name, path);
    buffer_add_text(&name, "-lock");
    index->lock_fd = open(name.data, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (index->lock_fd < 0) {
        why = strerror(errno);
    } else if (flock(index->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        why = "another process has it open; give each retriever an index of its own";
    }
    buffer_deinit(&name);
    return why;
}

static const char *directory_make(struct index *index, struct buffer *path)
{
    const char *base = getenv("TMPDIR");
    int size = snprintf(index->directory, sizeof index->directory, "%s/sluice-retriever-XXXXXX",
                        base == NULL || base[0] == '\0' ? "/tmp" : base);

    if (size < 0 || (size_t)size >= sizeof index->directory) {
        index->directory[0] = '\0';
        return "TMPDIR is too long";
    }
    if (mkdtemp(index->directory) == NULL) {
        index->directory[0] = '\0';
        return strerror(errno);
    }
    buffer_add_text(path, index->directory);
    buffer_add_text(path, "/index");
    return NULL;
}

/* Takes the names of a temporary index away; the open connections keep the files. */
static void directory_remove(struct index *index)
{
    static const char *const names[] = {"/index", "/index-wal", "/index-shm", ""};

    for (size_t i = 0; index->directory[0] != '\0' && i < sizeof names / sizeof names[0]; i++) {
        char path[sizeof index->directory + 16];

        snprintf(path, sizeof path, "%s%s", index->directory, names[i]);
        remove(path);
    }
    index->directory[0] = '\0';
}

struct index *index_open(const char *path, char error[INDEX_ERROR_SIZE])
{
    struct index *index = calloc(1, sizeof *index);
    struct buffer file = {0};
    const char *why;

    CHECK(index != NULL);
    pthread_mutex_init(&index->mutex, NULL);
    pthread_cond_init(&index->given, NULL);
    index->lock_fd = -1;
    if (path == NULL) {
        why = directory_make(index, &file);
    } else {
        buffer_add_text(&file, path);
        why = lock_take(index, path);
    }
    if (why == NULL) {
        why = writer_open(index, file.data);
    }
    if (why == NULL) {
        why = readers_open(index, file.data);
    }
    if (why != NULL) {
        snprintf(error, INDEX_ERROR_SIZE, "%s", why);
        index_close(index);
        index = NULL;
    } else {
        directory_remove(index);
    }
    buffer_deinit(&file);
    return index;
}

void index_close(struct index *index)
{
    if (index == NULL) {
        return;
    }
    directory_remove(index);
    for (size_t i = 0; i < index->reader_count; i++) {
        sqlite3_close(index->readers[i]);
    }
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        sqlite3_finalize(index->statements[i]);
    }
    CHECK(sqlite3_close(index->writer) == SQLITE_OK);
    if (index->lock_fd >= 0) {
        close(index->lock_fd);
    }
    pthread_cond_destroy(&index->given);
    pthread_mutex_destroy(&index->mutex);
    free(index);
}

sqlite3 *index_reader_take(struct index *index)
{
    sqlite3 *reader;

    pthread_mutex_lock(&index->mutex);
    while (index->reader_count == 0) {
        pthread_cond_wait(&index->given, &index->mutex);
    }
    reader = index->readers[--index->reader_count];
    pthread_mutex_unlock(&index->mutex);
    return reader;
}

void index_reader_give(struct index *index, sqlite3 *reader)
{
    pthread_mutex_lock(&index->mutex);
    CHECK(index->reader_count < INDEX_READERS);
    index->readers[index->reader_count++] = reader;
    pthread_cond_signal(&index->given);
    pthread_mutex_unlock(&index->mutex);
}
