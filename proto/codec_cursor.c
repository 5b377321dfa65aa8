#include "proto/codec_cursor.h"

#include "common/packed.h"

bool cursor_fail(struct cursor *cursor, enum error_code code, const char *field,
                 const char *message)
{
    cursor->code = code;
    cursor->field = field;
    cursor->message = message;
    return false;
}

/* ---- values ----------------------------------------------------------- */

/* Big-endian number of `size` bytes after the type byte. */
static bool take_number(struct cursor *cursor, size_t size, uint64_t *value)
{
    *value = 0;
    if ((size_t)(cursor->end - cursor->at) <= size) {
        return false;
    }
    for (size_t i = 1; i <= size; i++) {
        *value = *value << 8 | cursor->at[i];
    }
    cursor->at += 1 + size;
    return true;
}

bool take_uint_wide(struct cursor *cursor, uint64_t *value)
{
    uint8_t type;
    size_t size;

    if (cursor->at == cursor->end) {
        return false;
    }
    type = *cursor->at;
    if (type >= 0xcc && type <= 0xcf) { /* uint 8 to 64 */
        return take_number(cursor, (size_t)1 << (type - 0xcc), value);
    }
    if (type >= 0xd0 && type <= 0xd3) { /* int 8 to 64 */
        size = (size_t)1 << (type - 0xd0);
        return take_number(cursor, size, value) && *value >> (8 * size - 1) == 0;
    }
    return false;
}

/* A value whose type bytes for lengths of 1, 2 and 4 bytes are `type`, + 1, + 2. */
static bool take_sized(struct cursor *cursor, uint8_t type, struct span *value)
{
    uint64_t size;

    if (cursor->at == cursor->end || *cursor->at < type || *cursor->at > type + 2) {
        return false;
    }
    return take_number(cursor, (size_t)1 << (*cursor->at - type), &size) &&
           take_bytes(cursor, size, value);
}

bool take_str_wide(struct cursor *cursor, struct span *value)
{
    return take_sized(cursor, 0xd9, value);
}

bool take_bin_wide(struct cursor *cursor, struct span *value)
{
    return take_sized(cursor, 0xc4, value);
}

/* A count in 2 or 4 bytes after `type` or `type` + 1. */
static bool take_count(struct cursor *cursor, uint8_t type, uint32_t *count)
{
    uint64_t value;

    if (cursor->at == cursor->end || *cursor->at < type || *cursor->at > type + 1 ||
        !take_number(cursor, (size_t)2 << (*cursor->at - type), &value)) {
        return false;
    }
    *count = (uint32_t)value;
    return true;
}

bool take_array_wide(struct cursor *cursor, uint32_t *count)
{
    return take_count(cursor, 0xdc, count);
}

bool take_map(struct cursor *cursor, uint32_t *count)
{
    if (cursor->at < cursor->end && (*cursor->at & 0xf0) == 0x80) {
        *count = *cursor->at++ & 0x0f;
        return true;
    }
    return take_count(cursor, 0xde, count);
}

/* ---- fields ----------------------------------------------------------- */

bool service_refused(struct cursor *cursor, struct span service)
{
    if (service.size > SERVICE_NAME_MAX) {
        return cursor_large(cursor, "service", "is longer than 128 bytes");
    }
    return cursor_bad(cursor, "service", "must be 1 to 128 of [A-Za-z0-9_.-]");
}

bool take_frame(struct cursor *cursor, const char *field, size_t max, struct payload *payload)
{
    struct codec_reader *reader = cursor->reader;
    uint64_t number;

    if (reader == NULL || !take_uint(cursor, &number)) {
        return cursor_bad(cursor, field, "must be bin, or the number of an attached frame");
    }
    if (number == 0 || number > reader->frame_count) {
        return cursor_bad(cursor, field, "names a frame that is not in this message");
    }
    if (reader->frames_named >> (number - 1) & 1) {
        return cursor_bad(cursor, field, "names a frame that another payload has named");
    }
    reader->frames_named |= UINT64_C(1) << (number - 1);
    payload->blob = reader->frames[number - 1];
    payload->bytes = blob_span(payload->blob);
    return payload->bytes.size <= max || cursor_large(cursor, field, "is larger than its bound");
}

bool field_skip(struct cursor *cursor)
{
    if (cursor->fields_left == 0) {
        return true;
    }
    cursor->fields_left--;
    cursor->at = packed_skip(cursor->at, cursor->end, FIELD_DEPTH_MAX);
    return cursor->at != NULL || cursor_large(cursor, "command", "is nested deeper than 32");
}

