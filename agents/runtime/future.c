#include "agents/runtime/future.h"
#include "agents/runtime/terms.h"

#include "agents/runtime/stream.h"

#include "common/check.h"
#include "common/json.h"
#include "common/prefetch.h"

#include <stdlib.h>

static_assert(sizeof(struct sluice_id) == sizeof(struct id), "one is handed out as the other");

/* ---- submitting ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When a task submitted here and now must have ended: what it asks for, what its scope
 * allows, what its parent has left. Absolute; TIMERS_NEVER: none. */
static uint64_t deadline_of(struct sluice *sluice, const struct sluice_submit_options *options,
                            const struct sluice_task *parent)
{
    struct strand *strand = strand_current();
    uint64_t now_ms = sluice_now_ms(sluice);
    uint64_t at_ms = TIMERS_NEVER;

    if (options->deadline_ms > 0) {
        at_ms = now_ms + earlier(options->deadline_ms, DURATION_MS_MAX);
    }
    if (strand != NULL && strand->scope != NULL) {
        at_ms = earlier(at_ms, scope_deadline_ms(strand->scope));
    }
    if (parent != NULL && sluice_task_left_ms(parent) != UINT64_MAX) {
        at_ms = earlier(at_ms, now_ms + sluice_task_left_ms(parent));
    }
    return at_ms;
}

/* Waits for room in the window, if the caller can wait. In line: whoever came first. */
static void wait_for_room(struct sluice *sluice, uint64_t deadline_ms, bool child)
{
    struct strand *strand = strand_current();
    struct list *line = child ? &sluice->room_children : &sluice->room;
    bool giving;

    if (strand == NULL || strand->sluice != sluice || strand->cancelled || strand->ending > 0 ||
        peer_pumping(sluice->peer) || (peer_room(sluice->peer, child) > 0 && list_empty(line))) {
        return;
    }
    giving = task_wait_begin(strand);
    do {
        list_push_back(line, &strand->ready);
        peer_want_room(sluice->peer);
        if (strand_park(strand, deadline_ms) != WAKE_EVENT) {
            break;
        }
    } while (peer_room(sluice->peer, child) == 0);
    list_unlink(&strand->ready);
    if (giving) {
        task_wait_end(strand);
    }
}

/* Most services have short names: their futures are used again. */
#define SPARE_ROOM 64
#define SPARE_MAX 4096
#define FETCH_TIMEOUT_MS 30000 /* of a result that is there */

static struct sluice_future *take_memory(struct sluice *sluice, size_t room)
{
    struct list *spare = room <= SPARE_ROOM ? list_pop_front(&sluice->spare_futures) : NULL;
    struct sluice_future *future;

    if (spare != NULL) {
        sluice->spare_future_count--;
        future = list_entry(spare, struct sluice_future, all);
        prefetch_bytes(list_entry(sluice->spare_futures.next, struct sluice_future, all),
                       sizeof *future + SPARE_ROOM); /* the next */
    } else {
        future = malloc(sizeof *future + (room <= SPARE_ROOM ? SPARE_ROOM : room));
    }
    if (future != NULL) {
        memset(future, 0, offsetof(struct sluice_future, worker));
        future->worker[0] = '\0';
        future->roomy = room <= SPARE_ROOM;
    }
    return future;
}

static void give_memory(struct sluice_future *future)
{
    struct sluice *sluice = future->sluice;

    if (sluice != NULL && future->roomy && sluice->spare_future_count < SPARE_MAX) {
        list_push_front(&sluice->spare_futures, &future->all);
        sluice->spare_future_count++;
    } else {
        free(future);
    }
}

struct sluice_future *future_new(struct sluice *sluice, const char *service, const struct id *id,
                                 const struct sluice_submit_options *options)
{
    size_t size = strlen(service) + 1;
    struct sluice_future *future = take_memory(sluice, size);
    struct strand *strand = strand_current();

    if (future == NULL) {
        return NULL;
    }
    memcpy(future->service, service, size);
    future->sluice = sluice;
    future->outcome = SLUICE_PENDING;
    future->timing.submitted_ms = sluice_now_ms(sluice);
    future->timing.worker = future->worker;
    future->scattered = options->all_workers;
    future->on_progress = options->on_progress;
    future->on_started = options->on_started;
    future->on_ended = options->on_ended;
    future->arg = options->arg;
    future->id = *id;
    list_init(&future->waiters);
    list_init(&future->accepting);
    list_init(&future->scope);
    list_init(&future->completion_link);
    list_init(&future->all);
    list_push_back(&sluice->futures, &future->all);
    if (strand != NULL && strand->sluice == sluice && strand->scope != NULL) {
        scope_add(strand->scope, &future->scope);
    }
    return future;
}

