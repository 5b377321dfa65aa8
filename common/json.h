/* json: the bridge between MessagePack and jansson values.
 *
 * The one file of common/ that needs libraries. Both directions are bounded:
 * bytes are checked for count, depth and length (as codec_value_valid does)
 * before a tree is built from them. Pure; any thread. */
#ifndef SLUICE_COMMON_JSON_H
#define SLUICE_COMMON_JSON_H

#include "common/span.h"

#include <jansson.h>

/* MessagePack of `value`, malloc'd, yours. NULL: no memory or nested deeper than
 * 32. {"$bin": "base64"} with nothing else in it becomes bin; if it is no base64
 * it stays a map. A real that is integral stays a real. */
uint8_t *json_pack_bytes(const json_t *value, size_t *size);

/* JSON of exactly one MessagePack value; a new reference. NULL: malformed, too
 * deep, ext types, keys that are not str or hold a NUL, invalid UTF-8, NaN or infinity,
 * or no memory. bin becomes {"$bin": "base64"}; uint beyond INT64_MAX becomes a real.
 * Of a key that stands twice the last value counts. */
json_t *json_unpack_bytes(struct span bytes);

/* The text of a string, borrowed. NULL: it is none, or holds a NUL, and who reads it as a C string
 * would see another, shorter one. */
const char *json_text(const json_t *value);

#define JSON_RAW_KEY "$raw"
/* {"$raw": "base64"}, for bytes that JSON cannot say; a new reference. NULL: no memory. */
json_t *json_raw_bytes(struct span bytes);

#endif
