/* sentence: cuts a passage into what can be quoted.
 *
 * Works on plain text, Markdown, and the text of manual pages, by rule:
 *  - a blank line, a list mark, a heading, a table row, and a fence end what
 *    came before; so does a line end after which the next word would still
 *    have fitted and the next line starts like a sentence;
 *  - inside a paragraph, `.` `!` `?` end a sentence when white space follows
 *    and then something that starts one (capital, digit, quote, identifier) -
 *    but not after an abbreviation ("e.g."), an initial ("M."), or inside a
 *    number;
 *  - a single line without an end mark, with text below it, is a heading.
 * Every sentence is a piece of the text as it stands, so it can be found there
 * again. Pure. */
#ifndef SLUICE_AGENTS_ANALYSIS_SENTENCE_H
#define SLUICE_AGENTS_ANALYSIS_SENTENCE_H

#include "common/span.h"

#define SENTENCE_BYTES_MAX 1000 /* a longer one is cut at white space */

enum sentence_kind {
    SENTENCE_PROSE,
    SENTENCE_HEADING,
    SENTENCE_ROW,   /* of a table */
    SENTENCE_CODE,  /* a line of it, or what reads like code run together */
    SENTENCE_NAMES, /* nothing but references: "zmq_bind(3) zmq_send(3)" */
};

struct sentence {
    struct span text; /* borrowed from the passage; no white space at the ends */
    enum sentence_kind kind;
    unsigned block; /* paragraph, list item, ...: same number, same block */
};

/* Called for each sentence in order; false stops. */
typedef bool sentence_fn(const struct sentence *sentence, void *arg);

void sentence_split(struct span text, sentence_fn *fn, void *arg);

/* `text` with every run of white space as one space, none at the ends, into
 * `out` of at least text.size bytes. Returns the size. */
size_t sentence_squeeze(struct span text, char *out);

#endif