bool fields_skip(struct cursor *cursor)
{
    while (cursor->fields_left > 0) {
        if (!field_skip(cursor)) {
            return false;
        }
    }
    return true;
}

/* ---- option maps ------------------------------------------------------ */

bool option_uint(struct cursor *cursor, const struct option *option, void *value)
{
    uint64_t *number = value;

    if (!take_uint(cursor, number)) {
        return cursor_bad(cursor, option->name, "must be an integer that is not negative");
    }
    return *number <= option->max ||
           cursor_large(cursor, option->name, "is larger than its bound");
}

bool option_bool(struct cursor *cursor, const struct option *option, void *value)
{
    return take_bool(cursor, value) || cursor_bad(cursor, option->name, "must be true or false");
}

static bool option_str(struct cursor *cursor, const struct option *option, struct span *text)
{
    if (!take_str(cursor, text)) {
        return cursor_bad(cursor, option->name, "must be str");
    }
    if (text->size > option->max) {
        return cursor_large(cursor, option->name, "is longer than its bound");
    }
    return true;
}

bool option_text(struct cursor *cursor, const struct option *option, void *value)
{
    struct span *text = value;

    return option_str(cursor, option, text) &&
           (text_valid(*text, option->max) ||
            cursor_bad(cursor, option->name, "must be UTF-8 without control characters"));
}

bool option_prose(struct cursor *cursor, const struct option *option, void *value)
{
    struct span *text = value;

    return option_str(cursor, option, text) &&
           (prose_valid(*text, option->max) ||
            cursor_bad(cursor, option->name,
                       "must be UTF-8 without control characters but tab and line break"));
}

bool option_id(struct cursor *cursor, const struct option *option, void *value)
{
    if (!take_id(cursor, value)) {
        return cursor_bad(cursor, option->name, "must be an id: bin 8 of 16 bytes");
    }
    return !id_is_nil(value) || cursor_bad(cursor, option->name, "must not be 16 zero bytes");
}

bool option_service(struct cursor *cursor, const struct option *option, void *value)
{
    struct span *service = value;

    if (!take_str(cursor, service)) {
        return cursor_bad(cursor, option->name, "must be str");
    }
    return service_name_valid(*service) || service_refused(cursor, *service);
}

bool option_label(struct cursor *cursor, const struct option *option, void *value)
{
    const struct span *text = value;

    return option_text(cursor, option, value) &&
           (text->size > 0 || cursor_bad(cursor, option->name, "must not be empty"));
}

static size_t option_find(const struct option *options, size_t option_count, struct span key)
{
    size_t i = 0;

    while (i < option_count && (options[i].name_size != key.size ||
                                memcmp(options[i].name, key.data, key.size) != 0)) {
        i++;
    }
    return i;
}

bool options_take(struct cursor *cursor, const char *field, const struct option *options,
                  size_t option_count, void *out, uint64_t *seen)
{
    uint32_t entries;

    *seen = 0;
    if (!take_map(cursor, &entries)) {
        return cursor_bad(cursor, field, "must be a map");
    }
    if (entries > OPTIONS_ENTRIES_MAX) {
        return cursor_large(cursor, field, "has more than 64 entries");
    }
    while (entries-- > 0) {
        struct span key;
        size_t i;

        if (!take_str(cursor, &key)) {
            return cursor_bad(cursor, field, "must have keys that are str");
        }
        i = option_find(options, option_count, key);
        if (i == option_count) {
            cursor->at = packed_skip(cursor->at, cursor->end, ENTRY_DEPTH_MAX);
            if (cursor->at == NULL) {
                return cursor_large(cursor, field, "is nested deeper than 32");
            }
            continue;
        }
        if (*seen >> i & 1) {
            return cursor_bad(cursor, options[i].name, "is given twice");
        }
        if (take_nil(cursor)) {
            continue;
        }
        if (!options[i].read(cursor, &options[i], (uint8_t *)out + options[i].offset)) {
            return false;
        }
        *seen |= UINT64_C(1) << i;
    }
    return true;
}

bool options_read(struct cursor *cursor, const struct option *options, size_t option_count,
                  void *out, uint64_t *seen)
{
    if (!field_present(cursor)) {
        *seen = 0;
        return true;
    }
    return options_take(cursor, "opt", options, option_count, out, seen);
}
