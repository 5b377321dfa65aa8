/* Reading: one function a command, in the order of proto/PROTOCOL.md section 3. */

#include "proto/codec_cursor.h"

#include "common/packed.h"

/* ---- peer to broker --------------------------------------------------- */

static bool read_hello(struct cursor *cursor, struct hello *hello)
{
    static const struct option options[] = {
        OPTION("agent", option_text, struct hello, agent, PEER_NAME_MAX),
        OPTION("resume", option_bool, struct hello, resume, 0),
        OPTION("received", option_uint, struct hello, received, UINT64_MAX),
        OPTION("greeting", option_uint, struct hello, greeting, UINT64_MAX),
    };
    uint64_t seen;

    *hello = (struct hello){0};
    return field_uint(cursor, "version", REQUIRED, UINT64_MAX, &hello->version) &&
           field_id(cursor, "session", REQUIRED, &hello->session) &&
           field_text(cursor, "name", REQUIRED, PEER_NAME_MAX, &hello->name) &&
           options_read(cursor, options, COUNT_OF(options), hello, &seen);
}

static bool read_offer(struct cursor *cursor, struct offer_message *offer)
{
    static const struct option options[] = {
        OPTION("schema", option_prose, struct offer_message, schema, SCHEMA_BYTES_MAX),
        OPTION("version", option_text, struct offer_message, version, VERSION_MAX),
        OPTION("about", option_prose, struct offer_message, about, ABOUT_MAX),
        OPTION("max_tasks", option_uint, struct offer_message, max_tasks, UINT64_MAX),
        OPTION("max_bytes", option_uint, struct offer_message, max_bytes, UINT64_MAX),
        OPTION("lease_ms", option_uint, struct offer_message, lease_ms, DURATION_MS_MAX),
        OPTION("attempts", option_uint, struct offer_message, attempts, ATTEMPTS_MAX),
        OPTION("max_run_ms", option_uint, struct offer_message, max_run_ms, DURATION_MS_MAX),
        OPTION("exclusive", option_bool, struct offer_message, exclusive, 0),
    };
    uint64_t seen;

    *offer = (struct offer_message){0};
    return field_service(cursor, false, &offer->service) &&
           field_uint(cursor, "credit", REQUIRED, CREDIT_MAX, &offer->credit) &&
           options_read(cursor, options, COUNT_OF(options), offer, &seen);
}

static bool read_credit(struct cursor *cursor, struct credit *credit)
{
    return field_service(cursor, false, &credit->service) &&
           field_uint(cursor, "credit", REQUIRED, CREDIT_MAX, &credit->credit);
}

static bool read_cancel(struct cursor *cursor, struct cancel *cancel)
{
    *cancel = (struct cancel){0};
    return field_task(cursor, &cancel->id) &&
           field_text(cursor, "reason", OPTIONAL, REASON_MAX, &cancel->reason) &&
           field_uint(cursor, "request", OPTIONAL, UINT64_MAX, &cancel->request);
}

/* Trailing, and rarely there: plain answers are read as fast as without it. */
static bool field_cost(struct cursor *cursor, uint64_t *cost, bool *costed)
{
    if (cursor->fields_left == 0) {
        return true;
    }
    *cost = UINT64_MAX;
    if (!field_uint(cursor, "cost", OPTIONAL, COST_MAX, cost)) {
        return false;
    }
    *costed = *cost != UINT64_MAX;
    *cost = *costed ? *cost : 0;
    return true;
}

static bool read_done(struct cursor *cursor, struct done *done)
{
    *done = (struct done){0};
    return field_task(cursor, &done->id) &&
           field_uint(cursor, "attempt", REQUIRED, UINT64_MAX, &done->attempt) &&
           field_payload(cursor, "payload", REQUIRED, PAYLOAD_BYTES_MAX, &done->payload) &&
           field_cost(cursor, &done->cost, &done->costed);
}

static bool field_error(struct cursor *cursor, struct error *error)
{
    if (!field_present(cursor)) {
        return field_missing(cursor, "error", REQUIRED);
    }
    return error_take(cursor, error);
}

