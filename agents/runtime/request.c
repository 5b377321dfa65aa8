/* request: a question to the broker, until its REPLY. */
#include "agents/runtime/peer_state.h"

#include "common/check.h"

#include <stdlib.h>

static_assert(SERVICE_NAME_MAX + KEY_MAX + PEER_NAME_MAX <= REQUEST_TEXT_MAX, "CONTROL");
static_assert(REASON_MAX <= REQUEST_TEXT_MAX, "CANCEL");

/* Each text is kept where the one before it ends: a request may be copied, its spans are set anew
 * before it is sent. */
static size_t text_keep(struct request *request, size_t used, struct span text)
{
    CHECK(used + text.size <= sizeof request->text);
    if (text.size > 0) {
        memcpy(request->text + used, text.data, text.size);
    }
    return used + text.size;
}

static struct span text_next(const struct request *request, size_t *used, struct span text)
{
    struct span kept = span_of(request->text + *used, text.size);

    *used += text.size;
    return kept;
}

static struct query query_of(const struct request *request)
{
    struct query query = request->query;
    size_t used = 0;

    query.request = request->number;
    query.argument = text_next(request, &used, query.argument);
    query.service = text_next(request, &used, query.service);
    query.state = text_next(request, &used, query.state);
    return query;
}

static struct control control_of(const struct request *request)
{
    struct control control = request->control;
    size_t used = 0;

    control.request = request->number;
    control.service = text_next(request, &used, control.service);
    control.key = text_next(request, &used, control.key);
    control.tenant = text_next(request, &used, control.tenant);
    return control;
}

static void send_request(struct peer *peer, const struct request *request)
{
    struct message message;

    if (request->kind == REQUEST_QUERY) {
        message = (struct message){.command = COMMAND_QUERY, .query = query_of(request)};
    } else if (request->kind == REQUEST_CONTROL) {
        message = (struct message){.command = COMMAND_CONTROL, .control = control_of(request)};
    } else if (request->kind == REQUEST_SIGNAL) {
        message = (struct message){
            .command = COMMAND_SIGNAL,
            .signal = {.request = request->number,
                       .id = request->id,
                       .payload = {.bytes = blob_span(request->blob),
                                   .blob = blob_span(request->blob).size > PAYLOAD_INLINE_MAX
                                               ? request->blob
                                               : NULL}},
        };
    } else {
        message = (struct message){
            .command = COMMAND_CANCEL,
            .cancel = {.id = request->id,
                       .reason = span_of(request->text, request->reason.size),
                       .request = request->number},
        };
    }
    peer_send(peer, &message);
}

static void detach(struct peer *peer, struct request *request)
{
    id_map_remove(&peer->requests_by_number, &request->by_number);
    timers_clear(&peer->request_timers, &request->timer);
    list_unlink(&request->link);
    if (request->result_asked) {
        id_map_remove(&peer->results_asked, &request->by_task);
    }
    peer->request_count--;
}

static void finish(struct peer *peer, struct request *request, const struct reply *reply)
{
    detach(peer, request);
    peer->sink.reply(peer->sink.context, request, reply);
    blob_unref(request->blob);
    free(request);
}

static struct request *request_add(struct peer *peer, const struct request *from,
                                   uint64_t timeout_ms)
{
    struct request *request;

    CHECK(timeout_ms > 0);
    if (peer->request_count >= PEER_REQUESTS_MAX || peer->state == SESSION_CLOSED) {
        return NULL;
    }
    request = malloc(sizeof *request);
    if (request == NULL) {
        return NULL;
    }
    *request = *from;
    request->number = ++peer->request_last;
    if (!timers_set(&peer->request_timers, &request->timer, peer->now_ms + timeout_ms)) {
        free(request);
        return NULL;
    }
    request->by_number.id = id_of_number(request->number);
    id_map_insert(&peer->requests_by_number, &request->by_number);
    if (request->result_asked) {
        id_map_insert(&peer->results_asked, &request->by_task);
    }
    list_init(&request->link);
    list_push_back(&peer->requests, &request->link);
    peer->request_count++;
    if (peer_speaks(peer)) {
        send_request(peer, request);
    }
    return request;
}

