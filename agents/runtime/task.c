/* task: a task in a handler's hands. */
#include "agents/runtime/inputs.h"
#include "agents/runtime/registry.h"
#include "agents/runtime/task_stream.h"

#include "common/check.h"
#include "common/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct sluice_task {
    struct sluice *sluice;
    struct service *service;
    struct lease *lease; /* NULL: ended */
    struct id id;
    uint64_t attempt;
    uint64_t deadline_ms; /* absolute; TIMERS_NEVER: none */
    struct span payload;
    struct blob *blob;    /* NULL: the payload is borrowed (sync) */
    json_t *args;
    bool args_read;
    struct inputs inputs; /* what became of its needs */
    bool cancelled;
    bool giving;          /* its credit has been given back */
    size_t middleware_count; /* whose `before` has run */
    struct strand *strand;   /* NULL: sync, or not started */
    struct task_stream stream;
    struct list link;        /* sluice.tasks */
    struct list wait;        /* sluice.tasks_wait */
    char submitter[PEER_NAME_MAX + 1];
};

/* ---- running ---- */

static void run_before(struct sluice_task *task)
{
    struct sluice *sluice = task->sluice;

    while (task->lease != NULL && task->middleware_count < sluice->middleware_count) {
        const struct sluice_middleware *middleware =
            &sluice->middlewares[task->middleware_count++];

        if (middleware->before != NULL) {
            middleware->before(task, middleware->arg);
        }
    }
}

static void run_after(struct sluice_task *task)
{
    while (task->middleware_count > 0) {
        const struct sluice_middleware *middleware =
            &task->sluice->middlewares[--task->middleware_count];

        if (middleware->after != NULL) {
            middleware->after(task, middleware->arg);
        }
    }
}

static void check_arguments(struct sluice_task *task)
{
    char why[256];

    if (task->service->schema == NULL) {
        return;
    }
    if (sluice_task_args(task) == NULL) {
        sluice_failf(task, "bad_arguments", "(value): is not one MessagePack value");
    } else if (!schema_check(task->service->schema, task->args, why, sizeof why)) {
        sluice_failf(task, "bad_arguments", "%s", why);
    }
}

static void fail_cancelled(struct sluice_task *task)
{
    sluice_failf(task, "cancelled", "stopped as it was asked to");
}

static void run(struct sluice_task *task)
{
    check_arguments(task);
    run_before(task);
    if (task->lease != NULL && !task->cancelled) {
        task->service->handler(task, task->service->arg);
    }
    if (task->lease != NULL) {
        if (task->cancelled) {
            fail_cancelled(task);
        } else {
            sluice_failf(task, "no_answer", "the handler of %s returned without an answer",
                         task->service->name);
        }
    }
    run_after(task);
}

static void task_deinit(struct sluice_task *task)
{
    CHECK(task->lease == NULL);
    json_decref(task->args);
    blob_unref(task->blob);
    inputs_deinit(&task->inputs);
    task_stream_deinit(&task->stream);
}

/* The fast path: no fiber, no copy, no allocation. */
static void run_inline(struct sluice_task *task)
{
    struct sluice *sluice = task->sluice;
    struct sluice_task *outer = sluice->sync_task;

    sluice->sync_task = task;
    run(task);
    sluice->sync_task = outer;
    task_deinit(task);
}

static void task_free(struct sluice_task *task)
{
    list_unlink(&task->link);
    list_unlink(&task->wait);
    task_deinit(task);
    free(task);
}

static void task_enter(struct sluice *sluice, void *arg)
{
    struct sluice_task *task = arg;

    (void)sluice;
    task->strand = strand_here("a handler");
    run(task);
    if (task->giving) {
        task_wait_end(task->strand);
    }
    task_free(task);
}

static void turn_down(struct sluice *sluice, struct lease *lease)
{
    struct error error = {
        .code = span_from_text("no_memory"),
        .message = span_from_text("the worker is out of memory"),
        .retryable = true,
    };

    peer_fail(sluice->peer, lease, &error);
}

