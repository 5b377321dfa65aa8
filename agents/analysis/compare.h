/* compare: analysis.compare, what texts share and what sets each apart.
 *
 * {items: [{name, text}] 2..10}
 * -> {pairs: [{a, b, similarity}], shared: [term], distinct: [{name, terms: [term]}]}
 *
 * Similarity is the cosine of tf-idf vectors (Salton, Wong & Yang 1975), the
 * document frequencies taken over sentences; distinct terms have the highest
 * log-likelihood ratio against the other texts (Dunning, "Accurate methods for
 * the statistics of surprise and coincidence", 1993), at least 3.84 (p < 0.05).
 * Pure; runs on any thread. */
#ifndef SLUICE_AGENTS_ANALYSIS_COMPARE_H
#define SLUICE_AGENTS_ANALYSIS_COMPARE_H

#include "agents/analysis/passage.h"

#define COMPARE_ITEMS_MIN 2
#define COMPARE_ITEMS_MAX 10

/* A new reference. NULL: `fault` says why. */
json_t *compare_run(const json_t *args, struct fault *fault);

/* Dunning's G2: how surprising it is that a term occurs `a` times in `a_total` words here
 * and `b` times in `b_total` words there. 0: just as expected. */
double compare_log_likelihood(double a, double a_total, double b, double b_total);

#endif
