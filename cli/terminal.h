/* terminal: what may be written to one.
 *
 * Names, reports and error messages come from other processes, and may hold escape
 * sequences: whatever is not ours goes through here. */
#ifndef SLUICE_CLI_TERMINAL_H
#define SLUICE_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

bool terminal_is(FILE *stream);

/* Columns of the terminal; SIZE_MAX when `stream` is none. */
size_t terminal_columns(FILE *stream);
size_t terminal_rows(FILE *stream);

/* Columns that UTF-8 `text` takes, one for each code point. */
size_t terminal_width(const char *text);

/* Replaces control characters (also the C1 ones) by '?', in place; newlines and tabs stay if
 * `lines`. */
void terminal_clean(char *text, bool lines);

/* Prints `text`, cleaned if `stream` is a terminal, as it is otherwise. */
void terminal_print(FILE *stream, const char *text);

#endif
