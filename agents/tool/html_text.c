#include "agents/tool/html_text.h"

#include "agents/tool/html_scan.h"
#include "common/check.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LINK_BYTES_MAX 1024

/* What an element does to the text. */
enum element_role {
    ROLE_LINE = 1,  /* begins and ends on a line of its own */
    ROLE_PARAGRAPH, /* the same, with an empty line around it */
    ROLE_BREAK,     /* ends the line, holds nothing */
    ROLE_ITEM,
    ROLE_CELL,
    ROLE_HEADING,
    ROLE_PRE,
    ROLE_DROPPED,
    ROLE_TITLE,
    ROLE_LINK,
    ROLE_IMAGE,
};

static const struct element {
    const char *name;
    enum element_role role;
} elements[] = {
    {"p", ROLE_PARAGRAPH},      {"div", ROLE_LINE},        {"br", ROLE_BREAK},
    {"li", ROLE_ITEM},          {"td", ROLE_CELL},         {"th", ROLE_CELL},
    {"tr", ROLE_LINE},          {"a", ROLE_LINK},          {"img", ROLE_IMAGE},
    {"script", ROLE_DROPPED},   {"style", ROLE_DROPPED},   {"template", ROLE_DROPPED},
    {"svg", ROLE_DROPPED},      {"textarea", ROLE_DROPPED}, {"select", ROLE_DROPPED},
    {"iframe", ROLE_DROPPED},   {"noembed", ROLE_DROPPED}, {"noframes", ROLE_DROPPED},
    {"title", ROLE_TITLE},      {"pre", ROLE_PRE},         {"xmp", ROLE_PRE},
    {"h1", ROLE_HEADING},       {"h2", ROLE_HEADING},      {"h3", ROLE_HEADING},
    {"h4", ROLE_HEADING},       {"h5", ROLE_HEADING},      {"h6", ROLE_HEADING},
    {"ul", ROLE_PARAGRAPH},     {"ol", ROLE_PARAGRAPH},    {"dl", ROLE_PARAGRAPH},
    {"dt", ROLE_LINE},          {"dd", ROLE_LINE},         {"table", ROLE_PARAGRAPH},
    {"caption", ROLE_LINE},     {"blockquote", ROLE_PARAGRAPH}, {"hr", ROLE_PARAGRAPH},
    {"section", ROLE_PARAGRAPH}, {"article", ROLE_PARAGRAPH}, {"header", ROLE_PARAGRAPH},
    {"footer", ROLE_PARAGRAPH}, {"main", ROLE_PARAGRAPH},  {"nav", ROLE_PARAGRAPH},
    {"aside", ROLE_PARAGRAPH},  {"figure", ROLE_PARAGRAPH}, {"figcaption", ROLE_LINE},
    {"form", ROLE_PARAGRAPH},   {"fieldset", ROLE_PARAGRAPH}, {"address", ROLE_PARAGRAPH},
    {"details", ROLE_LINE},     {"summary", ROLE_LINE},    {"legend", ROLE_LINE},
    {"body", ROLE_PARAGRAPH},   {"center", ROLE_LINE},
};

static enum element_role element_role_of(const char *name)
{
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
        if (strcmp(elements[i].name, name) == 0) {
            return elements[i].role;
        }
    }
    return 0;
}

/* ---- writing ------------------------------------------------------------ */

/* Spaces and line ends wait until there is something behind them. */
struct writer {
    char *bytes;
    size_t used, size, bytes_max;
    bool full;           /* bytes_max reached: nothing further is written */
    bool no_memory;
    unsigned line_ends;  /* that wait: 0 to 2 */
    bool space;          /* that waits */
    bool line_empty;
    const char *prefix;  /* that waits: "- ", "## "; "" */
};

static void writer_put(struct writer *writer, const char *bytes, size_t count)
{
    if (writer->full || writer->no_memory) {
        return;
    }
    if (count > writer->bytes_max - writer->used) {
        writer->full = true;
        return;
    }
    if (count >= writer->size - writer->used) {
        size_t size = (writer->size + count) * 2;
        char *larger = realloc(writer->bytes, size);

        if (!larger) {
            writer->no_memory = true;
            return;
        }
        writer->bytes = larger;
        writer->size = size;
    }
    memcpy(writer->bytes + writer->used, bytes, count);
    writer->used += count;
}

/* Writes what waits; there is something behind it now. */
static void writer_flush(struct writer *writer)
{
    if (writer->used > 0 && writer->line_ends > 0) {
        writer_put(writer, "\n\n", writer->line_ends);
    } else if (!writer->line_empty && writer->space) {
        writer_put(writer, " ", 1);
    }
    writer_put(writer, writer->prefix, strlen(writer->prefix));
    writer->prefix = "";
    writer->line_ends = 0;
    writer->space = false;
    writer->line_empty = false;
}

static void writer_character(struct writer *writer, uint32_t point)
{
    char bytes[4];

    writer_flush(writer);
    writer_put(writer, bytes, html_encode(point, bytes));
}

