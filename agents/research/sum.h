/* sum: arithmetic inside a sentence. Pure. */
#ifndef SLUICE_AGENTS_RESEARCH_SUM_H
#define SLUICE_AGENTS_RESEARCH_SUM_H

#include "agents/research/text.h"

/* Reads a sum at the start of `text`, at most `size` bytes of it, and appends it to
 * `expression` in the notation of tool.calc. Returns how many bytes of `text` it has; 0: none
 * (then nothing was appended). `asked`: the question asks for a value, so that "24/7" is one. */
size_t sum_read(const char *text, size_t size, bool asked, struct text *expression);

#endif
