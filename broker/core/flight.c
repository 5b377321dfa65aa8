#include "broker/core/flight.h"

#include "broker/core/ending.h"
#include "broker/core/state.h"
#include "common/mutant.h"

/* The terms of a task that has a flight; NULL: it has none. */
static struct terms *flying(const struct task *task)
{
    struct terms *terms = task->extra != NULL ? task->extra->terms : NULL;

    return terms != NULL && terms->flight != NULL ? terms : NULL;
}

static void text_add(uint8_t *text, size_t *used, struct span part)
{
    text[(*used)++] = (uint8_t)part.size;
    if (part.size > 0) {
        memcpy(text + *used, part.data, part.size);
        *used += part.size;
    }
}

/* Of what a key is unique in, as one text. */
static uint32_t flight_hash(const struct broker *broker, struct span tenant, struct span service,
                            struct span key)
{
    uint8_t text[3 + PEER_NAME_MAX + SERVICE_NAME_MAX + KEY_MAX];
    size_t used = 0;

    text_add(text, &used, tenant);
    text_add(text, &used, service);
    text_add(text, &used, key);
    return broker_hash(broker, text, used);
}

static bool is_of(const struct flight *flight, const struct peer *peer,
                  const struct submit *submit)
{
    const struct task *task = flight->task;

    return span_equal(service_name(task->service), submit->service) &&
           span_equal(peer_tenant(task->owner), peer_tenant(peer)) &&
           span_equal(task_terms(task).idempotency_key, submit->idempotency_key);
}

static void flight_free(struct broker *broker, struct flight *flight)
{
    CHECK(list_empty(&flight->followers));
    flight->task->extra->terms->flight = NULL;
    list_unlink(&flight->restored_link);
    table_remove(&broker->flights, &flight->node);
    pool_put(&broker->flight_pool, flight);
}

static uint64_t cached_ms(const struct task *task)
{
    return task->state == TASK_DONE ? task_terms(task).cache_ms : 0;
}

/* What it holds may be used no more. */
static bool is_stale(const struct broker *broker, const struct flight *flight)
{
    const struct task *task = flight->task;

    return task_ended(task) && !MUTANT(CACHE_OUTLIVES_ITS_TIME) &&
           task->ended_ms + cached_ms(task) <= broker->now_ms;
}

static struct flight *find(const struct broker *broker, const struct peer *peer,
                           const struct submit *submit)
{
    uint32_t hash = flight_hash(broker, peer_tenant(peer), submit->service,
                                submit->idempotency_key);
    struct table_node *node = table_chain(&broker->flights, hash);

    for (; node != NULL; node = node->next) {
        struct flight *flight = table_entry(node, struct flight, node);

        if (node->hash == hash && is_of(flight, peer, submit)) {
            return flight;
        }
    }
    return NULL;
}

struct flight *flight_find(struct broker *broker, const struct peer *peer,
                           const struct submit *submit)
{
    struct flight *flight = find(broker, peer, submit);

    if (flight != NULL && is_stale(broker, flight)) {
        flight_free(broker, flight);
        return NULL;
    }
    return flight;
}

bool flight_same_content(const struct broker *broker, const struct flight *flight,
                         const struct submit *submit)
{
    uint8_t digest[DIGEST_BYTES];

    broker_digest(broker, submit->payload.bytes.data, submit->payload.bytes.size,
                  digest);
    return memcmp(digest, flight->digest, sizeof digest) == 0 || MUTANT(CONFLICT_UNNOTICED);
}

struct flight *flight_restore(struct broker *broker, const struct peer *peer,
                              const struct submit *submit)
{
    struct flight *flight = find(broker, peer, submit);

    if (flight != NULL && task_ended(flight->task) &&
        (broker->restoring->accepted_unix_ms > flight->until_unix_ms ||
         !flight_same_content(broker, flight, submit))) {
        flight_free(broker, flight);
        return NULL;
    }
    return flight;
}

/* It has ended, as its row says. What followed it may not have been stored as ended. */
static void keep(struct broker *broker, struct flight *flight)
{
    flight->until_unix_ms = broker->restoring->ended_unix_ms + cached_ms(flight->task);
    list_push_back(&broker->flights_restored, &flight->restored_link);
}