static bool read_fail(struct cursor *cursor, struct fail *fail)
{
    *fail = (struct fail){0};
    return field_task(cursor, &fail->id) &&
           field_uint(cursor, "attempt", REQUIRED, UINT64_MAX, &fail->attempt) &&
           field_error(cursor, &fail->error) &&
           field_cost(cursor, &fail->cost, &fail->costed);
}

static bool read_progress(struct cursor *cursor, struct progress *progress)
{
    *progress = (struct progress){0};
    return field_task(cursor, &progress->id) &&
           field_uint(cursor, "attempt", REQUIRED, UINT64_MAX, &progress->attempt) &&
           field_payload(cursor, "payload", OPTIONAL, PAYLOAD_INLINE_MAX, &progress->payload);
}

static bool field_what(struct cursor *cursor, enum query_what *what)
{
    struct span text;

    if (!field_text(cursor, "what", REQUIRED, QUERY_ARGUMENT_MAX, &text)) {
        return false;
    }
    for (unsigned i = 0; i < QUERY_WHAT_COUNT; i++) {
        if (span_is(text, query_what_name(i))) {
            *what = (enum query_what)i;
            return true;
        }
    }
    return cursor_fail(cursor, ERROR_UNSUPPORTED, "what", "is nothing that this broker answers");
}

/* A cursor (text), a task's id, or nothing, as `what` wants it. */
static bool field_argument(struct cursor *cursor, struct query *query)
{
    struct id id;

    switch (query->what) {
    case QUERY_CATALOG:
    case QUERY_PEERS:
    case QUERY_LIST:
    case QUERY_DEAD:
    case QUERY_LIMITS:
        return field_text(cursor, "argument", OPTIONAL, QUERY_ARGUMENT_MAX, &query->argument);
    case QUERY_STATS:
        return field_skip(cursor); /* whatever stands there */
    case QUERY_STATUS:
    case QUERY_WHY:
    case QUERY_TREE:
    case QUERY_RESULT:
    case QUERY_LETTER:
        if (!field_id(cursor, "argument", REQUIRED, &id)) {
            return false;
        }
        query->argument = span_of(cursor->at - ID_BYTES, ID_BYTES);
        return true;
    }
    return false;
}

static bool read_query(struct cursor *cursor, struct query *query)
{
    static const struct option options[] = {
        OPTION("service", option_service, struct query, service, SERVICE_NAME_MAX),
        OPTION("state", option_label, struct query, state, KEY_MAX),
    };
    uint64_t seen;

    *query = (struct query){0};
    return field_uint(cursor, "request", REQUIRED, UINT64_MAX, &query->request) &&
           field_what(cursor, &query->what) && field_argument(cursor, query) &&
           options_read(cursor, options, COUNT_OF(options), query, &seen);
}

static bool read_nonce(struct cursor *cursor, uint64_t *nonce)
{
    *nonce = 0;
    return field_uint(cursor, "nonce", OPTIONAL, UINT64_MAX, nonce);
}

static bool read_bye(struct cursor *cursor, struct bye *bye)
{
    *bye = (struct bye){0};
    return field_text(cursor, "reason", OPTIONAL, REASON_MAX, &bye->reason);
}

/* ---- broker to peer --------------------------------------------------- */

static bool read_welcome(struct cursor *cursor, struct welcome *welcome)
{
    static const struct option options[] = {
        OPTION("known", option_bool, struct welcome, known, 0),
        OPTION("broker", option_id, struct welcome, broker, 0),
        OPTION("shard", option_uint, struct welcome, shard, UINT64_MAX),
        OPTION("ping_ms", option_uint, struct welcome, ping_ms, DURATION_MS_MAX),
        OPTION("silence_ms", option_uint, struct welcome, silence_ms, DURATION_MS_MAX),
        OPTION("resume_ms", option_uint, struct welcome, resume_ms, DURATION_MS_MAX),
        OPTION("window_tasks", option_uint, struct welcome, window_tasks, UINT64_MAX),
        OPTION("window_bytes", option_uint, struct welcome, window_bytes, UINT64_MAX),
        OPTION("payload_bytes", option_uint, struct welcome, payload_bytes, UINT64_MAX),
        OPTION("time_ms", option_uint, struct welcome, time_ms, UINT64_MAX),
        OPTION("resume", option_bool, struct welcome, resume, 0),
        OPTION("resumed", option_bool, struct welcome, resumed, 0),
        OPTION("received", option_uint, struct welcome, received, UINT64_MAX),
        OPTION("greeting", option_uint, struct welcome, greeting, UINT64_MAX),
    };
    uint64_t seen;

    *welcome = (struct welcome){0};
    return field_uint(cursor, "version", REQUIRED, UINT64_MAX, &welcome->version) &&
           options_read(cursor, options, COUNT_OF(options), welcome, &seen);
}

