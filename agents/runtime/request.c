/* request: a question to the broker, until its REPLY. */
#include "agents/runtime/peer_state.h"

#include "common/check.h"

#include <stdlib.h>

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
    struct id key = request_key(request->number);

    id_map_remove(&peer->requests_by_number, &key);
    timers_clear(&peer->request_timers, &request->timer);
    link_remove(&request->link);
    peer->request_count--;
}

static void finish(struct peer *peer, struct request *request, const struct reply *reply)
{
    detach(peer, request);
    peer->sink.reply(peer->sink.context, request, reply);
    free(request);
}

static struct request *request_add(struct peer *peer, const struct request *from,
                                   uint64_t timeout_ms)
{
    struct request *request;
    struct id key;

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
    key = request_key(request->number);
    if (!id_map_insert(&peer->requests_by_number, &key, request)) {
        free(request);
        return NULL;
    }
    if (!timers_set(&peer->request_timers, &request->timer, peer->now_ms + timeout_ms)) {
        id_map_remove(&peer->requests_by_number, &key);
        free(request);
        return NULL;
    }
    link_push(&peer->requests, &request->link);
    peer->request_count++;
    if (peer->state == SESSION_OPEN) {
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

void *peer_request_user(const struct request *request)
{
    return request->user;
}

void peer_request_drop(struct peer *peer, struct request *request)
{
    detach(peer, request);
    free(request);
}

/* CANCELs of submissions are numbered from the same sequence. */
void request_receive(struct peer *peer, const struct reply *reply)
{
    struct id key = request_key(reply->request);
    struct request *request = id_map_find(&peer->requests_by_number, &key);
    struct submission *submission;

    if (request != NULL) {
        finish(peer, request, reply);
        return;
    }
    submission = id_map_find(&peer->cancels_by_number, &key);
    if (submission != NULL) {
        submission_cancelled(peer, submission);
    }
}

void requests_resume(struct peer *peer)
{
    for (struct link *at = peer->requests.next; at != &peer->requests; at = at->next) {
        send_request(peer, LINK_OF(at, struct request, link));
    }
}

void requests_advance(struct peer *peer)
{
    struct timer *first;

    while ((first = timers_first(&peer->request_timers)) != NULL && first->at_ms <= peer->now_ms) {
        finish(peer, LINK_OF(first, struct request, timer), NULL);
    }
}

void requests_free(struct peer *peer)
{
    while (!link_empty(&peer->requests)) {
        struct request *request = LINK_OF(peer->requests.next, struct request, link);

        detach(peer, request);
        free(request);
    }
}
