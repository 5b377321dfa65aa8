/* codec_cursor: the codec's bounded walk over one command; private to the codec.
 *
 * take_* read one MessagePack value of a kind and return false when it is
 * something else or the bytes end. field_* read the next field of a command:
 * they also apply defaults and bounds, and say what was wrong. After a false
 * the cursor's position means nothing: codec_read steps over the command from
 * its start.
 *
 * All inline: a broker spends its life here. What is rare is out of line. */
#ifndef SLUICE_PROTO_CODEC_CURSOR_H
#define SLUICE_PROTO_CODEC_CURSOR_H

#include "proto/codec.h"

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    uint32_t fields_left;        /* of the array that is being read */
    struct codec_reader *reader; /* its attached frames; NULL: none allowed */
    const struct id *id;         /* the task's, once read */
    enum error_code code;        /* what failed; see codec_error */
    const char *field;
    const char *message;
};

/* Values below a command's array are one level deep, those in its maps two. */
#define FIELD_DEPTH_MAX (DEPTH_MAX - 1)
#define ENTRY_DEPTH_MAX (DEPTH_MAX - 2)

/* Notes what was wrong; returns false. */
bool cursor_fail(struct cursor *cursor, enum error_code code, const char *field,
                 const char *message) __attribute__((cold));

static inline bool cursor_bad(struct cursor *cursor, const char *field, const char *message)
{
    return cursor_fail(cursor, ERROR_BAD_MESSAGE, field, message);
}

static inline bool cursor_large(struct cursor *cursor, const char *field, const char *message)
{
    return cursor_fail(cursor, ERROR_TOO_LARGE, field, message);
}

/* ---- values ----------------------------------------------------------- */

bool take_uint_wide(struct cursor *cursor, uint64_t *value);
bool take_str_wide(struct cursor *cursor, struct span *value);
bool take_bin_wide(struct cursor *cursor, struct span *value);
bool take_array_wide(struct cursor *cursor, uint32_t *count);
bool take_map(struct cursor *cursor, uint32_t *count);

static inline bool take_bytes(struct cursor *cursor, size_t size, struct span *value)
{
    if (size > (size_t)(cursor->end - cursor->at)) {
        return false;
    }
    *value = span_of(cursor->at, size);
    cursor->at += size;
    return true;
}

/* Any width, signed types too, as long as it is not negative. */
static inline bool take_uint(struct cursor *cursor, uint64_t *value)
{
    if (cursor->at < cursor->end && *cursor->at < 0x80) {
        *value = *cursor->at++;
        return true;
    }
    return take_uint_wide(cursor, value);
}

static inline bool take_str(struct cursor *cursor, struct span *value)
{
    if (cursor->at < cursor->end && (*cursor->at & 0xe0) == 0xa0) {
        return take_bytes(cursor, *cursor->at++ & 0x1f, value);
    }
    return take_str_wide(cursor, value);
}

static inline bool take_bin(struct cursor *cursor, struct span *value)
{
    if (cursor->end - cursor->at >= 2 && *cursor->at == 0xc4) {
        cursor->at += 2;
        return take_bytes(cursor, cursor->at[-1], value);
    }
    return take_bin_wide(cursor, value);
}

static inline bool take_array(struct cursor *cursor, uint32_t *count)
{
    if (cursor->at < cursor->end && (*cursor->at & 0xf0) == 0x90) {
        *count = *cursor->at++ & 0x0f;
        return true;
    }
    return take_array_wide(cursor, count);
}

static inline bool take_bool(struct cursor *cursor, bool *value)
{
    if (cursor->at == cursor->end || (*cursor->at & 0xfe) != 0xc2) {
        return false;
    }
    *value = *cursor->at++ & 1;
    return true;
}

static inline bool take_nil(struct cursor *cursor)
{
    if (cursor->at == cursor->end || *cursor->at != 0xc0) {
        return false;
    }
    cursor->at++;
    return true;
}

