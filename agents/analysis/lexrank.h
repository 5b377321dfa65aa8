/* lexrank: which sentences stand for a text.
 *
 * Erkan & Radev, "LexRank: graph-based lexical centrality as salience in text
 * summarization", JAIR 22, 2004, in its continuous form: sentences vote for those they
 * resemble (tf-idf cosine), and votes of the well-voted count for more. With a
 * question, the random jump prefers sentences near it (Otterbacher, Erkan &
 * Radev 2005). */
#ifndef SLUICE_AGENTS_ANALYSIS_LEXRANK_H
#define SLUICE_AGENTS_ANALYSIS_LEXRANK_H

#include "agents/analysis/corpus.h"

#define LEXRANK_UNITS_MAX 1000 /* the matrix has the square of it; 4 MB */

/* Fills `centrality` (one for each of `units`, summing to 1). `units` are indices of the
 * corpus, at most LEXRANK_UNITS_MAX; `bias` is a weight for each, or NULL. */
void lexrank_compute(const struct corpus *corpus, const double *idf, const uint32_t *units,
                     size_t count, const double *bias, double *centrality);

#endif
