/* index: the passages of all sources, in one SQLite FTS5 database.
 *
 * One connection writes, used by one thread at a time; INDEX_READERS others
 * read, one a caller, and see the last commit whatever the writer does (WAL).
 * By default the database is a temporary file whose name is already gone: it
 * vanishes with the process, however that ends. A named one survives, so that
 * the next start reads only what has changed; it is locked, for two writers
 * would spoil each other's work.
 *
 * Rows of one source go in and out together: no search sees half of a file. */
#ifndef SLUICE_RETRIEVER_INDEX_H
#define SLUICE_RETRIEVER_INDEX_H

#include "agents/retriever/document.h"
#include "agents/retriever/file.h"
#include "agents/retriever/kind.h"

#include <sqlite3.h>

#define INDEX_READERS 4 /* libuv has so many worker threads by default */
#define INDEX_PASSAGES_MAX 2000000
#define INDEX_ERROR_SIZE 256

struct index;

/* `path` NULL: temporary, in $TMPDIR or /tmp. NULL on failure, and `error` says why:
 * no such folder, locked by another process, not an index of ours. One of an
 * older layout is emptied: it only caches what the files say. */
struct index *index_open(const char *path, char error[INDEX_ERROR_SIZE]);
void index_close(struct index *index); /* accepts NULL; no reader may be out */

/* ---- writing: one thread ---------------------------------------------------- */

struct index_source {
    const char *path;
    enum kind kind;
    struct file_stamp stamp;
};

enum index_result {
    INDEX_OK,
    INDEX_FULL,  /* INDEX_PASSAGES_MAX reached; the source has what fitted, and if that is not
                    all, index_has does not know it */
    INDEX_FAULT, /* SQLite says no: disk full, damaged; index_error() says why.
                    The open transaction is rolled back */
};

enum index_result index_begin(struct index *index);  /* a batch; not nested */
enum index_result index_commit(struct index *index); /* now searches see it */

/* The source is there with this kind and stamp. */
bool index_has(struct index *index, const struct index_source *source);

/* Puts a source with the passages of `document` in the place of what it had. NULL:
 * the file gave nothing; it is remembered so that it is not read again. */
enum index_result index_put(struct index *index, const struct index_source *source,
                            const struct document *document, size_t *passages);

/* Removes each source for which `keep` says no. Counts them in `removed`. */
typedef bool index_keep_fn(const char *path, void *arg);
enum index_result index_prune(struct index *index, index_keep_fn *keep, void *arg,
                              size_t *removed);

/* Merges the index's segments: worth it after many changes. */
enum index_result index_optimize(struct index *index);

const char *index_error(const struct index *index); /* until the next call */

/* ---- reading: any thread ------------------------------------------------------ */

/* A connection for the caller alone, until it is given back. Waits for one. */
sqlite3 *index_reader_take(struct index *index);
void index_reader_give(struct index *index, sqlite3 *reader);

#endif
