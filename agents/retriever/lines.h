/* lines: one line of a text after another, with its number. Inline; pure. */
#ifndef SLUICE_RETRIEVER_LINES_H
#define SLUICE_RETRIEVER_LINES_H

#include "common/span.h"

struct lines {
    struct span rest;
    uint32_t number; /* of the line last returned; 0 before the first */
};

static inline struct lines lines_of(struct span text)
{
    return (struct lines){.rest = text};
}

/* The next line without its end (\n or \r\n), borrowed from the text. False: none left. */
static inline bool lines_next(struct lines *lines, struct span *line)
{
    const uint8_t *end;

    if (lines->rest.size == 0) {
        return false;
    }
    end = memchr(lines->rest.data, '\n', lines->rest.size);
    *line = span_of(lines->rest.data,
                    end == NULL ? lines->rest.size : (size_t)(end - lines->rest.data));
    lines->rest.data += line->size + (end != NULL);
    lines->rest.size -= line->size + (end != NULL);
    lines->number++;
    if (line->size > 0 && line->data[line->size - 1] == '\r') {
        line->size--;
    }
    return true;
}

/* `line` without blanks at both ends. */
static inline struct span line_trim(struct span line)
{
    while (line.size > 0 && line.data[0] <= ' ') {
        line.data++;
        line.size--;
    }
    while (line.size > 0 && line.data[line.size - 1] <= ' ') {
        line.size--;
    }
    return line;
}

/* Nothing in `line` but `byte`, at least `min` times. */
static inline bool line_is_row_of(struct span line, uint8_t byte, size_t min)
{
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] != byte) {
            return false;
        }
    }
    return line.size >= min;
}

#endif
