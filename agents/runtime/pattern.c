#include "agents/runtime/pattern.h"

#include "common/check.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A program for a machine that runs all its threads in step. Jumps are
 * relative, so that a piece can be moved and copied as it stands. */
struct code {
    enum { CODE_CHAR, CODE_SET, CODE_SPLIT, CODE_JUMP, CODE_START, CODE_END, CODE_MATCH } op;
    bool negated;   /* SET */
    int32_t x, y;   /* CHAR: x; SET: ranges [x, y); SPLIT: both jumps; JUMP: x */
};

struct range {
    uint32_t first, last; /* inclusive */
};

#define PATTERN_RANGES_MAX 1024
#define CODE_POINT_MAX 0x10ffff

struct pattern {
    size_t count;
    size_t range_count;
    struct range ranges[PATTERN_RANGES_MAX];
    struct code codes[PATTERN_CODES_MAX];
};

static const struct range digits[] = {{'0', '9'}};
static const struct range words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
static const struct range line_ends[] = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};
/* White space and line terminators of ECMA-262. */
static const struct range spaces[] = {{'\t', '\r'},     {' ', ' '},       {0xa0, 0xa0},
                                      {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029},
                                      {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000},
                                      {0xfeff, 0xfeff}};
#define COUNT_OF(a) (sizeof(a) / sizeof *(a))

/* Bytes of the valid UTF-8 character at `text`. */
static size_t decode(const char *text, uint32_t *point)
{
    const unsigned char *byte = (const unsigned char *)text;
    size_t more = *byte < 0xc0 ? 0 : *byte < 0xe0 ? 1 : *byte < 0xf0 ? 2 : 3;

    *point = more ? *byte & (0x3fu >> more) : *byte;
    for (size_t i = 1; i <= more; i++) {
        *point = *point << 6 | (byte[i] & 0x3fu);
    }
    return more + 1;
}

/* ---- compiling ---------------------------------------------------------- */

struct parser {
    struct pattern *pattern;
    const char *start;
    const char *at;
    const char *error; /* not NULL: give up */
};

static void give_up(struct parser *parser, const char *error)
{
    if (!parser->error) {
        parser->error = error;
    }
}

/* Makes room for `count` codes at `index`. Jumps across it are the caller's concern. */
static struct code *insert(struct parser *parser, size_t index, size_t count)
{
    struct pattern *pattern = parser->pattern;

    CHECK(index <= pattern->count);
    if (count >= PATTERN_CODES_MAX - pattern->count) { /* one place stays for MATCH */
        give_up(parser, "longer than the bound, once its repetitions are written out");
        return NULL;
    }
    memmove(&pattern->codes[index + count], &pattern->codes[index],
            (pattern->count - index) * sizeof(struct code));
    pattern->count += count;
    return &pattern->codes[index];
}

static void emit_at(struct parser *parser, size_t index, struct code code)
{
    struct code *place = insert(parser, index, 1);

    if (place) {
        *place = code;
    }
}

static void emit(struct parser *parser, struct code code)
{
    emit_at(parser, parser->pattern->count, code);
}

static void range_add(struct parser *parser, uint32_t first, uint32_t last)
{
    if (parser->pattern->range_count == PATTERN_RANGES_MAX) {
        give_up(parser, "too many character classes");
        return;
    }
    parser->pattern->ranges[parser->pattern->range_count++] = (struct range){first, last};
}

/* Adds the sorted `ranges`, or all that is between them. */
static void ranges_add(struct parser *parser, const struct range *ranges, size_t count,
                       bool negated)
{
    uint32_t next = 0;

    for (size_t i = 0; i < count; i++) {
        if (!negated) {
            range_add(parser, ranges[i].first, ranges[i].last);
        } else if (ranges[i].first > next) {
            range_add(parser, next, ranges[i].first - 1);
        }
        next = ranges[i].last + 1;
    }
    if (negated) {
        range_add(parser, next, CODE_POINT_MAX);
    }
}

static void emit_set(struct parser *parser, size_t first, bool negated)
{
    emit(parser, (struct code){.op = CODE_SET,
                               .negated = negated,
                               .x = (int32_t)first,
                               .y = (int32_t)parser->pattern->range_count});
}

/* \d \w \s and their opposites at parser->at, behind the backslash. */
static bool parse_class_escape(struct parser *parser)
{
    char c = *parser->at;
    bool negated = isupper((unsigned char)c);

    switch (tolower((unsigned char)c)) {
    case 'd':
        ranges_add(parser, digits, COUNT_OF(digits), negated);
        break;
    case 'w':
        ranges_add(parser, words, COUNT_OF(words), negated);
        break;
    case 's':
        ranges_add(parser, spaces, COUNT_OF(spaces), negated);
        break;
    default:
        return false;
    }
    parser->at++;
    return true;
}