/* Runs the handler up to where it first waits: one that does not wait leaves its stack to
 * the next. */
static void start(struct sluice_task *task)
{
    struct strand *strand = strand_start(task->sluice, task_enter, task, task);

    list_unlink(&task->wait);
    if (strand == NULL) {
        turn_down(task->sluice, task->lease);
        task->lease = NULL;
        task_free(task);
        return;
    }
    task->strand = strand;
    strand_run(strand);
}

bool tasks_can_start(const struct sluice *sluice)
{
    return !list_empty(&sluice->tasks_wait) && sluice->strand_count < sluice->handlers_max;
}

void tasks_start(struct sluice *sluice, size_t max)
{
    while (max-- > 0 && tasks_can_start(sluice)) {
        start(list_entry(sluice->tasks_wait.next, struct sluice_task, wait));
    }
}

/* ---- the peer's upcalls ---- */

static void task_init(struct sluice_task *task, struct sluice *sluice, struct lease *lease,
                      const struct task_message *message)
{
    size_t name_size = message->submitter.size;

    task->sluice = sluice;
    task->service = peer_offering_user(peer_lease_offering(lease));
    task->lease = lease;
    task->id = message->id;
    task->attempt = message->attempt;
    task->deadline_ms = message->deadline_ms == 0 ? TIMERS_NEVER
                                                  : sluice_now_ms(sluice) + message->deadline_ms;
    task->payload = message->payload.bytes;
    task->blob = blob_ref(message->payload.blob);
    task->args = NULL;
    inputs_init(&task->inputs, &message->inputs, message->input_count);
    task->args_read = task->cancelled = task->giving = false;
    task->middleware_count = 0;
    task->strand = NULL;
    task_stream_init(&task->stream, &message->checkpoint);
    list_init(&task->link);
    list_init(&task->wait);
    name_size = name_size > PEER_NAME_MAX ? PEER_NAME_MAX : name_size;
    if (name_size > 0) {
        memcpy(task->submitter, message->submitter.data, name_size);
    }
    task->submitter[name_size] = '\0';
    peer_lease_set_user(lease, task);
}

void task_receive(struct sluice *sluice, struct lease *lease, const struct task_message *message)
{
    const struct service *service = peer_offering_user(peer_lease_offering(lease));
    struct sluice_task inline_task;
    struct sluice_task *task;

    if (service->sync) {
        task_init(&inline_task, sluice, lease, message);
        run_inline(&inline_task);
        return;
    }
    task = malloc(sizeof *task);
    if (task == NULL) {
        turn_down(sluice, lease);
        return;
    }
    task_init(task, sluice, lease, message);
    if (task->blob == NULL) {
        task->blob = blob_new(message->payload.bytes);
    }
    if (task->blob == NULL || !inputs_keep(&task->inputs, &message->inputs) ||
        !task_stream_keep(&task->stream)) {
        task->lease = NULL;
        task_free(task);
        turn_down(sluice, lease);
        return;
    }
    task->payload = blob_span(task->blob);
    list_push_back(&sluice->tasks, &task->link);
    list_push_back(&sluice->tasks_wait, &task->wait);
}

void task_cancel(struct lease *lease, struct span reason)
{
    struct sluice_task *task = peer_lease_user(lease);

    (void)reason;
    if (task->strand == NULL) { /* it may wait long for a fiber */
        fail_cancelled(task);
        task_free(task);
        return;
    }
    task->cancelled = true;
    strand_cancel(task->strand);
}

void tasks_free(struct sluice *sluice)
{
    while (!list_empty(&sluice->tasks)) {
        struct sluice_task *task = list_entry(sluice->tasks.next, struct sluice_task, link);

        task->lease = NULL; /* the peer's, freed with it */
        task_free(task);
    }
}

/* ---- waiting for children ---- */

const struct lease *task_lease(const struct sluice_task *task)
{
    return task->lease;
}

