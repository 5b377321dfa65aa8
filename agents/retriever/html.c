/* html: text of a page, by line of its source.
 *
 * Tags are cut out of the text and never built into a tree: of an element it only
 * matters whether it parts paragraphs, parts words, is a heading, or is not for
 * readers. Any byte is looked at once or twice, whatever a page contains. The
 * parser of libxml2 was used first: it compares every attribute of a tag with every
 * other (a page of 16 MiB could take hours), looks through all open elements at
 * a stray end tag, and tells the line of text only approximately. */
#include "agents/retriever/extract.h"

#include <ctype.h>
#include <libxml/HTMLparser.h>
#include <stdlib.h>
#include <strings.h>

#define ELEMENT_NAME_BYTES_MAX 16U /* longer names are none of those below */
#define ENTITY_BYTES_MAX 10U       /* &thetasym; and a numeric one up to &#x10FFFF; */

enum element_role {
    ELEMENT_INLINE, /* and everything unknown */
    ELEMENT_BLOCK,  /* parts paragraphs */
    ELEMENT_CELL,   /* parts words */
    ELEMENT_SKIP,   /* its text is not for readers */
    ELEMENT_RAW,    /* nor is its content markup */
    ELEMENT_TITLE,
    ELEMENT_H1, ELEMENT_H2, ELEMENT_H3, ELEMENT_H4, ELEMENT_H5, ELEMENT_H6,
};

/* Sorted: looked up by bsearch. */
static const struct element {
    const char *name;
    enum element_role role;
} elements[] = {
    {"address", ELEMENT_BLOCK},    {"article", ELEMENT_BLOCK},  {"aside", ELEMENT_BLOCK},
    {"blockquote", ELEMENT_BLOCK}, {"body", ELEMENT_BLOCK},     {"br", ELEMENT_CELL},
    {"button", ELEMENT_SKIP},      {"caption", ELEMENT_BLOCK},  {"dd", ELEMENT_BLOCK},
    {"details", ELEMENT_BLOCK},    {"div", ELEMENT_BLOCK},      {"dl", ELEMENT_BLOCK},
    {"dt", ELEMENT_BLOCK},         {"fieldset", ELEMENT_BLOCK}, {"figcaption", ELEMENT_BLOCK},
    {"figure", ELEMENT_BLOCK},     {"footer", ELEMENT_BLOCK},   {"form", ELEMENT_BLOCK},
    {"h1", ELEMENT_H1},            {"h2", ELEMENT_H2},          {"h3", ELEMENT_H3},
    {"h4", ELEMENT_H4},            {"h5", ELEMENT_H5},          {"h6", ELEMENT_H6},
    {"header", ELEMENT_BLOCK},     {"hr", ELEMENT_BLOCK},       {"li", ELEMENT_BLOCK},
    {"main", ELEMENT_BLOCK},       {"nav", ELEMENT_SKIP},       {"noscript", ELEMENT_SKIP},
    {"ol", ELEMENT_BLOCK},         {"p", ELEMENT_BLOCK},        {"pre", ELEMENT_BLOCK},
    {"script", ELEMENT_RAW},       {"section", ELEMENT_BLOCK},  {"select", ELEMENT_SKIP},
    {"style", ELEMENT_RAW},        {"svg", ELEMENT_SKIP},       {"table", ELEMENT_BLOCK},
    {"td", ELEMENT_CELL},          {"template", ELEMENT_SKIP},  {"th", ELEMENT_CELL},
    {"title", ELEMENT_TITLE},      {"tr", ELEMENT_BLOCK},       {"ul", ELEMENT_BLOCK},
};

struct html {
    struct document *document;
    struct span text;
    size_t at;
    uint32_t line; /* of `at` */
    struct buffer title;
    bool in_title;
    char skip_name[ELEMENT_NAME_BYTES_MAX + 1]; /* whose text is left out; "": none */
    unsigned skip_depth;                        /* open elements of that name */
};

struct tag {
    char name[ELEMENT_NAME_BYTES_MAX + 1]; /* lower case; "" if longer */
    bool end;                              /* </name> */
    bool closed;                           /* <name/> */
};

static int element_compare(const void *name, const void *element)
{
    return strcmp(name, ((const struct element *)element)->name);
}

static enum element_role element_role(const char *name)
{
    const struct element *found =
        bsearch(name, elements, sizeof elements / sizeof elements[0], sizeof elements[0],
                element_compare);

