/* kind: whether a piece of text is prose, or only looks like it.
 *
 * Readers of documents run lines together; what was an example or a list of
 * references then arrives as a paragraph. Pure. */
#ifndef SLUICE_AGENTS_ANALYSIS_KIND_H
#define SLUICE_AGENTS_ANALYSIS_KIND_H

#include "agents/analysis/sentence.h"

/* PROSE, CODE or NAMES. `text` has no white space at its ends. */
enum sentence_kind kind_of_text(struct span text);

#endif
