/* watching: what happens at the broker, as far as we want to know. PROTOCOL.md, WATCH, EVENT. */
#include "agents/runtime/peer_state.h"

#include "common/check.h"

#include <stdlib.h>

struct watching {
    uint64_t number;
    uint64_t window; /* events that may be on their way, or wait to be taken */
    uint64_t queued; /* come, and not taken */
    uint64_t taken;  /* since the last WATCH */
    bool received;   /* some event, in an earlier session */
    bool restarted;  /* and what happened in between is not known */
    struct id task;
    size_t service_size;
    uint8_t service[SERVICE_NAME_MAX];
    void *user;
    struct list link; /* peer.watchings */
};

static void send_watch(struct peer *peer, const struct watching *watching, uint64_t credit)
{
    struct message message = {.command = COMMAND_WATCH,
                              .watch = {.request = watching->number,
                                        .credit = credit,
                                        .task = watching->task}};

    message.watch.service = span_of(watching->service, watching->service_size);
    if (peer_speaks(peer)) {
        peer_send(peer, &message);
    }
}

static struct watching *watching_find(const struct peer *peer, uint64_t number)
{
    list_each(at, &peer->watchings) {
        struct watching *watching = list_entry(at, struct watching, link);

        if (watching->number == number) {
            return watching;
        }
    }
    return NULL;
}

struct watching *peer_watching_open(struct peer *peer, struct span service,
                                    const struct id *task, uint64_t window, void *user)
{
    struct watching *watching;

    CHECK(window > 0 && window <= CREDIT_MAX);
    CHECK(service.size <= SERVICE_NAME_MAX);
    if (peer->watching_count >= PEER_WATCHINGS_MAX || peer->state == SESSION_CLOSED) {
        return NULL;
    }
    watching = calloc(1, sizeof *watching);
    if (watching == NULL) {
        return NULL;
    }
    watching->number = ++peer->request_last;
    watching->window = window;
    watching->user = user;
    watching->service_size = service.size;
    if (service.size > 0) {
        memcpy(watching->service, service.data, service.size);
    }
    if (task != NULL) {
        watching->task = *task;
    }
    list_init(&watching->link);
    list_push_back(&peer->watchings, &watching->link);
    peer->watching_count++;
    send_watch(peer, watching, window);
    return watching;
}

static void watching_free(struct peer *peer, struct watching *watching)
{
    list_unlink(&watching->link);
    peer->watching_count--;
    free(watching);
}

void peer_watching_close(struct peer *peer, struct watching *watching)
{
    send_watch(peer, watching, 0);
    watching_free(peer, watching);
}

void *peer_watching_user(const struct watching *watching)
{
    return watching->user;
}

/* Half of the window at a time: a WATCH an event would cost as much as the events. */
void peer_watching_taken(struct peer *peer, struct watching *watching)
{
    CHECK(watching->queued > 0);
    watching->queued--;
    watching->taken++;
    if (watching->taken >= (watching->window + 1) / 2 && watching->queued < watching->window) {
        watching->taken = 0;
        send_watch(peer, watching, watching->window - watching->queued);
    }
}

void watching_receive(struct peer *peer, const struct event_message *event)
{
    struct watching *watching = watching_find(peer, event->request);
    bool restarted;

    if (watching == NULL) {
        return;
    }
    restarted = watching->restarted;
    watching->restarted = false;
    watching->received = true;
    watching->queued++;
    peer->sink.event(peer->sink.context, watching, event, restarted);
}

/* The answer to a WATCH says only where it stands, unless it is refused. */
bool watching_receive_reply(struct peer *peer, const struct reply *reply)
{
    struct watching *watching = watching_find(peer, reply->request);
    void *user;

    if (watching == NULL) {
        return false;
    }
    if (!reply->ok) {
        user = watching->user;
        watching_free(peer, watching);
        peer->sink.watch_over(peer->sink.context, user, &reply->error);
    }
    return true;
}

void watchings_resume(struct peer *peer)
{
    list_each(at, &peer->watchings) {
        struct watching *watching = list_entry(at, struct watching, link);

        watching->restarted = watching->received;
        watching->taken = 0;
        send_watch(peer, watching,
                   watching->queued < watching->window ? watching->window - watching->queued : 1);
    }
}

void watchings_free(struct peer *peer)
{
    list_each(at, &peer->watchings) {
        watching_free(peer, list_entry(at, struct watching, link));
    }
}