void future_delete(struct sluice_future *future)
{
    list_unlink(&future->all);
    list_unlink(&future->scope);
    stream_free(future->stream);
    if (future->freed != NULL) {
        *future->freed = true;
    }
    if (future->parts != NULL) {
        inputs_deinit(future->parts);
        free(future->parts);
    }
    blob_unref(future->payload.blob);
    json_decref(future->json);
    free(future->error_text);
    give_memory(future);
}

/* What `options` says of it. NULL: it is right. */
static const char *set_submit(struct submit *submit, const char *service,
                              const struct sluice_submit_options *options)
{
    if (id_is_nil(&submit->id)) {
        return "an id of zeros is none";
    }
    submit->service = span_from_text(service);
    submit->queue_ttl_ms = earlier(options->queue_ttl_ms, DURATION_MS_MAX);
    submit->lease_ms = earlier(options->lease_ms, DURATION_MS_MAX);
    submit->attempts = earlier(options->attempts, ATTEMPTS_MAX);
    submit->receipts = options->on_started != NULL || options->detached || options->durable;
    submit->held = options->held;
    submit->if_absent = options->wait_absent ? IF_ABSENT_WAIT : IF_ABSENT_REFUSE;
    submit->stream = earlier(options->stream, STREAM_CREDIT_MAX);
    if ((submit->join == JOIN_NONE || service[0] != '\0') &&
        !service_name_valid(submit->service)) {
        return "a service's name has 1 to 128 of A-Z a-z 0-9 _ . -";
    }
    return terms_set(submit, options);
}

/* It ends before it is sent; if it is a join, so do those that were held for it. */
static struct sluice_future *end_unsent(struct sluice_future *future, const struct submit *submit,
                                        enum sluice_outcome outcome, enum error_code code,
                                        const char *why)
{
    struct peer *peer = future->sluice->peer;

    future_end_here(future, outcome, code, why);
    peer_leave_needs(peer, submit);
    return future;
}

struct sluice_future *future_submit(struct sluice *sluice, const char *service,
                                    struct submit *submit,
                                    const struct sluice_submit_options *options)
{
    static const struct sluice_submit_options defaults;
    struct submission_options terms = {0};
    struct sluice_future *future;
    struct sluice_task *task;
    uint64_t deadline_ms, now_ms;
    const char *fault;

    options = options != NULL ? options : &defaults;
    task = options->no_parent || options->detached ? NULL : runtime_task(sluice);
    if (task != NULL && sluice_task_ended(task)) {
        task = NULL;
    }
    deadline_ms = deadline_of(sluice, options, task);
    if (!options->held && !options->no_wait &&
        (task == NULL || !peer_lease_childless(task_lease(task)))) {
        wait_for_room(sluice, deadline_ms, task != NULL);
    }
    now_ms = sluice_now_ms(sluice);
    submit->id = options->id != NULL ? *(const struct id *)options->id : id_of_shard(sluice->shard);
    submit->deadline_ms = deadline_ms == TIMERS_NEVER ? 0 : deadline_ms - now_ms;
    fault = set_submit(submit, service, options);
    future = future_new(sluice, service, &submit->id, options);
    if (future == NULL) {
        return NULL;
    }
    if (fault != NULL) {
        return end_unsent(future, submit, SLUICE_REFUSED, ERROR_BAD_MESSAGE, fault);
    }
    if (deadline_ms <= now_ms) {
        return end_unsent(future, submit, SLUICE_EXPIRED, ERROR_EXPIRED,
                          "its time passed before it was submitted");
    }
    terms.user = future;
    terms.no_wait = options->no_wait;
    terms.run_at_ms = options->run_at_ms;
    terms.parent = task != NULL ? task_lease(task) : NULL;
    if (submit->stream > 0) {
        future->stream = stream_open(sluice, &future->id, submit->stream, true);
        if (future->stream == NULL) {
            future_delete(future);
            return NULL;
        }
    }
    future->submission = peer_submit(runtime_peer(sluice), submit, &terms);
    if (future->submission == NULL && future->outcome == SLUICE_PENDING &&
        future->request == NULL) {
        future_delete(future);
        return NULL;
    }
    return future;
}

