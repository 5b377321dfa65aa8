#include "common/json.h"

#include "common/base64.h"
#include "common/packed.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#define BIN_KEY "$bin"

/* ---- JSON to MessagePack ----------------------------------------------- */

static bool pack_value(msgpack_packer *packer, const json_t *value, unsigned depth_left);

static bool pack_text(msgpack_packer *packer, const char *text, size_t size)
{
    return msgpack_pack_str_with_body(packer, text, size) == 0;
}

static bool pack_array(msgpack_packer *packer, const json_t *array, unsigned depth_left)
{
    size_t size = json_array_size(array);

    if (depth_left == 0 || msgpack_pack_array(packer, size) != 0) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (!pack_value(packer, json_array_get(array, i), depth_left - 1)) {
            return false;
        }
    }
    return true;
}

static bool pack_object(msgpack_packer *packer, const json_t *object, unsigned depth_left)
{
    const char *key;
    size_t key_size;
    json_t *value;

    if (depth_left == 0 || msgpack_pack_map(packer, json_object_size(object)) != 0) {
        return false;
    }
    /* the macro wants an object that is not const, and does not change it */
    json_object_keylen_foreach((json_t *)(uintptr_t)object, key, key_size, value) {
        if (!pack_text(packer, key, key_size) || !pack_value(packer, value, depth_left - 1)) {
            return false;
        }
    }
    return true;
}

/* The text of {"$bin": text}, NULL for any other object. */
static const json_t *bin_text(const json_t *object)
{
    const json_t *text = json_object_get(object, BIN_KEY);

    return json_object_size(object) == 1 && json_is_string(text) ? text : NULL;
}

enum bin_result { BIN_PACKED, BIN_IS_NONE, BIN_NOMEM };

static enum bin_result pack_bin(msgpack_packer *packer, const json_t *text)
{
    struct span base64 = span_of(json_string_value(text), json_string_length(text));
    uint8_t *bytes = malloc(base64.size / 4 * 3 + 1);
    enum bin_result result = BIN_IS_NONE;
    size_t size;

    if (bytes == NULL) {
        return BIN_NOMEM;
    }
    if (base64_decode(base64, bytes, &size)) {
        result = msgpack_pack_bin_with_body(packer, bytes, size) == 0 ? BIN_PACKED : BIN_NOMEM;
    }
    free(bytes);
    return result;
}

static bool pack_bin_or_object(msgpack_packer *packer, const json_t *object, unsigned depth_left)
{
    const json_t *text = bin_text(object);
    enum bin_result result = text != NULL ? pack_bin(packer, text) : BIN_IS_NONE;

    return result == BIN_IS_NONE ? pack_object(packer, object, depth_left) : result == BIN_PACKED;
}

static bool pack_value(msgpack_packer *packer, const json_t *value, unsigned depth_left)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return pack_bin_or_object(packer, value, depth_left);
    case JSON_ARRAY:
        return pack_array(packer, value, depth_left);
    case JSON_STRING:
        return pack_text(packer, json_string_value(value), json_string_length(value));
    case JSON_INTEGER:
        return msgpack_pack_int64(packer, json_integer_value(value)) == 0;
    case JSON_REAL:
        return msgpack_pack_double(packer, json_real_value(value)) == 0;
    case JSON_TRUE:
        return msgpack_pack_true(packer) == 0;
    case JSON_FALSE:
        return msgpack_pack_false(packer) == 0;
    case JSON_NULL:
        return msgpack_pack_nil(packer) == 0;
    }
    return false;
}

uint8_t *json_pack_bytes(const json_t *value, size_t *size)
{
    msgpack_sbuffer buffer;
    msgpack_packer packer;

    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    if (!pack_value(&packer, value, PACKED_DEPTH_MAX)) {
        msgpack_sbuffer_destroy(&buffer);
        return NULL;
    }
    *size = buffer.size;
    return (uint8_t *)msgpack_sbuffer_release(&buffer);
}

/* ---- MessagePack to JSON ----------------------------------------------- */