struct task_stream *task_stream(struct sluice_task *task)
{
    return &task->stream;
}

struct lease *task_held(struct sluice_task *task)
{
    return task->lease;
}

bool task_is_sync(const struct sluice_task *task)
{
    return task->strand == NULL;
}

/* Beyond handlers_max nothing is given back: tasks that it would bring could not start. */
bool task_wait_begin(struct strand *strand)
{
    struct sluice *sluice = strand->sluice;
    struct sluice_task *task = strand->task;

    if (task == NULL || task->lease == NULL || task->giving || strand->cancelled ||
        sluice->strand_count + sluice->giving_count >= sluice->handlers_max) {
        return false;
    }
    task->giving = true;
    sluice->giving_count++;
    peer_credit_give(sluice->peer, task->service->offering, 1);
    return true;
}

void task_wait_end(struct strand *strand)
{
    struct sluice_task *task = strand->task;

    CHECK(task->giving);
    task->giving = false;
    strand->sluice->giving_count--;
    peer_credit_give(strand->sluice->peer, task->service->offering, -1);
}

/* ---- what a handler knows ---- */

struct sluice *sluice_task_peer(const struct sluice_task *task)
{
    return task->sluice;
}

const struct sluice_id *sluice_task_id(const struct sluice_task *task)
{
    return (const struct sluice_id *)&task->id;
}

const char *sluice_task_service(const struct sluice_task *task)
{
    return task->service->name;
}

const char *sluice_task_submitter(const struct sluice_task *task)
{
    return task->submitter;
}

unsigned sluice_task_attempt(const struct sluice_task *task)
{
    return (unsigned)task->attempt;
}

struct sluice_bytes sluice_task_payload(const struct sluice_task *task)
{
    return (struct sluice_bytes){task->payload.data, task->payload.size};
}

json_t *sluice_task_args(struct sluice_task *task)
{
    if (!task->args_read) {
        task->args_read = true;
        task->args = json_unpack_bytes(task->payload);
    }
    return task->args;
}

uint64_t sluice_task_left_ms(const struct sluice_task *task)
{
    uint64_t now_ms = sluice_now_ms(task->sluice);

    if (task->deadline_ms == TIMERS_NEVER) {
        return UINT64_MAX;
    }
    return task->deadline_ms > now_ms ? task->deadline_ms - now_ms : 0;
}

size_t sluice_task_input_count(const struct sluice_task *task)
{
    return task->inputs.count;
}

bool sluice_task_input(struct sluice_task *task, size_t index, struct sluice_input *input)
{
    return inputs_at(&task->inputs, index, input);
}

bool sluice_task_cancelled(const struct sluice_task *task)
{
    return task->cancelled;
}

bool sluice_task_ended(const struct sluice_task *task)
{
    return task->lease == NULL;
}

/* ---- ending it ---- */

/* The lease, for the one answer. NULL: it was given before, which is logged. */
static struct lease *take_lease(struct sluice_task *task)
{
    struct lease *lease = task->lease;

    if (lease == NULL) {
        struct log_field fields[] = {LOG_ID("task", &task->id),
                                     LOG_WORD("service", task->service->name)};

        runtime_log(task->sluice, LOG_WARN, "second_answer_ignored", fields, 2);
    }
    task->lease = NULL;
    return lease;
}

void sluice_task_set_cost(struct sluice_task *task, uint64_t cost)
{
    if (task->lease != NULL) {
        peer_lease_set_cost(task->lease, cost);
    }
}

static void done(struct sluice_task *task, struct payload payload)
{
    struct lease *lease;

    if (payload.bytes.size > peer_welcome(task->sluice->peer)->payload_bytes) {
        sluice_failf(task, "too_large", "the result of %s has %zu bytes: pass it by reference",
                     task->service->name, payload.bytes.size);
        return;
    }
    lease = take_lease(task);
    if (lease != NULL) {
        peer_done(task->sluice->peer, lease, payload);
    }
}

