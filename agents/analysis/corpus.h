/* corpus: the sentences of a request's passages, counted and ready to be ranked.
 *
 * Everything lives in the arena. One thread at a time. */
#ifndef SLUICE_AGENTS_ANALYSIS_CORPUS_H
#define SLUICE_AGENTS_ANALYSIS_CORPUS_H

#include "agents/analysis/passage.h"
#include "agents/analysis/sentence.h"
#include "agents/analysis/vocabulary.h"

#define CORPUS_SENTENCES_MAX 20000 /* beyond: not looked at, and `cut` is set */
#define UNIT_NONE UINT32_MAX

struct term_count {
    uint32_t term;
    uint32_t count;
};

/* How often which term occurs; sorted by term, stop words left out. */
struct term_vector {
    struct term_count *items;
    size_t count;
    size_t length; /* all occurrences */
};

/* One sentence and where it stands. */
struct unit {
    struct sentence sentence;
    uint32_t passage;
    uint32_t heading;  /* the unit above it that is its heading; UNIT_NONE */
    uint32_t position; /* in its passage, from 0 */
    struct term_vector terms;
};

struct corpus {
    struct arena *arena;
    struct vocabulary vocabulary;
    const struct passage *passages;
    struct term_vector *titles; /* one for each passage */
    size_t passage_count;
    struct unit *units;
    size_t unit_count, unit_max;
    double length_mean; /* of a unit's terms */
    bool cut;
};

/* `vocabulary` may already hold a question's terms: add them between init and
 * corpus_read. `passages` is borrowed. */
void corpus_init(struct corpus *corpus, struct arena *arena);
void corpus_read(struct corpus *corpus, const struct passage *passages, size_t count);

/* The terms of any text, numbered in the corpus's vocabulary. */
struct term_vector corpus_count(struct corpus *corpus, struct span text);

/* How often `term` is in `vector`. */
uint32_t term_vector_get(const struct term_vector *vector, uint32_t term);

/* Inverse document frequency over the units for every term of the vocabulary:
 * ln(1 + (N - n + 0.5) / (n + 0.5)), never negative. In the arena. */
double *corpus_idf(const struct corpus *corpus);

/* Cosine of the angle between two tf-idf vectors: 0 to 1. */
double term_vector_cosine(const struct term_vector *a, const struct term_vector *b,
                          const double *idf);

#endif
