/* summarize: analysis.summarize, the sentences that stand for a text.
 *
 * {passages or text, sentences?, question?}
 * -> {summary: [{text, ref, source, line_start, line_end, page, title, score}], of}
 *
 * In the order of the text; `of` is how many sentences there were to choose from.
 * Pure; runs on any thread. */
#ifndef SLUICE_AGENTS_ANALYSIS_SUMMARIZE_H
#define SLUICE_AGENTS_ANALYSIS_SUMMARIZE_H

#include "agents/analysis/passage.h"

#define SUMMARY_SENTENCES_DEFAULT 5
#define SUMMARY_SENTENCES_MAX 50

/* A new reference. NULL: `fault` says why. */
json_t *summarize_run(const json_t *args, struct fault *fault);

#endif
