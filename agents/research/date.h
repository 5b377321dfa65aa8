/* date: a calendar date as people write it. Pure. */
#ifndef SLUICE_AGENTS_RESEARCH_DATE_H
#define SLUICE_AGENTS_RESEARCH_DATE_H

#include <stdbool.h>
#include <stddef.h>

#define DATE_TEXT_SIZE 11

/* Reads 2026-11-20, 20 November 2026, 20th of Nov 2026 or November 20, 2026 at the start of
 * `text`. Returns how many bytes it has, 0 if none, and writes YYYY-MM-DD. */
size_t date_read(const char *text, char date[DATE_TEXT_SIZE]);

#endif
