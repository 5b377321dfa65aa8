/* page: an answer of a web server as text.
 *
 * Pure; any thread; time and memory linear in the body. */
#ifndef SLUICE_TOOL_PAGE_H
#define SLUICE_TOOL_PAGE_H

#include "agents/tool/html_text.h"

#include <stdbool.h>
#include <stddef.h>

enum page_kind {
    PAGE_HTML,
    PAGE_TEXT,
    PAGE_BINARY, /* an image, an archive: nothing to read */
};

/* By Content-Type (may be NULL), else by the first bytes. */
enum page_kind page_kind_of(const char *content_type, const char *body, size_t size);

/* Decodes and converts `body`; `is_cut`: it may end anywhere. The text of a binary one is
 * empty. False: no memory, and nothing to free. */
bool page_read(const char *content_type, const char *body, size_t size, bool is_cut,
               size_t text_bytes_max, struct html_text *text);

#endif
