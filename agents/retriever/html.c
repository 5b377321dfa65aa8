/* html: text of a page, by line of its source.
 *
 * The parser's events are used and never its tree: a tree would keep the line
 * of elements only, and deep ones cost recursion. When text arrives, the parser
 * stands at its end, or, with long text that comes in pieces, one character
 * before it. So the line is counted back from there, and is never before the
 * place that we know to have reached. */
#include "agents/retriever/extract.h"

#include "common/check.h"

#include <libxml/HTMLparser.h>
#include <stdlib.h>
#include <strings.h>

/* The parser looks through all open elements at each stray end tag, so depth
 * times size is what a hostile page could cost. */
#define HTML_DEPTH_MAX 256

enum element_role {
    ELEMENT_INLINE, /* and everything unknown */
    ELEMENT_BLOCK,  /* parts paragraphs */
    ELEMENT_CELL,   /* parts words */
    ELEMENT_SKIP,   /* its text is not for readers */
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
    {"script", ELEMENT_SKIP},      {"section", ELEMENT_BLOCK},  {"select", ELEMENT_SKIP},
    {"style", ELEMENT_SKIP},       {"svg", ELEMENT_SKIP},       {"table", ELEMENT_BLOCK},
    {"td", ELEMENT_CELL},          {"template", ELEMENT_SKIP},  {"th", ELEMENT_CELL},
    {"title", ELEMENT_TITLE},      {"tr", ELEMENT_BLOCK},       {"ul", ELEMENT_BLOCK},
};

struct html {
    struct document *document;
    htmlParserCtxtPtr parser; /* borrowed */
    struct buffer title;
    uint32_t line;       /* reached so far */
    unsigned skip_depth; /* open elements whose text is left out */
    bool in_title;
};

static int element_compare(const void *name, const void *element)
{
    return strcasecmp(name, ((const struct element *)element)->name);
}

static enum element_role element_role(const xmlChar *name)
{
    const struct element *found =
        bsearch(name, elements, sizeof elements / sizeof elements[0], sizeof elements[0],
                element_compare);

    return found == NULL ? ELEMENT_INLINE : found->role;
}

/* Brings html->line up to where the parser is. */
static void line_reach(struct html *html)
{
    int line = html->parser->input == NULL ? 0 : html->parser->input->line;

    if (line > 0 && (uint32_t)line > html->line) {
        html->line = (uint32_t)line;
    }
}

/* The parser makes up tags that a page leaves out, and then it already stands behind the
 * text that needed them: only tags that are written mark a place. It calls us
 * before the > of a start tag and behind that of an end tag. */
static bool tag_is_written(const struct html *html, bool start)
{
    xmlParserInputPtr input = html->parser->input;

    if (input == NULL || input->cur == NULL) {
        return false;
    }
    return start ? *input->cur == '>' || *input->cur == '/'
                 : input->cur > input->base && input->cur[-1] == '>';
}

static void element_begin(void *arg, const xmlChar *name, const xmlChar **attributes)
{
    struct html *html = arg;
    enum element_role role = element_role(name);

    if (tag_is_written(html, true)) {
        line_reach(html);
    }
    if (html->parser->nameNr > HTML_DEPTH_MAX || html->document->truncated) {
        html->document->truncated = true;
        xmlStopParser(html->parser);
        return;
    }
    switch (role) {
    case ELEMENT_INLINE:
        break;
    case ELEMENT_BLOCK:
        document_break(html->document);
        break;
    case ELEMENT_CELL:
        document_space(html->document);
        break;
    case ELEMENT_SKIP:
        html->skip_depth++;
        break;
    case ELEMENT_TITLE:
        html->in_title = html->title.size == 0;
        html->skip_depth++;
        break;
    case ELEMENT_H1: case ELEMENT_H2: case ELEMENT_H3:
    case ELEMENT_H4: case ELEMENT_H5: case ELEMENT_H6:
        document_heading(html->document, role - ELEMENT_H1 + 1);
        break;
    }
}

static void element_end(void *arg, const xmlChar *name)
{
    struct html *html = arg;

    if (tag_is_written(html, false)) {
        line_reach(html);
    }
    switch (element_role(name)) {
    case ELEMENT_INLINE:
        break;
    case ELEMENT_CELL:
        document_space(html->document);
        break;
    case ELEMENT_TITLE:
        html->in_title = false;
        /* fall through */
    case ELEMENT_SKIP:
        html->skip_depth -= html->skip_depth > 0;
        break;
    case ELEMENT_BLOCK:
    case ELEMENT_H1: case ELEMENT_H2: case ELEMENT_H3:
    case ELEMENT_H4: case ELEMENT_H5: case ELEMENT_H6:
        document_break(html->document);
        break;
    }
}

/* Ends of lines of the source in a piece of text: not those written as &#10; */
static uint32_t newline_count(const struct html *html, struct span text)
{
    uint32_t count = 0;

    if (text.size == 1 && html->parser->input != NULL &&
        html->parser->input->cur > html->parser->input->base &&
        html->parser->input->cur[-1] == ';') {
        return 0;
    }
    for (size_t i = 0; i < text.size; i++) {
        count += text.data[i] == '\n';
    }
    return count;
}

static void text_found(void *arg, const xmlChar *data, int size)
{
    struct html *html = arg;
    struct span text = span_of(data, size > 0 ? (size_t)size : 0);
    uint32_t newlines = newline_count(html, text);
    uint32_t first = html->line;

    line_reach(html);
    first = html->line > first + newlines ? html->line - newlines : first;
    html->line = first + newlines;
    if (html->in_title && html->title.size < DOCUMENT_TITLE_BYTES_MAX) {
        buffer_add(&html->title, text.data, text.size);
    }
    if (html->skip_depth == 0) {
        document_add(html->document, first, text);
    }
}

static void error_ignored(void *arg, const char *format, ...)
{
    /* Every real page has errors; the parser recovers from them. */
}

static void html_parse(struct html *html, struct span text)
{
    htmlSAXHandler *sax = html->parser->sax;

    memset(sax, 0, sizeof *sax);
    sax->startElement = element_begin;
    sax->endElement = element_end;
    sax->characters = text_found;
    sax->ignorableWhitespace = text_found;
    sax->error = error_ignored;
    sax->warning = error_ignored;
    sax->initialized = 1;
    html->parser->userData = html;
    /* The bytes are UTF-8 by now, whatever the page says about itself. */
    htmlCtxtReadMemory(html->parser, (const char *)text.data, (int)text.size, NULL, "UTF-8",
                       HTML_PARSE_NONET | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                           HTML_PARSE_IGNORE_ENC);
}

void html_read(struct document *document, struct span text)
{
    struct html html = {.document = document, .line = 1};

    if (text.size == 0) {
        return;
    }
    CHECK(text.size < INT32_MAX);
    html.parser = htmlNewParserCtxt();
    CHECK(html.parser != NULL);
    html_parse(&html, text);
    document_break(document);
    document_set_title(document, buffer_span(&html.title));
    xmlFreeDoc(html.parser->myDoc);
    html.parser->myDoc = NULL;
    htmlFreeParserCtxt(html.parser);
    buffer_deinit(&html.title);
}
