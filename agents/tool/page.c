#include "agents/tool/page.h"

#include "agents/tool/charset.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SNIFF_BYTES 512

static bool begins(const char *text, const char *prefix)
{
    return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* Without a type: HTML says so early, and text has no control characters. */
static enum page_kind kind_by_bytes(const char *body, size_t size)
{
    size_t i = 0;

    size = size < SNIFF_BYTES ? size : SNIFF_BYTES;
    while (i < size && strchr(" \t\r\n", body[i]) && body[i]) {
        i++;
    }
    for (size_t k = i; k + 5 < size; k++) {
        if (begins(body + k, "<html") || begins(body + k, "<body") ||
            (k == i && begins(body + k, "<!doc"))) {
            return PAGE_HTML;
        }
    }
    for (; i < size; i++) {
        unsigned char c = (unsigned char)body[i];

        if (c < 0x20 && !(c >= '\t' && c <= '\r') && c != 0x1b) {
            return PAGE_BINARY;
        }
    }
    return PAGE_TEXT;
}

enum page_kind page_kind_of(const char *content_type, const char *body, size_t size)
{
    static const char *const texts[] = {"text/",
                                        "application/json",
                                        "application/xml",
                                        "application/javascript",
                                        "application/x-yaml",
                                        "application/yaml",
                                        "application/toml",
                                        "application/x-ndjson",
                                        "application/rtf",
                                        "message/"};
    size_t type_bytes;

    if (!content_type || !content_type[0]) {
        return kind_by_bytes(body, size);
    }
    if (begins(content_type, "text/html") || begins(content_type, "application/xhtml+xml")) {
        return PAGE_HTML;
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (begins(content_type, texts[i])) {
            return PAGE_TEXT;
        }
    }
    type_bytes = strcspn(content_type, "; \t");
    if ((type_bytes > 5 && begins(content_type + type_bytes - 5, "+json")) ||
        (type_bytes > 4 && begins(content_type + type_bytes - 4, "+xml"))) {
        return PAGE_TEXT;
    }
    return PAGE_BINARY;
}

bool page_read(const char *content_type, const char *body, size_t size, bool is_cut,
               size_t text_bytes_max, struct html_text *text)
{
    enum page_kind kind = page_kind_of(content_type, body, size);
    char charset[32];
    size_t decoded_bytes;
    char *decoded;
    bool read;

    if (kind == PAGE_BINARY) {
        return html_text_plain("", 0, text_bytes_max, text);
    }
    charset_of_content_type(content_type, charset, sizeof charset);
    decoded = charset_decode(charset, body, size, kind == PAGE_HTML, is_cut, &decoded_bytes);
    if (!decoded) {
        return false;
    }
    read = kind == PAGE_HTML ? html_text_convert(decoded, decoded_bytes, text_bytes_max, text)
                             : html_text_plain(decoded, decoded_bytes, text_bytes_max, text);
    free(decoded);
    return read;
}
