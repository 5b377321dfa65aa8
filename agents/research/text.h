/* text: a growing piece of text.
 *
 * No memory is a failed CHECK: what goes in is bounded, and the broker hands the
 * tasks of a lost process to another one. */
#ifndef SLUICE_AGENTS_RESEARCH_TEXT_H
#define SLUICE_AGENTS_RESEARCH_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
    char *data; /* always NUL-terminated once something was added */
    size_t size;
    size_t capacity;
};

void text_deinit(struct text *text);
void text_add(struct text *text, const char *more, size_t size);
void text_addf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The characters so far, "" if none; borrowed. */
const char *text_get(const struct text *text);

/* A malloc'd copy of `size` bytes with white space runs as one space, none at the ends. */
char *text_squeeze(const char *bytes, size_t size);

/* "" for one, else "s": what stands after a noun that is counted. */
const char *text_plural(size_t count);

/* A malloc'd copy; never NULL. */
char *text_copy(const char *bytes, size_t size);

/* Does `whole` contain `part`, white space apart? An empty part: no. */
bool text_holds(const char *whole, const char *part);

#endif
