/* peer_trace: a struct peer on a moved clock, and a trace of what it says and does.
 *
 * A line `-> COMMAND ...` is a message to the broker, `!! ...` an upcall. Tasks are
 * named by one letter, which is the first byte of their id. */
#ifndef SLUICE_TESTS_UNIT_PEER_TRACE_H
#define SLUICE_TESTS_UNIT_PEER_TRACE_H

#include "agents/runtime/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TRACE_MAX 16384

struct fixture {
    struct peer *peer;
    uint64_t now_ms;
    char trace[TRACE_MAX];
    size_t used;
    struct lease *lease;           /* of the last TASK */
    uint64_t greeting;             /* of the last HELLO */
    struct submission *submission; /* of the last submit */
    struct reading *reading;       /* of the last chunk */
    char next;                     /* submitted by the next result; 0: nothing */
};

#define LETTER(id) ((char)(id).bytes[0])

static inline struct id id_of(char letter)
{
    return (struct id){{(uint8_t)letter, 1}};
}

__attribute__((format(printf, 2, 3))) static inline void
trace(struct fixture *f, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    f->used += (size_t)vsnprintf(f->trace + f->used, TRACE_MAX - f->used, format, arguments);
    va_end(arguments);
    assert_true(f->used < TRACE_MAX);
}

#define TEXT(span) (int)(span).size, (const char *)(span).data

static inline void trace_submit(struct fixture *f, const struct submit *submit)
{
    trace(f, " %c", LETTER(submit->id));
    if (submit->service.size > 0) {
        trace(f, " %.*s", TEXT(submit->service));
    }
    if (submit->payload.bytes.size > 0) {
        trace(f, " bytes=%zu", submit->payload.bytes.size);
    }
    if (submit->deadline_ms > 0) {
        trace(f, " deadline=%d", (int)submit->deadline_ms);
    }
    if (submit->queue_ttl_ms > 0) {
        trace(f, " ttl=%d", (int)submit->queue_ttl_ms);
    }
    if (submit->delay_ms > 0) {
        trace(f, " delay=%d", (int)submit->delay_ms);
    }
    if (submit->stream > 0) {
        trace(f, " stream=%d", (int)submit->stream);
    }
    if (submit->key.size > 0 || submit->order.size > 0 || submit->retry_on.size > 0) {
        trace(f, " key=%.*s order=%.*s retry_on=%.*s", TEXT(submit->key), TEXT(submit->order),
              TEXT(submit->retry_on));
    }
    if (!id_is_nil(&submit->parent)) {
        trace(f, " parent=%c/%d", LETTER(submit->parent), (int)submit->parent_attempt);
    }
    trace(f, "%s%s", submit->held ? " held" : "",
          submit->if_absent == IF_ABSENT_WAIT ? " wait" : "");
    if (submit->join != JOIN_NONE) {
        trace(f, " join=%s of ", join_policy_name(submit->join));
        for (size_t i = 0; i < submit->needs_count; i++) {
            trace(f, "%c", (char)submit->needs[i * submit->needs_stride]);
        }
    }
}

static inline void on_send(void *context, const struct message *message)
{
    struct fixture *f = context;

    trace(f, "-> %s", command_name(message->command));
    switch (message->command) {
    case COMMAND_HELLO:
        f->greeting = message->hello.greeting;
        break;
    case COMMAND_OFFER:
        trace(f, " %.*s credit=%d", TEXT(message->offer.service), (int)message->offer.credit);
        break;
    case COMMAND_WITHDRAW:
        trace(f, " %.*s", TEXT(message->withdraw.service));
        break;
    case COMMAND_CREDIT:
        trace(f, " %.*s %d", TEXT(message->credit.service), (int)message->credit.credit);
        break;
    case COMMAND_SUBMIT:
        trace_submit(f, &message->submit);
        break;
    case COMMAND_CANCEL:
        trace(f, " %c%s", LETTER(message->cancel.id), message->cancel.request ? " confirm" : "");
        break;
    case COMMAND_DONE:
        trace(f, " %c/%d", LETTER(message->done.id), (int)message->done.attempt);
        if (message->done.costed) {
            trace(f, " cost=%d", (int)message->done.cost);
        }
        break;
    case COMMAND_FAIL:
        trace(f, " %c/%d %.*s", LETTER(message->fail.id), (int)message->fail.attempt,
              TEXT(message->fail.error.code));
        if (message->fail.costed) {
            trace(f, " cost=%d", (int)message->fail.cost);
        }
        break;
    case COMMAND_WATCH:
        trace(f, " %d credit=%d %.*s", (int)message->watch.request, (int)message->watch.credit,
              TEXT(message->watch.service));
        break;
    case COMMAND_QUERY:
        trace(f, " %s", query_what_name(message->query.what));
        break;
    case COMMAND_CHUNK:
        trace(f, " %c/%d %d", LETTER(message->chunk.id), (int)message->chunk.attempt,
              (int)message->chunk.sequence);
        break;
    case COMMAND_READ:
        trace(f, " %c/%d from=%d credit=%d", LETTER(message->read.id), (int)message->read.attempt,
              (int)message->read.sequence, (int)message->read.credit);
        break;
    default:
        break;
    }
    trace(f, "\n");
}

