#include "tests/unit/meaning.h"

#include "common/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void set_text(json_t *to, const char *key, struct span text)
{
    if (text.size > 0) {
        json_object_set_new(to, key, json_stringn((const char *)text.data, text.size));
    }
}

static void set_uint(json_t *to, const char *key, uint64_t value)
{
    if (value != 0) {
        json_object_set_new(to, key, json_integer((json_int_t)value));
    }
}

static void set_true(json_t *to, const char *key, bool value)
{
    if (value) {
        json_object_set_new(to, key, json_true());
    }
}

json_t *meaning_of_bytes(struct span bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *text = malloc(bytes.size * 2 + 1);
    json_t *json;

    for (size_t i = 0; i < bytes.size; i++) {
        text[2 * i] = digits[bytes.data[i] >> 4];
        text[2 * i + 1] = digits[bytes.data[i] & 15];
    }
    json = json_stringn(text, bytes.size * 2);
    free(text);
    return json;
}

static void set_hex(json_t *to, const char *key, struct span bytes)
{
    json_object_set_new(to, key, meaning_of_bytes(bytes));
}

static void set_id(json_t *to, const char *key, const struct id *id)
{
    if (!id_is_nil(id)) {
        set_hex(to, key, span_of(id->bytes, ID_BYTES));
    }
}

/* Required numbers are there even if they are 0. */
static void set_number(json_t *to, const char *key, uint64_t value)
{
    json_object_set_new(to, key, json_integer((json_int_t)value));
}

static bool says(const json_t *map, const char *key, const char *word)
{
    const json_t *value = json_object_get(map, key);

    return json_is_string(value) && strcmp(json_string_value(value), word) == 0;
}

/* The map as it came; what the codec took from it must agree with it. Details
 * may be no JSON (a mutation made an ext of them): the codec does not look. */
static void set_error(json_t *to, const char *key, const struct error *error)
{
    json_t *map = json_unpack_bytes(error->raw);
    const json_t *message = json_object_get(map, "message");

    assert_true(codec_value_valid(error->raw));
    if (map == NULL) {
        json_object_set_new(to, key, json_null());
        return;
    }
    assert_true(span_is(error->code, json_string_value(json_object_get(map, "code"))));
    assert_true(
        span_is(error->message, json_is_string(message) ? json_string_value(message) : ""));
    assert_int_equal(error->retryable, json_is_true(json_object_get(map, "retryable")));
    assert_int_equal(error->retry_after_ms,
                     json_integer_value(json_object_get(map, "retry_after_ms")));
    assert_int_equal(error->scope_service, says(map, "scope", "service"));
    json_object_set_new(to, key, map);
}

/* Outcomes of needs, record after record. */
static void set_inputs(json_t *to, struct span inputs, size_t input_count);

static void set_record(json_t *to, const struct outcome_record *record, struct span body)
{
    set_id(to, "id", &record->id);
    json_object_set_new(to, "outcome", json_string(outcome_name(record->outcome)));
    if (record->left_out) {
        json_object_set_new(to, "body", json_null());
    } else if (record->outcome == OUTCOME_DONE) {
        set_hex(to, "body", body);
    } else {
        set_error(to, "body", &record->error);
    }
    set_uint(to, "attempt", record->attempt);
    set_uint(to, "waited_ms", record->waited_ms);
    set_uint(to, "ran_ms", record->ran_ms);
    set_text(to, "worker", record->worker);
}

/* A reader cannot tell a join of nothing from no join: only its submitter can,
 * and here the vector itself (`is_join`). */
static void set_result(json_t *to, const struct result *result, bool is_join)
{
    struct span inputs = result->record.payload.bytes;

    set_record(to, &result->record, is_join ? span_of(NULL, 0) : inputs);
    if (is_join) {
        set_inputs(to, inputs, result->input_count);
    }
}

static void set_inputs(json_t *to, struct span inputs, size_t input_count)
{
    struct outcome_record record;
    size_t at = 0, count = 0;
    json_t *list = json_array();

    while (codec_read_input(inputs, &at, &record)) {
        json_t *input = json_object();

        set_record(input, &record, record.payload.bytes);
        json_array_append_new(list, input);
        count++;
    }
    assert_int_equal(at, inputs.size);
    assert_int_equal(count, input_count);
    json_object_set_new(to, "inputs", list);
}