void flights_restored(struct broker *broker)
{
    struct list *link;

    while ((link = list_pop_front(&broker->flights_restored)) != NULL) {
        struct flight *flight = list_entry(link, struct flight, restored_link);

        if (cached_ms(flight->task) == 0) {
            flight_free(broker, flight);
        }
    }
}

bool flight_open(struct broker *broker, struct task *task, const struct submit *submit)
{
    struct flight *flight = pool_get(&broker->flight_pool);

    if (flight == NULL) {
        return false;
    }
    flight->task = task;
    list_init(&flight->followers);
    list_init(&flight->restored_link);
    broker_digest(broker, submit->payload.bytes.data, submit->payload.bytes.size,
                  flight->digest);
    task->extra->terms->flight = flight;
    table_insert(&broker->flights, &flight->node,
                 flight_hash(broker, peer_tenant(task->owner), submit->service,
                             submit->idempotency_key));
    return true;
}

/* Ends as the task that it has followed. */
static void mirror(struct broker *broker, struct task *task, const struct task *first)
{
    task_end(broker, task, first->state, first->error,
             first->body != NULL ? blob_ref(first->body) : NULL);
}

void flight_follow(struct broker *broker, struct flight *flight, struct task *task,
                   uint64_t delay_ms)
{
    struct terms *terms = task->extra->terms;

    task_set_state(broker, task, TASK_WAITING);
    broker->stats.shared++;
    if (task_ended(flight->task)) {
        mirror(broker, task, flight->task);
        return;
    }
    terms->flight = flight;
    terms->not_before_ms = broker->now_ms + delay_ms;
    list_push_back(&flight->followers, &task->link);
    task_arm(broker, task, WHEEL_NEVER);
}

bool flight_follows(const struct task *task)
{
    const struct terms *terms = flying(task);

    return terms != NULL && terms->flight->task != task;
}

void flight_leave(struct task *task)
{
    if (flight_follows(task)) {
        list_unlink(&task->link);
        task->extra->terms->flight = NULL;
    }
}

/* The oldest follower runs for the others. */
static void flight_pass_on(struct broker *broker, struct flight *flight)
{
    struct list *link = list_pop_front(&flight->followers);
    struct task *next = list_entry(link, struct task, link);

    flight->task->extra->terms->flight = NULL;
    flight->task = next;
    task_begin(broker, next, next->extra->terms->not_before_ms);
}

void flight_land(struct broker *broker, struct task *task)
{
    struct terms *terms = flying(task);
    struct flight *flight;
    struct list *link;

    if (terms == NULL) {
        return;
    }
    flight = terms->flight;
    if (task->state != TASK_DONE && task->state != TASK_FAILED &&
        !list_empty(&flight->followers) && !MUTANT(CANCEL_SHARED)) {
        flight_pass_on(broker, flight);
        return;
    }
    while ((link = list_first(&flight->followers)) != NULL) {
        if (MUTANT(FOLLOWERS_FORGOTTEN)) {
            flight_leave(list_entry(link, struct task, link));
            continue;
        }
        mirror(broker, list_entry(link, struct task, link), task);
    }
    if (broker->restoring != NULL && (task->state == TASK_DONE || task->state == TASK_FAILED)) {
        keep(broker, flight);
    } else if (cached_ms(task) == 0) {
        flight_free(broker, flight);
    }
}

void flight_forget(struct broker *broker, struct task *task)
{
    struct terms *terms = flying(task);

    if (terms != NULL) {
        CHECK(terms->flight->task == task);
        flight_free(broker, terms->flight);
    }
}

uint64_t flight_check(const struct task *task)
{
    const struct terms *terms = flying(task);

    if (terms == NULL || terms->flight->task != task) {
        CHECK(terms == NULL || (task->state == TASK_WAITING && !list_empty(&task->link)));
        return 0;
    }
    CHECK(!task_ended(task) || list_empty(&terms->flight->followers));
    CHECK(!task_ended(task) || task->state == TASK_DONE);
    list_each(link, &terms->flight->followers) {
        CHECK(flying(list_entry(link, struct task, link))->flight == terms->flight);
    }
    return 1;
}
