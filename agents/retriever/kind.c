#include "agents/retriever/kind.h"

#include "common/check.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *extension;
    enum kind kind;
} kind_extensions[] = {
    {"htm", KIND_HTML},      {"html", KIND_HTML}, {"markdown", KIND_MARKDOWN},
    {"md", KIND_MARKDOWN},   {"pdf", KIND_PDF},   {"rst", KIND_TEXT},
    {"text", KIND_TEXT},     {"txt", KIND_TEXT},  {"xhtml", KIND_HTML},
};

static const char *const kind_plain_names[] = {
    "AUTHORS", "CHANGES", "CONTRIBUTING", "COPYING", "FAQ",  "HACKING",
    "INSTALL", "LICENSE", "NEWS",         "NOTICE",  "README",
};

/* "3", "3p", "1ssl", "8": a digit from 1 and a few letters. */
static bool extension_is_man(const char *extension, size_t size)
{
    if (size == 0 || size > 8 || extension[0] < '1' || extension[0] > '9') {
        return false;
    }
    for (size_t i = 1; i < size; i++) {
        if (!islower((unsigned char)extension[i])) {
            return false;
        }
    }
    return true;
}

static enum kind kind_of_extension(const char *extension, size_t size)
{
    for (size_t i = 0; i < sizeof kind_extensions / sizeof kind_extensions[0]; i++) {
        const char *known = kind_extensions[i].extension;

        if (strlen(known) == size && strncasecmp(known, extension, size) == 0) {
            return kind_extensions[i].kind;
        }
    }
    return extension_is_man(extension, size) ? KIND_MAN : KIND_NONE;
}

static enum kind kind_of_plain_name(const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof kind_plain_names / sizeof kind_plain_names[0]; i++) {
        if (strlen(kind_plain_names[i]) == size && memcmp(kind_plain_names[i], name, size) == 0) {
            return KIND_TEXT;
        }
    }
    return KIND_NONE;
}

enum kind kind_of_path(const char *path, bool *compressed)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    size_t size = strlen(name);
    const char *dot;
    enum kind kind;

    *compressed = size > 3 && strcmp(name + size - 3, ".gz") == 0;
    if (*compressed) {
        size -= 3;
    }
    dot = memrchr(name, '.', size);
    if (dot == NULL) {
        return kind_of_plain_name(name, size);
    }
    if (dot == name) {
        return KIND_NONE;
    }
    kind = kind_of_extension(dot + 1, size - (size_t)(dot + 1 - name));
    return kind == KIND_PDF && *compressed ? KIND_NONE : kind;
}

const char *kind_name(enum kind kind)
{
    switch (kind) {
    case KIND_NONE:
        return "none";
    case KIND_MARKDOWN:
        return "md";
    case KIND_TEXT:
        return "text";
    case KIND_HTML:
        return "html";
    case KIND_MAN:
        return "man";
    case KIND_PDF:
        return "pdf";
    }
    CHECK(!"a kind");
    return "";
}
