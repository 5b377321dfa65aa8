#include "tests/spec/trace.h"

#include "common/check.h"
#include "common/doc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void trace_add(struct fixture *f, const char *format, ...)
{
    va_list arguments;
    int length;

    if (f->quiet) {
        return;
    }
    va_start(arguments, format);
    length = vsnprintf(f->trace + f->trace_used, sizeof f->trace - f->trace_used, format,
                       arguments);
    va_end(arguments);
    CHECK(length >= 0 && f->trace_used + (size_t)length < sizeof f->trace);
    f->trace_used += (size_t)length;
}

/* Ids that the broker made: "#0", "#1", ... in the order in which they are seen. */
static struct id made[64];
static unsigned made_count;

static unsigned made_number(const struct id *id)
{
    for (unsigned i = 0; i < made_count; i++) {
        if (id_equal(&made[i], id)) {
            return i;
        }
    }
    CHECK(made_count < sizeof made / sizeof *made);
    made[made_count] = *id;
    return made_count++;
}

static bool is_name(const struct id *id)
{
    size_t size = 0;

    while (size < sizeof id->bytes && id->bytes[size] > ' ' && id->bytes[size] < 0x7f) {
        size++;
    }
    for (size_t i = size; i < sizeof id->bytes; i++) {
        if (id->bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

void trace_forget_ids(void)
{
    made_count = 0;
}

/* Names are stored in the ids themselves, so that a trace needs no table. */
struct id id_of(const char *name)
{
    struct id id = {{0}};

    if (name[0] == '#') {
        CHECK((unsigned)atoi(name + 1) < made_count);
        return made[atoi(name + 1)];
    }
    CHECK(strlen(name) < sizeof id.bytes);
    memcpy(id.bytes, name, strlen(name));
    return id;
}

const char *name_of(const struct id *id)
{
    static char names[4][17];
    static unsigned next;
    char *name = names[next++ % 4];

    if (!is_name(id)) {
        snprintf(name, sizeof names[0], "#%u", made_number(id));
        return name;
    }
    memcpy(name, id->bytes, 16);
    name[16] = '\0';
    return name[0] == '\0' ? "-" : name;
}

/* The letter in the high half, the number in the low. */
connection_id connection_of(const char *name)
{
    return ((connection_id)(unsigned char)name[0] << 16) | (connection_id)atoi(name + 1);
}

const char *connection_name(connection_id connection)
{
    static char name[16];

    snprintf(name, sizeof name, "%c%u", (char)((connection >> 16) & 0xff), connection & 0xffff);
    return name;
}

static void trace_payload(struct fixture *f, const struct payload *payload)
{
    if (payload->bytes.size > 32) {
        trace_add(f, " payload=%zu bytes", payload->bytes.size);
    } else if (payload->bytes.size > 0) {
        trace_add(f, " payload=%.*s", (int)payload->bytes.size,
                  (const char *)payload->bytes.data);
    }
}

static void trace_text(struct fixture *f, const char *key, struct span text)
{
    trace_add(f, " %s=%.*s", key, (int)text.size, (const char *)text.data);
}

static void trace_error(struct fixture *f, const struct error *error)
{
    trace_text(f, "code", error->raw.size > 0 ? error->raw : error->code);
    if (error->retry_after_ms > 0) {
        trace_add(f, " retry_after_ms=%" PRIu64, error->retry_after_ms);
    }
}

static void trace_doc(struct fixture *f, const struct doc *doc)
{
    for (size_t i = 0; i < doc->token_count; i++) {
        const struct doc_token *token = &doc->tokens[i];

        if (token->kind == DOC_END || (token->kind == DOC_MAP && token->key.size == 0)) {
            continue;
        }
        trace_add(f, " %.*s", (int)token->key.size, (const char *)token->key.data);
        if (token->kind == DOC_UINT || token->kind == DOC_BOOL) {
            trace_add(f, "=%" PRIu64, token->number);
        } else if (token->kind == DOC_TEXT) {
            trace_add(f, "=%.*s", (int)token->bytes.size, (const char *)token->bytes.data);
        } else if (token->kind == DOC_BYTES && token->bytes.size == 16) {
            trace_add(f, "=%s", name_of((const struct id *)token->bytes.data));
        }
    }
}

static void trace_record(struct fixture *f, const struct outcome_record *record)
{
    trace_add(f, " %s %s", name_of(&record->id), outcome_name(record->outcome));
    if (record->attempt > 0) {
        trace_add(f, " attempt=%" PRIu64, record->attempt);
    }
    if (record->outcome == OUTCOME_DONE) {
        trace_payload(f, &record->payload);
        return;
    }
    trace_error(f, &record->error);
    if (record->error.details != NULL) {
        trace_doc(f, record->error.details);
    }
}

static void trace_inputs(struct fixture *f, size_t count,
                         void (*at)(void *context, size_t index, struct outcome_record *record),
                         void *context)
{
    struct outcome_record input;
    struct id first = {{0}};

    for (size_t i = 0; i < count; i++) {
        at(context, i, &input);
        first = i == 0 ? input.id : first;
        trace_add(f, " |");
        trace_record(f, &input);
    }
    if (count > 0) {
        /* What writes it on the wire may go through it twice, to measure first. */
        at(context, 0, &input);
        CHECK(id_equal(&input.id, &first));
    }
}

static void trace_result(struct fixture *f, const struct result *result)
{
    trace_record(f, &result->record);
    trace_inputs(f, result->input_count, result->input_at, result->input_context);
}

static void trace_attempt(struct fixture *f, const struct id *id, uint64_t attempt)
{
    trace_add(f, " %s attempt=%" PRIu64, name_of(id), attempt);
}

static void trace_reply(struct fixture *f, const struct reply *reply)
{
    trace_add(f, " %" PRIu64 " %s", reply->request, reply->ok ? "ok" : "failed");
    if (reply->ok) {
        trace_doc(f, reply->body);
    } else {
        trace_error(f, &reply->error);
    }
}

static void trace_event(struct fixture *f, const struct event_message *event)
{
    trace_add(f, " %" PRIu64 " #%" PRIu64, event->request, event->sequence);
    if (event->lost > 0) {
        trace_add(f, " lost=%" PRIu64, event->lost);
    }
    trace_add(f, " %.*s %s", (int)event->kind.size, (const char *)event->kind.data,
              name_of(&event->task));
    if (event->attempt > 0) {
        trace_add(f, " attempt=%" PRIu64, event->attempt);
    }
    if (event->peer.size > 0) {
        trace_text(f, "peer", event->peer);
    }
    if (event->detail.size > 0) {
        trace_text(f, "detail", event->detail);
    }
}

void trace_message(struct fixture *f, const struct message *message)
{
    switch (message->command) {
    case COMMAND_WELCOME:
        trace_add(f, "%s%s%s", message->welcome.known ? " known" : "",
                  message->welcome.resume ? " numbered" : "",
                  message->welcome.resumed ? " resumed" : "");
        f->ping_ms = message->welcome.ping_ms;
        if (message->welcome.greeting > 0) {
            trace_add(f, " greeting=%" PRIu64, message->welcome.greeting);
        }
        break;
    case COMMAND_ACCEPTED:
        trace_add(f, " %s", name_of(&message->accepted.id));
        break;
    case COMMAND_STARTED:
        trace_attempt(f, &message->started.id, message->started.attempt);
        trace_text(f, "worker", message->started.worker);
        break;
    case COMMAND_TASK:
        trace_attempt(f, &message->task.id, message->task.attempt);
        if (message->task.deadline_ms > 0) {
            trace_add(f, " deadline_ms=%" PRIu64, message->task.deadline_ms);
        }
        trace_payload(f, &message->task.payload);
        trace_inputs(f, message->task.input_count, message->task.input_at,
                     message->task.input_context);
        if (message->task.stream > 0) {
            trace_add(f, " stream=%" PRIu64, message->task.stream);
        }
        if (message->task.checkpoint.bytes.size > 0) {
            trace_add(f, " checkpoint:");
            trace_payload(f, &message->task.checkpoint);
        }
        break;
    case COMMAND_CHUNK_OUT:
        trace_attempt(f, &message->chunk.id, message->chunk.attempt);
        trace_add(f, " sequence=%" PRIu64, message->chunk.sequence);
        trace_payload(f, &message->chunk.payload);
        break;
    case COMMAND_FLOW:
        trace_attempt(f, &message->flow.id, message->flow.attempt);
        trace_add(f, " until=%" PRIu64, message->flow.until);
        break;
    case COMMAND_SIGNAL_OUT:
        trace_attempt(f, &message->signal_out.id, message->signal_out.attempt);
        trace_payload(f, &message->signal_out.payload);
        break;
    case COMMAND_RESULT:
        trace_result(f, &message->result);
        break;
    case COMMAND_PROGRESS_OUT:
        trace_attempt(f, &message->progress.id, message->progress.attempt);
        trace_payload(f, &message->progress.payload);
        break;
    case COMMAND_CANCEL_OUT:
        trace_attempt(f, &message->cancel_out.id, message->cancel_out.attempt);
        trace_text(f, "reason", message->cancel_out.reason);
        break;
    case COMMAND_EVENT:
        trace_event(f, &message->event);
        break;
    case COMMAND_REPLY:
        trace_reply(f, &message->reply);
        break;
    case COMMAND_ERROR:
        trace_error(f, &message->error.error);
        if (message->error.field.size > 0) {
            trace_text(f, "field", message->error.field);
        }
        break;
    default:
        break;
    }
}
