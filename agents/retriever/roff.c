#include "agents/retriever/roff.h"

#include <stdio.h>
#include <stdlib.h>

/* Characters by name, \(xx and \[xx]: what manual pages use; the rest is left out. */
static const struct {
    const char *name, *text;
} roff_characters[] = {
    {"aq", "'"},   {"dq", "\""},  {"lq", "\""},  {"rq", "\""},  {"oq", "'"},   {"cq", "'"},
    {"bu", "•"},   {"co", "©"},   {"rg", "®"},   {"tm", "™"},   {"em", "—"},   {"en", "–"},
    {"hy", "-"},   {"mi", "-"},   {"ha", "^"},   {"ti", "~"},   {"rs", "\\"},  {"sl", "/"},
    {"ga", "`"},   {"aa", "´"},   {"at", "@"},   {"sh", "#"},   {"Do", "$"},   {"or", "|"},
    {"ba", "|"},   {"br", "|"},   {"ul", "_"},   {"rn", ""},    {"ru", "_"},   {"->", "→"},
    {"<-", "←"},   {"<=", "≤"},   {">=", "≥"},   {"!=", "≠"},   {"+-", "±"},   {"mu", "×"},
    {"di", "÷"},   {"if", "∞"},   {"de", "°"},   {"sc", "§"},   {"ss", "ß"},   {"lB", "["},
    {"rB", "]"},   {"lC", "{"},   {"rC", "}"},   {"la", "⟨"},   {"ra", "⟩"},   {"Fo", "«"},
    {"Fc", "»"},   {"fo", "‹"},   {"fc", "›"},   {"Bq", "„"},   {":a", "ä"},   {":o", "ö"},
    {":u", "ü"},   {":A", "Ä"},   {":O", "Ö"},   {":U", "Ü"},   {"'e", "é"},   {"'a", "á"},
    {"'i", "í"},   {"'o", "ó"},   {"'u", "ú"},   {"`e", "è"},   {"`a", "à"},   {"^e", "ê"},
    {"^o", "ô"},   {",c", "ç"},   {"~n", "ñ"},   {"/o", "ø"},   {"oa", "å"},   {"ae", "æ"},
    {"*a", "α"},   {"*b", "β"},   {"*m", "μ"},   {"*p", "π"},   {"mc", "µ"},   {"12", "½"},
    {"14", "¼"},   {"34", "¾"},   {"Eu", "€"},   {"Po", "£"},   {"dg", "†"},   {"ci", "○"},
    {"sq", "□"},   {"CR", "↵"},   {"OK", "✓"},   {"eq", "="},   {"pl", "+"},   {"**", "*"},
    {"~~", "≈"},   {"==", "≡"},   {"uA", "⇑"},   {"ua", "↑"},   {"da", "↓"},
};

/* Strings, \*(xx and \*[xx], that macro packages define before a page begins. */
static const struct {
    const char *name, *text;
} roff_strings[] = {
    {"lq", "\""}, {"rq", "\""}, {"L\"", "\""}, {"R\"", "\""}, {"C`", ""},  {"C'", ""},
    {"Aq", "'"},  {"R", "®"},   {"Tm", "™"},   {"--", "—"},   {"PI", "π"}, {"Lq", "\""},
    {"Rq", "\""}, {"q", "\""},  {"Ba", "|"},   {"Ne", "≠"},   {"Ge", "≥"}, {"Le", "≤"},
};

struct cursor {
    struct span line;
    size_t at;
};

static uint8_t cursor_peek(const struct cursor *c)
{
    return c->at < c->line.size ? c->line.data[c->at] : 0;
}

static uint8_t cursor_take(struct cursor *c)
{
    return c->at < c->line.size ? c->line.data[c->at++] : 0;
}

/* A name after an escape letter: x, (xx or [any]. */
static struct span cursor_name(struct cursor *c)
{
    size_t start, size;

