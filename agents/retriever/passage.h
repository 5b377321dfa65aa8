/* passage: a piece of a document that can be found, quoted and cited.
 *
 * A passage stays within one section and one page, follows paragraphs, and has
 * about PASSAGE_WORDS_MIN to PASSAGE_WORDS_MAX words; a long paragraph is cut at
 * the end of a sentence. Every word of a document's paragraphs is in exactly one
 * passage. Pure. */
#ifndef SLUICE_RETRIEVER_PASSAGE_H
#define SLUICE_RETRIEVER_PASSAGE_H

#include "agents/retriever/document.h"

#define PASSAGE_WORDS_MIN 60  /* below, the next paragraph joins in */
#define PASSAGE_WORDS_GOOD 140 /* beyond, it does not */
#define PASSAGE_WORDS_MAX 200
#define PASSAGE_COUNT_MAX 20000 /* of a document */

struct passage {
    struct span title; /* "document > section > subsection" */
    struct span text;
    uint32_t line_start, line_end;
    uint32_t page; /* 0: none */
};

/* Calls `found` for each passage in order; its spans live for the call. False
 * from `found` ends it. Returns the number of passages. */
typedef bool passage_fn(const struct passage *passage, void *arg);
size_t passage_split(const struct document *document, passage_fn *found, void *arg);

#endif
