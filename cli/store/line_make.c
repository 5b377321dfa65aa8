#include "cli/store/elements.h"
#include "cli/store/line.h"
#include "cli/store/value.h"
#include "common/base64.h"
#include "common/log.h"
#include "proto/codec.h"

const char *const line_result_names[] = {
    [RESULT_ATTEMPT] = "attempt",
    [RESULT_WAITED] = "waited_ms",
    [RESULT_RAN] = "ran_ms",
    [RESULT_WORKER] = "worker",
};

json_t *line_id_to_json(const struct id *id)
{
    char text[ID_TEXT_SIZE];

    id_format(id, text);
    return json_string(text);
}

/* ---- members ------------------------------------------------------------------------ */

static bool set_bytes(json_t *json, const char *name, struct span bytes)
{
    return json_object_set_new(json, name, value_from_bytes(bytes)) == 0;
}

static bool set_number(json_t *json, const char *name, uint64_t number)
{
    return json_object_set_new(json, name, json_integer((json_int_t)number)) == 0;
}

static bool set_text(json_t *json, const char *name, struct span text)
{
    const char *bytes = text.size > 0 ? (const char *)text.data : "";

    return json_object_set_new(json, name, json_stringn(bytes, text.size)) == 0;
}

static bool set_id(json_t *json, const char *name, const struct id *id)
{
    return json_object_set_new(json, name, line_id_to_json(id)) == 0;
}

/* ---- options -------------------------------------------------------------------------- */

/* {"$bin": ...} of an id as text; a new reference. Anything else is itself. */
static json_t *id_from_bin(json_t *bin)
{
    const json_t *base64 = json_object_get(bin, "$bin");
    struct span text = span_of(json_string_value(base64), json_string_length(base64));
    uint8_t bytes[ID_BYTES + 2];
    struct id id;
    size_t size;

    if (text.size != base64_encoded_size(ID_BYTES) || !base64_decode(text, bytes, &size) ||
        size != ID_BYTES) {
        return json_incref(bin);
    }
    memcpy(id.bytes, bytes, ID_BYTES);
    return line_id_to_json(&id);
}

/* In place. */
static bool ids_to_text(json_t *options)
{
    json_t *parent = json_object_get(options, "parent");
    json_t *needs = json_object_get(options, "needs");
    bool set = parent == NULL ||
               json_object_set_new(options, "parent", id_from_bin(parent)) == 0;

    for (size_t i = 0; set && i < json_array_size(needs); i++) {
        set = json_array_set_new(needs, i, id_from_bin(json_array_get(needs, i))) == 0;
    }
    return set;
}

/* The message as MessagePack, without its payload. */
static bool message_pack(struct codec_writer *writer, const struct message *message)
{
    codec_writer_init(writer);
    return codec_write(writer, message) == CODEC_WRITTEN;
}

static bool set_options(json_t *line, const struct submit *submit)
{
    struct message message = {.command = COMMAND_SUBMIT, .submit = *submit};
    struct span elements[ELEMENTS_MAX];
    struct codec_writer writer;
    json_t *options = NULL;
    bool set;

    message.submit.payload = (struct payload){.blob = NULL};
    set = message_pack(&writer, &message);
    if (set && elements_split(span_of(writer.data, writer.size), elements) > SUBMIT_OPTIONS) {
        options = value_from_bytes(elements[SUBMIT_OPTIONS]);
        set = ids_to_text(options) && json_object_set(line, "options", options) == 0;
    }
    json_decref(options);
    codec_writer_deinit(&writer);
    return set;
}

/* ---- the outcome ------------------------------------------------------------------------ */

static json_t *outcome_make(const struct outcome_record *record)
{
    struct message message = {.command = COMMAND_RESULT, .result.record = *record};
    struct span elements[ELEMENTS_MAX];
    struct codec_writer writer;
    json_t *outcome = json_object();
    size_t count = 0;
    bool set;

    message.result.record.payload = (struct payload){.blob = NULL};
    set = message_pack(&writer, &message) &&
          json_object_set_new(outcome, "is", json_string(outcome_name(record->outcome))) == 0;
    if (set) {
        count = elements_split(span_of(writer.data, writer.size), elements);
        set = record->outcome == OUTCOME_DONE
                  ? set_bytes(outcome, "payload", record->payload.bytes)
                  : set_bytes(outcome, "error", elements[RESULT_BODY]);
    }
    for (size_t i = RESULT_ATTEMPT; set && i < count && i < RESULT_ELEMENTS; i++) {
        set = element_is_nil(elements[i]) ||
              set_bytes(outcome, line_result_names[i], elements[i]);
    }
    codec_writer_deinit(&writer);
    if (!set) {
        json_decref(outcome);
        outcome = NULL;
    }
    return outcome;
}

/* ---- a row -------------------------------------------------------------------------------- */

static bool set_control(json_t *line, const struct control *control)
{
    struct message message = {.command = COMMAND_CONTROL, .control = *control};
    struct span elements[ELEMENTS_MAX];
    struct codec_writer writer;
    bool set = message_pack(&writer, &message) &&
               elements_split(span_of(writer.data, writer.size), elements) > CONTROL_OPTIONS &&
               set_bytes(line, "control", elements[CONTROL_WHAT]) &&
               set_bytes(line, "options", elements[CONTROL_OPTIONS]);

    codec_writer_deinit(&writer);
    return set;
}

static bool set_task(json_t *line, const struct store_row *row)
{
    const struct submit *submit = &row->submit;
    bool set = (row->attempts == 0 || set_number(line, "attempts", row->attempts)) &&
               (row->causes.size == 0 || set_bytes(line, "causes", row->causes)) &&
               set_bytes(line, "payload", submit->payload.bytes) && set_options(line, submit) &&
               (row->checkpoint.bytes.size == 0 ||
                set_bytes(line, "checkpoint", row->checkpoint.bytes));

    if (set && row->ended) {
        set = set_number(line, "ended_unix_ms", row->ended_unix_ms) &&
              json_object_set_new(line, "outcome", outcome_make(&row->outcome)) == 0;
    }
    return set;
}

json_t *line_make(const struct store_row *row)
{
    json_t *line = json_object();
    bool set = set_number(line, "key", row->key) &&
               (row->is_directive ? set_control(line, &row->directive)
                                  : set_id(line, "id", &row->submit.id) &&
                                        set_text(line, "service", row->submit.service)) &&
               set_id(line, "session", &row->session) && set_text(line, "peer", row->peer) &&
               set_number(line, "accepted_unix_ms", row->accepted_unix_ms) &&
               (row->is_directive || set_task(line, row));

    if (!set) {
        json_decref(line);
        line = NULL;
    }
    return line;
}