struct sluice_future *sluice_submit(struct sluice *sluice, const char *service,
                                    struct sluice_bytes payload,
                                    const struct sluice_submit_options *options)
{
    struct submit submit = {.payload = {.bytes = span_of(payload.data, payload.size)}};

    return future_submit(sluice, service, &submit, options);
}

struct sluice_future *sluice_submit_owned(struct sluice *sluice, const char *service,
                                          struct sluice_bytes payload, sluice_release_fn *release,
                                          void *owner, const struct sluice_submit_options *options)
{
    struct submit submit = {.payload = payload_own(payload, release, owner)};
    struct sluice_future *future = future_submit(sluice, service, &submit, options);

    payload_leave(&submit.payload, release, owner);
    return future;
}

struct sluice_future *sluice_submit_json(struct sluice *sluice, const char *service, json_t *value,
                                         const struct sluice_submit_options *options)
{
    size_t size = 0;
    uint8_t *data;

    if (value == NULL) {
        value = json_object();
    }
    data = json_pack_bytes(value, &size);
    json_decref(value);
    if (data == NULL) {
        return NULL;
    }
    return sluice_submit_owned(sluice, service, (struct sluice_bytes){data, size}, free, data,
                               options);
}

struct sluice_future *future_refused(struct sluice *sluice, const char *service,
                                     const struct sluice_submit_options *options,
                                     enum error_code code, const char *why)
{
    static const struct sluice_submit_options defaults;
    struct id id = id_of_shard(sluice->shard);
    struct sluice_future *future =
        future_new(sluice, service, &id, options != NULL ? options : &defaults);

    if (future != NULL) {
        future_end_here(future, SLUICE_REFUSED, code, why);
    }
    return future;
}

/* ---- ending ---- */

/* On the stack of whoever ended it: a fiber that waited in there would leave all that half done. */
static void tell_end(struct sluice_future *future)
{
    struct strand *strand = strand_current();

    if (strand != NULL) {
        strand->ending++;
    }
    future->on_ended(future, future->arg);
    if (strand != NULL) {
        strand->ending--;
    }
}

static void end(struct sluice_future *future, enum sluice_outcome outcome)
{
    CHECK(future->outcome == SLUICE_PENDING);
    future->outcome = outcome;
    if (future->stream != NULL) {
        stream_end(future->stream);
    }
    future->end = ++future->sluice->future_last;
    while (!list_empty(&future->waiters)) {
        struct list *link = list_pop_front(&future->waiters);

        waiter_ended(list_entry(link, struct waiter, link), future);
    }
    completion_ended(future);
    strands_wake(&future->accepting);
    if (future->on_ended != NULL) {
        tell_end(future);
    }
}

static void keep_error(struct sluice_future *future, const struct error *error)
{
    size_t size = error->code.size + error->message.size + 2;
    char *text = calloc(1, size);

    if (text == NULL) {
        future->error = (struct sluice_error){.code = "no_memory", .message = ""};
        return;
    }
    memcpy(text, error->code.data, error->code.size);
    if (error->message.size > 0) {
        memcpy(text + error->code.size + 1, error->message.data, error->message.size);
    }
    future->error_text = text;
    future->error = (struct sluice_error){
        .code = text,
        .message = text + error->code.size + 1,
        .retryable = error->retryable,
        .retry_after_ms = error->retry_after_ms,
        .scope_service = error->scope_service,
    };
}

void future_end_here(struct sluice_future *future, enum sluice_outcome outcome,
                     enum error_code code, const char *message)
{
    struct error error = {
        .code = span_from_text(error_code_name(code)),
        .message = span_from_text(message),
        .retryable = error_code_retryable(code),
    };

    keep_error(future, &error);
    end(future, outcome);
}

