/* report: what the asker gets: checked, numbered, and written as Markdown.
 *
 * Analysis weighs and writes; this checks every quote against the passage it
 * cites, leaves out what does not hold, says what was not found and what
 * failed, and lays it out. Without analysis it quotes the best passages as they
 * are. Pure. */
#ifndef SLUICE_AGENTS_RESEARCH_REPORT_H
#define SLUICE_AGENTS_RESEARCH_REPORT_H

#include "agents/research/evidence.h"
#include "agents/research/timeline.h"

struct report {
    const char *question; /* borrowed, like all below */
    const struct evidence *evidence;
    const json_t *facts;  /* [{ref, source, text}] from tools */
    const json_t *failed; /* [{task, service, code, message}] */
    const struct timeline *timeline;
    size_t searches; /* that were tried */
    size_t searches_done;
    uint64_t took_ms;
};

/* Checks what analysis.report answered and returns it with citations that hold, numbered from
 * 1: {answer, claims, citations, not_found}. `weighed` is borrowed. */
json_t *report_check(const struct report *report, const json_t *weighed);

/* The same from the sections alone, when analysis did not write. */
json_t *report_without_analysis(const struct report *report, const json_t *sections);

/* A sentence as analysis.extract gives it, from a passage that nobody has weighed. */
json_t *report_quote_passage(const json_t *passage);

/* The whole answer of research.ask; takes `checked` over. */
json_t *report_json(const struct report *report, json_t *checked);

#endif
