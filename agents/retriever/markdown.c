/* markdown: the blocks of CommonMark 0.31 that decide where a passage may
 * begin and what it is called. Inline markup stays in the text: a citation is
 * to hold what the file says. */
#include "agents/retriever/extract.h"
#include "agents/retriever/lines.h"

#define FRONT_MATTER_LINES_MAX 100U

struct markdown {
    struct document *document;
    struct span held; /* the line before, not yet added: the next may underline it */
    uint32_t held_line;
    bool held_first; /* of its paragraph */
    bool paragraph;  /* inside one */
    uint8_t fence;   /* ` or ~ inside a fenced block, else 0 */
    size_t fence_size;
};

static size_t count_byte(struct span line, uint8_t byte)
{
    size_t count = 0;

    while (count < line.size && line.data[count] == byte) {
        count++;
    }
    return count;
}

static void held_flush(struct markdown *md)
{
    document_add(md->document, md->held_line, md->held);
    document_space(md->document);
    md->held.size = 0;
}

static void paragraph_end(struct markdown *md)
{
    held_flush(md);
    document_break(md->document);
    md->paragraph = false;
}

/* Headings become titles, and those read better without the markup. */
static void heading_add(struct markdown *md, uint32_t level, struct span text, uint32_t line)
{
    struct buffer plain = {0};

    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '`' && text.data[i] != '*') {
            buffer_add_byte(&plain, (char)text.data[i]);
        }
    }
    if (level == 1 && md->document->title.size == 0) {
        document_set_title(md->document, buffer_span(&plain));
    }
    document_heading(md->document, level);
    document_add(md->document, line, buffer_span(&plain));
    document_break(md->document);
    buffer_deinit(&plain);
}

/* "## Text ##": the level, and the text without the marks. 0: no heading. */
static uint32_t heading_level(struct span line, struct span *text)
{
    size_t level = count_byte(line, '#');

    if (level == 0 || level > 6 || (level < line.size && line.data[level] > ' ')) {
        return 0;
    }
    *text = line_trim(span_of(line.data + level, line.size - level));
    while (text->size > 0 && text->data[text->size - 1] == '#') {
        text->size--;
    }
    *text = line_trim(*text);
    return (uint32_t)level;
}

static bool line_is_item(struct span line)
{
    size_t at = 0;

    if (line.size >= 2 && strchr("-*+", line.data[0]) != NULL && line.data[1] == ' ') {
        return true;
    }
    while (at < line.size && at < 9 && line.data[at] >= '0' && line.data[at] <= '9') {
        at++;
    }
    return at > 0 && at + 1 < line.size && (line.data[at] == '.' || line.data[at] == ')') &&
           line.data[at + 1] == ' ';
}

/* Opens or closes a fenced block. False: the line is not a fence. */
static bool fence_line(struct markdown *md, struct span line)
{
    uint8_t byte = line.size > 0 ? line.data[0] : 0;
    size_t size = byte == '`' || byte == '~' ? count_byte(line, byte) : 0;

    if (size < 3) {
        return false;
    }
    if (md->fence == 0) {
        paragraph_end(md);
        md->fence = byte;
        md->fence_size = size;
        return true;
    }
    if (byte == md->fence && size >= md->fence_size && size == line.size) {
        document_break(md->document);
        md->fence = 0;
        return true;
    }
    return false;
}

static void text_line(struct markdown *md, struct span line, uint32_t number)
{
    if (line_is_item(line)) {
        paragraph_end(md);
    }
    held_flush(md);
    md->held = line;
    md->held_line = number;
    md->held_first = !md->paragraph;
    md->paragraph = true;
}

static bool underline_line(struct markdown *md, struct span line)
{
    uint32_t level = line_is_row_of(line, '=', 2) ? 1 : line_is_row_of(line, '-', 2) ? 2 : 0;
    struct span heading = md->held;

    if (level == 0 || md->held.size == 0 || !md->held_first) {
        return false;
    }
    md->held.size = 0;
    md->paragraph = false;
    heading_add(md, level, heading, md->held_line);
    return true;
}

static void markdown_line(struct markdown *md, struct span raw, uint32_t number)
{
    struct span line = line_trim(raw), heading;
    uint32_t level;

    if (fence_line(md, line)) {
        return;
    }
    if (md->fence != 0) {
        document_add(md->document, number, line);
        document_space(md->document);
        return;
    }
    if (line.size == 0) {
        paragraph_end(md);
        return;
    }
    if (underline_line(md, line)) {
        return;
    }
    level = heading_level(line, &heading);
    if (level > 0) {
        paragraph_end(md);
        heading_add(md, level, heading, number);
        return;
    }
    text_line(md, line, number);
}

/* Skips "---", keys, "---" at the head of the file. */
static void front_matter_skip(struct lines *lines)
{
    struct lines ahead = *lines;
    struct span line;

    if (!lines_next(&ahead, &line) || !span_is(line_trim(line), "---")) {
        return;
    }
    while (ahead.number < FRONT_MATTER_LINES_MAX && lines_next(&ahead, &line)) {
        if (span_is(line_trim(line), "---") || span_is(line_trim(line), "...")) {
            *lines = ahead;
            return;
        }
    }
}

void markdown_read(struct document *document, struct span text)
{
    struct markdown md = {.document = document};
    struct lines lines = lines_of(text);
    struct span line;

    front_matter_skip(&lines);
    while (!document->truncated && lines_next(&lines, &line)) {
        markdown_line(&md, line, lines.number);
    }
    paragraph_end(&md);
}