static void set_offer(json_t *to, const struct offer_message *offer)
{
    set_text(to, "service", offer->service);
    set_number(to, "credit", offer->credit);
    set_text(to, "schema", offer->schema);
    set_text(to, "version", offer->version);
    set_text(to, "about", offer->about);
    set_uint(to, "max_tasks", offer->max_tasks);
    set_uint(to, "max_bytes", offer->max_bytes);
    set_uint(to, "lease_ms", offer->lease_ms);
    set_uint(to, "attempts", offer->attempts);
    set_uint(to, "max_run_ms", offer->max_run_ms);
    set_true(to, "exclusive", offer->exclusive);
}

static void set_policies(json_t *to, const struct submit *submit)
{
    if (submit->route == ROUTE_ALL) {
        json_object_set_new(to, "route", json_string("all"));
    }
    if (submit->priority != PRIORITY_DEFAULT) {
        set_number(to, "priority", submit->priority);
    }
    set_text(to, "key", submit->key);
    set_text(to, "order", submit->order);
    set_text(to, "affinity", submit->affinity);
    set_text(to, "version", submit->version);
    set_uint(to, "cost", submit->cost);
    set_uint(to, "delay_ms", submit->delay_ms);
    set_uint(to, "max_run_ms", submit->max_run_ms);
    set_uint(to, "backoff_ms", submit->backoff_ms);
    set_uint(to, "backoff_max_ms", submit->backoff_max_ms);
    set_text(to, "retry_on", submit->retry_on);
    set_text(to, "final_on", submit->final_on);
    set_true(to, "dead_letter", submit->dead_letter);
    set_text(to, "idempotency_key", submit->idempotency_key);
    set_uint(to, "cache_ms", submit->cache_ms);
    set_true(to, "detached", submit->detached);
    set_true(to, "durable", submit->durable);
    set_uint(to, "retain_ms", submit->retain_ms);
    set_uint(to, "stream", submit->stream);
}

static void set_submit(json_t *to, const struct submit *submit)
{
    set_id(to, "id", &submit->id);
    json_object_set_new(to, "service", json_string(""));
    set_text(to, "service", submit->service);
    set_hex(to, "payload", submit->payload.bytes);
    set_uint(to, "deadline_ms", submit->deadline_ms);
    set_uint(to, "queue_ttl_ms", submit->queue_ttl_ms);
    set_uint(to, "lease_ms", submit->lease_ms);
    set_uint(to, "attempts", submit->attempts);
    set_id(to, "parent", &submit->parent);
    set_uint(to, "parent_attempt", submit->parent_attempt);
    set_true(to, "receipts", submit->receipts);
    set_true(to, "held", submit->held);
    if (submit->if_absent == IF_ABSENT_WAIT) {
        json_object_set_new(to, "if_absent", json_string("wait"));
    }
    set_policies(to, submit);
    if (submit->join != JOIN_NONE) {
        json_t *needs = json_array();

        for (size_t i = 0; i < submit->needs_count; i++) {
            json_array_append_new(
                needs, meaning_of_bytes(span_of(submit->needs + i * submit->needs_stride, ID_BYTES)));
        }
        json_object_set_new(to, "join", json_string(join_policy_name(submit->join)));
        json_object_set_new(to, "needs", needs);
        set_uint(to, "k", submit->k);
        if (submit->run_if != RUN_IF_DONE) {
            json_object_set_new(to, "run_if", json_string(run_if_name(submit->run_if)));
        }
        if (submit->no_inputs) {
            json_object_set_new(to, "inputs", json_false());
        }
    }
}

static void set_welcome(json_t *to, const struct welcome *welcome)
{
    set_number(to, "version", welcome->version);
    set_true(to, "known", welcome->known);
    set_id(to, "broker", &welcome->broker);
    set_uint(to, "shard", welcome->shard);
    set_uint(to, "ping_ms", welcome->ping_ms);
    set_uint(to, "silence_ms", welcome->silence_ms);
    set_uint(to, "resume_ms", welcome->resume_ms);
    set_uint(to, "window_tasks", welcome->window_tasks);
    set_uint(to, "window_bytes", welcome->window_bytes);
    set_uint(to, "payload_bytes", welcome->payload_bytes);
    set_uint(to, "time_ms", welcome->time_ms);
    set_true(to, "resume", welcome->resume);
    set_true(to, "resumed", welcome->resumed);
    set_uint(to, "received", welcome->received);
    set_uint(to, "greeting", welcome->greeting);
}

