/* record: one JSON object as aligned lines of name and value.
 *
 * Units are taken from the ends of the names, as everywhere in sluice: _ms,
 * _bytes; other integers are counts. */
#ifndef SLUICE_CLI_RECORD_H
#define SLUICE_CLI_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define RECORD_VALUE_SIZE 1088 /* the longest text of the protocol, an error's message */

/* The value called `name` as text for people, cleaned; "-" when it is missing. */
const char *record_value(const json_t *record, const char *name, char text[RECORD_VALUE_SIZE]);

/* What a broker says about itself has ids of 16 bytes: makes them text, as the commands take them.
 * Takes `value` over; yours is what it returns. Not for payloads, where bytes are bytes. */
json_t *record_ids_format(json_t *value);

/* 0 when it is missing or no integer. */
uint64_t record_uint(const json_t *record, const char *name);
/* "" when it is missing or no text. */
const char *record_text(const json_t *record, const char *name);

void record_print(const json_t *record, FILE *stream);

/* Prints any JSON value and a newline: indented on a terminal or if `pretty`, else on one line. */
void record_dump(const json_t *value, FILE *stream, bool pretty);

#endif
