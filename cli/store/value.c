#include "cli/store/value.h"

#include "common/base64.h"
#include "common/json.h"

#include <stdlib.h>

static bool packs_to(const json_t *value, struct span bytes)
{
    size_t size = 0;
    uint8_t *packed = value_to_bytes(value, &size);
    bool same = packed != NULL && span_equal(span_of(packed, size), bytes);

    free(packed);
    return same;
}

/* Also as text: a number may be read as another one than was written. */
static bool is_lossless(const json_t *value, struct span bytes)
{
    char *text = json_dumps(value, VALUE_WRITE);
    json_t *read = text != NULL ? json_loads(text, VALUE_READ, NULL) : NULL;
    bool same = read != NULL && packs_to(read, bytes);

    json_decref(read);
    free(text);
    return same;
}

json_t *value_from_bytes(struct span bytes)
{
    json_t *value = json_unpack_bytes(bytes);

    if (value != NULL && is_lossless(value, bytes)) {
        return value;
    }
    json_decref(value);
    return json_raw_bytes(bytes);
}

uint8_t *value_to_bytes(const json_t *value, size_t *size)
{
    const json_t *text = json_object_get(value, JSON_RAW_KEY);
    struct span base64;
    uint8_t *bytes;

    if (json_object_size(value) != 1 || !json_is_string(text)) {
        return json_pack_bytes(value, size);
    }
    base64 = span_of(json_string_value(text), json_string_length(text));
    bytes = malloc(base64.size / 4 * 3 + 1);
    if (bytes != NULL && !base64_decode(base64, bytes, size)) {
        free(bytes);
        bytes = NULL;
    }
    return bytes;
}
