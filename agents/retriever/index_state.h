/* index_state: what index.c (opening, readers) and index_write.c share. */
#ifndef SLUICE_RETRIEVER_INDEX_STATE_H
#define SLUICE_RETRIEVER_INDEX_STATE_H

#include "agents/retriever/index.h"

#include <pthread.h>

/* The writer's prepared statements. */
enum statement {
    STATEMENT_FIND,
    STATEMENT_PUT_SOURCE,
    STATEMENT_SET_PASSAGES,
    STATEMENT_PUT_PASSAGE,
    STATEMENT_PUT_TEXT,
    STATEMENT_DELETE_TEXT,
    STATEMENT_DELETE_PASSAGES,
    STATEMENT_DELETE_SOURCE,
    STATEMENT_LIST,
    STATEMENT_COUNT,
};

struct index {
    sqlite3 *writer;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    size_t passage_count;
    size_t committed_count;   /* what passage_count goes back to when a batch is rolled back */
    int lock_fd;              /* -1: temporary */
    char directory[256];      /* of a temporary index, while it still has a name */
    char error[INDEX_ERROR_SIZE];
    pthread_mutex_t mutex;    /* guards what follows */
    pthread_cond_t given;
    sqlite3 *readers[INDEX_READERS]; /* those not out */
    size_t reader_count;
};

/* Prepares every statement of the writer. An SQLite code. */
int index_statements_prepare(struct index *index);

#endif