static void writer_end_line(struct writer *writer, unsigned line_ends)
{
    if (writer->line_ends < line_ends) {
        writer->line_ends = line_ends;
    }
    writer->space = false;
    writer->line_empty = true;
    writer->prefix = "";
}

/* ---- text --------------------------------------------------------------- */

struct converter {
    struct writer writer;
    struct html_text *result;
    unsigned pre;                    /* inside so many <pre> */
    char dropped[HTML_NAME_SIZE];    /* inside this element nothing counts; "" */
    unsigned dropped_depth;
    bool in_title, title_seen;
    char link[LINK_BYTES_MAX];       /* where the open link leads; "" */
    size_t link_start;               /* where its text begins in the output */
};

static bool is_space(uint32_t point)
{
    return point == ' ' || (point >= '\t' && point <= '\r') || point == 0xa0 ||
           (point >= 0x2000 && point <= 0x200a) || point == 0x2028 || point == 0x2029 ||
           point == 0x202f || point == 0x3000;
}

/* Control characters, and marks that only tell a browser where to break. */
static bool is_invisible(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0xad || point == 0x200b ||
           point == 0x2060 || point == 0xfeff;
}

static void put_preformatted(struct writer *writer, uint32_t point)
{
    if (point == '\n') {
        /* Empty lines inside are kept, at most one after another. */
        writer->line_ends = writer->line_ends < 2 ? writer->line_ends + 1 : 2;
        writer->space = false;
        writer->line_empty = true;
    } else if (point == '\t' || point == ' ' || !is_invisible(point)) {
        writer_character(writer, point == 0xa0 ? ' ' : point);
    }
}

static void put_text(struct converter *converter, struct span text)
{
    struct writer *writer = &converter->writer;
    size_t at = 0;

    while (at < text.size && !writer->full) {
        uint32_t point;

        at += html_character(span_of(text.data + at, text.size - at), &point);
        if (converter->pre > 0) {
            put_preformatted(writer, point);
        } else if (is_space(point)) {
            writer->space = true;
        } else if (!is_invisible(point)) {
            writer_character(writer, point);
        }
    }
}

/* Decodes `text` into `bytes` with NUL, spaces collapsed; cut between characters. */
static void decode_line(struct span text, char *bytes, size_t size)
{
    size_t used = 0, at = 0;
    bool space = false;

    while (at < text.size) {
        char character[4];
        uint32_t point;
        size_t count;

        at += html_character(span_of(text.data + at, text.size - at), &point);
        if (is_space(point) || is_invisible(point)) {
            space = space || is_space(point);
            continue;
        }
        count = html_encode(point, character);
        if (used + count + 2 > size) {
            break;
        }
        if (space && used > 0) {
            bytes[used++] = ' ';
        }
        space = false;
        memcpy(bytes + used, character, count);
        used += count;
    }
    bytes[used] = '\0';
}

/* ---- elements ----------------------------------------------------------- */

static void open_link(struct converter *converter, struct span attributes)
{
    struct span value;

    converter->link[0] = '\0';
    converter->link_start = converter->writer.used;
    if (html_attribute_find(attributes, "href", &value) && value.size < LINK_BYTES_MAX) {
        decode_line(value, converter->link, sizeof converter->link);
    }
}

static void close_link(struct converter *converter)
{
    struct writer *writer = &converter->writer;
    const char *link = converter->link;
    size_t label = writer->used - converter->link_start;

    if ((strncasecmp(link, "http://", 7) == 0 || strncasecmp(link, "https://", 8) == 0) &&
        label > 0 && !strchr(link, ' ') &&
        !memmem(writer->bytes + converter->link_start, label, link, strlen(link))) {
        writer_put(writer, " <", 2);
        writer_put(writer, link, strlen(link));
        writer_put(writer, ">", 1);
    }
    converter->link[0] = '\0';
}

static void put_image(struct converter *converter, struct span attributes)
{
    char alternative[256];
    struct span value;

    if (!html_attribute_find(attributes, "alt", &value)) {
        return;
    }
    decode_line(value, alternative, sizeof alternative);
    if (alternative[0]) {
        writer_flush(&converter->writer);
        writer_put(&converter->writer, "[", 1);
        writer_put(&converter->writer, alternative, strlen(alternative));
        writer_put(&converter->writer, "]", 1);
    }
}

