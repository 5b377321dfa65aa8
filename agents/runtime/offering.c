/* offering: what the peer offers, and with how much credit. */
#include "agents/runtime/peer_state.h"

#include "common/check.h"

#include <stdlib.h>

/* The broker has too many services, or no memory: that may pass. */
#define REOFFER_MS 1000

static uint64_t level(const struct offering *offering)
{
    uint64_t credit = offering->offer.credit + offering->given;

    return credit > CREDIT_MAX ? CREDIT_MAX : credit;
}

static void send_offer(struct peer *peer, struct offering *offering)
{
    struct message message = {.command = COMMAND_OFFER, .offer = offering->offer};

    message.offer.credit = offering->told_credit = level(offering);
    offering->dirty = false;
    peer_send(peer, &message);
}

static void take(struct span *field, struct span from, char **to)
{
    if (from.size > 0) {
        memcpy(*to, from.data, from.size);
    }
    *field = span_of(*to, from.size);
    *to += from.size;
}

/* Copies `offer` with its texts. False: no memory, nothing changed. */
static bool keep_offer(struct offering *offering, const struct offer_message *offer)
{
    size_t size = offer->service.size + offer->schema.size + offer->version.size +
                  offer->about.size;
    char *text = malloc(size + 1);
    char *to = text;

    if (text == NULL) {
        return false;
    }
    free(offering->text);
    offering->text = text;
    offering->offer = *offer;
    take(&offering->offer.service, offer->service, &to);
    take(&offering->offer.schema, offer->schema, &to);
    take(&offering->offer.version, offer->version, &to);
    take(&offering->offer.about, offer->about, &to);
    return true;
}

struct offering *offering_find(struct peer *peer, struct span service)
{
    for (size_t i = 0; i < peer->offering_count; i++) {
        if (span_equal(peer->offerings[i]->offer.service, service)) {
            return peer->offerings[i];
        }
    }
    return NULL;
}

struct offering *peer_offer(struct peer *peer, const struct offer_message *offer, void *user)
{
    struct offering *offering = offering_find(peer, offer->service);

    CHECK(service_name_valid(offer->service));
    CHECK(offer->credit <= CREDIT_MAX);
    if (offering == NULL) {
        if (peer->offering_count == PEER_OFFERINGS_MAX) {
            return NULL;
        }
        offering = calloc(1, sizeof *offering);
        if (offering == NULL || !keep_offer(offering, offer)) {
            free(offering);
            return NULL;
        }
        peer->offerings[peer->offering_count++] = offering;
    } else if (!keep_offer(offering, offer)) {
        return NULL;
    }
    offering->user = user;
    offering->withdrawn = false;
    if (peer_speaks(peer)) {
        send_offer(peer, offering);
    }
    return offering;
}

void peer_withdraw(struct peer *peer, struct offering *offering)
{
    struct message message = {.command = COMMAND_WITHDRAW,
                              .withdraw = {.service = offering->offer.service}};

    if (offering->withdrawn) {
        return;
    }
    offering->withdrawn = true;
    if (peer_speaks(peer)) {
        peer_send(peer, &message);
    }
}

void peer_credit_give(struct peer *peer, struct offering *offering, int delta)
{
    CHECK(delta == 1 || delta == -1);
    CHECK(delta == 1 || offering->given > 0);
    offering->given = delta == 1 ? offering->given + 1 : offering->given - 1;
    offering->dirty = true;
    peer->credit_dirty = true;
}

bool peer_offered(const struct offering *offering)
{
    return !offering->withdrawn;
}

void *peer_offering_user(const struct offering *offering)
{
    return offering->user;
}

void offerings_refused(struct peer *peer)
{
    if (peer->reoffer_ms == TIMERS_NEVER) {
        peer->reoffer_ms = peer->now_ms + REOFFER_MS;
    }
}

void offerings_advance(struct peer *peer)
{
    if (peer->state == SESSION_OPEN && peer->now_ms >= peer->reoffer_ms) {
        offerings_send(peer);
    }
}

void offerings_send(struct peer *peer)
{
    peer->reoffer_ms = TIMERS_NEVER;
    for (size_t i = 0; i < peer->offering_count; i++) {
        if (!peer->offerings[i]->withdrawn) {
            send_offer(peer, peer->offerings[i]);
        }
    }
}

/* A handler that waits for an instant raises and lowers the level within one
 * batch: then there is nothing to say. */
void offerings_flush(struct peer *peer)
{
    peer->credit_dirty = false;
    for (size_t i = 0; i < peer->offering_count; i++) {
        struct offering *offering = peer->offerings[i];
        struct message message = {.command = COMMAND_CREDIT,
                                  .credit = {.service = offering->offer.service,
                                             .credit = level(offering)}};

        if (offering->dirty && !offering->withdrawn && level(offering) != offering->told_credit) {
            offering->told_credit = level(offering);
            peer_send(peer, &message);
        }
        offering->dirty = false;
    }
}

void offerings_free(struct peer *peer)
{
    for (size_t i = 0; i < peer->offering_count; i++) {
        free(peer->offerings[i]->text);
        free(peer->offerings[i]);
    }
    peer->offering_count = 0;
}