struct request *peer_ask(struct peer *peer, const struct query *query, uint64_t timeout_ms,
                         void *user)
{
    struct request request = {.kind = REQUEST_QUERY, .query = *query, .user = user};
    size_t used = 0;

    used = text_keep(&request, used, query->argument);
    used = text_keep(&request, used, query->service);
    text_keep(&request, used, query->state);
    if (query->what == QUERY_RESULT && query->argument.size == sizeof request.by_task.id.bytes) {
        memcpy(request.by_task.id.bytes, query->argument.data, query->argument.size);
        if (id_map_find(&peer->results_asked, &request.by_task.id) != NULL) {
            return NULL; /* whose would the RESULT be? */
        }
        request.result_asked = true;
    }
    return request_add(peer, &request, timeout_ms);
}

struct request *peer_query(struct peer *peer, enum query_what what, struct span argument,
                           uint64_t timeout_ms, void *user)
{
    return peer_ask(peer, &(struct query){.what = what, .argument = argument}, timeout_ms, user);
}

struct request *peer_cancel_id(struct peer *peer, const struct id *id, struct span reason,
                               uint64_t timeout_ms, void *user)
{
    struct request request = {.kind = REQUEST_CANCEL_ID, .id = *id, .reason = reason,
                              .user = user};

    text_keep(&request, 0, reason);
    return request_add(peer, &request, timeout_ms);
}

struct request *peer_control(struct peer *peer, const struct control *control,
                             uint64_t timeout_ms, void *user)
{
    struct request request = {.kind = REQUEST_CONTROL, .control = *control, .user = user};
    size_t used = 0;

    used = text_keep(&request, used, control->service);
    used = text_keep(&request, used, control->key);
    text_keep(&request, used, control->tenant);
    return request_add(peer, &request, timeout_ms);
}

struct request *peer_signal(struct peer *peer, const struct id *id, struct span payload,
                            uint64_t timeout_ms, void *user)
{
    struct request request = {.kind = REQUEST_SIGNAL, .id = *id, .user = user};
    struct request *added;

    CHECK(payload.size <= SIGNALS_BYTES_MAX);
    if (payload.size > 0) {
        request.blob = blob_new(payload);
        if (request.blob == NULL) {
            return NULL;
        }
    }
    added = request_add(peer, &request, timeout_ms);
    if (added == NULL) {
        blob_unref(request.blob);
    }
    return added;
}

void *peer_request_user(const struct request *request)
{
    return request->user;
}

void peer_request_drop(struct peer *peer, struct request *request)
{
    detach(peer, request);
    blob_unref(request->blob);
    free(request);
}

/* CANCELs of submissions are numbered from the same sequence. */
void request_receive(struct peer *peer, const struct reply *reply)
{
    struct id key = id_of_number(reply->request);
    struct id_node *node = id_map_find(&peer->requests_by_number, &key);

    if (node != NULL) {
        finish(peer, list_entry(node, struct request, by_number), reply);
        return;
    }
    node = id_map_find(&peer->cancels, &key);
    if (node != NULL) {
        submission_cancelled(peer, list_entry(node, struct submission, by_cancel));
    }
}

/* Comes ahead of the REPLY. */
void request_receive_result(struct peer *peer, const struct result *result)
{
    struct id_node *node = id_map_find(&peer->results_asked, &result->record.id);

    if (node != NULL && peer->sink.outcome != NULL) {
        peer->sink.outcome(peer->sink.context, list_entry(node, struct request, by_task), result);
    }
}

void requests_resume(struct peer *peer)
{
    for (struct list *at = peer->requests.next; at != &peer->requests; at = at->next) {
        send_request(peer, list_entry(at, struct request, link));
    }
}

void requests_advance(struct peer *peer)
{
    struct timer *first;

    while ((first = timers_first(&peer->request_timers)) != NULL && first->at_ms <= peer->now_ms) {
        finish(peer, list_entry(first, struct request, timer), NULL);
    }
}

void requests_free(struct peer *peer)
{
    while (!list_empty(&peer->requests)) {
        struct request *request = list_entry(peer->requests.next, struct request, link);

        detach(peer, request);
        blob_unref(request->blob);
        free(request);
    }
}
