#include "cli/store/elements.h"
#include "cli/store/line.h"
#include "cli/store/value.h"
#include "common/base64.h"
#include "common/check.h"
#include "common/log.h"
#include "proto/codec.h"

#include <stdlib.h>

struct reading {
    struct line *line;
    const json_t *json;
    struct problem *problem;
};

/* False, for the caller to return. */
static bool wrong(struct reading *reading, const char *name, const char *what)
{
    problem_set(reading->problem, "`%.64s` %s", name, what);
    return false;
}

bool line_id_from_json(const json_t *json, struct id *id)
{
    const char *text = json_string_value(json);

    return text != NULL && strlen(text) == ID_TEXT_SIZE - 1 && id_parse(text, id);
}

/* ---- members ---------------------------------------------------------------------- */

static bool take_id(struct reading *reading, const char *name, struct id *id)
{
    return line_id_from_json(json_object_get(reading->json, name), id) ||
           wrong(reading, name, "must be an id like 01890a5d-ac96-774b-bcce-b302099a8057");
}

/* From `least` on; 0: it may be missing. */
static bool take_number(struct reading *reading, const char *name, json_int_t least,
                        uint64_t *number)
{
    const json_t *value = json_object_get(reading->json, name);

    *number = (uint64_t)json_integer_value(value);
    return (value == NULL && least == 0) ||
           (json_is_integer(value) && json_integer_value(value) >= least) ||
           wrong(reading, name, least > 0 ? "must be a positive whole number"
                                          : "must be a whole number");
}

static bool take_peer(struct reading *reading, struct span *peer)
{
    const json_t *value = json_object_get(reading->json, "peer");

    *peer = span_of(json_string_value(value), json_string_length(value));
    return (json_is_string(value) && text_valid(*peer, PEER_NAME_MAX)) ||
           wrong(reading, "peer", "must be a name of 64 bytes at most");
}

/* Takes the bytes over. */
static struct span keep(struct line *line, uint8_t *bytes, size_t size)
{
    CHECK(line->part_count < LINE_PARTS_MAX);
    line->parts[line->part_count++] = bytes;
    return span_of(bytes, size);
}

/* The bytes of a value. */
static bool take_bytes(struct reading *reading, const json_t *value, const char *name,
                       size_t bytes_max, struct span *bytes)
{
    size_t size = 0;
    uint8_t *packed = value != NULL ? value_to_bytes(value, &size) : NULL;

    if (packed == NULL) {
        return wrong(reading, name, value == NULL ? "is missing"
                                                  : "is nested too deep, or its $raw is no base64");
    }
    *bytes = keep(reading->line, packed, size);
    return size <= bytes_max || wrong(reading, name, "is too large");
}

/* The command that the elements are, as the wire's other end reads it. */
static bool take_message(struct reading *reading, const struct span *elements, size_t count,
                         enum codec_side side, struct message *message)
{
    size_t size = 0;
    uint8_t *bytes = elements_join(elements, count, &size);
    struct codec_reader reader;
    struct codec_error error;

    if (bytes == NULL || size > BATCH_BYTES_MAX) {
        free(bytes);
        return wrong(reading, "options", bytes == NULL ? "find no memory" : "are too large");
    }
    codec_reader_init(&reader, keep(reading->line, bytes, size), NULL, 0);
    return codec_read(&reader, side, message, &error) == CODEC_OK ||
           wrong(reading, error.field != NULL ? error.field : "line", error.message);
}

/* ---- SUBMIT ------------------------------------------------------------------------- */

/* The text of an id as {"$bin": ...}; a new reference. Anything else is itself. */
static json_t *id_to_bin(json_t *text)
{
    char base64[(ID_BYTES + 2) / 3 * 4 + 1] = "";
    struct id id;

    if (!line_id_from_json(text, &id)) {
        return json_incref(text);
    }
    base64_encode(span_of(id.bytes, ID_BYTES), base64);
    return json_pack("{s:s}", "$bin", base64);
}

