/* Reading what a RESULT, a join's input and a FAIL share: errors and outcomes. */

#include "proto/codec_cursor.h"

static bool option_code(struct cursor *cursor, const struct option *option, void *value)
{
    struct span *code = value;

    static_assert(ERROR_CODE_MAX <= SERVICE_NAME_MAX, "one check serves both");
    if (!take_str(cursor, code)) {
        return cursor_bad(cursor, option->name, "must be str");
    }
    if (code->size > ERROR_CODE_MAX) {
        return cursor_large(cursor, option->name, "is longer than 64 bytes");
    }
    return service_name_valid(*code) ||
           cursor_bad(cursor, option->name, "must be 1 to 64 of [A-Za-z0-9_.-]");
}

/* Other scopes than `service` are an application's own. */
static bool option_scope(struct cursor *cursor, const struct option *option, void *value)
{
    struct span text;

    if (!take_str(cursor, &text)) {
        return cursor_bad(cursor, option->name, "must be str");
    }
    *(bool *)value = span_is(text, "service");
    return true;
}

/* `details` is not among the keys: it is somebody else's business, and kept in `raw`. */
bool error_take(struct cursor *cursor, struct error *error)
{
    static const struct option options[] = {
        OPTION("code", option_code, struct error, code, ERROR_CODE_MAX),
        OPTION("message", option_prose, struct error, message, ERROR_MESSAGE_MAX),
        OPTION("retryable", option_bool, struct error, retryable, 0),
        OPTION("retry_after_ms", option_uint, struct error, retry_after_ms, DURATION_MS_MAX),
        OPTION("scope", option_scope, struct error, scope_service, 0),
    };
    const uint8_t *start = cursor->at;
    uint64_t seen;

    *error = (struct error){0};
    if (!options_take(cursor, "error", options, COUNT_OF(options), error, &seen)) {
        return false;
    }
    if (error->code.size == 0) {
        return cursor_bad(cursor, "code", "is required");
    }
    error->raw = span_of(start, (size_t)(cursor->at - start));
    return error->raw.size <= ERROR_BYTES_MAX ||
           cursor_large(cursor, "error", "is larger than 8192 bytes");
}

static bool field_outcome(struct cursor *cursor, enum outcome *outcome)
{
    uint64_t value = 0;

    if (!field_uint(cursor, "outcome", REQUIRED, UINT64_MAX, &value)) {
        return false;
    }
    if (value >= OUTCOME_COUNT) {
        return cursor_bad(cursor, "outcome", "must be 0 to 4");
    }
    *outcome = (enum outcome)value;
    return true;
}

/* The result's bytes or the error; nil only for an input that was left out. */
static bool field_body(struct cursor *cursor, bool is_input, struct outcome_record *record)
{
    bool is_done = record->outcome == OUTCOME_DONE;

    if (!field_present(cursor)) {
        record->left_out = is_done && is_input;
        return record->left_out || field_missing(cursor, "body", REQUIRED);
    }
    if (is_done) {
        return take_payload(cursor, "body", PAYLOAD_BYTES_MAX, &record->payload);
    }
    return error_take(cursor, &record->error);
}

bool outcome_read(struct cursor *cursor, bool is_input, struct outcome_record *record)
{
    *record = (struct outcome_record){0};
    return field_task(cursor, &record->id) && field_outcome(cursor, &record->outcome) &&
           field_body(cursor, is_input, record) &&
           field_uint(cursor, "attempt", OPTIONAL, UINT64_MAX, &record->attempt) &&
           field_uint(cursor, "waited_ms", OPTIONAL, UINT64_MAX, &record->waited_ms) &&
           field_uint(cursor, "ran_ms", OPTIONAL, UINT64_MAX, &record->ran_ms) &&
           field_text(cursor, "worker", OPTIONAL, PEER_NAME_MAX, &record->worker);
}

/* They are counted and checked here, so that nobody meets a malformed one later. */
bool inputs_read(struct cursor *cursor, struct payload *inputs, size_t *count)
{
    struct outcome_record record;
    size_t at = 0;

    *count = 0;
    if (!field_present(cursor)) {
        return true;
    }
    if (!take_payload(cursor, "inputs", PAYLOAD_BYTES_MAX, inputs)) {
        return false;
    }
    while (codec_read_input(inputs->bytes, &at, &record)) {
        ++*count;
    }
    return (at != SIZE_MAX && *count <= NEEDS_MAX) ||
           cursor_bad(cursor, "inputs", "must be at most 16384 records, one after another");
}

bool codec_read_input(struct span bytes, size_t *at, struct outcome_record *record)
{
    struct cursor cursor;

    if (*at >= bytes.size) {
        return false; /* the end, or malformed before */
    }
    cursor = (struct cursor){.at = bytes.data + *at, .end = bytes.data + bytes.size};
    if (!take_array(&cursor, &cursor.fields_left) || cursor.fields_left > COMMAND_FIELDS_MAX ||
        !outcome_read(&cursor, true, record) || !fields_skip(&cursor)) {
        *at = SIZE_MAX;
        return false;
    }
    *at = (size_t)(cursor.at - bytes.data);
    return true;
}