static bool read_started(struct cursor *cursor, struct started *started)
{
    *started = (struct started){0};
    return field_task(cursor, &started->id) &&
           field_uint(cursor, "attempt", REQUIRED, UINT64_MAX, &started->attempt) &&
           field_text(cursor, "worker", REQUIRED, PEER_NAME_MAX, &started->worker);
}

static bool read_task(struct cursor *cursor, struct task_message *task)
{
    static const struct option options[] = {
        OPTION("deadline_ms", option_uint, struct task_message, deadline_ms, DURATION_MS_MAX),
        OPTION("lease_ms", option_uint, struct task_message, lease_ms, DURATION_MS_MAX),
        OPTION("submitter", option_text, struct task_message, submitter, PEER_NAME_MAX),
        OPTION("max_run_ms", option_uint, struct task_message, max_run_ms, DURATION_MS_MAX),
        OPTION("stream", option_uint, struct task_message, stream, STREAM_CREDIT_MAX),
    };
    uint64_t seen;

    *task = (struct task_message){0};
    return field_task(cursor, &task->id) &&
           field_uint(cursor, "attempt", REQUIRED, UINT64_MAX, &task->attempt) &&
           field_service(cursor, false, &task->service) &&
           field_payload(cursor, "payload", REQUIRED, PAYLOAD_BYTES_MAX, &task->payload) &&
           options_read(cursor, options, COUNT_OF(options), task, &seen) &&
           inputs_read(cursor, &task->inputs, &task->input_count) &&
           field_payload(cursor, "checkpoint", OPTIONAL, CHECKPOINT_MAX, &task->checkpoint);
}

/* A join's inputs take the place of its payload, which is empty. */
static bool read_result(struct cursor *cursor, struct result *result)
{
    struct payload inputs = {0};

    *result = (struct result){0};
    if (!outcome_read(cursor, false, &result->record)) {
        return false;
    }
    if (cursor->fields_left == 0) {
        return true;
    }
    if (!inputs_read(cursor, &inputs, &result->input_count)) {
        return false;
    }
    if (inputs.bytes.data != NULL) {
        result->record.payload = inputs;
    }
    return true;
}

static bool read_cancel_out(struct cursor *cursor, struct cancel_out *cancel)
{
    *cancel = (struct cancel_out){0};
    return field_task(cursor, &cancel->id) &&
           field_uint(cursor, "attempt", REQUIRED, UINT64_MAX, &cancel->attempt) &&
           field_text(cursor, "reason", REQUIRED, ERROR_CODE_MAX, &cancel->reason);
}

static bool read_reply(struct cursor *cursor, struct reply *reply)
{
    const uint8_t *body;
    uint32_t entries;

    *reply = (struct reply){0};
    if (!field_uint(cursor, "request", REQUIRED, UINT64_MAX, &reply->request) ||
        !field_bool(cursor, "ok", &reply->ok)) {
        return false;
    }
    if (!field_present(cursor)) {
        return field_missing(cursor, "body", REQUIRED);
    }
    if (!reply->ok) {
        return error_take(cursor, &reply->error);
    }
    body = cursor->at;
    if (!take_map(cursor, &entries)) {
        return cursor_bad(cursor, "body", "must be a map");
    }
    cursor->at = packed_skip(body, cursor->end, FIELD_DEPTH_MAX);
    if (cursor->at == NULL) {
        return cursor_large(cursor, "body", "is nested deeper than 32");
    }
    reply->raw = span_of(body, (size_t)(cursor->at - body));
    return true;
}

