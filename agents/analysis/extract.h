/* extract: analysis.extract, the sentences that answer a question.
 *
 * {question, passages: [{ref, text, source, line_start, line_end, page?, title?}], limit?}
 * -> {question, sentences: [{text, ref, source, line_start, line_end, page, title, heading,
 *     score, coverage, context, context_lines, order}], missing: [word]}
 *
 * `text` and `context` (the sentence with those around it that answer too) stand
 * in the passage literally, white space apart. `missing` are the words of the
 * question that no passage has. Pure; runs on any thread. */
#ifndef SLUICE_AGENTS_ANALYSIS_EXTRACT_H
#define SLUICE_AGENTS_ANALYSIS_EXTRACT_H

#include "agents/analysis/passage.h"

#define EXTRACT_LIMIT_DEFAULT 8
#define EXTRACT_LIMIT_MAX 50

/* A new reference. NULL: `fault` says why. */
json_t *extract_run(const json_t *args, struct fault *fault);

#endif