    return found == NULL ? ELEMENT_INLINE : found->role;
}

/* The byte `ahead` of the place, 0 behind the end. */
static uint8_t peek(const struct html *html, size_t ahead)
{
    return html->text.size - html->at > ahead ? html->text.data[html->at + ahead] : 0;
}

static void advance_to(struct html *html, size_t to)
{
    while (html->at < to) {
        const uint8_t *from = html->text.data + html->at;
        const uint8_t *newline = memchr(from, '\n', to - html->at);

        html->at = newline == NULL ? to : html->at + (size_t)(newline - from) + 1;
        html->line += newline != NULL;
    }
}

/* Where `byte` is, from `from` on; the end of the text if nowhere. */
static size_t find_byte(const struct html *html, size_t from, uint8_t byte)
{
    const uint8_t *found = from < html->text.size
                               ? memchr(html->text.data + from, byte, html->text.size - from)
                               : NULL;

    return found == NULL ? html->text.size : (size_t)(found - html->text.data);
}

/* ---- text ---------------------------------------------------------------------------- */

static void text_add(struct html *html, struct span text)
{
    if (html->in_title && html->title.size < DOCUMENT_TITLE_BYTES_MAX) {
        buffer_add(&html->title, text.data, text.size);
    } else if (!html->in_title && html->skip_depth == 0) {
        document_add(html->document, html->line, text);
    }
}

/* The code point of "#65" or "#x41"; 0: it is not of that form. */
static uint32_t entity_number(const char *name)
{
    bool hex = name[1] == 'x' || name[1] == 'X';
    const char *digits = name + 1 + hex;
    char *end;
    unsigned long code = strtoul(digits, &end, hex ? 16 : 10);

    return isxdigit((unsigned char)digits[0]) && *end == '\0' && code <= 0x10FFFF ? (uint32_t)code
                                                                                  : 0;
}

/* Adds what stands at `&`: a character by name or number, or else the & itself. */
static void entity_take(struct html *html)
{
    char name[ENTITY_BYTES_MAX + 1] = "";
    struct buffer text = {0};
    uint32_t code = 0;
    size_t size = 0;

    while (size < ENTITY_BYTES_MAX && (isalnum(peek(html, 1 + size)) ||
                                       (size == 0 && peek(html, 1) == '#'))) {
        name[size] = (char)peek(html, 1 + size);
        size++;
    }
    if (name[0] == '#') {
        code = entity_number(name);
    } else if (size > 0) {
        const htmlEntityDesc *entity = htmlEntityLookup((const xmlChar *)name);

        code = entity == NULL ? 0 : entity->value;
    }
    if (code == 0) {
        text_add(html, span_of("&", 1));
        advance_to(html, html->at + 1);
        return;
    }
    buffer_add_code_point(&text, code);
    text_add(html, buffer_span(&text));
    buffer_deinit(&text);
    advance_to(html, html->at + 1 + size + (peek(html, 1 + size) == ';'));
}

/* Up to the next < or &. */
static void text_take(struct html *html)
{
    size_t end = html->at + 1; /* the first byte is text, whatever it is */

    while (end < html->text.size && html->text.data[end] != '<' && html->text.data[end] != '&') {
        end++;
    }
    text_add(html, span_of(html->text.data + html->at, end - html->at));
    advance_to(html, end);
}

/* ---- markup ---------------------------------------------------------------------------- */

/* Passes over `<!...>`, `<?...>` and comments. */
static void declaration_skip(struct html *html)
{
    size_t end = find_byte(html, html->at, '>');

    if (html->text.size - html->at >= 4 && memcmp(html->text.data + html->at, "<!--", 4) == 0) {
        const uint8_t *from = html->text.data + html->at + 2; /* <!--> is a whole comment */
        const uint8_t *found = memmem(from, html->text.size - html->at - 2, "-->", 3);

        end = found == NULL ? html->text.size : (size_t)(found - html->text.data) + 2;
    }
    advance_to(html, end < html->text.size ? end + 1 : end);
}

/* Where the tag ends, at its > or at the end of the text. A > in a quoted value does
 * not count; a quote counts only behind =, or every don't would open a value. */
static size_t tag_end(const struct html *html, size_t at)
{
    bool value = false; /* the last thing was = */

    for (; at < html->text.size && html->text.data[at] != '>'; at++) {
        uint8_t byte = html->text.data[at];

        if (value && (byte == '"' || byte == '\'')) {
            size_t close = find_byte(html, at + 1, byte);

            /* Of a quote that nobody closes, only the last of a page can cost a search. */
            at = close < html->text.size ? close : at;
        }
        value = byte == '=' || (value && byte <= ' ');
    }
    return at;
}

