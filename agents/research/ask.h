/* ask: research.ask, from a question to a cited report.
 *
 *   plan     split the question, find URLs, sums and dates in it
 *   gather   every search and tool call at once, held, joined with `settled` and a deadline
 *   extract  analysis.extract for each part of the question, the same way
 *   write    analysis.report weighs and writes
 *   check    every quote is looked up in the passage it cites
 *
 * A part that fails is named in the report and never fails it: only a wrong
 * argument or a cancel ends the task without one. Runs on a fiber. */
#ifndef SLUICE_AGENTS_RESEARCH_ASK_H
#define SLUICE_AGENTS_RESEARCH_ASK_H

#include "agents/runtime/sluice.h"

#define ASK_DEADLINE_MS_DEFAULT 30000
#define ASK_DEADLINE_MS_MIN 100
#define ASK_DEADLINE_MS_MAX 600000

struct ask_options {
    uint64_t deadline_ms; /* when the question names none */
};

/* Offers research.ask. `options` is borrowed as long as it is served. */
int ask_offer(struct sluice *sluice, const struct ask_options *options);

#endif
