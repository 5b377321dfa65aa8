/* html_scan: HTML as a flat sequence of tags and text, in one pass.
 *
 * No tree: text needs none, and a stranger's page must cost no more than its
 * length. (libxml2's parser, which we use for the names of character
 * references, compares every attribute of a tag with all before it: a quarter of a
 * megabyte of attributes takes it seven seconds.) Splits as the HTML standard's
 * tokenizer does; what is inside script, style and their like is one text.
 * Borrows its input; pure. */
#ifndef SLUICE_TOOL_HTML_SCAN_H
#define SLUICE_TOOL_HTML_SCAN_H

#include "common/span.h"

#define HTML_NAME_SIZE 16 /* longer names are of no interest, and cut */

enum html_token_kind { HTML_TEXT, HTML_OPEN, HTML_CLOSE, HTML_END };

struct html_token {
    enum html_token_kind kind;
    struct span bytes;         /* TEXT: with references; OPEN: the attributes */
    char name[HTML_NAME_SIZE]; /* OPEN, CLOSE: lower case */
};

struct html_scan {
    const char *at, *end;
    char raw[HTML_NAME_SIZE]; /* inside this element nothing but its end tag is one */
};

void html_scan_init(struct html_scan *scan, const char *html, size_t size);
/* The next token; comments and declarations are left out. HTML_END for ever after the last. */
void html_scan_next(struct html_scan *scan, struct html_token *token);

/* Finds an attribute's raw value. False: not there. */
bool html_attribute_find(struct span attributes, const char *name, struct span *value);

/* Decodes one character or reference at the start of `text`, which is valid UTF-8 and not
 * empty. Returns the bytes it took; *point is its code point. */
size_t html_character(struct span text, uint32_t *point);

/* Writes a code point as UTF-8; returns its bytes, at most 4. */
size_t html_encode(uint32_t point, char bytes[4]);

#endif
