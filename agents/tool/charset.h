/* charset: bytes of a web page, in whatever encoding, to valid UTF-8.
 *
 * Pure; any thread. The result is valid UTF-8 without U+0000: what does not
 * decode becomes U+FFFD. */
#ifndef SLUICE_TOOL_CHARSET_H
#define SLUICE_TOOL_CHARSET_H

#include <stdbool.h>
#include <stddef.h>

/* The charset of a Content-Type's parameters, lower case, at most `size` - 1 bytes;
 * "" if it names none. `content_type` may be NULL. */
void charset_of_content_type(const char *content_type, char *name, size_t size);

/* Decodes `bytes`. The encoding is, in this order: that of a byte order mark, `name`, that of
 * a <meta> in the first 1,024 bytes if `is_html`, UTF-8 if the bytes are, and
 * windows-1252. Names are those of the WHATWG Encoding Standard, the common ones; others
 * count as none. `is_cut`: the bytes may end inside a character, which is dropped.
 * malloc'd, with NUL; NULL: no memory. */
char *charset_decode(const char *name, const char *bytes, size_t size, bool is_html, bool is_cut,
                     size_t *decoded_bytes);

#endif
