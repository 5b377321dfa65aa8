/* word: from text to the terms that are counted.
 *
 * A word is a run of letters, digits, underscores and bytes of non-ASCII
 * letters. ASCII is lower-cased; other letters are compared as they are.
 * An identifier like ZMQ_ROUTER_MANDATORY is one word, and also its parts, so
 * that a question which says "router" finds it. Pure. */
#ifndef SLUICE_AGENTS_ANALYSIS_WORD_H
#define SLUICE_AGENTS_ANALYSIS_WORD_H

#include "common/span.h"

#define WORD_BYTES_MAX 64 /* longer ones are cut: no term of a language is */

struct word {
    struct span raw;           /* as it stands in the text */
    char term[WORD_BYTES_MAX]; /* lower case, stemmed; not terminated */
    size_t size;
    bool stop; /* says nothing by itself: "the", "how" */
    bool part; /* of the identifier that came before it */
};

struct word_reader {
    struct span text;
    size_t at;
    size_t part_at, part_end; /* inside an identifier; equal: not */
};

void word_reader_init(struct word_reader *reader, struct span text);

/* The next word. False: no more. */
bool word_next(struct word_reader *reader, struct word *word);

#endif
