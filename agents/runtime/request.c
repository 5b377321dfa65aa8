/* request: a question to the broker, until its REPLY. */
#include "agents/runtime/peer_state.h"

#include "common/check.h"

#include <stdlib.h>

static_assert(SERVICE_NAME_MAX + KEY_MAX + PEER_NAME_MAX <= QUERY_ARGUMENT_MAX,
              "the texts of a CONTROL fit a request's argument");

static void add_text(uint8_t **to, struct span text)
{
    if (text.size > 0) {
        memcpy(*to, text.data, text.size);
        *to += text.size;
    }
}

/* Points the texts, whose sizes are right, to where they are kept. */
static void control_texts(struct control *control, const uint8_t *at)
{
    control->service.data = at;
    control->key.data = at + control->service.size;
    control->tenant.data = control->key.data + control->key.size;
}

static void send_request(struct peer *peer, const struct request *request)
{
    struct message message;

    if (request->kind == REQUEST_QUERY) {
        message = (struct message){
            .command = COMMAND_QUERY,
            .query = {.request = request->number,
                      .what = request->what,
                      .argument = span_of(request->argument, request->argument_size)},
        };
    } else if (request->kind == REQUEST_CONTROL) {
        message = (struct message){.command = COMMAND_CONTROL, .control = request->control};
        message.control.request = request->number;
        control_texts(&message.control, request->argument);
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
                       .reason = span_of(request->argument, request->argument_size),
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
    list_init(&request->link);
    list_push_back(&peer->requests, &request->link);
    peer->request_count++;
    if (peer_speaks(peer)) {
        send_request(peer, request);
    }
    return request;
}

struct request *peer_query(struct peer *peer, enum query_what what, struct span argument,
                           uint64_t timeout_ms, void *user)
{
    struct request request = {.kind = REQUEST_QUERY,
                              .what = what,
                              .argument_size = argument.size,
                              .user = user};

    CHECK(argument.size <= sizeof request.argument);
    if (argument.size > 0) {
        memcpy(request.argument, argument.data, argument.size);
    }
    return request_add(peer, &request, timeout_ms);
}

struct request *peer_cancel_id(struct peer *peer, const struct id *id, struct span reason,
                               uint64_t timeout_ms, void *user)
{
    struct request request = {.kind = REQUEST_CANCEL_ID,
                              .id = *id,
                              .argument_size = reason.size,
                              .user = user};

    CHECK(reason.size <= sizeof request.argument);
    if (reason.size > 0) {
        memcpy(request.argument, reason.data, reason.size);
    }
    return request_add(peer, &request, timeout_ms);
}

struct request *peer_control(struct peer *peer, const struct control *control,
                             uint64_t timeout_ms, void *user)
{
    struct request request = {.kind = REQUEST_CONTROL,
                              .control = *control,
                              .argument_size = control->service.size + control->key.size +
                                               control->tenant.size,
                              .user = user};
    uint8_t *at = request.argument;

    CHECK(request.argument_size <= sizeof request.argument);
    add_text(&at, control->service);
    add_text(&at, control->key);
    add_text(&at, control->tenant);
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
