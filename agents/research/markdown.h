/* markdown: text of strangers inside a Markdown document. Pure. */
#ifndef SLUICE_AGENTS_RESEARCH_MARKDOWN_H
#define SLUICE_AGENTS_RESEARCH_MARKDOWN_H

#include "agents/research/text.h"

/* Appends `content` on one line, at most `columns` characters of it, with `...` when cut. */
void markdown_cut(struct text *out, const char *content, size_t columns);

/* The same, for a cell of a table: `|` cannot end it. */
void markdown_cell(struct text *out, const char *content, size_t columns);

/* Appends `content` on one line, so that no line start makes it a heading, list or HTML. */
void markdown_line(struct text *out, const char *content);

/* Characters of UTF-8 text. */
size_t markdown_columns(const char *content);

#endif
