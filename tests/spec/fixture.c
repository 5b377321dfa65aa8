#include "tests/spec/fixture.h"

#include "common/check.h"
#include "common/doc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void trace_add(struct fixture *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void trace_add(struct fixture *f, const char *format, ...)
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

static const char *name_of(const struct id *id)
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

static const char *connection_name(connection_id connection)
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

static void trace_message(struct fixture *f, const struct message *message)
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

static void on_send(void *context, connection_id to, const struct message *message)
{
    struct fixture *f = context;

    f->sent[message->command]++;
    if (message->command == COMMAND_RESULT && message->result.record.outcome == OUTCOME_REFUSED) {
        f->refused++;
        f->retry_after_ms = message->result.record.error.retry_after_ms;
    }
    trace_add(f, "[%4" PRIu64 "] %s <- %s", f->now_ms, connection_name(to),
              command_name(message->command));
    trace_message(f, message);
    trace_add(f, "\n");
}

static void on_forget(void *context, connection_id connection)
{
    (void)context;
    (void)connection;
}

static enum resume on_resume(void *context, const struct resume_request *request,
                             uint64_t *start)
{
    struct fixture *f = context;

    f->asked = *request;
    *start = 42;
    return request->numbered ? f->resume : RESUME_ANEW;
}

static void on_log(void *context, const struct log_record *record)
{
    struct fixture *f = context;

    f->logged++;
    if (f->transitions && strcmp(record->event, "task_state") == 0) {
        trace_add(f, "[%4" PRIu64 "] %s %.*s -> %.*s\n", f->now_ms, name_of(record->fields[0].id),
                  (int)record->fields[1].text.size, (const char *)record->fields[1].text.data,
                  (int)record->fields[2].text.size, (const char *)record->fields[2].text.data);
    }
}

static void on_note(void *context, const struct note *note)
{
    struct fixture *f = context;

    f->noted += !id_is_nil(&note->task);
}

static void on_store(void *context, const struct store_record *record)
{
    struct fixture *f = context;

    shelf_add(f->shelf, record);
}

static void on_backup(void *context)
{
    struct fixture *f = context;

    f->backups++;
}

void fixture_restart(struct fixture *f)
{
    struct effects effects = {.context = f,
                              .send = on_send,
                              .forget = on_forget,
                              .log = on_log,
                              .resume = f->no_numbers ? NULL : on_resume,
                              .note = on_note,
                              .notes = f->notes ? NOTES_ALL : 0,
                              .store = f->shelf != NULL ? on_store : NULL,
                              .backup = f->shelf != NULL ? on_backup : NULL,
                              .log_level = f->log_level};

    broker_free(f->broker);
    f->broker = broker_new(&f->options, &effects, f->now_ms);
    assert_non_null(f->broker);
    drop_trace(f);
}

int fixture_setup(void **state)
{
    made_count = 0;
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->options = broker_options_default();
    f->options.hash_seed = 0x5eed;
    f->options.jitter = false;
    f->log_level = LOG_DEBUG;
    f->resume = RESUME_GOES_ON;
    fixture_restart(f);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    broker_free(f->broker);
    shelf_free(f->shelf);
    free(f);
    return 0;
}

void fixture_crash(struct fixture *f, uint64_t sequence)
{
    if (f->shelf == NULL) {
        f->shelf = shelf_new();
    }
    shelf_crash(f->shelf, sequence);
    f->options.started_unix_ms = 1000000000000 + f->now_ms; /* the wall clock goes on */
    fixture_restart(f);
    for (size_t i = 0; i < shelf_count(f->shelf); i++) {
        assert_true(broker_restore(f->broker, shelf_row(f->shelf, i)));
    }
    broker_restored(f->broker, shelf_next_key(f->shelf));
    store_is(f, STORE_OPEN);
}

void crash(struct fixture *f)
{
    fixture_crash(f, shelf_last(f->shelf));
}

void given_echo_again(struct fixture *f)
{
    given_echo(f, 10);
    drop_trace(f);
}

int fixture_setup_stored(void **state)
{
    int rc = fixture_setup(state);
    struct fixture *f = *state;

    fixture_crash(f, 0);
    given_echo_again(f);
    return rc;
}

void stored(struct fixture *f)
{
    stored_until(f, shelf_last(f->shelf));
}

void stored_until(struct fixture *f, uint64_t sequence)
{
    struct event what = {.kind = EVENT_STORED, .stored = sequence};

    event(f, &what);
}

void store_is(struct fixture *f, enum store_state state)
{
    struct event what = {.kind = EVENT_STORE, .store = state};

    event(f, &what);
}

void event(struct fixture *f, struct event *what)
{
    what->now_ms = f->now_ms;
    if (what->kind == EVENT_MESSAGE) {
        broker_expect(f->broker, what, 1); /* as the shell does */
    }
    broker_step(f->broker, what);
    if (!f->quiet) {
        broker_check(f->broker);
    }
}

void say(struct fixture *f, const char *peer, const struct message *message)
{
    struct event what = {
        .kind = EVENT_MESSAGE, .from = connection_of(peer), .message = message};

    event(f, &what);
}

void hello_from(struct fixture *f, const char *peer, connection_id connection)
{
    struct message message = {.command = COMMAND_HELLO};
    struct event what = {.kind = EVENT_MESSAGE, .from = connection, .message = &message};

    message.hello.version = PROTOCOL_VERSION;
    message.hello.session = id_of(peer);
    message.hello.name = span_from_text(peer);
    event(f, &what);
}

