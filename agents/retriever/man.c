/* man: the macros of manual pages, man(7), with the requests of roff that
 * decide which lines are text: definitions, comments, conditions, tables.
 *
 *   line -> skipping a definition or a false block?   nothing
 *        -> inside a table?                           a row
 *        -> control line?                             condition, macro
 *        -> else                                      text
 *
 * What a page defines for itself (.de) is not executed; the arguments of a
 * macro that we do not know are taken for text when its name has a capital
 * letter, as the names of such macros do, else for settings. */
#include "agents/retriever/extract.h"
#include "agents/retriever/lines.h"
#include "agents/retriever/mdoc.h"
#include "agents/retriever/roff.h"

#include <ctype.h>

#define CONDITIONS_MAX 32

enum table_part { TABLE_NONE, TABLE_OPTIONS, TABLE_FORMAT, TABLE_ROWS };

struct man {
    struct document *document;
    uint32_t line;
    bool page;                   /* some macro of a manual page was seen */
    bool mdoc;
    uint32_t heading_level;      /* .SH without text: the next line has it; else 0 */
    struct span skip_until;      /* inside .de or .ig: the name that ends it; else empty */
    size_t skip_depth;           /* inside a false block: its open braces */
    bool conditions[CONDITIONS_MAX]; /* results of the .ie that wait for their .el */
    size_t condition_count;
    enum table_part table;
    uint8_t table_tab;           /* parts the cells */
    struct buffer scratch;
};

enum macro_role {
    MACRO_UNKNOWN,
    MACRO_IGNORE,
    MACRO_BREAK,
    MACRO_ITEM,   /* break, the first argument is text */
    MACRO_WORDS,  /* arguments are text, blanks between */
    MACRO_GLUED,  /* arguments are text, nothing between */
    MACRO_HEADING,
    MACRO_SUBHEADING,
    MACRO_TITLE,
    MACRO_DEFINE, /* skip to its end */
    MACRO_TABLE,
    MACRO_DRAWING,
};

static const struct {
    const char *name;
    enum macro_role role;
} macros[] = {
    {"B", MACRO_WORDS},       {"I", MACRO_WORDS},      {"SM", MACRO_WORDS},
    {"SB", MACRO_WORDS},      {"R", MACRO_WORDS},      {"UR", MACRO_WORDS},
    {"UE", MACRO_WORDS},      {"MT", MACRO_WORDS},     {"ME", MACRO_WORDS},
    {"SY", MACRO_WORDS},      {"OP", MACRO_WORDS},     {"MR", MACRO_GLUED},
    {"BR", MACRO_GLUED},      {"RB", MACRO_GLUED},     {"BI", MACRO_GLUED},
    {"IB", MACRO_GLUED},      {"IR", MACRO_GLUED},     {"RI", MACRO_GLUED},
    {"SH", MACRO_HEADING},    {"SS", MACRO_SUBHEADING},{"TH", MACRO_TITLE},
    {"PP", MACRO_BREAK},      {"LP", MACRO_BREAK},     {"P", MACRO_BREAK},
    {"HP", MACRO_BREAK},      {"TP", MACRO_BREAK},     {"TQ", MACRO_BREAK},
    {"RS", MACRO_BREAK},      {"RE", MACRO_BREAK},     {"EX", MACRO_BREAK},
    {"EE", MACRO_BREAK},      {"Vb", MACRO_BREAK},     {"Ve", MACRO_BREAK},
    {"YS", MACRO_BREAK},      {"sp", MACRO_BREAK},     {"bp", MACRO_BREAK},
    {"IP", MACRO_ITEM},       {"Ip", MACRO_ITEM},      {"de", MACRO_DEFINE},
    {"de1", MACRO_DEFINE},    {"am", MACRO_DEFINE},    {"ig", MACRO_DEFINE},
    {"TS", MACRO_TABLE},      {"EQ", MACRO_DRAWING},   {"PS", MACRO_DRAWING},
    {"AT", MACRO_IGNORE},     {"DT", MACRO_IGNORE},    {"IX", MACRO_IGNORE},
    {"PD", MACRO_IGNORE},     {"Sp", MACRO_BREAK},     {"UC", MACRO_IGNORE},
    {"SO", MACRO_IGNORE},     {"SE", MACRO_IGNORE},    {"TE", MACRO_IGNORE},
    {"BS", MACRO_IGNORE},     {"BE", MACRO_IGNORE},    {"AS", MACRO_IGNORE},
};

