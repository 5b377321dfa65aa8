/* rank: the FTS5 function that scores a passage: BM25F.
 *
 * docs/retriever.md gives the formula, its sources and what each part is worth. */
#ifndef SLUICE_RETRIEVER_RANK_H
#define SLUICE_RETRIEVER_RANK_H

#include <sqlite3.h>

/* Adds passage_rank(passages_fts, weights) to a connection. `weights`: a blob of
 * one double for each phrase of the query. Returns an SQLite code. */
int rank_register(sqlite3 *db);

#endif
