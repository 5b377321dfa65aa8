/* fact: what a tool found out, as a sentence that can be cited. Pure. */
#ifndef SLUICE_AGENTS_RESEARCH_FACT_H
#define SLUICE_AGENTS_RESEARCH_FACT_H

#include <jansson.h>

/* Appends {ref, source, text} to `facts` from the answer of tool.calc. Nothing, when the
 * answer is none. */
void fact_add_calc(json_t *facts, const json_t *answer);

/* The same from tool.time, which was called with `args`. */
void fact_add_time(json_t *facts, const json_t *args, const json_t *answer);

#endif