/* A copy with its ids as bytes; a new reference. NULL: no options. */
static json_t *ids_to_bytes(json_t *options)
{
    json_t *parent = json_object_get(options, "parent");
    json_t *needs = json_object_get(options, "needs");
    json_t *copy = json_copy(options), *ids, *need;
    size_t i;

    if (parent != NULL) {
        json_object_set_new(copy, "parent", id_to_bin(parent));
    }
    if (json_is_array(needs)) {
        ids = json_array();
        json_array_foreach(needs, i, need) {
            json_array_append_new(ids, id_to_bin(need));
        }
        json_object_set_new(copy, "needs", ids);
    }
    return copy;
}

static bool read_submit(struct reading *reading, struct submit *submit)
{
    const uint8_t command = COMMAND_SUBMIT;
    uint8_t id_bytes[ELEMENT_ID_BYTES];
    struct span elements[SUBMIT_ELEMENTS] = {[SUBMIT_COMMAND] = span_of(&command, 1),
                                             [SUBMIT_PAYLOAD] = element_empty()};
    json_t *options = ids_to_bytes(json_object_get(reading->json, "options"));
    struct message message;
    struct span payload;
    struct id id;
    bool read;

    read = (json_is_object(options) || wrong(reading, "options", "must be an object")) &&
           take_id(reading, "id", &id) &&
           take_bytes(reading, json_object_get(reading->json, "service"), "service",
                      BATCH_BYTES_MAX, &elements[SUBMIT_SERVICE]) &&
           take_bytes(reading, json_object_get(reading->json, "payload"), "payload",
                      PAYLOAD_BYTES_MAX, &payload) &&
           take_bytes(reading, options, "options", BATCH_BYTES_MAX, &elements[SUBMIT_OPTIONS]);
    json_decref(options);
    if (!read) {
        return false;
    }
    elements[SUBMIT_ID] = element_id(&id, id_bytes);
    if (!take_message(reading, elements, SUBMIT_ELEMENTS, CODEC_AT_BROKER, &message)) {
        return false;
    }
    *submit = message.submit;
    submit->payload.bytes = payload;
    return submit->durable || wrong(reading, "durable", "is missing: only durable tasks are kept");
}

/* ---- CONTROL ------------------------------------------------------------------------ */

static bool read_control(struct reading *reading, struct control *control)
{
    const uint8_t command = COMMAND_CONTROL, request = 0;
    struct span elements[CONTROL_ELEMENTS] = {[CONTROL_COMMAND] = span_of(&command, 1),
                                              [CONTROL_REQUEST] = span_of(&request, 1)};
    struct message message;

    if (!take_bytes(reading, json_object_get(reading->json, "control"), "control",
                    BATCH_BYTES_MAX, &elements[CONTROL_WHAT]) ||
        !take_bytes(reading, json_object_get(reading->json, "options"), "options",
                    BATCH_BYTES_MAX, &elements[CONTROL_OPTIONS]) ||
        !take_message(reading, elements, CONTROL_ELEMENTS, CODEC_AT_BROKER, &message)) {
        return false;
    }
    *control = message.control;
    return control->what == CONTROL_LIMIT || control->what == CONTROL_PAUSE ||
           control->what == CONTROL_DRAIN ||
           wrong(reading, "control", "must be limit, pause or drain: nothing else is kept");
}

/* ---- RESULT --------------------------------------------------------------------------- */

static bool take_outcome(struct reading *reading, const json_t *json, uint8_t *outcome)
{
    const char *name = json_string_value(json_object_get(json, "is"));

    for (uint8_t i = 0; name != NULL && i < OUTCOME_COUNT; i++) {
        if (strcmp(outcome_name(i), name) == 0) {
            *outcome = i;
            return true;
        }
    }
    return wrong(reading, "outcome.is", "must be done, failed, cancelled, expired or refused");
}

static bool read_outcome(struct reading *reading, const struct id *id,
                         struct outcome_record *record)
{
    const json_t *json = json_object_get(reading->json, "outcome");
    const uint8_t command = COMMAND_RESULT;
    uint8_t id_bytes[ELEMENT_ID_BYTES], outcome;
    struct span elements[RESULT_ELEMENTS] = {[RESULT_COMMAND] = span_of(&command, 1),
                                             [RESULT_ID] = element_id(id, id_bytes),
                                             [RESULT_OUTCOME] = span_of(&outcome, 1)};
    const char *body = "payload";
    struct message message;
    struct span bytes;

