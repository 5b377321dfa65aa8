/* pdf: text of a PDF through poppler's pdftotext, page by page.
 *
 * The program runs as a child with a time limit, a memory limit and a limit on
 * what it may write; a PDF is the most hostile of our formats, and this way it
 * can harm nothing but its own answer. Blocks the calling thread. */
#ifndef SLUICE_RETRIEVER_PDF_H
#define SLUICE_RETRIEVER_PDF_H

#include "agents/retriever/document.h"

#include <stdatomic.h>

#define PDF_TIME_MAX_MS 20000U

enum pdf_result {
    PDF_OK,
    PDF_NO_PROGRAM, /* pdftotext is not installed */
    PDF_BROKEN,     /* it failed, or wrote no text: a scan, encrypted, damaged */
    PDF_TIMEOUT,
    PDF_STOPPED,    /* *stop became true */
};

/* `file_fd`: a regular file, open for reading, which stays the caller's.
 * `program` NULL: pdftotext from PATH. Lines are counted on each page. `stop` may be NULL.
 * Text beyond DOCUMENT_TEXT_BYTES_MAX is cut. Not PDF_OK: the document is of no use. */
enum pdf_result pdf_read(struct document *document, int file_fd, const char *program,
                         const atomic_bool *stop);

/* What pdf_read does with the program's output: pages parted by form feeds. */
void pdf_text_read(struct document *document, struct span text);

const char *pdf_result_name(enum pdf_result result);

#endif