/* An id has one form on the wire: bin 8, so that a list of them has a stride. */
#define WIRE_ID_BYTES (2 + ID_BYTES)

static inline bool wire_is_id(const uint8_t *at)
{
    return at[0] == 0xc4 && at[1] == ID_BYTES;
}

static inline bool take_id(struct cursor *cursor, struct id *id)
{
    if (cursor->end - cursor->at < WIRE_ID_BYTES || !wire_is_id(cursor->at)) {
        return false;
    }
    memcpy(id->bytes, cursor->at + 2, ID_BYTES);
    cursor->at += WIRE_ID_BYTES;
    return true;
}

/* ---- fields ----------------------------------------------------------- */

/* An OPTIONAL field that is missing or nil leaves its place as it is: the
 * caller has put the default there. */
enum need { OPTIONAL, REQUIRED };

/* Steps into the next field; false: it is missing or nil. */
static inline bool field_present(struct cursor *cursor)
{
    if (cursor->fields_left == 0) {
        return false;
    }
    cursor->fields_left--;
    return !take_nil(cursor);
}

static inline bool field_missing(struct cursor *cursor, const char *field, enum need need)
{
    return need == OPTIONAL || cursor_bad(cursor, field, "is required");
}

static inline bool field_uint(struct cursor *cursor, const char *field, enum need need,
                              uint64_t max, uint64_t *value)
{
    if (!field_present(cursor)) {
        return field_missing(cursor, field, need);
    }
    if (!take_uint(cursor, value)) {
        return cursor_bad(cursor, field, "must be an integer that is not negative");
    }
    return *value <= max || cursor_large(cursor, field, "is larger than its bound");
}

static inline bool field_bool(struct cursor *cursor, const char *field, bool *value)
{
    if (!field_present(cursor)) {
        return field_missing(cursor, field, REQUIRED);
    }
    return take_bool(cursor, value) || cursor_bad(cursor, field, "must be true or false");
}

static inline bool field_id(struct cursor *cursor, const char *field, enum need need,
                            struct id *id)
{
    if (!field_present(cursor)) {
        return field_missing(cursor, field, need);
    }
    if (!take_id(cursor, id)) {
        return cursor_bad(cursor, field, "must be an id: bin 8 of 16 bytes");
    }
    return !id_is_nil(id) || cursor_bad(cursor, field, "must not be 16 zero bytes");
}

/* The id of the task that a command is about: an error about a later field of
 * the command will name it. `id` must live as long as the cursor. */
static inline bool field_task(struct cursor *cursor, struct id *id)
{
    if (!field_id(cursor, "id", REQUIRED, id)) {
        return false;
    }
    cursor->id = id;
    return true;
}

/* Text of 0 to `max` bytes; REQUIRED: 1 to `max`. */
static inline bool field_text(struct cursor *cursor, const char *field, enum need need, size_t max,
                              struct span *text)
{
    if (!field_present(cursor)) {
        return field_missing(cursor, field, need);
    }
    if (!take_str(cursor, text)) {
        return cursor_bad(cursor, field, "must be str");
    }
    if (text->size > max) {
        return cursor_large(cursor, field, "is longer than its bound");
    }
    if (text->size == 0 && need == REQUIRED) {
        return cursor_bad(cursor, field, "must not be empty");
    }
    return text_valid(*text, max) ||
           cursor_bad(cursor, field, "must be UTF-8 without control characters");
}

bool service_refused(struct cursor *cursor, struct span service);

/* A name; with `empty_too` also the empty text. */
static inline bool field_service(struct cursor *cursor, bool empty_too, struct span *service)
{
    if (!field_present(cursor)) {
        return field_missing(cursor, "service", REQUIRED);
    }
    if (!take_str(cursor, service)) {
        return cursor_bad(cursor, "service", "must be str");
    }
    return (empty_too && service->size == 0) || service_name_valid(*service) ||
           service_refused(cursor, *service);
}