/* One character behind a backslash. */
static uint32_t parse_escape(struct parser *parser)
{
    static const char names[] = "tnrfv";
    static const char values[] = "\t\n\r\f\v";
    char c = *parser->at;
    const char *name = c ? strchr(names, c) : NULL;

    if (name) {
        parser->at++;
        return (uint32_t)values[name - names];
    }
    if (!ispunct((unsigned char)c)) {
        give_up(parser, "escape not supported");
        return 0;
    }
    parser->at++;
    return (uint32_t)c;
}

static uint32_t parse_class_character(struct parser *parser)
{
    uint32_t point = 0;

    if (*parser->at == '\\') {
        parser->at++;
        return parse_escape(parser);
    }
    parser->at += decode(parser->at, &point);
    return point;
}

/* `[` is behind us. */
static void parse_class(struct parser *parser)
{
    size_t first = parser->pattern->range_count;
    bool negated = *parser->at == '^';

    parser->at += negated;
    while (*parser->at != ']' && !parser->error) {
        uint32_t low, high;

        if (!*parser->at) {
            give_up(parser, "[ without ]");
            return;
        }
        if (parser->at[0] == '\\' && strchr("dDwWsS", parser->at[1]) && parser->at[1]) {
            parser->at++;
            parse_class_escape(parser);
            if (parser->at[0] == '-' && parser->at[1] != ']') {
                give_up(parser, "a class cannot begin a range");
            }
            continue;
        }
        low = high = parse_class_character(parser);
        if (!parser->error && parser->at[0] == '-' && parser->at[1] && parser->at[1] != ']') {
            parser->at++;
            high = parse_class_character(parser);
        }
        if (high < low) {
            give_up(parser, "a range is the wrong way round");
            return;
        }
        range_add(parser, low, high);
    }
    parser->at++;
    emit_set(parser, first, negated);
}

static void parse_alternatives(struct parser *parser, size_t depth);

/* `(` is behind us. */
static void parse_group(struct parser *parser, size_t depth)
{
    if (parser->at[0] == '?') {
        if (parser->at[1] != ':') {
            give_up(parser, "only (...) and (?:...) are supported");
            return;
        }
        parser->at += 2;
    }
    if (depth == PATTERN_DEPTH_MAX) {
        give_up(parser, "nested too deep");
        return;
    }
    parse_alternatives(parser, depth + 1);
    if (*parser->at != ')') {
        give_up(parser, "( without )");
        return;
    }
    parser->at++;
}

/* False: an anchor, which cannot be repeated. */
static bool parse_atom(struct parser *parser, size_t depth)
{
    size_t first = parser->pattern->range_count;
    uint32_t point;

    switch (*parser->at) {
    case '^':
    case '$':
        emit(parser, (struct code){.op = *parser->at == '^' ? CODE_START : CODE_END});
        parser->at++;
        return false;
    case '(':
        parser->at++;
        parse_group(parser, depth);
        return true;
    case '[':
        parser->at++;
        parse_class(parser);
        return true;
    case '.':
        parser->at++;
        ranges_add(parser, line_ends, COUNT_OF(line_ends), false);
        emit_set(parser, first, true);
        return true;
    case '*':
    case '+':
    case '?':
        give_up(parser, "nothing to repeat");
        return true;
    case '{':
    case '}':
    case ']':
        give_up(parser, "brackets that stand for themselves need a backslash");
        return true;
    case '\\':
        parser->at++;
        if (parse_class_escape(parser)) {
            emit_set(parser, first, false);
            return true;
        }
        point = parse_escape(parser);
        break;
    default:
        parser->at += decode(parser->at, &point);
    }
    emit(parser, (struct code){.op = CODE_CHAR, .x = (int32_t)point});
    return true;
}

static unsigned parse_number(struct parser *parser)
{
    unsigned number = 0;

    if (!isdigit((unsigned char)*parser->at)) {
        give_up(parser, "a repetition is {m}, {m,} or {m,n}");
    }
    while (isdigit((unsigned char)*parser->at) && number <= PATTERN_REPEAT_MAX) {
        number = number * 10 + (unsigned)(*parser->at++ - '0');
    }
    if (number > PATTERN_REPEAT_MAX) {
        give_up(parser, "a repetition is beyond the bound");
    }
    return number;
}

#define UNBOUNDED UINT32_MAX

static void make_optional(struct parser *parser, size_t start)
{
    int32_t size = (int32_t)(parser->pattern->count - start);

    emit_at(parser, start, (struct code){.op = CODE_SPLIT, .x = 1, .y = size + 1});
}

