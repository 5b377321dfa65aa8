/* mdoc: the semantic macros of BSD manual pages, mdoc(7). Pure. */
#ifndef SLUICE_RETRIEVER_MDOC_H
#define SLUICE_RETRIEVER_MDOC_H

#include "agents/retriever/document.h"

/* Handles macro `name` with what follows it on `line`. False: not one of mdoc's. */
bool mdoc_macro(struct document *document, uint32_t line, struct span name, struct span rest);

#endif
