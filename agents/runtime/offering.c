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
    list_unlink(&offering->dirty_link);
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
    char *text = malloc(offer->schema.size + offer->version.size + offer->about.size + 1);
    char *to = text, *name = offering->name;

    if (text == NULL) {
        return false;
    }
    free(offering->text);
    offering->text = text;
    offering->offer = *offer;
    take(&offering->offer.service, offer->service, &name);
    take(&offering->offer.schema, offer->schema, &to);
    take(&offering->offer.version, offer->version, &to);
    take(&offering->offer.about, offer->about, &to);
    return true;
}

static uint32_t name_hash(const struct peer *peer, struct span name)
{
    return table_hash(peer->options.seed, name.data, name.size);
}

/* Most workers have one service, or get some tasks of each in a row. */
struct offering *offering_find(struct peer *peer, struct span service)
{
    uint32_t hash;

    if (peer->offering_last != NULL && span_equal(peer->offering_last->offer.service, service)) {
        return peer->offering_last;
    }
    hash = name_hash(peer, service);
    for (struct table_node *at = table_chain(&peer->offerings_by_name, hash); at != NULL;
         at = at->next) {
        struct offering *offering = table_entry(at, struct offering, by_name);

        if (at->hash == hash && span_equal(offering->offer.service, service)) {
            peer->offering_last = offering;
            return offering;
        }
    }
    return NULL;
}

/* NULL: no memory. */
static struct offering *offering_new(struct peer *peer, const struct offer_message *offer)
{
    struct offering *offering = calloc(1, sizeof *offering);

    if (offering == NULL || !keep_offer(offering, offer)) {
        free(offering);
        return NULL;
    }
    list_init(&offering->link);
    list_init(&offering->dirty_link);
    list_push_back(&peer->offerings, &offering->link);
    table_insert(&peer->offerings_by_name, &offering->by_name, name_hash(peer, offer->service));
    return offering;
}

struct offering *peer_offer(struct peer *peer, const struct offer_message *offer, void *user)
{
    struct offering *offering = offering_find(peer, offer->service);

    CHECK(service_name_valid(offer->service));
    CHECK(offer->credit <= CREDIT_MAX);
    if (offering != NULL) {
        if (!keep_offer(offering, offer)) {
            return NULL;
        }
    } else if (peer->offerings_by_name.count == PEER_OFFERINGS_MAX ||
               (offering = offering_new(peer, offer)) == NULL) {
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
    if (list_empty(&offering->dirty_link)) {
        list_push_back(&peer->offerings_dirty, &offering->dirty_link);
    }
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
    list_each(at, &peer->offerings) {
        struct offering *offering = list_entry(at, struct offering, link);

        if (!offering->withdrawn) {
            send_offer(peer, offering);
        }
    }
}

/* A handler that waits for an instant raises and lowers the level within one
 * batch: then there is nothing to say. */
void offerings_flush(struct peer *peer)
{
    struct list *at;

    while ((at = list_first(&peer->offerings_dirty)) != NULL) {
        struct offering *offering = list_entry(at, struct offering, dirty_link);
        struct message message = {.command = COMMAND_CREDIT,
                                  .credit = {.service = offering->offer.service,
                                             .credit = level(offering)}};

        list_unlink(at);
        if (!offering->withdrawn && level(offering) != offering->told_credit) {
            offering->told_credit = level(offering);
            peer_send(peer, &message);
        }
    }
}

void offerings_free(struct peer *peer)
{
    struct list *at;

    while ((at = list_first(&peer->offerings)) != NULL) {
        struct offering *offering = list_entry(at, struct offering, link);

        list_unlink(at);
        list_unlink(&offering->dirty_link);
        table_remove(&peer->offerings_by_name, &offering->by_name);
        free(offering->text);
        free(offering);
    }
}