    if (cursor_peek(c) == '[') {
        const uint8_t *end;

        start = ++c->at;
        end = memchr(c->line.data + start, ']', c->line.size - start);
        size = end == NULL ? c->line.size - start : (size_t)(end - (c->line.data + start));
        c->at = start + size + (end != NULL);
        return span_of(c->line.data + start, size);
    }
    size = 1;
    if (cursor_peek(c) == '(') {
        c->at++;
        size = 2;
    }
    start = c->at;
    c->at = start + size < c->line.size ? start + size : c->line.size;
    return span_of(c->line.data + start, c->at - start);
}

/* Passes over an argument in delimiters of its own choice: 'any'. */
static void cursor_skip_quoted(struct cursor *c)
{
    uint8_t delimiter = cursor_take(c);

    while (c->at < c->line.size) {
        uint8_t byte = cursor_take(c);

        if (byte == delimiter) {
            return;
        }
        if (byte == '\\') {
            c->at += c->at < c->line.size;
        }
    }
}

/* \s: s1 s+1 s-12 s(12 s[12] s'12'. */
static void cursor_skip_size(struct cursor *c)
{
    uint8_t byte;

    if (cursor_peek(c) == '+' || cursor_peek(c) == '-') {
        c->at++;
    }
    byte = cursor_peek(c);
    if (byte == '[' || byte == '(') {
        cursor_name(c);
    } else if (byte == '\'') {
        cursor_skip_quoted(c);
    } else {
        bool two = byte >= '1' && byte <= '3';

        c->at += c->at < c->line.size;
        if (two && cursor_peek(c) >= '0' && cursor_peek(c) <= '9') {
            c->at++;
        }
    }
}

/* u00E9, u2014_0301: a code point. False: not of that form. */
static bool character_by_number(struct span name, struct buffer *out)
{
    char digits[7] = "";
    size_t count = 0;

    if (name.size < 5 || name.data[0] != 'u') {
        return false;
    }
    while (count < 6 && count + 1 < name.size &&
           strchr("0123456789ABCDEFabcdef", name.data[count + 1]) != NULL) {
        digits[count] = (char)name.data[count + 1];
        count++;
    }
    if (count < 4) {
        return false;
    }
    buffer_add_code_point(out, (uint32_t)strtoul(digits, NULL, 16));
    return true;
}

static void character_add(struct span name, struct buffer *out)
{
    if (character_by_number(name, out)) {
        return;
    }
    for (size_t i = 0; i < sizeof roff_characters / sizeof roff_characters[0]; i++) {
        if (span_is(name, roff_characters[i].name)) {
            buffer_add_text(out, roff_characters[i].text);
            return;
        }
    }
}

static void string_add(struct span name, struct buffer *out)
{
    for (size_t i = 0; i < sizeof roff_strings / sizeof roff_strings[0]; i++) {
        if (span_is(name, roff_strings[i].name)) {
            buffer_add_text(out, roff_strings[i].text);
            return;
        }
    }
}

/* What stands behind a backslash. True: the line continues on the next. */
static bool escape_add(struct cursor *c, struct buffer *out)
{
    uint8_t byte = cursor_take(c);

    switch (byte) {
    case 'c':
        c->at = c->line.size;
        return true;
    case '"': case '#': /* the rest is a comment */
        c->at = c->line.size;
        break;
    case 'e': case 'E': case '\\':
        buffer_add_byte(out, '\\');
        break;
    case '-': case '.': case '\'': case '`': case '_':
        buffer_add_byte(out, (char)byte);
        break;
    case ' ': case '~': case '0': case 't': case 'p':
        buffer_add_byte(out, ' ');
        break;
    case '(': case '[':
        c->at--;
        character_add(cursor_name(c), out);
        break;
    case '*':
        string_add(cursor_name(c), out);
        break;
    case 'f': case 'F': case 'm': case 'M': case 'g': case 'Y': case 'V': case 'O': case '$':
        cursor_name(c);
        break;
    case 'n': case 'k':
        if (cursor_peek(c) == '+' || cursor_peek(c) == '-') {
            c->at++;
        }
        cursor_name(c);
        break;
    case 's':
        cursor_skip_size(c);
        break;
    case 'h': /* to the right parts words; to the left is overprinting */
        if (c->at + 1 < c->line.size && c->line.data[c->at + 1] != '-') {
            buffer_add_byte(out, ' ');
        }
        cursor_skip_quoted(c);
        break;
    case 'A': case 'b': case 'B': case 'C': case 'D': case 'H': case 'l': case 'L': case 'N':
    case 'o': case 'R': case 'S': case 'v': case 'w': case 'x': case 'X': case 'Z':
        cursor_skip_quoted(c);
        break;
    default: /* \& \% \: \/ \, \| \^ \) \! \{ \} \a \d \r \u \z and unknown ones */
        c->at -= byte >= 0x80; /* a letter of another script stands for itself */
        break;
    }
    return false;
}