static inline void on_connected(void *context, const struct welcome *welcome)
{
    (void)welcome;
    trace(context, "!! connected\n");
}

static inline void on_disconnected(void *context, bool silent)
{
    trace(context, "!! disconnected%s\n", silent ? " silent" : "");
}

static inline void on_task(void *context, struct lease *lease, const struct task_message *task)
{
    struct fixture *f = context;

    f->lease = lease;
    trace(f, "!! task %c/%d\n", LETTER(task->id), (int)task->attempt);
}

static inline void on_cancel(void *context, struct lease *lease, struct span reason)
{
    trace(context, "!! cancel %c %.*s%s\n", LETTER(*peer_lease_id(lease)), TEXT(reason),
          peer_lease_lost(lease) ? " lost" : "");
}

static inline void on_result(void *context, struct submission *submission,
                             const struct result *result)
{
    const struct outcome_record *record = &result->record;
    struct fixture *f = context;

    trace(f, "!! result %c %s", LETTER(*peer_submission_id(submission)),
          outcome_name(record->outcome));
    if (record->outcome != OUTCOME_DONE) {
        trace(f, " %.*s", TEXT(record->error.code));
    }
    trace(f, "\n");
    if (f->next != 0) {
        struct submit plain = {.id = id_of(f->next), .service = span_from_text("s")};

        f->next = 0;
        peer_submit(f->peer, &plain, &(struct submission_options){0});
    }
}

static inline void on_started(void *context, struct submission *submission,
                              const struct started *started)
{
    trace(context, "!! started %c %.*s\n", LETTER(*peer_submission_id(submission)),
          TEXT(started->worker));
}

static inline void on_progress(void *context, struct submission *submission, struct span payload)
{
    trace(context, "!! progress %c %.*s\n", LETTER(*peer_submission_id(submission)),
          TEXT(payload));
}

static inline void on_chunk(void *context, struct reading *reading,
                            const struct chunk_upcall *upcall)
{
    struct fixture *f = context;

    f->reading = reading;
    trace(f, "!! chunk %c/%d %d lost=%d\n", LETTER(upcall->chunk->id),
          (int)upcall->chunk->attempt, (int)upcall->chunk->sequence, (int)upcall->lost);
}

static inline void on_flow(void *context, struct lease *lease)
{
    trace(context, "!! flow %c\n", LETTER(*peer_lease_id(lease)));
}

static inline void on_reply(void *context, struct request *request, const struct reply *reply)
{
    (void)request;
    trace(context, "!! reply %s\n", reply == NULL ? "none" : reply->ok ? "ok" : "refused");
}

static inline void on_event(void *context, struct watching *watching,
                            const struct event_message *event, bool restarted)
{
    (void)watching;
    trace(context, "!! event %d %.*s%s\n", (int)event->sequence, TEXT(event->kind),
          restarted ? " restarted" : "");
}

static inline void on_watch_over(void *context, void *user, const struct error *error)
{
    (void)user;
    trace(context, "!! watch over %.*s\n", TEXT(error->code));
}

static inline void on_room(void *context)
{
    trace(context, "!! room\n");
}

