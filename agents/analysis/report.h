/* report: analysis.report, weighs the evidence and writes the answer.
 *
 * {question, sections: [{question, sentences, missing?}], facts?, limit?}
 * -> {question, answer, claims: [{text, citations: [n], in_answer, weight, heading}],
 *     citations: [{n, ref, source, line_start, line_end, page, title, quote, ...}],
 *     not_found: [{question, reason}]}
 *
 * A section is a sub-question (the first one the whole question) with the
 * `sentences` and `missing` that analysis.extract gave for it. A fact
 * {text, quote, source, ...} is what a tool found out: it is cited like a
 * sentence, and stands first.
 *
 * Weighing: a section has evidence when its best sentence, with heading and
 * title, covers at least half of the question's weight (COVERAGE_MIN); else it
 * is `not_found`, and the reason says why. Sentences that cover too little
 * against the best one are dropped; those that say the same (four of five terms
 * shared) become one claim with several citations and more weight.
 *
 * Writing: the answer is what the best sentence of each found section and those
 * around it say, in their own words; nothing is rephrased, so every quote can
 * be found where its citation says. Pure; runs on any thread. */
#ifndef SLUICE_AGENTS_ANALYSIS_REPORT_H
#define SLUICE_AGENTS_ANALYSIS_REPORT_H

#include "agents/analysis/passage.h"

#define REPORT_CLAIMS_DEFAULT 6
#define REPORT_CLAIMS_MAX 50
#define REPORT_SECTIONS_MAX 16
#define REPORT_SENTENCES_MAX 50 /* of a section */
#define REPORT_FACTS_MAX 32

/* A new reference. NULL: `fault` says why. */
json_t *report_run(const json_t *args, struct fault *fault);

#endif
