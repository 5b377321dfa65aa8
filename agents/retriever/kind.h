/* kind: which format a file has, judged by its name; what it is called. Pure. */
#ifndef SLUICE_RETRIEVER_KIND_H
#define SLUICE_RETRIEVER_KIND_H

#include <stdbool.h>

enum kind { KIND_NONE, KIND_MARKDOWN, KIND_TEXT, KIND_HTML, KIND_MAN, KIND_PDF };

/* By the last component of `path`: md, markdown, txt, text, rst, html, htm, xhtml, pdf, and
 * .1 to .9 with a suffix of letters (man); README and the like without any. A
 * trailing .gz, allowed for all but pdf, sets *compressed. KIND_NONE: not indexed. */
enum kind kind_of_path(const char *path, bool *compressed);

const char *kind_name(enum kind kind); /* md, text, html, man, pdf; KIND_NONE: "none" */

#endif