static void make_loop(struct parser *parser, size_t start)
{
    int32_t size = (int32_t)(parser->pattern->count - start);

    emit(parser, (struct code){.op = CODE_SPLIT, .x = -size, .y = 1});
}

/* Writes the piece from `start` on out `least` to `most` times. */
static void repeat(struct parser *parser, size_t start, unsigned least, unsigned most)
{
    struct pattern *pattern = parser->pattern;
    size_t size = pattern->count - start;
    unsigned copies = most == UNBOUNDED ? (least ? least : 1) : most;

    if (most == 0) {
        pattern->count = start;
        return;
    }
    for (unsigned i = 1; i <= copies && !parser->error; i++) {
        size_t piece = pattern->count - size;

        /* The next copy is made first, while this one is still plain. */
        if (i < copies) {
            struct code *copy = insert(parser, pattern->count, size);

            if (!copy) {
                return;
            }
            memcpy(copy, &pattern->codes[piece], size * sizeof *copy);
        }
        if (i > least && i < copies) {
            /* Optional: jump over this piece, which ends where the copy begins. */
            emit_at(parser, piece, (struct code){.op = CODE_SPLIT, .x = 1, .y = (int32_t)size + 1});
        } else if (i == copies) {
            if (most == UNBOUNDED) {
                make_loop(parser, piece);
            }
            if (i > least) {
                make_optional(parser, piece);
            }
        }
    }
}

static void parse_repetition(struct parser *parser, size_t start)
{
    unsigned least = 0, most = UNBOUNDED;

    switch (*parser->at) {
    case '*':
        break;
    case '+':
        least = 1;
        break;
    case '?':
        most = 1;
        break;
    case '{':
        parser->at++;
        least = most = parse_number(parser);
        if (*parser->at == ',') {
            parser->at++;
            most = *parser->at == '}' ? UNBOUNDED : parse_number(parser);
        }
        if (*parser->at != '}' || most < least) {
            give_up(parser, "a repetition is {m}, {m,} or {m,n}");
            return;
        }
        break;
    default:
        return;
    }
    parser->at++;
    if (*parser->at == '?') {
        give_up(parser, "lazy repetitions are not supported");
    } else if (*parser->at && strchr("*+{", *parser->at)) {
        give_up(parser, "nothing to repeat");
    }
    if (!parser->error) {
        repeat(parser, start, least, most);
    }
}

static void parse_sequence(struct parser *parser, size_t depth)
{
    while (*parser->at && *parser->at != '|' && *parser->at != ')' && !parser->error) {
        size_t start = parser->pattern->count;

        if (parse_atom(parser, depth) && !parser->error) {
            parse_repetition(parser, start);
        }
    }
}

/* a|b|c:  SPLIT a JUMP-to-end  SPLIT b JUMP-to-end  c */
static void parse_alternatives(struct parser *parser, size_t depth)
{
    struct pattern *pattern = parser->pattern;
    size_t start = pattern->count;
    size_t jump = SIZE_MAX; /* the last JUMP; each holds how far back the one before is */

    parse_sequence(parser, depth);
    while (*parser->at == '|' && !parser->error) {
        int32_t size = (int32_t)(pattern->count - start);

        parser->at++;
        emit_at(parser, start, (struct code){.op = CODE_SPLIT, .x = 1, .y = size + 2});
        emit(parser, (struct code){.op = CODE_JUMP,
                                   .x = jump == SIZE_MAX ? 0 : (int32_t)(pattern->count - jump)});
        jump = pattern->count - 1;
        start = pattern->count;
        parse_sequence(parser, depth);
    }
    while (jump != SIZE_MAX && !parser->error) {
        int32_t back = pattern->codes[jump].x;

        pattern->codes[jump].x = (int32_t)(pattern->count - jump);
        jump = back ? jump - (size_t)back : SIZE_MAX;
    }
}

struct pattern *pattern_compile(const char *text, char *error, size_t error_size)
{
    struct parser parser = {.start = text, .at = text};
    struct pattern *shrunk;

    CHECK(error_size > 0);
    if (strnlen(text, PATTERN_BYTES_MAX + 1) > PATTERN_BYTES_MAX) {
        snprintf(error, error_size, "pattern longer than %d bytes", PATTERN_BYTES_MAX);
        return NULL;
    }
    parser.pattern = calloc(1, sizeof *parser.pattern);
    if (!parser.pattern) {
        snprintf(error, error_size, "no memory");
        return NULL;
    }
    parse_alternatives(&parser, 0);
    if (!parser.error && *parser.at == ')') {
        give_up(&parser, ") without (");
    }
    if (parser.error) {
        snprintf(error, error_size, "pattern at offset %zu: %s", (size_t)(parser.at - text),
                 parser.error);
        free(parser.pattern);
        return NULL;
    }
    parser.pattern->codes[parser.pattern->count++] = (struct code){.op = CODE_MATCH};
    /* Most patterns are short: give the rest of the table back. */
    shrunk = realloc(parser.pattern, offsetof(struct pattern, codes) +
                                         parser.pattern->count * sizeof(struct code));
    return shrunk ? shrunk : parser.pattern;
}