static void open_element(struct converter *converter, const struct html_token *token)
{
    static const char *const headings[] = {"# ", "## ", "### ", "#### ", "##### ", "###### "};
    struct writer *writer = &converter->writer;

    switch (element_role_of(token->name)) {
    case ROLE_LINE:
    case ROLE_BREAK:
        writer_end_line(writer, 1);
        break;
    case ROLE_PARAGRAPH:
        writer_end_line(writer, 2);
        break;
    case ROLE_PRE:
        writer_end_line(writer, 2);
        converter->pre++;
        break;
    case ROLE_ITEM:
        writer_end_line(writer, 1);
        writer->prefix = "- ";
        break;
    case ROLE_HEADING:
        writer_end_line(writer, 2);
        writer->prefix = headings[token->name[1] - '1'];
        break;
    case ROLE_CELL:
        if (!writer->line_empty) {
            writer_put(writer, " |", 2);
            writer->space = true;
        }
        break;
    case ROLE_DROPPED:
        strcpy(converter->dropped, token->name);
        converter->dropped_depth = 1;
        break;
    case ROLE_TITLE:
        converter->in_title = true;
        break;
    case ROLE_LINK:
        open_link(converter, token->bytes);
        break;
    case ROLE_IMAGE:
        put_image(converter, token->bytes);
        break;
    }
}

static void close_element(struct converter *converter, const struct html_token *token)
{
    struct writer *writer = &converter->writer;

    switch (element_role_of(token->name)) {
    case ROLE_LINE:
    case ROLE_ITEM:
    case ROLE_BREAK:
        writer_end_line(writer, 1);
        break;
    case ROLE_PRE:
        converter->pre -= converter->pre > 0;
        writer_end_line(writer, 2);
        break;
    case ROLE_PARAGRAPH:
    case ROLE_HEADING:
        writer_end_line(writer, 2);
        break;
    case ROLE_LINK:
        close_link(converter);
        break;
    case ROLE_TITLE:
        converter->in_title = false;
        break;
    case ROLE_CELL:
    case ROLE_DROPPED:
    case ROLE_IMAGE:
        break;
    }
}

/* Inside a dropped element only its own tags count. */
static void pass_over(struct converter *converter, const struct html_token *token)
{
    if (strcmp(token->name, converter->dropped) != 0) {
        return;
    }
    if (token->kind == HTML_OPEN) {
        converter->dropped_depth++;
    } else if (--converter->dropped_depth == 0) {
        converter->dropped[0] = '\0';
    }
}

static void take_token(struct converter *converter, const struct html_token *token)
{
    if (converter->dropped[0]) {
        pass_over(converter, token);
    } else if (token->kind == HTML_OPEN) {
        open_element(converter, token);
    } else if (token->kind == HTML_CLOSE) {
        close_element(converter, token);
    } else if (!converter->in_title) {
        put_text(converter, token->bytes);
    } else if (!converter->title_seen) {
        decode_line(token->bytes, converter->result->title, HTML_TITLE_BYTES_MAX);
        converter->title_seen = true;
    }
}

/* ---- public ------------------------------------------------------------- */

static bool writer_init(struct writer *writer, size_t bytes_max)
{
    *writer = (struct writer){.size = 4096, .bytes_max = bytes_max, .line_empty = true,
                              .prefix = ""};
    writer->bytes = malloc(writer->size);
    return writer->bytes != NULL;
}

static bool writer_finish(struct writer *writer, struct html_text *result)
{
    if (writer->no_memory) {
        free(writer->bytes);
        return false;
    }
    CHECK(writer->used < writer->size);
    writer->bytes[writer->used] = '\0';
    result->text = writer->bytes;
    result->size = writer->used;
    result->truncated = writer->full;
    return true;
}

bool html_text_convert(const char *html, size_t size, size_t text_bytes_max,
                       struct html_text *result)
{
    struct converter *converter = calloc(1, sizeof *converter);
    struct html_scan scan;
    struct html_token token;
    bool finished;

    *result = (struct html_text){0};
    if (!converter || !writer_init(&converter->writer, text_bytes_max)) {
        free(converter);
        return false;
    }
    converter->result = result;
    html_scan_init(&scan, html, size);
    for (html_scan_next(&scan, &token);
         token.kind != HTML_END && !converter->writer.full && !converter->writer.no_memory;
         html_scan_next(&scan, &token)) {
        take_token(converter, &token);
    }
    finished = writer_finish(&converter->writer, result);
    free(converter);
    return finished;
}

bool html_text_plain(const char *text, size_t size, size_t text_bytes_max,
                     struct html_text *result)
{
    struct writer writer;
    size_t start = 0;

    *result = (struct html_text){0};
    if (!writer_init(&writer, text_bytes_max)) {
        return false;
    }
    /* Runs of what stays are copied whole. A lone \r and every control character go. */
    for (size_t at = 0; at <= size && !writer.full; at++) {
        unsigned char c = at < size ? (unsigned char)text[at] : '\0';

        if (c < 0x20 && c != '\n' && c != '\t') {
            size_t run = at - start;

            if (run > text_bytes_max - writer.used) {
                run = text_bytes_max - writer.used;
                while (run > 0 && ((unsigned char)text[start + run] & 0xc0) == 0x80) {
                    run--;
                }
                writer_put(&writer, text + start, run);
                writer.full = true;
                break;
            }
            writer_put(&writer, text + start, run);
            start = at + 1;
        }
    }
    return writer_finish(&writer, result);
}
