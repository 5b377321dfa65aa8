/* html_text: what a person would read on a web page.
 *
 * Blocks become lines, paragraphs and headings are set apart by an empty one, headings
 * begin with `#`, list items with `- `, cells are parted by ` | `, preformatted text keeps
 * its spaces. Scripts, styles, templates, drawings and form fields are dropped. A link is its
 * text, followed by ` <address>` if that is absolute and says more. Style sheets
 * are not read, so what they hide is shown.
 *
 * Pure; any thread; time and memory linear in the input. */
#ifndef SLUICE_TOOL_HTML_TEXT_H
#define SLUICE_TOOL_HTML_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define HTML_TITLE_BYTES_MAX 512

struct html_text {
    char title[HTML_TITLE_BYTES_MAX]; /* "": it has none */
    char *text;                       /* valid UTF-8 with NUL; yours */
    size_t size;
    bool truncated; /* there is more than `text_bytes_max` */
};

/* Converts valid UTF-8. False: no memory, and nothing to free. */
bool html_text_convert(const char *html, size_t size, size_t text_bytes_max,
                       struct html_text *result);

/* The same for text that is no HTML: line ends become \n, control characters go. */
bool html_text_plain(const char *text, size_t size, size_t text_bytes_max,
                     struct html_text *result);

#endif
