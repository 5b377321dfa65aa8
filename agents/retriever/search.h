/* search: what is asked of the index: passages for a question, one passage, the
 * list of sources.
 *
 * Blocks on SQLite: call it off the loop. Any number of threads; each call takes
 * a reader of the index for its time. Strings in results are malloc'd copies. */
#ifndef SLUICE_RETRIEVER_SEARCH_H
#define SLUICE_RETRIEVER_SEARCH_H

#include "agents/retriever/index.h"

#define SEARCH_LIMIT_MAX 50U /* what a task may ask for */
#define SEARCH_HITS_MAX 5000U /* what a caller may */
#define SEARCH_LIMIT_DEFAULT 8U
#define SEARCH_PER_SOURCE 3U /* hits of one source in an answer, for variety */

#define PASSAGE_ID_TEXT_SIZE 17 /* 16 hex digits and NUL */

struct hit {
    char id[PASSAGE_ID_TEXT_SIZE];
    char *source, *title, *text;
    enum kind kind;
    uint32_t line_start, line_end;
    uint32_t page; /* 0: none */
    double score;  /* higher is better; comparable within one answer */
};

struct search {
    /* asked */
    struct span query;
    size_t limit;       /* 1 to SEARCH_HITS_MAX */
    const char *prefix; /* of the sources to search; NULL: all */
    size_t per_source;  /* at most so many hits of each; 0: no bound */
    /* answered */
    struct hit *hits;
    size_t hit_count;
    size_t total; /* passages with any of the words */
};

/* Best first; equal scores in order of source and line, so that replicas agree. Returns an
 * SQLite code; not SQLITE_OK: no hits. A query without words has none. */
int search_run(struct index *index, struct search *search);
void search_deinit(struct search *search);

struct passage_view {
    struct hit hit;
    char *before, *after; /* text of the neighbours in the source; "" at its ends */
};

/* SQLITE_NOTFOUND: no such passage (any more). */
int search_passage(struct index *index, const char *id, struct passage_view *view);
void passage_view_deinit(struct passage_view *view);

struct source_row {
    char *path, *title;
    enum kind kind;
    size_t passages;
    int64_t bytes, modified_ms;
};

struct source_list {
    struct source_row *rows;
    size_t count;
    size_t total; /* of all, not of this page */
    bool more;
};

/* Sources that have passages, by path, behind `after` ("" or NULL: from the start). */
int search_sources(struct index *index, const char *after, size_t limit,
                   struct source_list *list);
void source_list_deinit(struct source_list *list);

#endif
