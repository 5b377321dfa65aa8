#include "agents/retriever/extract.h"
#include "agents/retriever/lines.h"

/* A line that the next one may turn into a heading. */
struct held {
    struct span text;
    uint32_t line;
    bool first; /* of its paragraph: only such a line can be a heading */
};

static void held_flush(struct document *document, struct held *held)
{
    document_add(document, held->line, held->text);
    document_space(document);
    held->text.size = 0;
}

static void held_to_heading(struct document *document, struct held *held, uint32_t level)
{
    document_heading(document, level);
    if (document->title.size == 0) {
        document_set_title(document, held->text);
    }
    held_flush(document, held);
    document_break(document);
}

static uint32_t underline_level(struct span line)
{
    return line_is_row_of(line, '=', 3) ? 1 : line_is_row_of(line, '-', 3) ? 2 : 0;
}

void plain_read(struct document *document, struct span text)
{
    struct lines lines = lines_of(text);
    struct held held = {0};
    bool first = true;
    struct span raw;

    while (!document->truncated && lines_next(&lines, &raw)) {
        struct span line = line_trim(raw);
        uint32_t level = underline_level(line);

        if (level > 0 && held.text.size > 0 && held.first) {
            held_to_heading(document, &held, level);
            first = true;
            continue;
        }
        held_flush(document, &held);
        if (line.size == 0) {
            document_break(document);
            first = true;
            continue;
        }
        held = (struct held){line, lines.number, first};
        first = false;
    }
    held_flush(document, &held);
    document_break(document);
}