    if (!take_outcome(reading, json, &outcome)) {
        return false;
    }
    body = outcome == OUTCOME_DONE ? "payload" : "error";
    if (!take_bytes(reading, json_object_get(json, body), body, PAYLOAD_BYTES_MAX, &bytes)) {
        return false;
    }
    elements[RESULT_BODY] = outcome == OUTCOME_DONE ? element_empty() : bytes;
    for (size_t i = RESULT_ATTEMPT; i < RESULT_ELEMENTS; i++) {
        const json_t *value = json_object_get(json, line_result_names[i]);

        elements[i] = element_nil();
        if (value != NULL && !take_bytes(reading, value, line_result_names[i], BATCH_BYTES_MAX,
                                         &elements[i])) {
            return false;
        }
    }
    if (!take_message(reading, elements, RESULT_ELEMENTS, CODEC_AT_PEER, &message)) {
        return false;
    }
    *record = message.result.record;
    if (outcome == OUTCOME_DONE) {
        record->payload.bytes = bytes;
    }
    return true;
}

/* ---- the whole -------------------------------------------------------------------------- */

static bool is_value(const char *name)
{
    return strcmp(name, "payload") == 0 || strcmp(name, "checkpoint") == 0;
}

/* Each member of `json` is one of `made`, too. Payloads may be written in several ways. */
static bool all_is_in(struct reading *reading, const json_t *json, const json_t *made)
{
    const char *name;
    json_t *value, *other;

    json_object_foreach((json_t *)(uintptr_t)json, name, value) {
        other = json_object_get(made, name);
        if (other == NULL) {
            return wrong(reading, name, "is unknown, or says what is so without it: leave it out");
        }
        if (is_value(name) || json_equal(value, other)) {
            continue;
        }
        if (!json_is_object(value) || all_is_in(reading, value, other)) {
            return wrong(reading, name, "is not as `sluice store export` writes it");
        }
        return false;
    }
    return true;
}

/* What was read says all that the line does. */
static bool nothing_is_lost(struct reading *reading)
{
    json_t *made = line_make(&reading->line->row);
    bool kept = made != NULL ? all_is_in(reading, reading->json, made)
                             : wrong(reading, "service", "is no text");

    json_decref(made);
    return kept;
}

static bool read_end(struct reading *reading, struct store_row *row)
{
    row->ended = json_object_get(reading->json, "outcome") != NULL;
    return !row->ended || (take_number(reading, "ended_unix_ms", 1, &row->ended_unix_ms) &&
                           read_outcome(reading, &row->submit.id, &row->outcome));
}

static bool read_checkpoint(struct reading *reading, struct payload *checkpoint)
{
    const json_t *value = json_object_get(reading->json, "checkpoint");

    return value == NULL ||
           take_bytes(reading, value, "checkpoint", CHECKPOINT_MAX, &checkpoint->bytes);
}

static bool read_causes(struct reading *reading, struct span *causes)
{
    const json_t *value = json_object_get(reading->json, "causes");

    return value == NULL || take_bytes(reading, value, "causes", PAYLOAD_INLINE_MAX, causes);
}

static bool read_task(struct reading *reading, struct store_row *row)
{
    return take_number(reading, "attempts", 0, &row->attempts) &&
           read_causes(reading, &row->causes) &&
           read_submit(reading, &row->submit) && read_checkpoint(reading, &row->checkpoint) &&
           read_end(reading, row);
}

bool line_read(struct line *line, const json_t *json, struct problem *problem)
{
    struct reading reading = {line, json, problem};
    struct store_row *row = &line->row;

    *line = (struct line){.part_count = 0};
    if (!json_is_object(json)) {
        problem_set(problem, "no JSON object");
        return false;
    }
    row->is_directive = json_object_get(json, "control") != NULL;
    return take_number(&reading, "key", 1, &row->key) &&
           take_id(&reading, "session", &row->session) && take_peer(&reading, &row->peer) &&
           take_number(&reading, "accepted_unix_ms", 1, &row->accepted_unix_ms) &&
           (row->is_directive ? read_control(&reading, &row->directive)
                              : read_task(&reading, row)) &&
           nothing_is_lost(&reading);
}

void line_deinit(struct line *line)
{
    for (size_t i = 0; i < line->part_count; i++) {
        free(line->parts[i]);
    }
    line->part_count = 0;
}
