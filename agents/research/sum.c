#include "agents/research/sum.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX 16

struct reader {
    const char *text;
    size_t size;
    size_t at;
    size_t depth;
    bool asked;
    unsigned signs;
    struct text *out;
};

/* A sign or a word for it, and what tool.calc calls it. `loose` ones also stand in
 * dates, ranges and paths. */
static const struct sign {
    const char *text;
    const char *written;
    bool loose;
} signs[] = {
    {"+", " + ", false},
    {"-", " - ", true},
    {"\xE2\x88\x92", " - ", true}, /* U+2212 */
    {"**", "^", false},
    {"*", " * ", false},
    {"/", " / ", true},
    {"\xC3\xB7", " / ", false}, /* U+00F7 */
    {"\xC3\x97", " * ", false}, /* U+00D7 */
    {"^", "^", false},
    {"plus ", " + ", false},
    {"minus ", " - ", false},
    {"times ", " * ", false},
    {"multiplied by ", " * ", false},
    {"divided by ", " / ", false},
    {"to the power of ", "^", false},
    {"x ", " * ", false},
    {"modulo ", " % ", false},
    {"mod ", " % ", false},
};

static size_t left(const struct reader *reader)
{
    return reader->size - reader->at;
}

static char peek(const struct reader *reader)
{
    return left(reader) > 0 ? reader->text[reader->at] : '\0';
}

static void skip_blanks(struct reader *reader)
{
    while (peek(reader) == ' ') {
        reader->at++;
    }
}

static bool take(struct reader *reader, const char *word)
{
    size_t size = strlen(word);

    if (left(reader) < size || strncasecmp(reader->text + reader->at, word, size) != 0) {
        return false;
    }
    reader->at += size;
    return true;
}

static bool digit_at(const struct reader *reader, size_t ahead)
{
    return left(reader) > ahead && isdigit((unsigned char)reader->text[reader->at + ahead]);
}

/* 1,234,567.5 - but not 4.3.4, which is a version, and not 5th or 3a, which are names. */
static bool read_number(struct reader *reader)
{
    if (!digit_at(reader, 0)) {
        return false;
    }
    while (digit_at(reader, 0) || (peek(reader) == ',' && digit_at(reader, 1) &&
                                   digit_at(reader, 2) && digit_at(reader, 3))) {
        if (peek(reader) != ',') {
            text_add(reader->out, reader->text + reader->at, 1);
        }
        reader->at++;
    }
    if (peek(reader) == '.' && digit_at(reader, 1)) {
        do {
            text_add(reader->out, reader->text + reader->at, 1);
            reader->at++;
        } while (digit_at(reader, 0));
    }
    return !isalnum((unsigned char)peek(reader)) && peek(reader) != '_' &&
           !(peek(reader) == '.' && digit_at(reader, 1));
}

static bool read_sum(struct reader *reader);

/* (sum), function(sum), "square root of" operand. */
static bool read_group(struct reader *reader)
{
    static const char *const functions[] = {"sqrt(", "abs(", "ln(",    "log(",  "sin(",  "cos(",
                                            "tan(",  "exp(", "floor(", "ceil(", "round("};
    bool function = false;
    size_t i;

    for (i = 0; i < sizeof functions / sizeof functions[0] && !function; i++) {
        function = take(reader, functions[i]);
        if (function) {
            text_add(reader->out, functions[i], strlen(functions[i]));
            reader->signs++;
        }
    }
    if (!function) {
        if (!take(reader, "(")) {
            return false;
        }
        text_add(reader->out, "(", 1);
    }
    if (!read_sum(reader)) {
        return false;
    }
    skip_blanks(reader);
    text_add(reader->out, ")", 1);
    return take(reader, ")");
}

static bool read_operand(struct reader *reader)
{
    bool good;

    skip_blanks(reader);
    if (++reader->depth > DEPTH_MAX) {
        return false;
    }
    if (take(reader, "the square root of ") || take(reader, "square root of ")) {
        text_add(reader->out, "sqrt(", 5);
        reader->signs++;
        good = read_operand(reader);
        text_add(reader->out, ")", 1);
    } else if (peek(reader) == '-' && left(reader) > 1 && reader->text[reader->at + 1] != ' ') {
        reader->at++;
        text_add(reader->out, "-", 1);
        good = read_operand(reader);
    } else {
        good = digit_at(reader, 0) ? read_number(reader) : read_group(reader);
    }
    reader->depth--;
    return good;
}

/* "15% of 200", "15 percent of 200": behind the 15. */
static bool read_percent(struct reader *reader)
{
    size_t before = reader->at;

    skip_blanks(reader);
    if ((take(reader, "%") || take(reader, "percent") || take(reader, "per cent")) &&
        (skip_blanks(reader), take(reader, "of "))) {
        text_add(reader->out, " / 100 * ", 9);
        reader->signs++;
        return true;
    }
    reader->at = before;
    return false;
}

static const struct sign *read_sign(struct reader *reader)
{
    size_t before = reader->at;
    bool spaced = peek(reader) == ' ';
    size_t i;

    skip_blanks(reader);
    for (i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        if (!take(reader, signs[i].text)) {
            continue;
        }
        if (signs[i].loose && !reader->asked && !(spaced && peek(reader) == ' ')) {
            break;
        }
        return &signs[i];
    }
    reader->at = before;
    return NULL;
}

/* operand (sign operand)*; leaves out a sign that nothing follows. */
static bool read_sum(struct reader *reader)
{
    if (!read_operand(reader)) {
        return false;
    }
    for (;;) {
        struct reader mark = *reader;
        size_t written = reader->out->size;

        if (!read_percent(reader)) {
            const struct sign *sign = read_sign(reader);

            if (sign == NULL) {
                return true;
            }
            text_add(reader->out, sign->written, strlen(sign->written));
            reader->signs++;
        }
        if (!read_operand(reader)) {
            *reader = mark;
            reader->out->size = written;
            reader->out->data[written] = '\0';
            return true;
        }
    }
}

size_t sum_read(const char *text, size_t size, bool asked, struct text *expression)
{
    struct reader reader = {.text = text, .size = size, .asked = asked, .out = expression};
    size_t before = expression->size;

    if (read_sum(&reader) && reader.signs > 0) {
        return reader.at;
    }
    expression->size = before;
    if (expression->data != NULL) {
        expression->data[before] = '\0';
    }
    return 0;
}
