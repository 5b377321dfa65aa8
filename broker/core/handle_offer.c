#include "broker/core/handle.h"
#include "broker/core/watch.h"

#define TEXT_SHARE 16 /* of memory_max: all texts of all offers */

/* Keeps a copy of an offer's text; an empty one is NULL, and so is one without memory. */
static void keep_text(struct broker *broker, struct blob **kept, struct span text)
{
    broker->text_bytes -= blob_span(*kept).size;
    blob_unref(*kept);
    *kept = text.size > 0 ? blob_new(text) : NULL;
    broker->text_bytes += blob_span(*kept).size;
}

/* Texts have a share of memory to themselves: a memory full of tasks must not keep away the
 * workers that would empty it. */
static bool texts_fit(const struct broker *broker, const struct offer *offer,
                      const struct offer_message *message)
{
    uint64_t bytes = message->schema.size + message->about.size;
    uint64_t others = broker->text_bytes - (offer != NULL ? offer_text_bytes(offer) : 0);

    return bytes == 0 || others + bytes <= broker->options.memory_max / TEXT_SHARE;
}

/* The operator's limits stand; else the newest offer that names some wins. */
static void adopt_limits(struct service *service, const struct offer_message *offer)
{
    static const struct limit_values none = {0};
    const struct limit *rule = service->limiter != NULL ? service->limiter->limit : NULL;
    const struct limit_values *said = rule != NULL ? &rule->values : &none;

    if (service->configured) {
        return;
    }
    if (offer->max_tasks > 0 && said->max_tasks == 0) {
        service->limits.max_tasks = offer->max_tasks;
    }
    if (offer->max_bytes > 0 && said->max_bytes == 0) {
        service->limits.max_bytes = offer->max_bytes;
    }
    if (offer->attempts > 0 && said->attempts == 0) {
        service->limits.attempts = offer->attempts;
    }
}

/* Somebody else offers it, and one of the two wants to be alone with it. */
static bool offer_conflicts(const struct broker *broker, const struct peer *peer,
                            const struct offer_message *message)
{
    const struct service *service = service_find(broker, message->service);

    if (service == NULL) {
        return false;
    }
    list_each(link, &service->offers) {
        const struct offer *other = list_entry(link, struct offer, service_link);

        if (other->peer != peer) {
            /* One tells: if it is exclusive, it is alone. */
            return message->exclusive || (other->exclusive && !MUTANT(ALONE_IN_VAIN));
        }
    }
    return false;
}

/* NULL: too many, or no memory; nothing has changed. */
static struct offer *make_offer(struct broker *broker, struct peer *peer,
                                const struct offer_message *message)
{
    struct service *service;
    struct offer *offer;

    /* Asked first: a refused offer must not leave a service behind. */
    service = peer->offer_count < broker->options.offers_per_peer_max
                  ? service_open(broker, message->service)
                  : NULL;
    offer = service != NULL ? offer_new(broker, peer, service) : NULL;
    if (offer == NULL) {
        return NULL;
    }
    if (!offer_set_version(broker, offer, message->version)) {
        offer_withdraw(broker, offer);
        return NULL;
    }
    BROKER_LOG(broker, LOG_INFO, "service_offered", LOG_TEXT("service", message->service),
               LOG_TEXT("peer", label_span(peer->name)), LOG_UINT("credit", message->credit));
    watch_emit(broker, NOTE_OFFERED, message->service, label_span(peer->name), message->version);
    return offer;
}

void handle_offer(struct broker *broker, struct peer *peer, const struct offer_message *message)
{
    struct offer *offer = peer_offer(peer, message->service);

    if (offer_conflicts(broker, peer, message)) {
        send_error(broker, peer->connection, ERROR_CONFLICT, COMMAND_OFFER, "service", NULL);
        return;
    }
    if (!texts_fit(broker, offer, message)) {
        send_error(broker, peer->connection, ERROR_MEMORY_FULL, COMMAND_OFFER, "schema", NULL);
        return;
    }
    if (offer == NULL) {
        offer = make_offer(broker, peer, message);
    } else if (!offer_set_version(broker, offer, message->version)) {
        offer = NULL;
    }
    if (offer == NULL) {
        send_error(broker, peer->connection, ERROR_LIMIT_EXCEEDED, COMMAND_OFFER, "service",
                   NULL);
        return;
    }
    adopt_limits(offer->service, message);
    offer->exclusive = message->exclusive || (MUTANT(ALONE_FOR_EVER) && offer->exclusive);
    keep_text(broker, &offer->schema, message->schema);
    keep_text(broker, &offer->about, message->about);
    offer->lease_ms = message->lease_ms;
    offer->max_run_ms = message->max_run_ms;
    offer_set_credit(broker, offer, message->credit);
}

void handle_withdraw(struct broker *broker, struct peer *peer, const struct withdraw *withdraw)
{
    struct offer *offer = peer_offer(peer, withdraw->service);

    if (offer == NULL) {
        send_error(broker, peer->connection, ERROR_NOT_FOUND, COMMAND_WITHDRAW, "service", NULL);
        return;
    }
    BROKER_LOG(broker, LOG_INFO, "service_withdrawn", LOG_TEXT("service", withdraw->service),
               LOG_TEXT("peer", label_span(peer->name)));
    offer_withdraw(broker, offer);
}

void handle_credit(struct broker *broker, struct peer *peer, const struct credit *credit)
{
    struct offer *offer = peer_offer(peer, credit->service);

    if (offer == NULL) {
        send_error(broker, peer->connection, ERROR_NOT_FOUND, COMMAND_CREDIT, "service", NULL);
        return;
    }
    offer_set_credit(broker, offer, credit->credit);
}
