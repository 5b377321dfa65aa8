/* source: one file on disk, read into a document by what its name says it is.
 *
 * Blocks on the disk, and on pdftotext. Any thread. */
#ifndef SLUICE_RETRIEVER_SOURCE_H
#define SLUICE_RETRIEVER_SOURCE_H

#include "agents/retriever/document.h"
#include "agents/retriever/file.h"
#include "agents/retriever/kind.h"

#include <stdatomic.h>

enum source_result {
    SOURCE_OK,
    SOURCE_NOTHING,    /* no text to index: binary, damaged, too large, empty; `why` says */
    SOURCE_GONE,       /* the file does not exist any more, is another one, or may not be read */
    SOURCE_NO_PROGRAM, /* a PDF, and pdftotext is not installed */
    SOURCE_STOPPED,    /* *stop became true */
};

/* The file `id` by its `path`; NULL: whichever file that is.
 * `document` is initialised and empty; gets a title in any case, the file's name if the file
 * has none. `stamp` is what the file was before it was read; set unless SOURCE_GONE.
 * `why`: one word for the log, a literal. `stop` may be NULL. */
enum source_result source_read(const char *path, const struct file_id *id, enum kind kind,
                               bool compressed, const atomic_bool *stop, struct document *document,
                               struct file_stamp *stamp, const char **why);

#endif
