#include "agents/tool/html_scan.h"

#include "common/check.h"

#include <ctype.h>
#include <libxml/HTMLparser.h>
#include <stdlib.h>
#include <strings.h>

void html_scan_init(struct html_scan *scan, const char *html, size_t size)
{
    *scan = (struct html_scan){.at = html, .end = html + size};
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool starts(const struct html_scan *scan, const char *at, const char *prefix)
{
    size_t size = strlen(prefix);

    return (size_t)(scan->end - at) >= size && strncasecmp(at, prefix, size) == 0;
}

/* Behind the next `mark`, or the end. */
static const char *behind(const struct html_scan *scan, const char *at, const char *mark)
{
    const char *found = memmem(at, (size_t)(scan->end - at), mark, strlen(mark));

    return found ? found + strlen(mark) : scan->end;
}

/* `<!--...-->`, `<!...>`, `<?...>`, `</ ...>`: behind it. */
static const char *skip_declaration(const struct html_scan *scan, const char *at)
{
    if (!starts(scan, at, "<!--")) {
        return behind(scan, at, ">");
    }
    if (starts(scan, at, "<!-->")) {
        return at + 5;
    }
    /* From the second dash on, so that <!---> ends, too. */
    return behind(scan, at + 3, "-->");
}

/* The name at `at`; returns what is behind it. */
static const char *read_name(const struct html_scan *scan, const char *at,
                             char name[HTML_NAME_SIZE])
{
    size_t used = 0;

    for (; at < scan->end && !is_space(*at) && *at != '/' && *at != '>'; at++) {
        if (used + 1 < HTML_NAME_SIZE) {
            name[used++] = (char)tolower((unsigned char)*at);
        }
    }
    name[used] = '\0';
    return at;
}

/* One attribute at `at`, which is no space: its name, its value if it has one. Returns what
 * is behind it. */
static const char *read_attribute(const char *at, const char *end, struct span *name,
                                  struct span *value)
{
    const char *start = at;
    char quote;

    *value = (struct span){0};
    do { /* the first character belongs to the name, even `=` */
        at++;
    } while (at < end && !is_space(*at) && *at != '/' && *at != '>' && *at != '=');
    *name = span_of(start, (size_t)(at - start));
    start = at;
    while (at < end && is_space(*at)) {
        at++;
    }
    if (at == end || *at != '=') {
        return start;
    }
    do {
        at++;
    } while (at < end && is_space(*at));
    if (at < end && (*at == '"' || *at == '\'')) {
        quote = *at++;
        start = at;
        at = memchr(at, quote, (size_t)(end - at));
        at = at ? at : end;
        *value = span_of(start, (size_t)(at - start));
        return at < end ? at + 1 : end;
    }
    start = at;
    while (at < end && !is_space(*at) && *at != '>') {
        at++;
    }
    *value = span_of(start, (size_t)(at - start));
    return at;
}

/* The attributes from `at` to the tag's `>`; NULL: there is none. */
static const char *skip_attributes(const char *at, const char *end)
{
    struct span name, value;

    while (at < end && *at != '>') {
        if (is_space(*at) || *at == '/') {
            at++;
        } else {
            at = read_attribute(at, end, &name, &value);
        }
    }
    return at < end ? at : NULL;
}

bool html_attribute_find(struct span attributes, const char *name, struct span *value)
{
    const char *at = (const char *)attributes.data;
    const char *end = at + attributes.size;

    while (at < end) {
        struct span found;

        if (is_space(*at) || *at == '/') {
            at++;
            continue;
        }
        at = read_attribute(at, end, &found, value);
        if (found.size == strlen(name) &&
            strncasecmp((const char *)found.data, name, found.size) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_raw(const char *name)
{
    static const char *const names[] = {"script", "style",   "title",    "textarea",
                                        "xmp",    "iframe", "noembed", "noframes"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* A tag begins here: `<` or `</` and a letter. */
static bool is_tag(const struct html_scan *scan, const char *at)
{
    const char *name = at + 1 + (at + 1 < scan->end && at[1] == '/');

    return name < scan->end && isalpha((unsigned char)*name);
}

static void read_tag(struct html_scan *scan, struct html_token *token)
{
    bool closes = scan->at[1] == '/';
    const char *attributes = read_name(scan, scan->at + 1 + closes, token->name);
    const char *close = skip_attributes(attributes, scan->end);

    if (!close) { /* an unfinished tag is dropped */
        scan->at = scan->end;
        token->kind = HTML_END;
        return;
    }
    token->kind = closes ? HTML_CLOSE : HTML_OPEN;
    token->bytes = span_of(attributes, (size_t)(close - attributes));
    scan->at = close + 1;
    if (!closes && is_raw(token->name)) {
        strcpy(scan->raw, token->name);
    }
}

/* Text up to the end tag of scan->raw. */
static void read_raw(struct html_scan *scan, struct html_token *token)
{
    const char *at = scan->at;
    size_t size = strlen(scan->raw);

    for (; at < scan->end; at++) {
        at = memchr(at, '<', (size_t)(scan->end - at));
        if (!at) {
            at = scan->end;
            break;
        }
        if (starts(scan, at, "</") && starts(scan, at + 2, scan->raw) &&
            (at + 2 + size == scan->end || is_space(at[2 + size]) || at[2 + size] == '/' ||
             at[2 + size] == '>')) {
            break;
        }
    }
    token->kind = HTML_TEXT;
    token->bytes = span_of(scan->at, (size_t)(at - scan->at));
    scan->at = at;
    scan->raw[0] = '\0';
}

static void read_text(struct html_scan *scan, struct html_token *token)
{
    const char *at = scan->at;

    /* The first character is text, whatever it is; so is a `<` that begins nothing. */
    do {
        at = memchr(at + 1, '<', (size_t)(scan->end - at - 1));
        at = at ? at : scan->end;
    } while (at < scan->end && !is_tag(scan, at) && !starts(scan, at, "<!") &&
             !starts(scan, at, "<?") && !starts(scan, at, "</"));
    token->kind = HTML_TEXT;
    token->bytes = span_of(scan->at, (size_t)(at - scan->at));
    scan->at = at;
}

void html_scan_next(struct html_scan *scan, struct html_token *token)
{
    token->name[0] = '\0';
    token->bytes = (struct span){0};
    if (scan->raw[0]) {
        read_raw(scan, token);
        return;
    }
    while (scan->at < scan->end && !is_tag(scan, scan->at) &&
           (starts(scan, scan->at, "<!") || starts(scan, scan->at, "<?") ||
            starts(scan, scan->at, "</"))) {
        scan->at = skip_declaration(scan, scan->at);
    }
    if (scan->at >= scan->end) {
        token->kind = HTML_END;
    } else if (*scan->at == '<' && is_tag(scan, scan->at)) {
        read_tag(scan, token);
    } else {
        read_text(scan, token);
    }
}

/* ---- characters --------------------------------------------------------- */

/* What pages mean by the numbers 128 to 159: windows-1252. */
static const uint16_t windows_1252[32] = {
    0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021, 0x2c6,  0x2030, 0x160,
    0x2039, 0x152,  0x8d,   0x17d,  0x8f,   0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178};

static uint32_t point_allowed(uint32_t point)
{
    if (point >= 0x80 && point < 0xa0) {
        return windows_1252[point - 0x80];
    }
    if (point == 0 || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
        return 0xfffd;
    }
    return point;
}

/* `&#123;` or `&#x1f;`: bytes taken, 0: it is none. */
static size_t read_number(struct span text, uint32_t *point)
{
    bool hex = text.size > 2 && (text.data[2] == 'x' || text.data[2] == 'X');
    size_t first = hex ? 3 : 2;
    size_t at = first;
    uint32_t number = 0;

    for (; at < text.size && (hex ? isxdigit(text.data[at]) : isdigit(text.data[at])); at++) {
        uint32_t digit = (uint32_t)(isdigit(text.data[at]) ? text.data[at] - '0'
                                                           : tolower(text.data[at]) - 'a' + 10);

        number = number > 0x10ffff ? number : number * (hex ? 16 : 10) + digit;
    }
    if (at == first) {
        return 0;
    }
    *point = point_allowed(number);
    return at + (at < text.size && text.data[at] == ';');
}

/* `&name;`, or `&name` where nothing follows that could belong to it. */
static size_t read_name_reference(struct span text, uint32_t *point)
{
    char name[HTML_NAME_SIZE];
    const htmlEntityDesc *entity;
    size_t size = 0;

    while (size + 1 < sizeof name && size + 1 < text.size && isalnum(text.data[size + 1])) {
        name[size] = (char)text.data[size + 1];
        size++;
    }
    name[size] = '\0';
    if (size == 0 || (size + 1 < text.size && text.data[size + 1] == '=')) {
        return 0;
    }
    entity = htmlEntityLookup((const xmlChar *)name);
    if (!entity && strcmp(name, "apos") != 0) {
        return 0;
    }
    *point = entity ? entity->value : '\'';
    return size + 1 + (size + 1 < text.size && text.data[size + 1] == ';');
}

size_t html_character(struct span text, uint32_t *point)
{
    unsigned char first;
    size_t more, taken = 0;

    CHECK(text.size > 0);
    first = text.data[0];
    if (first == '&' && text.size > 1) {
        taken = text.data[1] == '#' ? read_number(text, point) : read_name_reference(text, point);
    }
    if (taken > 0) {
        return taken;
    }
    more = first < 0xc0 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    if (more >= text.size) {
        *point = 0xfffd;
        return text.size;
    }
    *point = more ? first & (0x3fu >> more) : first;
    for (size_t i = 1; i <= more; i++) {
        *point = *point << 6 | (text.data[i] & 0x3fu);
    }
    return more + 1;
}

size_t html_encode(uint32_t point, char bytes[4])
{
    if (point < 0x80) {
        bytes[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        bytes[0] = (char)(0xc0 | point >> 6);
        bytes[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        bytes[0] = (char)(0xe0 | point >> 12);
        bytes[1] = (char)(0x80 | (point >> 6 & 0x3f));
        bytes[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    bytes[0] = (char)(0xf0 | point >> 18);
    bytes[1] = (char)(0x80 | (point >> 12 & 0x3f));
    bytes[2] = (char)(0x80 | (point >> 6 & 0x3f));
    bytes[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}
