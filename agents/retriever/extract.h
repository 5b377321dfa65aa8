/* extract: one reader a format: file bytes in, a document out.
 *
 * Input is valid UTF-8 without NUL (file_read makes it so), of at most
 * FILE_BYTES_MAX, and may be hostile otherwise: every reader takes time and
 * memory proportional to its size. What a document cannot hold is cut, and
 * document->truncated says so. `document` is initialised and empty. Readers
 * share nothing and run in any thread. */
#ifndef SLUICE_RETRIEVER_EXTRACT_H
#define SLUICE_RETRIEVER_EXTRACT_H

#include "agents/retriever/document.h"

/* Paragraphs parted by blank lines; underlined lines are headings (=== above ---). */
void plain_read(struct document *document, struct span text);

/* CommonMark's block structure as far as it matters here: headings, fences,
 * lists, front matter (left out). The text itself stays as it was written. */
void markdown_read(struct document *document, struct span text);

/* HTML of any quality. Script, style, navigation and the like are left out. */
void html_read(struct document *document, struct span text);

/* Manual pages, man(7) and mdoc(7). Macros and escapes go, words stay, each on the
 * line of the source that holds it. Sets no title: that is the file's name. False:
 * this is no manual page (a file named *.1 often is not), or only refers to another
 * one (.so). */
bool man_read(struct document *document, struct span text);

#endif
