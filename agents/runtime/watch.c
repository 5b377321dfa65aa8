#include "agents/runtime/watch.h"

#include "common/check.h"
#include "common/log.h"

#include <errno.h>
#include <stdlib.h>

#define WINDOW 1024

struct kept {
    struct list link;
    json_t *event;
};

struct sluice_watch {
    struct sluice *sluice;
    struct watching *watching; /* NULL: no more comes */
    struct list events;        /* not read yet, in order */
    struct strand *strand;     /* waits for the next; NULL: nobody */
    int error;
};

struct sluice_watch *sluice_watch(struct sluice *sluice, const char *service,
                                  const struct sluice_id *task)
{
    struct sluice_watch *watch = calloc(1, sizeof *watch);
    struct span name = span_from_text(service != NULL ? service : "");
    struct id id;

    if (watch == NULL || (service != NULL && !service_name_valid(name))) {
        free(watch);
        return NULL;
    }
    if (task != NULL) {
        memcpy(id.bytes, task->bytes, sizeof id.bytes);
    }
    watch->sluice = sluice;
    list_init(&watch->events);
    watch->watching = peer_watching_open(runtime_peer(sluice), name, task != NULL ? &id : NULL,
                                         WINDOW, watch);
    if (watch->watching == NULL) {
        free(watch);
        return NULL;
    }
    return watch;
}

void sluice_watch_free(struct sluice_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    CHECK(watch->strand == NULL || runtime_over(watch->sluice));
    if (watch->watching != NULL) {
        peer_watching_close(watch->sluice->peer, watch->watching);
    }
    while (!list_empty(&watch->events)) {
        struct kept *kept = list_entry(list_pop_front(&watch->events), struct kept, link);

        json_decref(kept->event);
        free(kept);
    }
    free(watch);
}

static void wake(const struct sluice_watch *watch)
{
    if (watch->strand != NULL) {
        strand_wake(watch->strand);
    }
}

static void set_text(json_t *event, const char *key, struct span text)
{
    if (text.size > 0) {
        json_object_set_new(event, key, json_stringn((const char *)text.data, text.size));
    }
}

static json_t *event_json(const struct event_message *from, bool restarted)
{
    json_t *event = json_object();
    char id[ID_TEXT_SIZE];

    json_object_set_new(event, "sequence", json_integer((json_int_t)from->sequence));
    json_object_set_new(event, "lost", json_integer((json_int_t)from->lost));
    if (restarted) {
        json_object_set_new(event, "restarted", json_true());
    }
    set_text(event, "kind", from->kind);
    if (!id_is_nil(&from->task)) {
        id_format(&from->task, id);
        json_object_set_new(event, "task", json_string(id));
    }
    set_text(event, "service", from->service);
    set_text(event, "peer", from->peer);
    if (from->attempt > 0) {
        json_object_set_new(event, "attempt", json_integer((json_int_t)from->attempt));
    }
    set_text(event, "detail", from->detail);
    return event;
}

void watch_receive(struct watching *watching, const struct event_message *event, bool restarted)
{
    struct sluice_watch *watch = peer_watching_user(watching);
    struct kept *kept = calloc(1, sizeof *kept);

    if (kept == NULL) {
        watch->error = -ENOMEM; /* better no more than a hole that nobody sees */
        watch->watching = NULL;
        peer_watching_close(watch->sluice->peer, watching);
    } else {
        list_init(&kept->link);
        kept->event = event_json(event, restarted);
        list_push_back(&watch->events, &kept->link);
    }
    wake(watch);
}

void watch_over(void *user, const struct error *error)
{
    struct sluice_watch *watch = user;

    watch->watching = NULL;
    watch->error = span_is(error->code, "limit_exceeded") ? -EAGAIN : -EREMOTEIO;
    wake(watch);
}

int sluice_next_event(struct sluice_watch *watch, json_t **event)
{
    struct strand *strand = strand_here("sluice_next_event");
    struct kept *kept;
    bool woken = true;

    CHECK(watch->strand == NULL);
    *event = NULL;
    watch->strand = strand;
    while (woken && list_empty(&watch->events) && watch->watching != NULL) {
        woken = strand_park(strand, STRAND_NEVER) != WAKE_CANCELLED;
    }
    watch->strand = NULL;
    if (list_empty(&watch->events)) {
        return woken ? watch->error : -ECANCELED;
    }
    kept = list_entry(list_pop_front(&watch->events), struct kept, link);
    *event = kept->event;
    free(kept);
    if (watch->watching != NULL) {
        peer_watching_taken(watch->sluice->peer, watch->watching);
    }
    return 0;
}