static void set_task(json_t *to, const struct task_message *task, bool is_join)
{
    set_id(to, "id", &task->id);
    set_number(to, "attempt", task->attempt);
    set_text(to, "service", task->service);
    set_hex(to, "payload", task->payload.bytes);
    set_uint(to, "deadline_ms", task->deadline_ms);
    set_uint(to, "lease_ms", task->lease_ms);
    set_text(to, "submitter", task->submitter);
    set_uint(to, "max_run_ms", task->max_run_ms);
    set_uint(to, "stream", task->stream);
    if (is_join) {
        set_inputs(to, task->inputs.bytes, task->input_count);
    }
    if (task->checkpoint.bytes.size > 0) {
        set_hex(to, "checkpoint", task->checkpoint.bytes);
    }
}

static void set_query(json_t *to, const struct query *query)
{
    bool is_cursor = query->what == QUERY_CATALOG || query->what == QUERY_PEERS ||
                     query->what == QUERY_LIST || query->what == QUERY_DEAD ||
                     query->what == QUERY_LIMITS;

    set_number(to, "request", query->request);
    json_object_set_new(to, "what", json_string(query_what_name(query->what)));
    if (is_cursor) {
        set_text(to, "argument", query->argument);
    } else if (query->argument.size > 0) {
        set_hex(to, "argument", query->argument);
    }
    set_text(to, "service", query->service);
    set_text(to, "state", query->state);
}

static void set_reply(json_t *to, const struct reply *reply)
{
    set_number(to, "request", reply->request);
    json_object_set_new(to, "ok", json_boolean(reply->ok));
    if (reply->ok) {
        json_object_set_new(to, "body", json_unpack_bytes(reply->raw));
    } else {
        set_error(to, "body", &reply->error);
    }
}

static void set_attempt(json_t *to, const struct id *id, uint64_t attempt)
{
    set_id(to, "id", id);
    set_number(to, "attempt", attempt);
}

static void set_event(json_t *to, const struct event_message *event)
{
    set_number(to, "request", event->request);
    set_number(to, "sequence", event->sequence);
    set_number(to, "lost", event->lost);
    set_text(to, "kind", event->kind);
    set_id(to, "task", &event->task);
    set_text(to, "service", event->service);
    set_text(to, "peer", event->peer);
    set_uint(to, "attempt", event->attempt);
    set_text(to, "detail", event->detail);
}

/* A limit that is not mentioned is missing; one that is 0 is there. */
static void set_limit(json_t *to, const char *name, uint64_t value)
{
    if (value != LIMIT_UNCHANGED) {
        set_number(to, name, value);
    }
}

static void set_control(json_t *to, const struct control *control)
{
    set_number(to, "request", control->request);
    json_object_set_new(to, "what", json_string(control_what_name(control->what)));
    set_text(to, "service", control->service);
    set_text(to, "key", control->key);
    set_text(to, "tenant", control->tenant);
    set_uint(to, "peer", control->peer);
    set_id(to, "task", &control->task);
    set_uint(to, "ms", control->ms);
#define SET_LIMIT(name, max) set_limit(to, #name, control->limits.name);
    LIMIT_VALUES(SET_LIMIT)
}

static void set_cost(json_t *to, bool costed, uint64_t cost)
{
    if (costed) {
        set_number(to, "cost", cost);
    }
}

/* Between a running task and the outside. True: `message` was one of these. */
static bool set_stream(json_t *to, const struct message *message)
{
    switch (message->command) {
    case COMMAND_CHUNK:
    case COMMAND_CHUNK_OUT:
        set_attempt(to, &message->chunk.id, message->chunk.attempt);
        set_number(to, "sequence", message->chunk.sequence);
        set_hex(to, "payload", message->chunk.payload.bytes);
        return true;
    case COMMAND_READ:
        set_attempt(to, &message->read.id, message->read.attempt);
        set_number(to, "sequence", message->read.sequence);
        set_number(to, "credit", message->read.credit);
        return true;
    case COMMAND_FLOW:
        set_attempt(to, &message->flow.id, message->flow.attempt);
        set_number(to, "until", message->flow.until);
        return true;
    case COMMAND_CHECKPOINT:
        set_attempt(to, &message->checkpoint.id, message->checkpoint.attempt);
        set_hex(to, "payload", message->checkpoint.payload.bytes);
        return true;
    case COMMAND_SIGNAL:
        set_number(to, "request", message->signal.request);
        set_id(to, "id", &message->signal.id);
        set_hex(to, "payload", message->signal.payload.bytes);
        return true;
    case COMMAND_SIGNAL_OUT:
        set_attempt(to, &message->signal_out.id, message->signal_out.attempt);
        set_hex(to, "payload", message->signal_out.payload.bytes);
        return true;
    default:
        return false;
    }
}