/* Who gives back what it got has it passed on, not copied. */
void sluice_done(struct sluice_task *task, struct sluice_bytes bytes)
{
    struct payload payload = {.bytes = span_of(bytes.data, bytes.size)};
    struct span own = blob_span(task->blob);

    if (bytes.size > PAYLOAD_INLINE_MAX && bytes.data == own.data && bytes.size == own.size) {
        payload.blob = task->blob;
    }
    done(task, payload);
}

void sluice_done_owned(struct sluice_task *task, struct sluice_bytes bytes,
                       sluice_release_fn *release, void *owner)
{
    struct payload payload = payload_own(bytes, release, owner);

    done(task, payload);
    payload_leave(&payload, release, owner);
}

void sluice_done_json(struct sluice_task *task, json_t *value)
{
    size_t size = 0;
    uint8_t *data = value != NULL ? json_pack_bytes(value, &size) : NULL;

    json_decref(value);
    if (data == NULL) {
        sluice_failf(task, "bad_result", "the result of %s cannot be packed", task->service->name);
        return;
    }
    sluice_done_owned(task, (struct sluice_bytes){data, size}, free, data);
}

/* What a handler says may quote anything; an error's texts may not. */
static size_t clean_text(const char *from, char *to, size_t size)
{
    size_t used = 0;

    for (; *from != '\0' && used + 1 < size; from++) {
        unsigned char c = (unsigned char)*from;

        bool control = (c < 0x20 && c != '\t' && c != '\n') || c == 0x7f;

        to[used++] = control ? ' ' : (char)c;
    }
    while (used > 0 && !prose_valid(span_of(to, used), size)) {
        size_t cut = used;

        /* A character cut in half at the end; else the whole text is not UTF-8. */
        while (cut > 0 && used - cut < 4 && !prose_valid(span_of(to, cut), size)) {
            cut--;
        }
        if (prose_valid(span_of(to, cut), size)) {
            return cut;
        }
        for (size_t i = 0; i < used; i++) {
            to[i] = (unsigned char)to[i] < 0x80 ? to[i] : '?';
        }
    }
    return used;
}

static bool code_valid(const char *code)
{
    struct span span = span_from_text(code);

    return span.size <= ERROR_CODE_MAX && service_name_valid(span);
}

void sluice_fail(struct sluice_task *task, const struct sluice_error *from)
{
    char message[ERROR_MESSAGE_MAX + 1];
    size_t size = clean_text(from->message != NULL ? from->message : "", message, sizeof message);
    bool named = from->code != NULL && code_valid(from->code);
    struct error error = {
        .code = span_from_text(named ? from->code : "failed"),
        .message = span_of(message, size),
        .retryable = from->retryable,
        .retry_after_ms =
            from->retry_after_ms > DURATION_MS_MAX ? DURATION_MS_MAX : from->retry_after_ms,
        .scope_service = from->scope_service,
    };
    struct lease *lease = take_lease(task);

    if (lease != NULL) {
        peer_fail(task->sluice->peer, lease, &error);
    }
}

void sluice_failf(struct sluice_task *task, const char *code, const char *format, ...)
{
    char message[ERROR_MESSAGE_MAX + 1];
    struct sluice_error error = {.code = code, .message = message};
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    sluice_fail(task, &error);
}

void sluice_progress_json(struct sluice_task *task, json_t *value)
{
    uint8_t *data = NULL;
    size_t size = 0;

    if (value != NULL) {
        data = json_pack_bytes(value, &size);
        json_decref(value);
    }
    if (size > PAYLOAD_INLINE_MAX) {
        struct log_field fields[] = {LOG_WORD("service", task->service->name),
                                     LOG_UINT("bytes", size)};

        runtime_log(task->sluice, LOG_WARN, "progress_too_large", fields, 2);
        size = 0; /* the lease is renewed all the same */
    }
    if (task->lease != NULL) {
        peer_progress(task->sluice->peer, task->lease, span_of(data, size));
    }
    free(data);
}
