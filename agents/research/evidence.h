/* evidence: the passages that searches and fetches brought, each once.
 *
 * Answers come from other processes: what is not text, too long, or too much is
 * left out. Every passage gets a name here ("p1"), by which analysis speaks of
 * it; what analysis then quotes is looked up in the passage's own text before
 * anybody is told. One thread. */
#ifndef SLUICE_AGENTS_RESEARCH_EVIDENCE_H
#define SLUICE_AGENTS_RESEARCH_EVIDENCE_H

#include "agents/research/question.h"

#include <jansson.h>

#define EVIDENCE_PASSAGES_MAX 180 /* analysis takes 200 at once */
#define EVIDENCE_TEXT_BYTES_MAX (32 * 1024)
#define EVIDENCE_FETCH_PASSAGES_MAX 40 /* of one page */

struct evidence {
    json_t *passages; /* array of {ref, text, source, title, line_start, line_end, page, url} */
    /* Which passages were found for which part of the question, best first. */
    size_t found[QUESTION_PARTS_MAX][EVIDENCE_PASSAGES_MAX];
    size_t found_count[QUESTION_PARTS_MAX];
    size_t source_count;
};

void evidence_init(struct evidence *evidence);
void evidence_deinit(struct evidence *evidence);

/* Adds the answer of retriever.search for `part`. Returns the number of hits taken. */
size_t evidence_add_search(struct evidence *evidence, const json_t *answer, size_t part);

/* Adds the answer of tool.fetch, cut into passages, for every part. */
size_t evidence_add_fetch(struct evidence *evidence, const json_t *answer, size_t part_count);

/* The passages to read for `part`, as analysis wants them; a new reference. */
json_t *evidence_of_part(const struct evidence *evidence, size_t part);

/* All passages, for a part whose own search failed; a new reference. */
json_t *evidence_of_all(const struct evidence *evidence);

/* The passage named `ref`, borrowed; NULL: none. */
json_t *evidence_find(const struct evidence *evidence, const char *ref);

/* Does the passage named `ref` hold `quote`, white space apart? */
bool evidence_holds(const struct evidence *evidence, const char *ref, const char *quote);

#endif