/* False: no memory. */
static bool keep_payload(struct sluice_future *future, const struct payload *payload)
{
    if (payload->blob == NULL && payload->bytes.size <= sizeof future->small) {
        if (payload->bytes.size > 0) {
            memcpy(future->small, payload->bytes.data, payload->bytes.size);
        }
        future->payload.bytes = span_of(future->small, payload->bytes.size);
        return true;
    }
    future->payload.blob = payload->blob != NULL ? blob_ref(payload->blob)
                                                 : blob_new(payload->bytes);
    future->payload.bytes = blob_span(future->payload.blob);
    return future->payload.blob != NULL;
}

static void keep_worker(struct sluice_future *future, struct span worker)
{
    size_t size = worker.size > PEER_NAME_MAX ? PEER_NAME_MAX : worker.size;

    if (size > 0) {
        memcpy(future->worker, worker.data, size);
    }
    future->worker[size] = '\0';
}

/* ---- results that are asked for ---- */

static void future_take(struct sluice_future *future, const struct result *result);

/* The RESULT was not sent: it is unknown, or forgotten, or nobody answers. */
static void unfetched(struct asking *asking, const struct reply *reply)
{
    struct sluice_future *future = list_entry(asking, struct sluice_future, fetch);

    future->request = NULL;
    if (reply != NULL && !reply->ok) {
        keep_error(future, &reply->error);
        end(future, SLUICE_REFUSED);
    } else if (reply == NULL) {
        future_end_here(future, SLUICE_FAILED, ERROR_EXPIRED,
                        "the broker did not send its outcome in time; it may have it still: "
                        "ask again");
    } else {
        future_end_here(future, SLUICE_FAILED, ERROR_NOT_FOUND,
                        "it has ended, and its outcome has been forgotten");
    }
}

static void fetched(struct asking *asking, const struct result *result)
{
    struct sluice_future *future = list_entry(asking, struct sluice_future, fetch);

    peer_request_drop(future->sluice->peer, future->request);
    future->request = NULL;
    future_take(future, result);
}

bool future_fetch(struct sluice_future *future, bool once_ended)
{
    const struct query query = {
        .what = QUERY_RESULT,
        .argument = span_of(future->id.bytes, sizeof future->id.bytes),
        .state = span_from_text(once_ended ? "ended" : ""),
    };

    future->fetch = (struct asking){unfetched, fetched};
    future->request = peer_ask(future->sluice->peer, &query,
                               once_ended ? DURATION_MS_MAX : FETCH_TIMEOUT_MS, &future->fetch);
    return future->request != NULL;
}

/* ---- the peer's upcalls ---- */

/* What a join tells of its needs ends those of them that are held. False: one's on_ended has freed
 * the join. */
static bool settle_needs(struct sluice_future *future, struct span inputs)
{
    bool freed = false;

    future->freed = &freed;
    peer_settle(future->sluice->peer, inputs);
    if (!freed) {
        future->freed = NULL;
    }
    return !freed;
}

/* What each worker's part came to. False: no memory. */
static bool keep_parts(struct sluice_future *future, const struct result *result)
{
    if (!future->scattered) {
        return true;
    }
    future->parts = malloc(sizeof *future->parts);
    if (future->parts == NULL) {
        return false;
    }
    inputs_init(future->parts, &result->record.payload, result->input_count);
    return inputs_keep(future->parts, &result->record.payload);
}

static void future_take(struct sluice_future *future, const struct result *result)
{
    const struct outcome_record *record = &result->record;

    future->timing.attempt = (unsigned)record->attempt;
    future->timing.waited_ms = record->waited_ms;
    future->timing.ran_ms = record->ran_ms;
    keep_worker(future, record->worker);
    if (result->input_count > 0 && !settle_needs(future, record->payload.bytes)) {
        return;
    }
    if (record->outcome != OUTCOME_DONE) {
        keep_error(future, &record->error);
    } else if (record->left_out) {
        if (!future_fetch(future, false)) {
            future_end_here(future, SLUICE_FAILED, ERROR_LIMIT_EXCEEDED,
                            "it is done, but its result could not be asked for");
        }
        return;
    } else if (result->input_count > 0 ? !keep_parts(future, result)
                                       : !keep_payload(future, &record->payload)) {
        future_end_here(future, SLUICE_FAILED, ERROR_MEMORY_FULL,
                        "it is done, but there is no memory for its result here");
        return;
    }
    end(future, (enum sluice_outcome)record->outcome);
}