void hello_resume(struct fixture *f, const char *peer, connection_id connection)
{
    struct message message = {.command = COMMAND_HELLO};
    struct event what = {.kind = EVENT_MESSAGE, .from = connection, .message = &message};

    message.hello.version = PROTOCOL_VERSION;
    message.hello.session = id_of(peer);
    message.hello.name = span_from_text(peer);
    message.hello.resume = true;
    message.hello.received = 7;
    event(f, &what);
}

void hello(struct fixture *f, const char *peer)
{
    hello_from(f, peer, connection_of(peer));
}

void offer(struct fixture *f, const char *peer, const char *service, uint64_t credit)
{
    struct message message = {.command = COMMAND_OFFER};

    message.offer.service = span_from_text(service);
    message.offer.credit = credit;
    say(f, peer, &message);
}

void submit_with(struct fixture *f, const char *peer, const char *task, const char *service,
                 const char *payload, const struct submit *options)
{
    struct message message = {.command = COMMAND_SUBMIT};

    if (options != NULL) {
        message.submit = *options;
    }
    message.submit.id = id_of(task);
    message.submit.service = span_from_text(service);
    message.submit.payload.bytes = span_from_text(payload);
    say(f, peer, &message);
}

void submit(struct fixture *f, const char *peer, const char *task, const char *service)
{
    submit_with(f, peer, task, service, "", NULL);
}

void submit_join(struct fixture *f, const char *peer, const char *task, enum join_policy policy,
                 uint64_t deadline_ms, const char *const *needs)
{
    struct submit options = {
        .join = policy, .deadline_ms = deadline_ms, .needs_stride = sizeof(struct id)};
    struct id ids[64];

    for (; needs[options.needs_count] != NULL; options.needs_count++) {
        ids[options.needs_count] = id_of(needs[options.needs_count]);
    }
    options.needs = ids[0].bytes;
    submit_with(f, peer, task, "", "", &options);
}

void done(struct fixture *f, const char *peer, const char *task, uint64_t attempt,
          const char *payload)
{
    struct message message = {.command = COMMAND_DONE};

    message.done.id = id_of(task);
    message.done.attempt = attempt;
    message.done.payload.bytes = span_from_text(payload);
    say(f, peer, &message);
}

void fail_task(struct fixture *f, const char *peer, const char *task, uint64_t attempt,
               const char *code, bool retryable)
{
    struct message message = {.command = COMMAND_FAIL};

    message.fail.id = id_of(task);
    message.fail.attempt = attempt;
    message.fail.error.raw = span_from_text(code);
    message.fail.error.code = span_from_text(code);
    message.fail.error.retryable = retryable;
    say(f, peer, &message);
}

void cancel(struct fixture *f, const char *peer, const char *task, uint64_t request)
{
    struct message message = {.command = COMMAND_CANCEL};

    message.cancel.id = id_of(task);
    message.cancel.request = request;
    say(f, peer, &message);
}

void bye(struct fixture *f, const char *peer)
{
    struct message message = {.command = COMMAND_BYE};

    say(f, peer, &message);
}

void lose(struct fixture *f, const char *peer)
{
    struct event what = {.kind = EVENT_LOST, .from = connection_of(peer)};

    event(f, &what);
}

void lose_output(struct fixture *f, const char *peer)
{
    struct event what = {.kind = EVENT_BROKEN, .from = connection_of(peer)};

    event(f, &what);
}

void ping(struct fixture *f, const char *peer)
{
    struct message message = {.command = COMMAND_PING};

    say(f, peer, &message);
}

void query_task(struct fixture *f, const char *peer, enum query_what what, const char *task)
{
    struct message message = {.command = COMMAND_QUERY};
    struct id id = id_of(task);

    message.query.request = 7;
    message.query.what = what;
    message.query.argument = span_of(id.bytes, sizeof id.bytes);
    say(f, peer, &message);
}

void advance_ms(struct fixture *f, uint64_t ms)
{
    uint64_t until_ms = f->now_ms + ms;

    for (;;) {
        struct event tick = {.kind = EVENT_TICK};
        uint64_t next_ms = broker_deadline(f->broker);

        if (next_ms > until_ms) {
            break;
        }
        f->now_ms = next_ms > f->now_ms ? next_ms : f->now_ms;
        event(f, &tick);
    }
    f->now_ms = until_ms;
}

void drop_trace(struct fixture *f)
{
    f->trace_used = 0;
    f->trace[0] = '\0';
}

void expect_trace_at(struct fixture *f, const char *expected, const char *file, int line)
{
    if (strcmp(f->trace, expected) != 0) {
        fprintf(stderr, "expected:\n%sbut was:\n%s", expected, f->trace);
        _fail(file, line);
    }
    drop_trace(f);
}

bool trace_has(const struct fixture *f, const char *text)
{
    return strstr(f->trace, text) != NULL;
}

struct broker_stats stats_of(const struct fixture *f)
{
    struct broker_stats stats;

    broker_stats(f->broker, &stats);
    return stats;
}

void given_echo(struct fixture *f, uint64_t credit)
{
    hello(f, "w1");
    hello(f, "s1");
    offer(f, "w1", "echo", credit);
    drop_trace(f);
}

void given_parent(struct fixture *f)
{
    given_echo(f, 1);
    submit(f, "s1", "p1", "echo");
    hello(f, "w2");
    offer(f, "w2", "leaf", 1);
    drop_trace(f);
}

void submit_child(struct fixture *f, const char *peer, const char *task, const char *service,
                  const char *parent, uint64_t attempt)
{
    struct submit options = {.parent = id_of(parent), .parent_attempt = attempt};

    submit_with(f, peer, task, service, "", &options);
}

void submit_held(struct fixture *f, const char *task)
{
    struct submit held = {.held = true};

    submit_with(f, "s1", task, "echo", "", &held);
}
