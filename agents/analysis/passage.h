/* passage: a piece of a document as it came in a request, checked and bounded.
 *
 * Everything here is borrowed from the request's JSON, which outlives it. */
#ifndef SLUICE_AGENTS_ANALYSIS_PASSAGE_H
#define SLUICE_AGENTS_ANALYSIS_PASSAGE_H

#include "agents/analysis/arena.h"
#include "common/span.h"

#include <jansson.h>

#define PASSAGES_MAX 200
#define PASSAGE_BYTES_MAX (256 * 1024)       /* one passage's text */
#define PASSAGES_BYTES_MAX (4 * 1024 * 1024) /* all of them */
#define QUESTION_BYTES_MAX 8000              /* 2,000 characters of UTF-8 */

struct passage {
    struct span text;
    struct span title; /* empty: none */
    struct span ref;   /* the caller's name for it; empty: none */
    struct span source;
    json_int_t line_start; /* 0: not known */
    json_int_t line_end;
    bool lines_match; /* line k of the text is line line_start + k of the source */
    json_t *page;     /* NULL: none; passed through */
};

/* What is wrong with a request: a sentence for the submitter. Empty: nothing. */
struct fault {
    char message[200];
};

void fault_set(struct fault *fault, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reads the array `list`. NULL: `fault` says why. */
struct passage *passage_read_all(struct arena *arena, const json_t *list, size_t *count,
                                 struct fault *fault);

/* First and last line of `quote`, which lies in the passage's text, as far as is
 * known: at worst those of the passage. False: not at all. */
bool passage_lines(const struct passage *passage, struct span quote, json_int_t *start,
                   json_int_t *end);

/* Adds what is known of the place of `quote` to `object`: ref, source, line_start, line_end,
 * page, title. */
void passage_cite(const struct passage *passage, struct span quote, json_t *object);

/* The text at `key`; empty when absent or no text. */
struct span json_span(const json_t *object, const char *key);

json_t *json_from_span(struct span text);

#endif