static enum macro_role macro_role(struct span name)
{
    for (size_t i = 0; i < sizeof macros / sizeof macros[0]; i++) {
        if (span_is(name, macros[i].name)) {
            return macros[i].role;
        }
    }
    return MACRO_UNKNOWN;
}

/* Adds one line of text, without its escapes. */
static void text_add(struct man *man, struct span raw)
{
    bool continues;

    buffer_truncate(&man->scratch, 0);
    continues = roff_text(raw, &man->scratch);
    document_add(man->document, man->line, buffer_span(&man->scratch));
    if (!continues) {
        document_space(man->document);
    }
}

static void args_add(struct man *man, struct span rest, size_t count_max, bool glued)
{
    struct span args[ROFF_ARGS_MAX];
    size_t count = roff_args(rest, args);
    bool continues = false;

    for (size_t i = 0; i < count && i < count_max; i++) {
        buffer_truncate(&man->scratch, 0);
        continues = roff_text(args[i], &man->scratch);
        document_add(man->document, man->line, buffer_span(&man->scratch));
        if (!glued) {
            document_space(man->document);
        }
    }
    if (!continues) {
        document_space(man->document);
    }
}

static void heading_add(struct man *man, uint32_t level, struct span rest)
{
    man->page = true;
    if (rest.size == 0) {
        man->heading_level = level;
        return;
    }
    document_heading(man->document, level);
    args_add(man, rest, ROFF_ARGS_MAX, false);
    document_break(man->document);
}

/* .de NAME [END], .ig [END]; the usual end is "..". */
static void definition_skip(struct man *man, struct span name, struct span rest)
{
    struct span args[ROFF_ARGS_MAX];
    size_t count = roff_args(rest, args);
    size_t end = span_is(name, "ig") ? 0 : 1;

    man->skip_until = count > end ? args[end] : span_from_text(".");
}

static void macro_apply(struct man *man, struct span name, struct span rest)
{
    switch (macro_role(name)) {
    case MACRO_UNKNOWN:
        if (name.size > 0 && isupper(name.data[0])) {
            args_add(man, rest, ROFF_ARGS_MAX, false);
        }
        break;
    case MACRO_IGNORE:
        break;
    case MACRO_BREAK:
        document_break(man->document);
        break;
    case MACRO_ITEM:
        document_break(man->document);
        args_add(man, rest, 1, false);
        break;
    case MACRO_WORDS:
        args_add(man, rest, ROFF_ARGS_MAX, false);
        break;
    case MACRO_GLUED:
        args_add(man, rest, ROFF_ARGS_MAX, true);
        break;
    case MACRO_HEADING:
        heading_add(man, 1, rest);
        break;
    case MACRO_SUBHEADING:
        heading_add(man, 2, rest);
        break;
    case MACRO_TITLE: /* says less than the file's name: capitals, and cut to 20 */
        man->page = true;
        break;
    case MACRO_DEFINE:
        definition_skip(man, name, rest);
        break;
    case MACRO_TABLE:
        document_break(man->document);
        man->table = TABLE_OPTIONS;
        man->table_tab = '\t';
        break;
    case MACRO_DRAWING:
        man->skip_until = span_from_text(span_is(name, "EQ") ? "EN" : "PE");
        break;
    }
}

/* The one letter in "tab(:)" among a table's options. */
static void table_options(struct man *man, struct span line)
{
    const uint8_t *tab = memmem(line.data, line.size, "tab", 3);
    size_t at = tab == NULL ? line.size : (size_t)(tab - line.data) + 3;

    while (at < line.size && line.data[at] == ' ') {
        at++;
    }
    if (at + 1 < line.size && line.data[at] == '(' && line.data[at + 1] < 0x80) {
        man->table_tab = line.data[at + 1];
    }
}

/* Cells become words apart; T{ and T}, which bracket long cells, go. */
static void table_row(struct man *man, struct span line)
{
    struct buffer row = {0};

    if (line_is_row_of(line_trim(line), '_', 1) || line_is_row_of(line_trim(line), '=', 1)) {
        return;
    }
    for (size_t i = 0; i < line.size; i++) {
        bool bracket = i + 1 < line.size && line.data[i] == 'T' &&
                       (line.data[i + 1] == '{' || line.data[i + 1] == '}') &&
                       (i == 0 || line.data[i - 1] == man->table_tab);

        if (bracket) {
            i++;
        } else {
            buffer_add_byte(&row, line.data[i] == man->table_tab ? ' ' : (char)line.data[i]);
        }
    }
    text_add(man, buffer_span(&row));
    buffer_deinit(&row);
}

