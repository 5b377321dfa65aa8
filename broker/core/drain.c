#include "broker/core/drain.h"

#include "common/mutant.h"

struct peer *peer_find_number(const struct broker *broker, uint64_t number)
{
    const struct list *link = roster_seek(&broker->peers, number);
    struct peer *peer;

    if (link == &broker->peers.lanes[0]) {
        return NULL;
    }
    peer = list_entry(link, struct peer, place.lanes);
    return peer->place.serial == number ? peer : NULL;
}

static enum error_code drain_peer(struct broker *broker, uint64_t number, bool on,
                                  struct doc *body)
{
    struct peer *peer = peer_find_number(broker, number);

    if (peer == NULL) {
        return ERROR_NOT_FOUND;
    }
    peer->draining = on;
    BROKER_LOG(broker, LOG_INFO, on ? "worker_drained" : "worker_undrained",
               LOG_TEXT("peer", label_span(peer->name)),
               LOG_ID("session", &peer->session), LOG_UINT("held", peer->held));
    peer_place_offers(broker, peer);
    doc_uint(body, "left", peer->held);
    return ERROR_NONE;
}

void drain_service(struct broker *broker, struct service *service, bool on)
{
    service->draining = on;
    service_note_idle(broker, service);
}

static enum error_code drain_named(struct broker *broker, struct span name, bool on,
                                   struct doc *body)
{
    struct service *service = service_find(broker, name);

    if (service == NULL) {
        return ERROR_NOT_FOUND;
    }
    drain_service(broker, service, on);
    doc_uint(body, "left", service->unfinished);
    return ERROR_NONE;
}

enum error_code control_drain(struct broker *broker, const struct control *control,
                              struct doc *body)
{
    bool on = control->what == CONTROL_DRAIN;
    struct broker_stats stats;

    if (control->peer != 0 && control->service.size > 0) {
        return ERROR_BAD_MESSAGE;
    }
    if (control->peer != 0) {
        return drain_peer(broker, control->peer, on, body);
    }
    if (control->service.size > 0) {
        return drain_named(broker, control->service, on, body);
    }
    if (!on && broker->stopping) {
        return ERROR_DRAINING;
    }
    broker->draining = on;
    broker_stats(broker, &stats);
    doc_uint(body, "left", stats.tasks);
    return ERROR_NONE;
}

bool drain_refuses(const struct broker *broker, const struct service *service,
                   const struct submit *submit)
{
    bool draining = service == NULL ? broker->draining && !MUTANT(DRAIN_IGNORED)
                                    : service->draining && !MUTANT(SERVICE_DRAIN_IGNORED);

    return draining && id_is_nil(&submit->parent);
}

bool drain_holds(const struct flow *flow)
{
    list_each(link, &flow->service->offers) {
        const struct offer *offer = list_entry(link, struct offer, service_link);
        const struct peer *peer = offer->peer;

        if (target_takes(flow->target, offer) && peer->state == PEER_CONNECTED &&
            peer->draining) {
            return true;
        }
    }
    return false;
}
