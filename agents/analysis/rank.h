/* rank: which sentences answer a question.
 *
 * The score of a sentence, 0 to about 1, is a sum of documented parts:
 *
 *   own       BM25F of the sentence with its heading as a second, weaker field
 *             (Robertson & Walker 1994; Robertson, Zaragoza & Taylor 2004), as a
 *             share of the most it could be
 *   coverage  share of the question's weight found in the sentence, its heading
 *             or its passage's title
 *   heading   the same for heading and title alone (title match: Edmundson 1969)
 *   context   mean `own` of the sentences before and after (local context:
 *             Fernandez, Losada & Azzopardi 2011)
 *   phrase    share of the question's neighbouring words that are neighbours here
 *   position  early sentences define, later ones elaborate (Edmundson 1969)
 *   passage   rank of the passage in the caller's order, best first
 *
 * times a factor below 1 for code, table rows, headings, and fragments.
 *
 * rank_select takes them greedily by maximal marginal relevance (Carbonell &
 * Goldstein 1998), so that the second one says something new. */
#ifndef SLUICE_AGENTS_ANALYSIS_RANK_H
#define SLUICE_AGENTS_ANALYSIS_RANK_H

#include "agents/analysis/query.h"

struct rank {
    const struct corpus *corpus;
    const struct query *query;
    const double *idf;
    double *own;    /* by unit */
    double *scores; /* by unit */
};

/* Scores every unit; arrays in the corpus's arena. All borrowed. */
void rank_init(struct rank *rank, const struct corpus *corpus, const struct query *query);

/* Share of the question's weight that `unit`, its heading or title has, 0 to 1. */
double rank_coverage(const struct rank *rank, uint32_t unit);

/* Puts the units to quote into `chosen`, best first; at most `max`. Units that
 * share nothing with the question are never chosen. */
size_t rank_select(const struct rank *rank, uint32_t *chosen, size_t max);

/* First and last unit of the passage of text around `unit` that answers: in its
 * block, at most three sentences. */
void rank_window(const struct rank *rank, uint32_t unit, uint32_t *first, uint32_t *last);

#endif
