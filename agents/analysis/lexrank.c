#include "agents/analysis/lexrank.h"

#include "common/check.h"

#include <math.h>

#define DAMPING 0.15    /* chance of a jump, as in the paper */
#define COSINE_MIN 0.05 /* below it, likeness is chance */
#define ITERATIONS_MAX 100
#define CONVERGED 1e-6

/* Row i: how sentence i shares out its vote. */
static float *vote_matrix(const struct corpus *corpus, const double *idf, const uint32_t *units,
                          size_t count)
{
    float *votes = arena_new(corpus->arena, count * count, sizeof *votes);
    size_t i, k;

    for (i = 0; i < count; i++) {
        votes[i * count + i] = 1;
        for (k = i + 1; k < count; k++) {
            double cosine = term_vector_cosine(&corpus->units[units[i]].terms,
                                               &corpus->units[units[k]].terms, idf);

            votes[i * count + k] = votes[k * count + i] = cosine < COSINE_MIN ? 0 : (float)cosine;
        }
    }
    for (i = 0; i < count; i++) {
        double sum = 0;

        for (k = 0; k < count; k++) {
            sum += votes[i * count + k];
        }
        for (k = 0; k < count; k++) {
            votes[i * count + k] /= (float)sum;
        }
    }
    return votes;
}

static double bias_of(const double *bias, double bias_sum, size_t count, size_t i)
{
    return bias != NULL && bias_sum > 0 ? bias[i] / bias_sum : 1.0 / (double)count;
}

void lexrank_compute(const struct corpus *corpus, const double *idf, const uint32_t *units,
                     size_t count, const double *bias, double *centrality)
{
    double *next = arena_new(corpus->arena, count + 1, sizeof *next);
    double bias_sum = 0;
    const float *votes;
    double change = 1;
    size_t i, k, round;

    CHECK(count <= LEXRANK_UNITS_MAX);
    if (count == 0) {
        return;
    }
    votes = vote_matrix(corpus, idf, units, count);
    for (i = 0; i < count; i++) {
        bias_sum += bias != NULL ? bias[i] : 0;
        centrality[i] = 1.0 / (double)count;
    }
    for (round = 0; round < ITERATIONS_MAX && change > CONVERGED; round++) {
        for (i = 0; i < count; i++) {
            next[i] = DAMPING * bias_of(bias, bias_sum, count, i);
        }
        for (i = 0; i < count; i++) {
            for (k = 0; k < count; k++) {
                next[k] += (1 - DAMPING) * centrality[i] * votes[i * count + k];
            }
        }
        change = 0;
        for (i = 0; i < count; i++) {
            change += fabs(next[i] - centrality[i]);
            centrality[i] = next[i];
        }
    }
}