static void table_line(struct man *man, struct span raw)
{
    struct span line = line_trim(raw), name, rest;
    uint8_t last = line.size > 0 ? line.data[line.size - 1] : 0;

    if (roff_control(raw, &name, &rest) && name.size > 0) {
        if (span_is(name, "TE")) {
            man->table = TABLE_NONE;
            document_break(man->document);
        } else if (span_is(name, "T&")) {
            man->table = TABLE_FORMAT;
        } else if (man->table == TABLE_ROWS && !span_is(name, "sp")) {
            macro_apply(man, name, rest);
        }
        return;
    }
    if (man->table == TABLE_OPTIONS && last == ';') {
        table_options(man, line);
        man->table = TABLE_FORMAT;
    } else if (man->table != TABLE_ROWS) {
        man->table = last == '.' ? TABLE_ROWS : TABLE_FORMAT;
    } else {
        table_row(man, raw);
    }
}

/* Open minus closed braces of a line, never below nothing open. */
static size_t braces_count(struct span line, size_t open)
{
    for (size_t i = 0; i + 1 < line.size; i++) {
        if (line.data[i] == '\\') {
            i++;
            open += line.data[i] == '{';
            open -= line.data[i] == '}' && open > 0;
        }
    }
    return open;
}

/* .if COND line, .ie COND line, .el line. True: the condition holds and `rest` is
 * to be read as a line. False: it, and a block that it opens, is passed over. */
static bool condition_apply(struct man *man, struct span name, struct span *rest)
{
    bool value;

    if (span_is(name, "el")) {
        value = man->condition_count > 0 && !man->conditions[--man->condition_count];
    } else {
        value = roff_condition(rest);
        if (span_is(name, "ie") && man->condition_count < CONDITIONS_MAX) {
            man->conditions[man->condition_count++] = value;
        }
    }
    if (!value) {
        man->skip_depth = braces_count(*rest, 0);
        return false;
    }
    if (rest->size >= 2 && rest->data[0] == '\\' && rest->data[1] == '{') {
        rest->data += 2;
        rest->size -= 2;
        if (rest->size == 1 && rest->data[0] == '\\') {
            rest->size = 0; /* "\{\" at the end: the block begins on the next line */
        }
        return rest->size > 0;
    }
    return true;
}

static bool is_condition(struct span name)
{
    return span_is(name, "if") || span_is(name, "ie") || span_is(name, "el") ||
           span_is(name, "while");
}

static void text_line(struct man *man, struct span line)
{
    if (line_trim(line).size == 0) {
        document_break(man->document);
    } else if (man->heading_level > 0) {
        document_heading(man->document, man->heading_level);
        man->heading_level = 0;
        text_add(man, line);
        document_break(man->document);
    } else {
        text_add(man, line);
    }
}

static void control_line(struct man *man, struct span name, struct span rest)
{
    if (span_is(name, "Dd") || span_is(name, "Dt")) {
        man->mdoc = true;
        man->page = true;
    }
    if (!man->mdoc || !mdoc_macro(man->document, man->line, name, rest)) {
        macro_apply(man, name, rest);
    }
}

static void man_line(struct man *man, struct span line)
{
    struct span name, rest;
    bool control = roff_control(line, &name, &rest);

    if (man->skip_until.size > 0) {
        /* Inside a definition a line ".." has the name ".". */
        if (control && span_equal(name, man->skip_until)) {
            man->skip_until.size = 0;
        }
        return;
    }
    if (man->skip_depth > 0) {
        man->skip_depth = braces_count(line, man->skip_depth);
        return;
    }
    if (man->table != TABLE_NONE) {
        table_line(man, line);
        return;
    }
    while (control && is_condition(name)) {
        if (!condition_apply(man, name, &rest)) {
            return;
        }
        line = rest;
        control = roff_control(line, &name, &rest);
    }
    if (control) {
        control_line(man, name, rest);
    } else {
        text_line(man, line);
    }
}

bool man_read(struct document *document, struct span text)
{
    struct man man = {.document = document};
    struct lines lines = lines_of(text);
    struct span line;

    while (!document->truncated && lines_next(&lines, &line)) {
        man.line = lines.number;
        man_line(&man, line);
    }
    document_break(document);
    buffer_deinit(&man.scratch);
    return man.page && document->word_count > 0;
}