void pattern_free(struct pattern *pattern)
{
    free(pattern);
}

/* ---- matching ----------------------------------------------------------- */

struct matcher {
    const struct pattern *pattern;
    uint32_t *threads;    /* codes to run at this character */
    uint32_t *next;       /* at the next one */
    uint32_t *stack;
    uint32_t *seen;       /* by code: the step at which it was last added */
    uint32_t step;
    size_t next_count;
    bool matched;
};

/* Adds to `next` what can be reached from `code` without reading. */
static void follow(struct matcher *matcher, uint32_t code, bool at_start, bool at_end,
                   size_t *spent)
{
    size_t depth = 0;

    matcher->stack[depth++] = code;
    while (depth > 0) {
        uint32_t i = matcher->stack[--depth];
        const struct code *c = &matcher->pattern->codes[i];

        if (matcher->seen[i] == matcher->step) {
            continue;
        }
        matcher->seen[i] = matcher->step;
        ++*spent;
        switch (c->op) {
        case CODE_SPLIT:
            matcher->stack[depth++] = (uint32_t)((int32_t)i + c->y);
            matcher->stack[depth++] = (uint32_t)((int32_t)i + c->x);
            break;
        case CODE_JUMP:
            matcher->stack[depth++] = (uint32_t)((int32_t)i + c->x);
            break;
        case CODE_START:
        case CODE_END:
            if (c->op == CODE_START ? at_start : at_end) {
                matcher->stack[depth++] = i + 1;
            }
            break;
        case CODE_MATCH:
            matcher->matched = true;
            break;
        case CODE_CHAR:
        case CODE_SET:
            matcher->next[matcher->next_count++] = i;
            break;
        }
    }
}

static bool code_accepts(const struct pattern *pattern, const struct code *code, uint32_t point)
{
    if (code->op == CODE_CHAR) {
        return (uint32_t)code->x == point;
    }
    for (int32_t i = code->x; i < code->y; i++) {
        if (point >= pattern->ranges[i].first && point <= pattern->ranges[i].last) {
            return !code->negated;
        }
    }
    return code->negated;
}

static enum pattern_result matcher_run(struct matcher *matcher, const char *text, size_t size,
                                       size_t *steps)
{
    const struct pattern *pattern = matcher->pattern;
    bool anchored = pattern->codes[0].op == CODE_START;
    const char *end = text + size;
    size_t spent = 0;

    matcher->step = 1;
    follow(matcher, 0, true, size == 0, &spent);
    for (const char *at = text; at < end && !matcher->matched;) {
        uint32_t *swap = matcher->threads;
        size_t count = matcher->next_count;
        uint32_t point;

        if (count == 0 && anchored) {
            break;
        }
        at += decode(at, &point);
        matcher->threads = matcher->next;
        matcher->next = swap;
        matcher->next_count = 0;
        matcher->step++;
        for (size_t i = 0; i < count; i++) {
            const struct code *code = &pattern->codes[matcher->threads[i]];

            spent += code->op == CODE_SET ? (size_t)(code->y - code->x) / 8 + 1 : 1;
            if (code_accepts(pattern, code, point)) {
                follow(matcher, matcher->threads[i] + 1, false, at == end, &spent);
            }
        }
        follow(matcher, 0, false, at == end, &spent);
        if (spent > *steps) {
            *steps = 0;
            return PATTERN_TOO_COMPLEX;
        }
    }
    *steps -= spent < *steps ? spent : *steps;
    return matcher->matched ? PATTERN_MATCH : PATTERN_NO_MATCH;
}

enum pattern_result pattern_find(const struct pattern *pattern, const char *text, size_t size,
                                 size_t *steps)
{
    /* A code is on the stack at most twice: pushed by its predecessor and by a jump. */
    size_t words_each = pattern->count;
    uint32_t *memory = calloc(words_each * 3 + words_each * 2 + 2, sizeof *memory);
    struct matcher matcher = {.pattern = pattern};
    enum pattern_result result;

    if (!memory) {
        return PATTERN_TOO_COMPLEX;
    }
    matcher.threads = memory;
    matcher.next = memory + words_each;
    matcher.seen = memory + words_each * 2;
    matcher.stack = memory + words_each * 3;
    result = matcher_run(&matcher, text, size, steps);
    free(memory);
    return result;
}