bool roff_text(struct span line, struct buffer *out)
{
    struct cursor c = {.line = line};
    bool continues = false;

    while (c.at < line.size) {
        uint8_t byte = cursor_take(&c);

        if (byte == '\\') {
            continues = escape_add(&c, out) || continues;
            /* Names count bytes: never go on in the middle of a character. */
            while ((cursor_peek(&c) & 0xC0) == 0x80) {
                c.at++;
            }
        } else {
            buffer_add_byte(out, (char)byte);
        }
    }
    return continues;
}

/* One argument from `*at`: in quotes, or up to a blank that no backslash precedes. */
static struct span arg_take(struct span rest, size_t *at)
{
    bool quoted = rest.data[*at] == '"';
    size_t start = *at + quoted, end = start;

    while (end < rest.size) {
        uint8_t byte = rest.data[end];

        if (byte == '\\' && end + 1 < rest.size) {
            end += 2;
            continue;
        }
        if (quoted && byte == '"') {
            if (end + 1 < rest.size && rest.data[end + 1] == '"') {
                end += 2;
                continue;
            }
            break;
        }
        if (!quoted && (byte == ' ' || byte == '\t')) {
            break;
        }
        end++;
    }
    *at = end + (quoted && end < rest.size);
    return span_of(rest.data + start, end - start);
}

size_t roff_args(struct span rest, struct span args[ROFF_ARGS_MAX])
{
    size_t count = 0, at = 0;

    while (count < ROFF_ARGS_MAX) {
        while (at < rest.size && (rest.data[at] == ' ' || rest.data[at] == '\t')) {
            at++;
        }
        if (at >= rest.size) {
            break;
        }
        if (rest.data[at] == '\\' && at + 1 < rest.size && rest.data[at + 1] == '"') {
            break; /* a comment */
        }
        args[count++] = arg_take(rest, &at);
    }
    return count;
}

static struct span blanks_skip(struct span text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.size--;
    }
    return text;
}

bool roff_condition(struct span *rest)
{
    struct cursor c = {.line = blanks_skip(*rest)};
    bool negated = cursor_peek(&c) == '!';
    bool value = false;
    uint8_t byte;

    c.at += negated;
    byte = cursor_peek(&c);
    if (byte == 'n' || byte == 't' || byte == 'o' || byte == 'e' || byte == 'v') {
        value = byte == 'n' || byte == 'o';
        c.at++;
    } else if (byte == '\'' || byte == '"') { /* 'a'b': equal strings */
        cursor_skip_quoted(&c);
        c.at -= c.at > 0;
        cursor_skip_quoted(&c);
    } else {
        size_t start = c.at;

        while (c.at < c.line.size && c.line.data[c.at] != ' ') {
            c.at++;
        }
        /* \n(.g: "this is groff", which is what pages are written for. */
        value = span_is(span_of(c.line.data + start, c.at - start), "\\n(.g") ||
                span_is(span_of(c.line.data + start, c.at - start), "\\n[.g]");
    }
    *rest = blanks_skip(span_of(c.line.data + c.at, c.line.size - c.at));
    return value != negated;
}

bool roff_control(struct span line, struct span *name, struct span *rest)
{
    size_t end;

    if (line.size == 0 || (line.data[0] != '.' && line.data[0] != '\'')) {
        return false;
    }
    line = blanks_skip(span_of(line.data + 1, line.size - 1));
    for (end = 0; end < line.size && line.data[end] > ' '; end++) {
        if (line.data[end] == '\\') {
            break; /* .\" and .if\n(x */
        }
    }
    *name = span_of(line.data, end);
    *rest = blanks_skip(span_of(line.data + end, line.size - end));
    return true;
}