static bool read_error(struct cursor *cursor, struct error_message *error)
{
    *error = (struct error_message){0};
    return field_error(cursor, &error->error) &&
           field_uint(cursor, "command", OPTIONAL, UINT32_MAX, &error->command) &&
           field_text(cursor, "field", OPTIONAL, PEER_NAME_MAX, &error->field) &&
           field_id(cursor, "id", OPTIONAL, &error->id);
}

/* ---- the command itself ----------------------------------------------- */

static bool read_fields(struct cursor *cursor, struct message *message)
{
    switch (message->command) {
    case COMMAND_HELLO:
        return read_hello(cursor, &message->hello);
    case COMMAND_OFFER:
        return read_offer(cursor, &message->offer);
    case COMMAND_WITHDRAW:
        return field_service(cursor, false, &message->withdraw.service);
    case COMMAND_CREDIT:
        return read_credit(cursor, &message->credit);
    case COMMAND_SUBMIT:
        return submit_read(cursor, &message->submit);
    case COMMAND_CANCEL:
        return read_cancel(cursor, &message->cancel);
    case COMMAND_DONE:
        return read_done(cursor, &message->done);
    case COMMAND_FAIL:
        return read_fail(cursor, &message->fail);
    case COMMAND_PROGRESS:
    case COMMAND_PROGRESS_OUT:
        return read_progress(cursor, &message->progress);
    case COMMAND_QUERY:
        return read_query(cursor, &message->query);
    case COMMAND_PING:
        return read_nonce(cursor, &message->ping.nonce);
    case COMMAND_BYE:
        return read_bye(cursor, &message->bye);
    case COMMAND_WELCOME:
        return read_welcome(cursor, &message->welcome);
    case COMMAND_ACCEPTED:
        return field_task(cursor, &message->accepted.id);
    case COMMAND_STARTED:
        return read_started(cursor, &message->started);
    case COMMAND_TASK:
        return read_task(cursor, &message->task);
    case COMMAND_RESULT:
        return read_result(cursor, &message->result);
    case COMMAND_CANCEL_OUT:
        return read_cancel_out(cursor, &message->cancel_out);
    case COMMAND_REPLY:
        return read_reply(cursor, &message->reply);
    case COMMAND_PONG:
        return read_nonce(cursor, &message->pong.nonce);
    case COMMAND_ERROR:
        return read_error(cursor, &message->error);
    case COMMAND_CHUNK:
    case COMMAND_CHUNK_OUT:
        return chunk_read(cursor, &message->chunk);
    case COMMAND_READ:
        return read_read(cursor, &message->read);
    case COMMAND_FLOW:
        return flow_read(cursor, &message->flow);
    case COMMAND_CHECKPOINT:
        return checkpoint_read(cursor, &message->checkpoint);
    case COMMAND_SIGNAL:
        return signal_read(cursor, &message->signal);
    case COMMAND_SIGNAL_OUT:
        return signal_out_read(cursor, &message->signal_out);
    case COMMAND_WATCH:
        return watch_read(cursor, &message->watch);
    case COMMAND_EVENT:
        return event_read(cursor, &message->event);
    case COMMAND_CONTROL:
        return control_read(cursor, &message->control);
    case COMMAND_SEQUENCE:
        return sequence_read(cursor, &message->sequence);
    }
    return cursor_fail(cursor, ERROR_UNSUPPORTED, "command", "is not part of this version");
}

static bool command_on_side(uint64_t command, enum codec_side side)
{
    bool from_broker = command >= COMMAND_WELCOME;

    return command == COMMAND_BYE || command == COMMAND_SEQUENCE ||
           from_broker == (side == CODEC_AT_PEER);
}

/* Reads the elements of a command's array; `*command` is 0 until its code is known. */
static bool read_command(struct cursor *cursor, enum codec_side side, unsigned *command,
                         struct message *message)
{
    uint32_t fields = cursor->fields_left;
    uint64_t code;

    *command = 0;
    if (!field_present(cursor) || !take_uint(cursor, &code) || code > UINT32_MAX) {
        return cursor_bad(cursor, "command", "must be an array that starts with a code");
    }
    *command = (unsigned)code;
    if (fields > COMMAND_FIELDS_MAX) {
        return cursor_large(cursor, "command", "has more than 32 fields");
    }
    if (!command_on_side(code, side)) {
        return cursor_fail(cursor, ERROR_UNSUPPORTED, "command", "is not for this direction");
    }
    message->command = (enum command)code;
    return read_fields(cursor, message) && fields_skip(cursor);
}