bool take_frame(struct cursor *cursor, const char *field, size_t max, struct payload *payload);

/* The bytes themselves, or the number of the attached frame that holds them. */
static inline bool take_payload(struct cursor *cursor, const char *field, size_t max,
                                struct payload *payload)
{
    bool is_bin = cursor->at < cursor->end && *cursor->at >= 0xc4 && *cursor->at <= 0xc6;

    if (!is_bin) {
        return take_frame(cursor, field, max, payload);
    }
    if (!take_bin(cursor, &payload->bytes)) {
        return cursor_bad(cursor, field, "ends before its length");
    }
    return payload->bytes.size <= max || cursor_large(cursor, field, "is larger than its bound");
}

static inline bool field_payload(struct cursor *cursor, const char *field, enum need need,
                                 size_t max, struct payload *payload)
{
    if (!field_present(cursor)) {
        return field_missing(cursor, field, need);
    }
    return take_payload(cursor, field, max, payload);
}

/* Steps over the next field, whatever it is, if there is one. */
bool field_skip(struct cursor *cursor);

/* Steps over the fields that this version does not know. */
bool fields_skip(struct cursor *cursor);

/* ---- option maps ------------------------------------------------------ */

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* One known key: `read` takes the value into `out` + `offset`. */
struct option {
    const char *name;
    size_t name_size;
    bool (*read)(struct cursor *cursor, const struct option *option, void *value);
    size_t offset;
    uint64_t max;
};

#define OPTION(key, reader, structure, member, bound)                                              \
    {                                                                                              \
        .name = (key), .name_size = sizeof(key) - 1, .read = (reader),                             \
        .offset = offsetof(structure, member), .max = (bound)                                      \
    }

bool option_uint(struct cursor *cursor, const struct option *option, void *value);
bool option_bool(struct cursor *cursor, const struct option *option, void *value);
bool option_text(struct cursor *cursor, const struct option *option, void *value);
bool option_prose(struct cursor *cursor, const struct option *option, void *value);
bool option_id(struct cursor *cursor, const struct option *option, void *value);
bool option_service(struct cursor *cursor, const struct option *option, void *value);

/* Text that is not empty: a fairness key and its like. */
bool option_label(struct cursor *cursor, const struct option *option, void *value);

/* Reads a map of known and unknown keys into `out`. `*seen` gets bit i for
 * options[i]; a key whose value is nil counts as absent. */
bool options_take(struct cursor *cursor, const char *field, const struct option *options,
                  size_t option_count, void *out, uint64_t *seen);

/* The option map as a command's next field, which may be missing. */
bool options_read(struct cursor *cursor, const struct option *options, size_t option_count,
                  void *out, uint64_t *seen);

/* An error map that is the next value. */
bool error_take(struct cursor *cursor, struct error *error);

/* The fields that RESULT and a join's input share, from `id` to `worker`. */
bool outcome_read(struct cursor *cursor, bool is_input, struct outcome_record *record);

/* The field `inputs`, which may be missing: its bytes, and how many records they hold. */
bool inputs_read(struct cursor *cursor, struct payload *inputs, size_t *count);

/* ---- commands that have a file of their own ----------------------------- */

bool submit_read(struct cursor *cursor, struct submit *submit);

bool chunk_read(struct cursor *cursor, struct chunk *chunk);
bool read_read(struct cursor *cursor, struct read *read);
bool flow_read(struct cursor *cursor, struct flow_message *flow);
bool checkpoint_read(struct cursor *cursor, struct checkpoint *checkpoint);
bool signal_read(struct cursor *cursor, struct signal *signal);
bool signal_out_read(struct cursor *cursor, struct signal_out *signal);

bool watch_read(struct cursor *cursor, struct watch *watch);
bool event_read(struct cursor *cursor, struct event_message *event);
bool control_read(struct cursor *cursor, struct control *control);
bool sequence_read(struct cursor *cursor, struct sequence *sequence);

#endif
