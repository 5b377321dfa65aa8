#include "agents/research/markdown.h"

#include <string.h>

size_t markdown_columns(const char *content)
{
    size_t columns = 0;

    for (; *content != '\0'; content++) {
        columns += (*content & 0xC0) != 0x80;
    }
    return columns;
}

static void add_cut(struct text *out, const char *content, size_t columns, const char *escaped)
{
    bool cut = markdown_columns(content) > columns;
    size_t left = cut ? columns - 3 : columns;

    for (; *content != '\0'; content++) {
        unsigned char c = (unsigned char)*content;

        if ((c & 0xC0) != 0x80 && left-- == 0) {
            break;
        }
        if (strchr(escaped, c) != NULL) {
            text_add(out, "\\", 1);
        }
        text_add(out, c < ' ' ? " " : content, 1);
    }
    if (cut) {
        text_add(out, "...", 3);
    }
}

void markdown_cut(struct text *out, const char *content, size_t columns)
{
    add_cut(out, content, columns, "");
}

void markdown_cell(struct text *out, const char *content, size_t columns)
{
    add_cut(out, content, columns, "|");
}

/* Would `content` at the start of a line be a heading, a quote, a list, a table or a rule? */
static bool starts_block(const char *content)
{
    char c = content[0];

    return c == '#' || c == '>' || c == '|' || c == '=' ||
           ((c == '-' || c == '+' || c == '*') && (content[1] == ' ' || content[1] == '\0')) ||
           strncmp(content, "---", 3) == 0 || strncmp(content, "***", 3) == 0;
}

/* Underscores, stars and backquotes stay: names are full of them, and documents
 * mean their own Markdown. Angle brackets would be HTML. */
void markdown_line(struct text *out, const char *content)
{
    if (starts_block(content)) {
        text_add(out, "\\", 1);
    }
    add_cut(out, content, strlen(content) + 1, "<");
}
