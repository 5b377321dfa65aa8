#include "cli/record.h"

#include "agents/runtime/sluice.h"
#include "cli/quantity.h"
#include "cli/terminal.h"
#include "common/base64.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);

    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* Of the broker's clock; all other milliseconds are durations. */
static bool is_time(const char *name)
{
    return strcmp(name, "at_ms") == 0 || strcmp(name, "died_ms") == 0;
}

static void time_format(uint64_t unix_ms, char *text)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm local;

    if (localtime_r(&seconds, &local) == NULL ||
        strftime(text, RECORD_VALUE_SIZE, "%Y-%m-%d %H:%M:%S", &local) == 0) {
        snprintf(text, RECORD_VALUE_SIZE, "-");
    }
}

static void integer_format(const char *name, uint64_t number, char *text)
{
    char quantity[QUANTITY_SIZE];

    if (is_time(name)) {
        time_format(number, text);
        return;
    }
    if (ends_with(name, "_ms")) {
        quantity_ms(number, quantity);
    } else if (ends_with(name, "bytes")) {
        quantity_bytes(number, quantity);
    } else {
        quantity_count(number, quantity);
    }
    snprintf(text, RECORD_VALUE_SIZE, "%s", quantity);
}

/* An id, as the other commands take it. */
static bool id_value(const json_t *value, char text[RECORD_VALUE_SIZE])
{
    const char *encoded = json_string_value(json_object_get(value, "$bin"));
    struct sluice_id id;
    uint8_t bytes[sizeof id.bytes + 2]; /* what 24 characters could be */
    size_t size = 0;

    if (encoded == NULL || strlen(encoded) != base64_encoded_size(sizeof id.bytes) ||
        !base64_decode(span_from_text(encoded), bytes, &size) || size != sizeof id.bytes) {
        return false;
    }
    memcpy(id.bytes, bytes, sizeof id.bytes);
    sluice_id_format(&id, text);
    return true;
}

json_t *record_ids_format(json_t *value)
{
    char text[RECORD_VALUE_SIZE];
    const char *key;
    json_t *child;
    size_t i;

    if (id_value(value, text)) {
        json_decref(value);
        return json_string(text);
    }
    json_object_foreach(value, key, child) {
        json_object_set_new(value, key, record_ids_format(json_incref(child)));
    }
    json_array_foreach(value, i, child) {
        json_array_set_new(value, i, record_ids_format(json_incref(child)));
    }
    return value;
}

const char *record_value(const json_t *record, const char *name, char text[RECORD_VALUE_SIZE])
{
    const json_t *value = json_object_get(record, name);
    char *dumped;

    if (value == NULL || json_is_null(value)) {
        snprintf(text, RECORD_VALUE_SIZE, "-");
    } else if (json_is_string(value)) {
        snprintf(text, RECORD_VALUE_SIZE, "%s", json_string_value(value));
    } else if (json_is_integer(value) && json_integer_value(value) >= 0) {
        integer_format(name, (uint64_t)json_integer_value(value), text);
    } else if (json_is_boolean(value)) {
        snprintf(text, RECORD_VALUE_SIZE, "%s", json_is_true(value) ? "yes" : "no");
    } else if (!id_value(value, text)) {
        dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        snprintf(text, RECORD_VALUE_SIZE, "%s", dumped != NULL ? dumped : "-");
        free(dumped);
    }
    terminal_clean(text, false);
    return text;
}

uint64_t record_uint(const json_t *record, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(record, name));

    return value > 0 ? (uint64_t)value : 0;
}

const char *record_text(const json_t *record, const char *name)
{
    const char *text = json_string_value(json_object_get(record, name));

    return text != NULL ? text : "";
}

/* The name without its unit, which is part of the printed value. `bytes` stays: there are
 * both `queued` and `queued_bytes`. */
static size_t label_size(const char *name)
{
    return strlen(name) - (ends_with(name, "_ms") ? 3 : 0);
}

void record_print(const json_t *record, FILE *stream)
{
    char text[RECORD_VALUE_SIZE];
    const char *name;
    json_t *value;
    size_t widest = 0;

    json_object_foreach((json_t *)record, name, value) {
        widest = label_size(name) > widest ? label_size(name) : widest;
    }
    json_object_foreach((json_t *)record, name, value) {
        fprintf(stream, "%.*s%*s  %s\n", (int)label_size(name), name,
                (int)(widest - label_size(name)), "", record_value(record, name, text));
    }
}

void record_dump(const json_t *value, FILE *stream, bool pretty)
{
    size_t flags = JSON_ENCODE_ANY | (pretty ? JSON_INDENT(2) : 0);
    char *text = json_dumps(value, flags);

    if (text != NULL) {
        fprintf(stream, "%s\n", text); /* JSON escapes control characters by itself */
        free(text);
    }
}