/* ---- given, when, then ---- */

/* What has happened since the last call is exactly `expected`. */
#define expect_trace(f, expected)                                                                  \
    do {                                                                                           \
        assert_string_equal((f)->trace, expected);                                                 \
        (f)->used = 0;                                                                             \
        (f)->trace[0] = '\0';                                                                      \
        peer_check((f)->peer);                                                                     \
    } while (0)

static inline void forget_trace(struct fixture *f)
{
    f->used = 0;
    f->trace[0] = '\0';
}

static inline void advance_to(struct fixture *f, uint64_t now_ms)
{
    f->now_ms = now_ms;
    peer_advance(f->peer, now_ms);
}

static inline void receive(struct fixture *f, struct message message)
{
    peer_receive(f->peer, &message);
}

static inline struct message welcome_of(char broker, bool known, uint64_t window)
{
    return (struct message){.command = COMMAND_WELCOME,
                            .welcome = {.version = 1,
                                        .known = known,
                                        .broker = id_of(broker),
                                        .ping_ms = 1000,
                                        .silence_ms = 5000,
                                        .window_tasks = window,
                                        .window_bytes = 1000,
                                        .payload_bytes = 2000}};
}

static inline struct message hello_required(void)
{
    return (struct message){
        .command = COMMAND_ERROR,
        .error = {.error = {.code = span_from_text("hello_required"), .retryable = true}}};
}

static inline struct message result_of(char letter, enum outcome outcome, const char *code,
                                       uint64_t retry_after_ms)
{
    return (struct message){
        .command = COMMAND_RESULT,
        .result = {.record = {.id = id_of(letter),
                              .outcome = outcome,
                              .error = {.code = span_from_text(code),
                                        .retry_after_ms = retry_after_ms}}}};
}

static inline struct message task_of(char letter, uint64_t attempt, const char *service)
{
    return (struct message){
        .command = COMMAND_TASK,
        .task = {.id = id_of(letter), .attempt = attempt, .service = span_from_text(service)}};
}

/* A session with broker B, and a window of `window` tasks and 1,000 bytes. */
static inline void given_session(struct fixture *f, uint64_t window)
{
    receive(f, hello_required());
    receive(f, welcome_of('B', false, window));
    forget_trace(f);
}

static inline struct offering *given_offer(struct fixture *f, const char *service, uint64_t credit)
{
    struct offer_message offer = {.service = span_from_text(service), .credit = credit};

    return peer_offer(f->peer, &offer, NULL);
}

static inline struct submission *submit_with(struct fixture *f, const struct submit *submit,
                                             struct submission_options options)
{
    f->submission = peer_submit(f->peer, submit, &options);
    return f->submission;
}

static inline struct submission *submit(struct fixture *f, char letter)
{
    struct submit plain = {.id = id_of(letter), .service = span_from_text("s")};

    return submit_with(f, &plain, (struct submission_options){0});
}

static inline struct submission *submit_for(struct fixture *f, char letter, uint64_t deadline_ms)
{
    struct submit plain = {
        .id = id_of(letter), .service = span_from_text("s"), .deadline_ms = deadline_ms};

    return submit_with(f, &plain, (struct submission_options){0});
}

static inline struct submission *submit_held(struct fixture *f, char letter)
{
    struct submit held = {.id = id_of(letter), .service = span_from_text("s"), .held = true};

    return submit_with(f, &held, (struct submission_options){0});
}

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct peer_options options = {
        .session = id_of('S'), .name = "p", .agent = "test", .seed = 7};
    struct peer_sink sink = {
        .context = f,
        .send = on_send,
        .connected = on_connected,
        .disconnected = on_disconnected,
        .task = on_task,
        .cancel = on_cancel,
        .result = on_result,
        .started = on_started,
        .progress = on_progress,
        .event = on_event,
        .watch_over = on_watch_over,
        .chunk = on_chunk,
        .flow = on_flow,
        .reply = on_reply,
        .room = on_room,
    };

    options.submissions_max = 8;
    f->peer = peer_new(&options, &sink, 0);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;

    peer_free(f->peer);
    free(f);
    return 0;
}

#endif
