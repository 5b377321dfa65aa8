/* query: a question in plain words becomes a full-text query.
 *
 * Nothing of what the user wrote reaches the query language: words are taken out,
 * quoted, and joined with OR; BM25 sorts out which of them matter. Words that
 * every text has are left out, unless there are no others. A compound such as
 * zmq_msg_send is asked for as a phrase and, weighing less, by its parts. Pure. */
#ifndef SLUICE_RETRIEVER_QUERY_H
#define SLUICE_RETRIEVER_QUERY_H

#include "agents/retriever/buffer.h"

#define QUERY_BYTES_MAX 8000U /* 2,000 characters */
#define QUERY_TERMS_MAX 64U   /* later ones are left out */
#define QUERY_WORD_BYTES_MAX 64U

struct query {
    struct buffer match; /* the FTS5 expression */
    /* How much each phrase of `match`, in order, counts: how often it was asked for. */
    double weights[QUERY_TERMS_MAX];
    size_t term_count;
};

/* `query` is zeroed or from an earlier build. False: no word in it. */
bool query_build(struct query *query, struct span text);
void query_deinit(struct query *query);

#endif