static struct tag tag_take(struct html *html)
{
    struct tag tag = {.end = peek(html, 1) == '/'};
    size_t start = html->at + 1 + tag.end, end = start, size;

    while (end < html->text.size && html->text.data[end] > ' ' && html->text.data[end] != '>' &&
           html->text.data[end] != '/') {
        end++;
    }
    size = end - start;
    for (size_t i = 0; size <= ELEMENT_NAME_BYTES_MAX && i < size; i++) {
        tag.name[i] = (char)tolower(html->text.data[start + i]);
    }
    end = tag_end(html, end);
    tag.closed = html->text.data[end - 1] == '/';
    advance_to(html, end < html->text.size ? end + 1 : end);
    return tag;
}

/* Script and style hold no markup: passes over everything up to </name. */
static void raw_skip(struct html *html, const char *name)
{
    size_t size = strlen(name), at = html->at;

    while ((at = find_byte(html, at, '<')) < html->text.size) {
        const uint8_t *tag = html->text.data + at;

        if (html->text.size - at > size + 2 && tag[1] == '/' &&
            strncasecmp((const char *)tag + 2, name, size) == 0 && !isalnum(tag[2 + size])) {
            break;
        }
        at++;
    }
    advance_to(html, at);
}

static void element_begin(struct html *html, const struct tag *tag)
{
    enum element_role role = element_role(tag->name);

    switch (role) {
    case ELEMENT_INLINE:
        break;
    case ELEMENT_BLOCK:
        document_break(html->document);
        break;
    case ELEMENT_CELL:
        document_space(html->document);
        break;
    case ELEMENT_RAW:
        if (!tag->closed) {
            raw_skip(html, tag->name);
        }
        break;
    case ELEMENT_SKIP:
        if (!tag->closed) {
            strcpy(html->skip_name, tag->name);
            html->skip_depth = 1;
        }
        break;
    case ELEMENT_TITLE:
        html->in_title = !tag->closed;
        break;
    case ELEMENT_H1: case ELEMENT_H2: case ELEMENT_H3:
    case ELEMENT_H4: case ELEMENT_H5: case ELEMENT_H6:
        document_heading(html->document, role - ELEMENT_H1 + 1);
        break;
    }
}

static void element_end(struct html *html, const struct tag *tag)
{
    switch (element_role(tag->name)) {
    case ELEMENT_INLINE:
    case ELEMENT_RAW:
    case ELEMENT_SKIP:
        break;
    case ELEMENT_CELL:
        document_space(html->document);
        break;
    case ELEMENT_TITLE:
        html->in_title = false;
        break;
    case ELEMENT_BLOCK:
    case ELEMENT_H1: case ELEMENT_H2: case ELEMENT_H3:
    case ELEMENT_H4: case ELEMENT_H5: case ELEMENT_H6:
        document_break(html->document);
        break;
    }
}

static void tag_apply(struct html *html, const struct tag *tag)
{
    if (html->skip_depth == 0) {
        if (tag->end) {
            element_end(html, tag);
        } else {
            element_begin(html, tag);
        }
        return;
    }
    if (strcmp(tag->name, html->skip_name) == 0 && !tag->closed) {
        html->skip_depth = tag->end ? html->skip_depth - 1 : html->skip_depth + 1;
    } else if (element_role(tag->name) == ELEMENT_RAW && !tag->end && !tag->closed) {
        raw_skip(html, tag->name);
    }
}

static void markup_take(struct html *html)
{
    uint8_t next = peek(html, 1);

    if (next == '!' || next == '?') {
        declaration_skip(html);
    } else if (isalpha(next) || (next == '/' && isalpha(peek(html, 2)))) {
        struct tag tag = tag_take(html);

        tag_apply(html, &tag);
    } else {
        text_take(html); /* a < b */
    }
}

void html_read(struct document *document, struct span text)
{
    struct html html = {.document = document, .text = text, .line = 1};

    while (html.at < text.size && !document->truncated) {
        switch (text.data[html.at]) {
        case '<':
            markup_take(&html);
            break;
        case '&':
            entity_take(&html);
            break;
        default:
            text_take(&html);
        }
    }
    document_break(document);
    document_set_title(document, buffer_span(&html.title));
    buffer_deinit(&html.title);
}
