#include "agents/analysis/sentence.h"

#include "agents/analysis/kind.h"

#include <stdlib.h>

#define HEADING_BYTES_MAX 110
#define WRAP_COLUMNS_MIN 40  /* narrower text is not wrapped, but set in lines */
#define WRAP_COLUMNS_MAX 110 /* in wider text a line is a paragraph */

struct splitter {
    struct span text;
    size_t indent;     /* of the least indented line */
    size_t columns;    /* of the longest line */
    struct span block; /* open paragraph; size 0: none */
    bool block_single; /* it has one line so far */
    bool block_item;   /* it is a list item: never a heading */
    bool fenced;
    bool in_table; /* the line before was a row */
    bool stopped;
    unsigned block_count;
    sentence_fn *fn;
    void *arg;
};

static bool char_is_space(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static bool char_is_upper(uint8_t c)
{
    return c >= 'A' && c <= 'Z';
}

static bool char_is_lower(uint8_t c)
{
    return c >= 'a' && c <= 'z';
}

static bool char_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static struct span span_trim(struct span span)
{
    while (span.size > 0 && char_is_space(span.data[0])) {
        span.data++;
        span.size--;
    }
    while (span.size > 0 && char_is_space(span.data[span.size - 1])) {
        span.size--;
    }
    return span;
}

static bool span_starts(struct span span, const char *text)
{
    size_t size = strlen(text);

    return span.size >= size && memcmp(span.data, text, size) == 0;
}

static void emit(struct splitter *splitter, struct span text, enum sentence_kind kind)
{
    text = span_trim(text);
    while (text.size > 0 && !splitter->stopped) {
        struct span piece = text;

        if (piece.size > SENTENCE_BYTES_MAX) {
            piece.size = SENTENCE_BYTES_MAX;
            while (piece.size > SENTENCE_BYTES_MAX / 2 && !char_is_space(piece.data[piece.size])) {
                piece.size--;
            }
            while (piece.size < text.size && (piece.data[piece.size] & 0xC0) == 0x80) {
                piece.size++; /* never cut a UTF-8 character */
            }
        }
        splitter->stopped = !splitter->fn(
            &(struct sentence){span_trim(piece), kind, splitter->block_count}, splitter->arg);
        text.data += piece.size;
        text.size -= piece.size;
        text = span_trim(text);
    }
}

/* ---- inside a paragraph ---------------------------------------------------- */

/* Does the word that ends before the full stop at `at` only look like an end? */
static bool stop_is_abbreviation(struct span text, size_t at)
{
    static const char *const words[] = {
        "al",   "approx", "cf",   "ch",   "dr",  "e.g", "eq", "esp",   "etc",
        "fig",  "i.e",    "inc",  "incl", "jr",  "ltd", "mr", "mrs",   "pp",
        "prof", "resp",   "sect", "sr",   "viz", "vol", "vs", "w.r.t",
    };
    size_t start = at;
    size_t i, k;

    while (start > 0 && !char_is_space(text.data[start - 1]) && text.data[start - 1] != '(' &&
           text.data[start - 1] != '[') {
        start--;
    }
    if (at - start == 1 && char_is_upper(text.data[start])) {
        return true; /* an initial: "M. F. Porter" */
    }
    for (i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t size = strlen(words[i]);

        for (k = 0; size == at - start && k < size; k++) {
            if ((text.data[start + k] | 0x20) != (words[i][k] | 0x20)) {
                break;
            }
        }
        if (size == at - start && k == size) {
            return true;
        }
    }
    return false;
}

/* Some abbreviations do end sentences: then what follows is no lower-case word
 * and no number. */
static bool abbreviation_may_end(struct span text, size_t at)
{
    return at >= 3 && memcmp(text.data + at - 3, "etc", 3) == 0;
}

/* Does the word at `at` start a sentence? */
static bool word_starts_sentence(struct span text, size_t at)
{
    uint8_t c = text.data[at];
    size_t i;

    if (!char_is_lower(c)) {
        return c != ',' && c != ';' && c != ')' && c != '.' && c != ':';
    }
    for (i = at; i < text.size && !char_is_space(text.data[i]); i++) {
        if (text.data[i] == '_' || text.data[i] == '(') {
            return true; /* zmq_poll(): names are not capitalised */
        }
    }
    return false;
}

/* If a sentence ends with the mark at `at`: the offset behind it, closing quotes
 * and all. 0: it does not. */
static size_t mark_ends(struct span text, size_t at)
{
    uint8_t mark = text.data[at];
    size_t end = at + 1;
    size_t next;

    if (mark == 0xE3 && text.size - at >= 3 && text.data[at + 1] == 0x80 &&
        text.data[at + 2] == 0x82) {
        return at + 3; /* U+3002: nothing needs to follow */
    }
    if (mark != '.' && mark != '!' && mark != '?') {
        return 0;
    }
    while (end < text.size && text.data[end] > 0 && text.data[end] < 0x80 &&
           strchr(".!?\"')]`*_", text.data[end]) != NULL) {
        end++;
    }
    next = end;
    while (next < text.size && char_is_space(text.data[next])) {
        next++;
    }
    if (next == end || next == text.size || !word_starts_sentence(text, next)) {
        return 0;
    }
    if (mark == '.' && end == at + 1 && stop_is_abbreviation(text, at) &&
        !(abbreviation_may_end(text, at) && char_is_upper(text.data[next]))) {
        return 0;
    }
    return end;
}

static void split_prose(struct splitter *splitter, struct span text)
{
    struct span rest;
    size_t start = 0;
    size_t at;

    for (at = 0; at < text.size; at++) {
        size_t end = mark_ends(text, at);

        if (end > 0) {
            struct span sentence = span_trim(span_of(text.data + start, end - start));

            emit(splitter, sentence, kind_of_text(sentence));
            start = end;
            at = end - 1;
        }
    }
    rest = span_trim(span_of(text.data + start, text.size - start));
    emit(splitter, rest, kind_of_text(rest));
}

/* ---- blocks ------------------------------------------------------------------ */

static bool block_is_heading(const struct splitter *splitter, bool more_below)
{
    struct span block = span_trim(splitter->block);

    return splitter->block_single && !splitter->block_item && more_below &&
           block.size <= HEADING_BYTES_MAX &&
           strchr(".!?;,:)", block.data[block.size - 1]) == NULL && !char_is_lower(block.data[0]) &&
           strchr("$<>(/", block.data[0]) == NULL && memchr(block.data, '=', block.size) == NULL;
}

static void block_close(struct splitter *splitter, bool more_below)
{
    if (splitter->block.size == 0) {
        return;
    }
    splitter->block_count++;
    if (block_is_heading(splitter, more_below)) {
        emit(splitter, splitter->block, SENTENCE_HEADING);
    } else {
        split_prose(splitter, splitter->block);
    }
    splitter->block = (struct span){0};
}

static void block_open(struct splitter *splitter, struct span line, bool item)
{
    splitter->block = line;
    splitter->block_single = true;
    splitter->block_item = item;
}

static void block_extend(struct splitter *splitter, struct span line)
{
    splitter->block.size = (size_t)(line.data + line.size - splitter->block.data);
    splitter->block_single = false;
}

static bool line_is_rule(struct span line)
{
    size_t i;

    for (i = 0; i < line.size; i++) {
        if (strchr("=-*_~^|:+ ", line.data[i]) == NULL || line.data[i] == '\0') {
            return false;
        }
    }
    return line.size >= 3;
}

/* A row begins with a bar; rows that were run together, and cut somewhere, have ends inside. */
static bool line_is_rows(struct span line)
{
    return line.size > 0 &&
           (line.data[0] == '|' || memmem(line.data, line.size, " | | ", 5) != NULL);
}

/* Rows of a table, one a line or run together: `| a | b | | c | d |`. Without the bars at the
 * ends of a row, and without rows of nothing but dashes. */
static void take_rows(struct splitter *splitter, struct span line)
{
    size_t start = 0;
    size_t at;

    for (at = 0; at < line.size; at++) {
        bool ends = at + 1 == line.size || (at + 2 < line.size && line.data[at] == '|' &&
                                            line.data[at + 1] == ' ' && line.data[at + 2] == '|');
        struct span row = span_of(line.data + start, at - start + 1);

        if (!ends) {
            continue;
        }
        while (row.size > 0 && (row.data[0] == '|' || char_is_space(row.data[0]))) {
            row = span_of(row.data + 1, row.size - 1);
        }
        while (row.size > 0 &&
               (row.data[row.size - 1] == '|' || char_is_space(row.data[row.size - 1]))) {
            row.size--;
        }
        if (row.size > 0 && !line_is_rule(row)) {
            emit(splitter, row, SENTENCE_ROW);
        }
        start = at + 1;
    }
}

static void block_alone(struct splitter *splitter, struct span line, enum sentence_kind kind)
{
    block_close(splitter, true);
    splitter->block_count++;
    emit(splitter, line, kind);
}

/* Bytes of the list mark with its space; 0: none. */
static size_t list_mark_size(struct span line)
{
    size_t i = 0;

    if (line.size >= 2 && strchr("-*+", line.data[0]) != NULL && line.data[1] == ' ') {
        return 2;
    }
    if (span_starts(line, "\xE2\x80\xA2")) { /* U+2022, bullet */
        return 3;
    }
    while (i < line.size && i < 3 && char_is_digit(line.data[i])) {
        i++;
    }
    if (i > 0 && i + 1 < line.size && (line.data[i] == '.' || line.data[i] == ')') &&
        line.data[i + 1] == ' ') {
        return i + 2;
    }
    return 0;
}

static bool line_is_code(struct span line)
{
    size_t i, odd = 0;

    if (span_starts(line, "$ ")) {
        return true;
    }
    for (i = 0; i < line.size; i++) {
        odd += line.data[i] != '\0' && strchr(";{}=<>&\\$", line.data[i]) != NULL;
    }
    return odd > 0;
}

/* Would the first word of `next` still have fitted on the line that ends the
 * open block? Then the line was not wrapped, it was ended. */
static bool line_was_ended(const struct splitter *splitter, struct span next)
{
    struct span block = splitter->block;
    size_t line = 0;
    size_t word = 0;

    while (line < block.size && block.data[block.size - 1 - line] != '\n') {
        line++;
    }
    while (word < next.size && !char_is_space(next.data[word])) {
        word++;
    }
    return line + 1 + word + splitter->indent < splitter->columns ||
           splitter->columns < WRAP_COLUMNS_MIN;
}

static void take_text(struct splitter *splitter, struct span line, size_t indent)
{
    bool open = splitter->block.size > 0;
    size_t mark = list_mark_size(line);

    if (mark > 0 && mark < line.size) {
        block_close(splitter, true);
        block_open(splitter, span_of(line.data + mark, line.size - mark), true);
    } else if (!open && indent >= splitter->indent + 4 && line_is_code(line)) {
        block_alone(splitter, line, SENTENCE_CODE);
    } else if (!open || splitter->columns > WRAP_COLUMNS_MAX) {
        block_close(splitter, true);
        block_open(splitter, line, false);
    } else if (word_starts_sentence(line, 0) && line_was_ended(splitter, line)) {
        block_close(splitter, true);
        block_open(splitter, line, false);
    } else {
        block_extend(splitter, line);
    }
}

static void take_line(struct splitter *splitter, struct span whole)
{
    struct span line = span_trim(whole);
    size_t indent = (size_t)(line.data - whole.data);
    size_t hashes = 0;

    if (span_starts(line, "```") || span_starts(line, "~~~")) {
        block_close(splitter, true);
        splitter->fenced = !splitter->fenced;
        return;
    }
    if (line.size == 0) {
        block_close(splitter, true);
        return;
    }
    if (splitter->fenced) {
        block_alone(splitter, line, SENTENCE_CODE);
        return;
    }
    if (line_is_rule(line)) { /* also what underlines a heading */
        block_close(splitter, true);
        return;
    }
    while (hashes < line.size && line.data[hashes] == '#') {
        hashes++;
    }
    if (hashes > 0 && hashes <= 6 && hashes < line.size && line.data[hashes] == ' ') {
        block_alone(splitter, span_of(line.data + hashes, line.size - hashes), SENTENCE_HEADING);
    } else if (line_is_rows(line)) {
        block_close(splitter, true);
        splitter->block_count += !splitter->in_table;
        take_rows(splitter, line);
    } else {
        take_text(splitter, line, indent);
    }
}

/* One line without its end; *at moves behind it. */
static struct span line_next(struct span text, size_t *at)
{
    size_t start = *at;
    size_t end = start;

    while (end < text.size && text.data[end] != '\n') {
        end++;
    }
    *at = end < text.size ? end + 1 : end;
    return span_of(text.data + start, end - start);
}

static void measure(struct splitter *splitter)
{
    size_t at = 0;

    splitter->indent = SIZE_MAX;
    while (at < splitter->text.size) {
        struct span whole = line_next(splitter->text, &at);
        struct span line = span_trim(whole);
        size_t indent = (size_t)(line.data - whole.data);

        if (line.size > 0 && indent < splitter->indent) {
            splitter->indent = indent;
        }
        if (indent + line.size > splitter->columns) {
            splitter->columns = indent + line.size;
        }
    }
}

void sentence_split(struct span text, sentence_fn *fn, void *arg)
{
    struct splitter splitter = {.text = text, .fn = fn, .arg = arg};
    size_t at = 0;

    measure(&splitter);
    while (at < text.size && !splitter.stopped) {
        struct span line = line_next(text, &at);

        take_line(&splitter, line);
        splitter.in_table = line_is_rows(span_trim(line));
    }
    block_close(&splitter, false);
}

size_t sentence_squeeze(struct span text, char *out)
{
    size_t size = 0;
    size_t i;

    text = span_trim(text);
    for (i = 0; i < text.size; i++) {
        if (!char_is_space(text.data[i])) {
            out[size++] = (char)text.data[i];
        } else if (!char_is_space(text.data[i - 1])) {
            out[size++] = ' ';
        }
    }
    return size;
}