/* Why a message cannot be read at all; NULL: it can. */
static const char *reader_refusal(const struct codec_reader *reader, const char **field)
{
    *field = "batch";
    if (reader->command_count == BATCH_COMMANDS_MAX) {
        return "has more than 65536 commands";
    }
    if (reader->command_count == 0 && (size_t)(reader->end - reader->at) > BATCH_BYTES_MAX) {
        return "is larger than 1 MiB";
    }
    *field = "frames";
    return reader->frame_count < MESSAGE_FRAMES_MAX ? NULL : "are more than 64 in a message";
}

static enum codec_result reader_break(struct codec_reader *reader, const struct codec_error *why,
                                      struct codec_error *error)
{
    *error = *why;
    reader->at = reader->end;
    return CODEC_BROKEN;
}

/* A command could not be read: steps over it if its end can be found. */
static enum codec_result reader_recover(struct codec_reader *reader, const struct cursor *cursor,
                                        unsigned command, struct codec_error *error)
{
    const uint8_t *next = packed_step(reader->at, reader->end);
    struct codec_error why = {.command = command};

    if (cursor->id != NULL) {
        why.id = *cursor->id;
    }
    if (next == NULL) {
        why.code = ERROR_BAD_MESSAGE;
        why.field = "batch";
        why.message = "ends inside a command, or is not MessagePack";
        return reader_break(reader, &why, error);
    }
    why.code = cursor->code;
    why.field = cursor->field;
    why.message = cursor->message;
    *error = why;
    reader->at = next;
    return CODEC_BAD;
}

void codec_reader_init(struct codec_reader *reader, struct span batch, struct blob *const *frames,
                       size_t frame_count)
{
    *reader = (struct codec_reader){
        .at = batch.data,
        .end = batch.data + batch.size,
        .frames = frames,
        .frame_count = frame_count,
    };
}

size_t codec_reader_bytes(const struct codec_reader *reader)
{
    size_t bytes = (size_t)(reader->end - reader->at);

    for (size_t i = 0; i < reader->frame_count; i++) {
        bytes += blob_span(reader->frames[i]).size;
    }
    return bytes;
}

enum codec_result codec_read(struct codec_reader *reader, enum codec_side side,
                             struct message *message, struct codec_error *error)
{
    struct cursor cursor = {.at = reader->at, .end = reader->end, .reader = reader};
    const char *refusal, *field;
    unsigned command;

    if (reader->at == reader->end) {
        return CODEC_END;
    }
    refusal = reader_refusal(reader, &field);
    if (refusal != NULL) {
        return reader_break(reader, &(struct codec_error){.code = ERROR_TOO_LARGE,
                                                          .field = field,
                                                          .message = refusal},
                            error);
    }
    if (!take_array(&cursor, &cursor.fields_left)) {
        return reader_break(reader, &(struct codec_error){.code = ERROR_BAD_MESSAGE,
                                                          .field = "batch",
                                                          .message = "must hold arrays only"},
                            error);
    }
    reader->command_count++;
    if (!read_command(&cursor, side, &command, message)) {
        return reader_recover(reader, &cursor, command, error);
    }
    reader->at = cursor.at;
    return CODEC_OK;
}

size_t codec_read_some(struct codec_reader *reader, enum codec_side side,
                       struct message *messages, size_t max, enum codec_result *result,
                       struct codec_error *error)
{
    size_t count = 0;

    *result = CODEC_OK;
    while (count < max && (count == 0 || messages[count - 1].command != COMMAND_SEQUENCE)) {
        *result = codec_read(reader, side, &messages[count], error);
        if (*result != CODEC_OK) {
            break;
        }
        count++;
    }
    return count;
}

bool codec_value_valid(struct span bytes)
{
    static_assert(DEPTH_MAX == PACKED_DEPTH_MAX, "one bound on nesting");
    return packed_valid(bytes);
}