static json_t *value_from(const msgpack_object *object);

static json_t *array_from(const msgpack_object_array *array)
{
    json_t *json = json_array();

    for (uint32_t i = 0; json != NULL && i < array->size; i++) {
        /* takes the new value over, and fails if there is none */
        if (json_array_append_new(json, value_from(&array->ptr[i])) != 0) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

/* msgpack-c gives an empty str no bytes at all, and jansson takes that for an error. */
static const char *str_bytes(const msgpack_object_str *str)
{
    return str->size > 0 ? str->ptr : "";
}

/* A key with a NUL in it would be another, shorter key to all who look it up by a C string: it
 * would pass a schema's additionalProperties. jansson's own parser refuses it too. */
static bool is_key(const msgpack_object *key)
{
    return key->type == MSGPACK_OBJECT_STR &&
           memchr(str_bytes(&key->via.str), '\0', key->via.str.size) == NULL;
}

static json_t *map_from(const msgpack_object_map *map)
{
    json_t *json = json_object();

    for (uint32_t i = 0; json != NULL && i < map->size; i++) {
        const msgpack_object *key = &map->ptr[i].key;

        if (!is_key(key) ||
            json_object_setn_new(json, str_bytes(&key->via.str), key->via.str.size,
                                 value_from(&map->ptr[i].val)) != 0) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

static json_t *bin_from(const msgpack_object_bin *bin)
{
    size_t size = base64_encoded_size(bin->size);
    char *text = malloc(size + 1);
    json_t *json;

    if (text == NULL) {
        return NULL;
    }
    base64_encode(span_of(bin->ptr, bin->size), text);
    json = json_pack("{s:s%}", BIN_KEY, text, size);
    free(text);
    return json;
}

static json_t *value_from(const msgpack_object *object)
{
    switch (object->type) {
    case MSGPACK_OBJECT_NIL:
        return json_null();
    case MSGPACK_OBJECT_BOOLEAN:
        return json_boolean(object->via.boolean);
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        return object->via.u64 <= INT64_MAX ? json_integer((json_int_t)object->via.u64)
                                            : json_real((double)object->via.u64);
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return json_integer(object->via.i64);
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return json_real(object->via.f64); /* NULL for NaN and infinity */
    case MSGPACK_OBJECT_STR:
        return json_stringn(str_bytes(&object->via.str), object->via.str.size);
    case MSGPACK_OBJECT_BIN:
        return bin_from(&object->via.bin);
    case MSGPACK_OBJECT_ARRAY:
        return array_from(&object->via.array);
    case MSGPACK_OBJECT_MAP:
        return map_from(&object->via.map);
    case MSGPACK_OBJECT_EXT:
        break;
    }
    return NULL;
}

json_t *json_unpack_bytes(struct span bytes)
{
    msgpack_unpacked unpacked;
    json_t *json = NULL;
    size_t at = 0;

    /* msgpack-c allocates what a header says before it sees an element, and its
     * stack has PACKED_DEPTH_MAX places: only checked bytes get there. */
    if (!packed_valid(bytes)) {
        return NULL;
    }
    msgpack_unpacked_init(&unpacked);
    if (msgpack_unpack_next(&unpacked, (const char *)bytes.data, bytes.size, &at) ==
        MSGPACK_UNPACK_SUCCESS) {
        json = value_from(&unpacked.data);
    }
    msgpack_unpacked_destroy(&unpacked);
    return json;
}

const char *json_text(const json_t *value)
{
    const char *text = json_string_value(value);

    return text != NULL && strlen(text) == json_string_length(value) ? text : NULL;
}

json_t *json_raw_bytes(struct span bytes)
{
    size_t size = base64_encoded_size(bytes.size);
    char *text = malloc(size + 1);
    json_t *raw;

    if (text == NULL) {
        return NULL;
    }
    base64_encode(bytes, text);
    raw = json_pack("{s:s%}", JSON_RAW_KEY, text, size);
    free(text);
    return raw;
}