void future_settle(struct submission *submission, const struct result *result)
{
    struct sluice_future *future = peer_submission_user(submission);

    future->submission = NULL;
    future_take(future, result);
}

void future_accepted(struct submission *submission)
{
    struct sluice_future *future = peer_submission_user(submission);

    future->accepted = true;
    strands_wake(&future->accepting);
}

void future_progress(struct submission *submission, struct span payload)
{
    struct sluice_future *future = peer_submission_user(submission);
    json_t *value;

    if (future->on_progress == NULL) {
        return;
    }
    value = json_unpack_bytes(payload);
    if (value != NULL) {
        future->on_progress(future, value, future->arg);
        json_decref(value);
    }
}

void future_started(struct submission *submission, const struct started *started)
{
    struct sluice_future *future = peer_submission_user(submission);

    keep_worker(future, started->worker);
    if (future->on_started != NULL) {
        future->on_started(future, future->worker, future->arg);
    }
}

void futures_orphan(struct sluice *sluice)
{
    while (!list_empty(&sluice->futures)) {
        struct sluice_future *future =
            list_entry(list_pop_front(&sluice->futures), struct sluice_future, all);

        if (future->stream != NULL) {
            stream_orphan(future->stream);
        }
        future->sluice = NULL;
        future->submission = NULL;
        future->request = NULL;
        list_unlink(&future->scope);
    }
    while (!list_empty(&sluice->spare_futures)) {
        free(list_entry(list_pop_front(&sluice->spare_futures), struct sluice_future, all));
    }
    sluice->spare_future_count = SPARE_MAX; /* no more are kept */
}

/* ---- the application's calls ---- */

void sluice_cancel(struct sluice_future *future, const char *reason)
{
    struct span text = span_from_text(reason != NULL ? reason : "");

    if (future->submission != NULL) {
        peer_cancel(future->sluice->peer, future->submission,
                    text_valid(text, REASON_MAX) ? text : span_of(NULL, 0));
    }
}

void sluice_future_forget(struct sluice_future *future)
{
    if (future->submission != NULL) {
        if (future->stream != NULL) {
            stream_end(future->stream); /* while the peer knows whose it is */
        }
        peer_forget(future->sluice->peer, future->submission);
        future->submission = NULL;
    }
    sluice_future_free(future);
}

void sluice_future_free(struct sluice_future *future)
{
    if (future == NULL) {
        return;
    }
    CHECK(list_empty(&future->waiters) || runtime_over(future->sluice));
    CHECK(list_empty(&future->accepting));
    completion_leave(future);
    if (future->submission != NULL) {
        peer_abandon(future->sluice->peer, future->submission);
    }
    if (future->request != NULL) {
        peer_request_drop(future->sluice->peer, future->request);
    }
    future_delete(future);
}

enum sluice_outcome sluice_future_outcome(const struct sluice_future *future)
{
    return future->outcome;
}

const struct sluice_id *sluice_future_id(const struct sluice_future *future)
{
    return (const struct sluice_id *)&future->id;
}

const char *sluice_future_service(const struct sluice_future *future)
{
    return future->service;
}

struct sluice_bytes sluice_future_payload(const struct sluice_future *future)
{
    return (struct sluice_bytes){future->payload.bytes.data, future->payload.bytes.size};
}

json_t *sluice_future_json(struct sluice_future *future)
{
    if (!future->json_read && future->outcome == SLUICE_DONE) {
        future->json_read = true;
        future->json = json_unpack_bytes(future->payload.bytes);
    }
    return future->json;
}

const struct sluice_error *sluice_future_error(const struct sluice_future *future)
{
    return future->outcome == SLUICE_PENDING || future->outcome == SLUICE_DONE ? NULL
                                                                               : &future->error;
}

size_t sluice_part_count(const struct sluice_future *future)
{
    return future->parts != NULL ? future->parts->count : 0;
}

bool sluice_part(struct sluice_future *future, size_t index, struct sluice_input *part)
{
    return future->parts != NULL && inputs_at(future->parts, index, part);
}

struct sluice_timing sluice_future_timing(const struct sluice_future *future)
{
    return future->timing;
}

struct sluice_stream *sluice_future_stream(const struct sluice_future *future)
{
    return future->stream;
}
