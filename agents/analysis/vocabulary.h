/* vocabulary: every term of a request, numbered from 0 in order of appearance.
 *
 * Text and table live in the arena given to init. One thread at a time. */
#ifndef SLUICE_AGENTS_ANALYSIS_VOCABULARY_H
#define SLUICE_AGENTS_ANALYSIS_VOCABULARY_H

#include "agents/analysis/arena.h"
#include "common/span.h"

#define TERM_NONE UINT32_MAX

struct vocabulary {
    struct arena *arena;
    uint32_t *slots; /* term + 1; 0: free. A power of two of them */
    size_t slot_count;
    struct vocabulary_term *terms;
    size_t term_count, term_max;
};

struct vocabulary_term {
    struct span text;  /* stemmed */
    struct span shown; /* the first word that had this stem, as it stood there */
    uint32_t hash;
};

void vocabulary_init(struct vocabulary *vocabulary, struct arena *arena);

/* The number of `text`, new if need be. `shown` is borrowed as long as the arena lives. */
uint32_t vocabulary_add(struct vocabulary *vocabulary, struct span text, struct span shown);

/* TERM_NONE: never added. */
uint32_t vocabulary_find(const struct vocabulary *vocabulary, struct span text);

#endif