/* Of operators and sessions. */
static bool set_operation(json_t *to, const struct message *message)
{
    switch (message->command) {
    case COMMAND_WATCH:
        set_number(to, "request", message->watch.request);
        set_number(to, "credit", message->watch.credit);
        set_text(to, "service", message->watch.service);
        set_id(to, "task", &message->watch.task);
        return true;
    case COMMAND_EVENT:
        set_event(to, &message->event);
        return true;
    case COMMAND_CONTROL:
        set_control(to, &message->control);
        return true;
    case COMMAND_SEQUENCE:
        set_number(to, "number", message->sequence.number);
        set_uint(to, "acknowledged", message->sequence.acknowledged);
        return true;
    default:
        return false;
    }
}

json_t *meaning_of_message(const struct message *message, bool is_join)
{
    json_t *to = json_object();

    switch (message->command) {
    case COMMAND_HELLO:
        set_number(to, "version", message->hello.version);
        set_id(to, "session", &message->hello.session);
        set_text(to, "name", message->hello.name);
        set_text(to, "agent", message->hello.agent);
        set_true(to, "resume", message->hello.resume);
        set_uint(to, "received", message->hello.received);
        set_uint(to, "greeting", message->hello.greeting);
        break;
    case COMMAND_OFFER:
        set_offer(to, &message->offer);
        break;
    case COMMAND_WITHDRAW:
        set_text(to, "service", message->withdraw.service);
        break;
    case COMMAND_CREDIT:
        set_text(to, "service", message->credit.service);
        set_number(to, "credit", message->credit.credit);
        break;
    case COMMAND_SUBMIT:
        set_submit(to, &message->submit);
        break;
    case COMMAND_CANCEL:
        set_id(to, "id", &message->cancel.id);
        set_text(to, "reason", message->cancel.reason);
        set_uint(to, "request", message->cancel.request);
        break;
    case COMMAND_DONE:
        set_attempt(to, &message->done.id, message->done.attempt);
        set_hex(to, "payload", message->done.payload.bytes);
        set_cost(to, message->done.costed, message->done.cost);
        break;
    case COMMAND_FAIL:
        set_attempt(to, &message->fail.id, message->fail.attempt);
        set_error(to, "error", &message->fail.error);
        set_cost(to, message->fail.costed, message->fail.cost);
        break;
    case COMMAND_PROGRESS:
    case COMMAND_PROGRESS_OUT:
        set_attempt(to, &message->progress.id, message->progress.attempt);
        if (message->progress.payload.bytes.size > 0) {
            set_hex(to, "payload", message->progress.payload.bytes);
        }
        break;
    case COMMAND_QUERY:
        set_query(to, &message->query);
        break;
    case COMMAND_PING:
        set_uint(to, "nonce", message->ping.nonce);
        break;
    case COMMAND_BYE:
        set_text(to, "reason", message->bye.reason);
        break;
    case COMMAND_WELCOME:
        set_welcome(to, &message->welcome);
        break;
    case COMMAND_ACCEPTED:
        set_id(to, "id", &message->accepted.id);
        break;
    case COMMAND_STARTED:
        set_attempt(to, &message->started.id, message->started.attempt);
        set_text(to, "worker", message->started.worker);
        break;
    case COMMAND_TASK:
        set_task(to, &message->task, is_join);
        break;
    case COMMAND_RESULT:
        set_result(to, &message->result, is_join);
        break;
    case COMMAND_CANCEL_OUT:
        set_attempt(to, &message->cancel_out.id, message->cancel_out.attempt);
        set_text(to, "reason", message->cancel_out.reason);
        break;
    case COMMAND_REPLY:
        set_reply(to, &message->reply);
        break;
    case COMMAND_PONG:
        set_uint(to, "nonce", message->pong.nonce);
        break;
    case COMMAND_ERROR:
        set_error(to, "error", &message->error.error);
        set_uint(to, "command", message->error.command);
        set_text(to, "field", message->error.field);
        set_id(to, "id", &message->error.id);
        break;
    default:
        if (!set_stream(to, message) && !set_operation(to, message)) {
            fail_msg("command %d was read", message->command);
        }
    }
    return to;
}

json_t *meaning_of_error(const struct codec_error *error)
{
    json_t *to = json_object();

    json_object_set_new(to, "code", json_string(error_code_name(error->code)));
    json_object_set_new(to, "field", json_string(error->field));
    json_object_set_new(to, "command", json_integer(error->command));
    set_id(to, "id", &error->id);
    assert_true(strlen(error->message) > 0);
    return to;
}
