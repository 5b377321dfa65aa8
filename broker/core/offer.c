#include "broker/core/ending.h"
#include "broker/core/state.h"

#include "broker/core/affinity.h"
#include "broker/core/watch.h"
#include "common/mutant.h"

/* Is its worker there to take something? */
static void offer_attend(struct offer *offer)
{
    bool attended = !offer_withdrawn(offer) && peer_takes(offer->peer);

    if (attended != offer->attended) {
        offer->service->attended += attended ? 1 : -(uint64_t)1;
        if (offer->target != NULL) {
            offer->target->attended += attended ? 1 : -(uint64_t)1;
        }
        if (offer->lone != NULL) {
            offer->lone->attended += attended ? 1 : -(uint64_t)1;
        }
        offer->attended = attended;
    }
}

/* Puts the offer where its load says, if it has room. */
static void offer_place(struct offer *offer)
{
    if (!list_empty(&offer->load_link)) {
        loads_leave(&offer->service->loads, &offer->load_link, offer->load);
        if (offer->target != NULL) {
            loads_leave(&offer->target->loads, &offer->target_link, offer->load);
        }
        if (offer->lone != NULL) {
            loads_leave(&offer->lone->loads, &offer->lone_link, offer->load);
        }
    }
    offer_attend(offer);
    if (!offer->attended || offer->held >= offer->credit) {
        return;
    }
    offer->load = (uint8_t)load_of(offer->held);
    loads_join(&offer->service->loads, &offer->load_link, offer->load);
    if (offer->target != NULL) {
        loads_join(&offer->target->loads, &offer->target_link, offer->load);
        target_call(offer->target);
    }
    if (offer->lone != NULL) {
        loads_join(&offer->lone->loads, &offer->lone_link, offer->load);
        target_call(offer->lone);
    }
}

struct offer *offer_new(struct broker *broker, struct peer *peer, struct service *service)
{
    struct offer *offer = pool_get(&broker->offer_pool);

    if (offer == NULL) {
        return NULL;
    }
    offer->peer = peer;
    offer->service = service;
    list_init(&offer->peer_link);
    list_init(&offer->service_link);
    list_init(&offer->load_link);
    list_init(&offer->target_link);
    list_init(&offer->lone_link);
    list_init(&offer->leases);
    list_init(&offer->strays);
    list_init(&offer->affinities);
    list_push_back(&peer->offers, &offer->peer_link);
    peer->offer_count++;
    list_push_back(&service->offers, &offer->service_link);
    service->offer_count++;
    service->offered = true;
    service_note_idle(broker, service);
    return offer;
}

uint64_t offer_text_bytes(const struct offer *offer)
{
    return blob_span(offer->schema).size + blob_span(offer->about).size;
}

static void offer_free(struct broker *broker, struct offer *offer)
{
    CHECK(offer->held == 0);
    CHECK(list_empty(&offer->leases));
    CHECK(list_empty(&offer->strays));
    CHECK(offer_withdrawn(offer));
    CHECK(!offer->attended);
    CHECK(list_empty(&offer->load_link));
    CHECK(list_empty(&offer->affinities));
    CHECK(offer->target == NULL);
    CHECK(offer->lone == NULL);
    list_unlink(&offer->peer_link);
    CHECK(offer->peer->offer_count > 0);
    offer->peer->offer_count--;
    broker->text_bytes -= offer_text_bytes(offer);
    blob_unref(offer->schema);
    blob_unref(offer->about);
    pool_put(&broker->offer_pool, offer);
}

static void strand_tasks(struct broker *broker, struct list *tasks)
{
    struct list *first;

    while ((first = list_first(tasks)) != NULL) {
        task_end(broker, list_entry(first, struct task, link), TASK_FAILED, ERROR_WORKER_LOST,
                 NULL);
    }
}

/* What is meant for this very offer has nobody left: it fails. */
static void strand(struct broker *broker, struct target *target)
{
    target->only = NULL;
    list_each(link, &target->flows) {
        strand_tasks(broker, &list_entry(link, struct flow, target_link)->ready);
    }
    strand_tasks(broker, &target->delayed);
}

static void offer_leave_targets(struct broker *broker, struct offer *offer)
{
    struct target *target = offer->target, *lone = offer->lone;

    offer->target = offer->lone = NULL;
    if (target != NULL) {
        target_drop(broker, target, offer, &offer->target_link);
    }
    if (lone != NULL) {
        if (!MUTANT(STRANDED_FORGOTTEN)) {
            strand(broker, lone);
        }
        lone->only = NULL;
        target_drop(broker, lone, offer, &offer->lone_link);
    }
}

void offer_withdraw(struct broker *broker, struct offer *offer)
{
    struct service *service = offer->service;

    if (!offer_withdrawn(offer)) {
        watch_emit(broker, NOTE_WITHDRAWN, service_name(service), label_span(offer->peer->name),
                   span_of(NULL, 0));
        list_unlink(&offer->service_link);
        CHECK(service->offer_count > 0);
        service->offer_count--;
        service_note_idle(broker, service);
        service->credit -= offer->credit;
        service->held -= offer->held;
        offer_place(offer);
        offer_leave_targets(broker, offer);
        affinity_forget(broker, offer);
    }
    if (offer->held == 0) {
        offer_free(broker, offer);
    }
}

void offer_refresh(struct broker *broker, struct offer *offer)
{
    if (offer_withdrawn(offer)) {
        return; /* while it only waits for late answers its service may have been forgotten */
    }
    offer_place(offer);
    service_touch(broker, offer->service);
}

bool offer_set_version(struct broker *broker, struct offer *offer, struct span version)
{
    struct target *past = offer->target, *target = NULL;

    CHECK(!offer_withdrawn(offer));
    if (span_equal(target_version(past), version)) {
        return true;
    }
    if (version.size > 0) {
        target = target_open(broker, offer->service, version);
        if (target == NULL) {
            return false;
        }
    }
    offer->target = target;
    if (past != NULL) {
        target_drop(broker, past, offer, &offer->target_link);
    }
    if (target != NULL) {
        target_add(broker, target, offer, &offer->target_link);
    }
    service_touch(broker, offer->service);
    return true;
}

void offer_set_credit(struct broker *broker, struct offer *offer, uint64_t credit)
{
    struct service *service = offer->service;

    CHECK(!offer_withdrawn(offer));
    if (credit > CREDIT_MAX) {
        credit = CREDIT_MAX;
    }
    service->credit += credit - offer->credit;
    offer->credit = (uint32_t)credit;
    offer_place(offer);
    if (!MUTANT(NEW_CREDIT_UNNOTICED)) {
        service_touch(broker, service);
    }
}

void offer_hold(struct offer *offer)
{
    CHECK(!offer_withdrawn(offer));
    offer->held++;
    offer->peer->held++;
    offer->service->held++;
    offer_place(offer);
}

void offer_unhold(struct broker *broker, struct offer *offer)
{
    struct service *service = offer->service;

    CHECK(offer->held > 0);
    CHECK(offer->peer->held > 0);
    offer->held--;
    offer->peer->held--;
    if (!offer_withdrawn(offer)) {
        service->held--;
        offer_place(offer);
        if (service->queued > 0 || service->limiter != NULL) {
            service_touch(broker, service); /* else nobody waits for the place */
        }
    } else if (offer->held == 0) {
        offer_free(broker, offer);
    }
}
