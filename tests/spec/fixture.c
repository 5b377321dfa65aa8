#include "tests/spec/fixture.h"

#include "common/check.h"
#include "tests/spec/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    trace_forget_ids();
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

void say_control(struct fixture *f, const struct control *control)
{
    struct message message = {.command = COMMAND_CONTROL, .control = *control};

    message.control.request = 9;
    say(f, "s1", &message);
}

struct limit_values limits_unchanged(void)
{
    struct limit_values values;

    memset(&values, 0xff, sizeof values); /* LIMIT_UNCHANGED */
    return values;
}

void limit_of(struct fixture *f, const char *service, const char *key, const char *tenant,
              const struct limit_values *values)
{
    struct control control = {.what = CONTROL_LIMIT,
                              .service = span_from_text(service),
                              .key = span_from_text(key),
                              .tenant = span_from_text(tenant),
                              .limits = *values};

    drop_trace(f);
    say_control(f, &control);
    assert_true(trace_has(f, "s1 <- REPLY 9 ok"));
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

void expect_has_at(struct fixture *f, const char *text, const char *file, int line)
{
    if (!trace_has(f, text)) {
        fprintf(stderr, "wanted %s in:\n%s", text, f->trace);
        _fail(file, line);
    }
}

void expect_why_at(struct fixture *f, const char *task, const char *words, const char *file,
                   int line)
{
    drop_trace(f);
    query_task(f, "s1", QUERY_WHY, task);
    expect_has_at(f, words, file, line);
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

const char *numbered(const char *letter, unsigned number)
{
    static char names[4][17];
    static unsigned next;
    char *name = names[next++ % 4];

    snprintf(name, sizeof names[0], "%s%u", letter, number);
    return name;
}

void submit_numbered(struct fixture *f, unsigned count, uint64_t cost)
{
    struct submit options = {.cost = cost};

    for (unsigned i = 1; i <= count; i++) {
        submit_with(f, "s1", numbered("t", i), "echo", "", &options);
    }
}

void done_costing(struct fixture *f, const char *task, uint64_t cost)
{
    struct message message = {.command = COMMAND_DONE};

    message.done.id = id_of(task);
    message.done.attempt = 1;
    message.done.cost = cost;
    message.done.costed = true;
    say(f, "w1", &message);
}

void submit_held(struct fixture *f, const char *task)
{
    struct submit held = {.held = true};

    submit_with(f, "s1", task, "echo", "", &held);
}

void submit_held_for(struct fixture *f, const char *join, enum join_policy policy, unsigned count)
{
    char names[64][8];
    const char *needs[65] = {NULL};

    CHECK(count <= 64);
    for (unsigned i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "a%u", i + 1);
        submit_held(f, names[i]);
        needs[i] = names[i];
    }
    submit_join(f, "s1", join, policy, 0, needs);
}
