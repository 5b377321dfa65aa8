/* query: what a question asks for, as weighted terms.
 *
 * Each content word of the question is a slot; its synonyms and the parts of an
 * identifier are alternatives that count for less. The thesaurus is small,
 * hand-made and about software documentation (query expansion: Voorhees, "Query
 * expansion using lexical-semantic relations", SIGIR 1994): it lets "drop" find
 * "discard". Lives in the corpus's arena. */
#ifndef SLUICE_AGENTS_ANALYSIS_QUERY_H
#define SLUICE_AGENTS_ANALYSIS_QUERY_H

#include "agents/analysis/corpus.h"

#define QUERY_SLOTS_MAX 48 /* content words; more say no more */
#define QUERY_ALTERNATIVES_MAX 12

struct query_slot {
    struct span shown; /* as in the question */
    uint32_t terms[QUERY_ALTERNATIVES_MAX];
    double weights[QUERY_ALTERNATIVES_MAX]; /* [0] is 1: the word itself */
    size_t count;
    bool name;  /* an identifier: whoever names one means that one */
    double idf; /* set by query_weigh */
    bool found; /* set by query_weigh: some sentence, heading or title has it */
};

struct query {
    struct query_slot slots[QUERY_SLOTS_MAX];
    size_t count;
    double idf_sum;
    bool does;    /* "how do I ...": commands and examples answer as well as prose */
    bool counts;  /* "how many", "what is the default": a number is wanted */
    bool defines; /* "what is X", "what does X do", or just "X": a definition is wanted */
};

/* Reads `question` and adds its terms to the corpus's vocabulary; call it before
 * corpus_read. */
void query_init(struct query *query, struct corpus *corpus, struct span question);

/* Weighs the slots by how rare they are in the corpus; call it after corpus_read. */
void query_weigh(struct query *query, const struct corpus *corpus);

/* How strongly `slot` is in `vector`: occurrences, alternatives counting for less. */
double query_slot_strength(const struct query_slot *slot, const struct term_vector *vector);

#endif
