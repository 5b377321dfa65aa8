/* value: bytes of a store as JSON, without a loss.
 *
 * MessagePack stands as the JSON that it turns into (common/json.h) if that, written as text and
 * read again, turns back into the same bytes. All else is {"$raw": "base64"}. */
#ifndef SLUICE_CLI_STORE_VALUE_H
#define SLUICE_CLI_STORE_VALUE_H

#include "common/span.h"

#include <jansson.h>

/* How all text of an export is written, and read. */
#define VALUE_WRITE (JSON_COMPACT | JSON_ENCODE_ANY)
#define VALUE_READ (JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES)

/* A new reference. NULL: no memory. */
json_t *value_from_bytes(struct span bytes);

/* malloc'd, yours. NULL: no memory, nested deeper than 32, or a "$raw" that is no base64. */
uint8_t *value_to_bytes(const json_t *value, size_t *size);

#endif
