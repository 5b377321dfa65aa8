#include "broker/core/state.h"

#include "broker/core/ending.h"
#include "broker/core/join.h"
#include "broker/core/memo.h"
#include "broker/core/mutant.h"
#include "broker/core/stream.h"
#include "broker/core/watch.h"

#define RATE_WINDOW_MS 1000
#define RETRY_AFTER_MIN_MS 5
#define RETRY_AFTER_MAX_MS 5000
#define RETRY_AFTER_IDLE_MS 1000 /* nothing starts: no better guess */

struct service *service_find(const struct broker *broker, struct span name)
{
    uint32_t hash = broker_hash(broker, name.data, name.size);
    struct table_node *node = table_chain(&broker->services_by_name, hash);

    for (; node != NULL; node = node->next) {
        struct service *service = table_entry(node, struct service, node);

        if (node->hash == hash && span_equal(service_name(service), name)) {
            return service;
        }
    }
    return NULL;
}

void service_note_idle(struct broker *broker, struct service *service)
{
    bool idle = service->offer_count == 0 && service->tasks == 0 && !service->configured &&
                !limiter_pins(service);

    if (!idle) {
        list_unlink(&service->idle_link);
    } else if (list_empty(&service->idle_link)) {
        list_push_back(&broker->idle, &service->idle_link);
    }
}

static struct service *open_below(struct broker *broker, struct span name, size_t max)
{
    struct service *service = service_find(broker, name);

    if (service != NULL || !service_name_valid(name)) {
        return service;
    }
    if (broker->service_pool.used >= max) {
        if (list_empty(&broker->idle)) {
            return NULL;
        }
        service_free(broker, list_entry(broker->idle.next, struct service, idle_link));
    }
    service = pool_get(&broker->service_pool);
    if (service == NULL) {
        return NULL;
    }
    if (!limiter_begin(broker, service)) {
        pool_put(&broker->service_pool, service);
        return NULL;
    }
    service->limits = broker->options.service;
    service->name_size = (uint32_t)name.size;
    memcpy(service->name, name.data, name.size);
    list_init(&service->dirty_link);
    list_init(&service->idle_link);
    timer_init(&service->linger, TIMER_SERVICE);
    ring_init(&service->ring);
    list_init(&service->offers);
    for (unsigned i = 0; i < SERVICE_LOADS; i++) {
        list_init(&service->loads[i]);
    }
    broker->serial++;
    roster_append(&broker->services, &service->place, broker->serial,
                  broker_hash(broker, &broker->serial, sizeof broker->serial));
    service_note_idle(broker, service);
    table_insert(&broker->services_by_name, &service->node,
                 broker_hash(broker, name.data, name.size));
    wheel_arm(&broker->wheel, &service->linger,
              broker->now_ms + broker->options.service_linger_ms);
    return service;
}

struct service *service_open(struct broker *broker, struct span name)
{
    return open_below(broker, name, broker->service_pool.max);
}

struct service *service_open_waiting(struct broker *broker, struct span name)
{
    return open_below(broker, name, broker->service_pool.max - broker->service_pool.max / 4);
}

void service_free(struct broker *broker, struct service *service)
{
    CHECK(service->tasks == 0);
    CHECK(service->queued == 0);
    CHECK(service->ring.occupied == 0);
    CHECK(service->flow_count == 0);
    CHECK(service->laned == 0);
    CHECK(list_empty(&service->offers));
    limiter_end(broker, service);
    wheel_cancel(&broker->wheel, &service->linger);
    list_unlink(&service->dirty_link);
    list_unlink(&service->idle_link);
    roster_remove(&service->place);
    table_remove(&broker->services_by_name, &service->node);
    pool_put(&broker->service_pool, service);
}

enum error_code service_admit(const struct service *service, uint64_t bytes)
{
    const struct service_limits *limits = &service->limits;

    if (service->queued >= limits->max_tasks + MUTANT(QUEUE_BOUND_OFF_BY_ONE)) {
        return ERROR_QUEUE_FULL;
    }
    /* An empty queue takes any one task: a payload above max_bytes would otherwise
     * be refused for ever by an idle service. */
    if (service->queued > 0 && service->queued_bytes + bytes > limits->max_bytes &&
        !MUTANT(QUEUE_BYTES_UNBOUNDED)) {
        return ERROR_QUEUE_FULL;
    }
    return ERROR_NONE;
}

static void service_count_start(struct service *service, uint64_t now_ms)
{
    if (now_ms - service->rate_at_ms >= RATE_WINDOW_MS) {
        bool adjacent = now_ms - service->rate_at_ms < 2 * RATE_WINDOW_MS;

        service->rate_last = adjacent ? service->rate_starts : 0;
        service->rate_starts = 0;
        service->rate_at_ms = now_ms;
    }
    service->rate_starts++;
}

uint64_t service_retry_after_ms(const struct service *service, uint64_t now_ms)
{
    uint64_t rate = service->rate_last > service->rate_starts ? service->rate_last
                                                              : service->rate_starts;
    uint64_t after_ms;

    if (rate == 0 || now_ms - service->rate_at_ms >= 2 * RATE_WINDOW_MS) {
        return RETRY_AFTER_IDLE_MS;
    }
    after_ms = (service->queued / 8 + 1) * RATE_WINDOW_MS / rate;
    if (after_ms < RETRY_AFTER_MIN_MS) {
        return RETRY_AFTER_MIN_MS;
    }
    return after_ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : after_ms;
}

static void service_count(struct broker *broker, struct service *service,
                          const struct task *task)
{
    uint64_t bytes = blob_span(task->body).size;

    service->queued++;
    service->queued_bytes += bytes;
    broker->stats.queued_bytes += bytes;
}

void service_enqueue(struct broker *broker, struct service *service, struct task *task,
                     bool front)
{
    CHECK(task->service == service);
    if (task->state != TASK_DELAYED) {
        service_count(broker, service, task);
    }
    task_set_state(broker, task, TASK_READY);
    if (MUTANT(REQUEUE_FORGOTTEN) && front) {
        return;
    }
    if (task->extra != NULL && task->extra->lane != NULL && !lane_pass(task)) {
        return;
    }
    flow_push(task->flow, task, front || (MUTANT(FIFO_REVERSED) && service->queued % 4 == 3));
    service_touch(broker, service);
}

void service_delay(struct broker *broker, struct service *service, struct task *task)
{
    CHECK(task->state == TASK_DELAYED);
    service_count(broker, service, task);
}

void service_dequeue(struct broker *broker, struct service *service, struct task *task)
{
    uint64_t bytes = blob_span(task->body).size;

    CHECK(task->state == TASK_READY || task->state == TASK_DELAYED);
    if (task->state == TASK_DELAYED) {
        list_unlink(&task->link);
    } else if (lane_holds(task)) {
        lane_remove(task);
    } else {
        flow_remove(task->flow, task);
    }
    CHECK(service->queued > 0);
    CHECK(service->queued_bytes >= bytes);
    service->queued--;
    service->queued_bytes -= bytes;
    broker->stats.queued_bytes -= bytes;
}

void service_touch(struct broker *broker, struct service *service)
{
    if (list_empty(&service->dirty_link)) {
        list_push_back(&broker->dirty, &service->dirty_link);
    }
}

/* ---- offers ---------------------------------------------------------------- */

static unsigned load_of(uint32_t held)
{
    unsigned exponent, load;

    if (held < 16) {
        return held;
    }
    exponent = 31 - (unsigned)__builtin_clz(held); /* 4..16 */
    load = 16 + (exponent - 4) * 4 + ((held >> (exponent - 2)) & 3);
    return load < SERVICE_LOADS ? load : SERVICE_LOADS - 1;
}

/* Its worker is there to take something. */
static bool offer_attended(const struct offer *offer)
{
    return offer->peer->state == PEER_CONNECTED;
}

/* Puts the offer where its load says, if it has room. Behind its equals: among
 * equals the one that was served longest ago is next. */
static void offer_place(struct offer *offer)
{
    struct service *service = offer->service;

    if (!list_empty(&offer->load_link)) {
        list_unlink(&offer->load_link);
        if (list_empty(&service->loads[offer->load])) {
            service->loads_occupied &= ~(1ULL << offer->load);
        }
    }
    if (offer_withdrawn(offer) || offer->held >= offer->credit || !offer_attended(offer)) {
        return;
    }
    offer->load = (uint8_t)load_of(offer->held);
    list_push_back(&service->loads[offer->load], &offer->load_link);
    service->loads_occupied |= 1ULL << offer->load;
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
    list_init(&offer->leases);
    list_init(&offer->strays);
    list_push_back(&peer->offers, &offer->peer_link);
    peer->offer_count++;
    list_push_back(&service->offers, &offer->service_link);
    service->offer_count++;
    service->offered = true;
    service_note_idle(broker, service);
    wheel_cancel(&broker->wheel, &service->linger);
    return offer;
}

uint64_t offer_text_bytes(const struct offer *offer)
{
    return blob_span(offer->schema).size + blob_span(offer->version).size +
           blob_span(offer->about).size;
}

static void offer_free(struct broker *broker, struct offer *offer)
{
    CHECK(offer->held == 0);
    CHECK(list_empty(&offer->leases));
    CHECK(list_empty(&offer->strays));
    CHECK(offer_withdrawn(offer));
    CHECK(list_empty(&offer->load_link));
    list_unlink(&offer->peer_link);
    CHECK(offer->peer->offer_count > 0);
    offer->peer->offer_count--;
    broker->text_bytes -= offer_text_bytes(offer);
    blob_unref(offer->schema);
    blob_unref(offer->version);
    blob_unref(offer->about);
    pool_put(&broker->offer_pool, offer);
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
        if (service->offer_count == 0 && !service->configured) {
            wheel_arm(&broker->wheel, &service->linger,
                      broker->now_ms + broker->options.service_linger_ms);
        }
    }
    if (offer->held == 0) {
        offer_free(broker, offer);
    }
}

void offer_refresh(struct broker *broker, struct offer *offer)
{
    offer_place(offer);
    service_touch(broker, offer->service);
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

static void offer_hold(struct offer *offer)
{
    CHECK(!offer_withdrawn(offer));
    offer->held++;
    offer->peer->held++;
    offer->service->held++;
    offer_place(offer);
}

/* One task less in this worker's hands. May free a withdrawn offer. */
static void offer_unhold(struct broker *broker, struct offer *offer)
{
    CHECK(offer->held > 0);
    CHECK(offer->peer->held > 0);
    offer->held--;
    offer->peer->held--;
    if (!offer_withdrawn(offer)) {
        offer->service->held--;
        offer_place(offer);
        service_touch(broker, offer->service);
    } else if (offer->held == 0) {
        offer_free(broker, offer);
    }
}

/* ---- leases ---------------------------------------------------------------- */

static uint64_t lease_ms_of(const struct task *task)
{
    const struct extra *extra = task->extra;

    return extra != NULL && extra->lease_ms > 0 ? extra->lease_ms : task->offer->lease_ms;
}

static uint64_t max_run_ms_of(const struct task *task)
{
    uint64_t own_ms = task->extra != NULL && task->extra->terms != NULL
                          ? task_terms(task).max_run_ms
                          : 0;

    if (own_ms > 0) {
        return own_ms;
    }
    return task->offer->max_run_ms > 0 ? task->offer->max_run_ms
                                       : task->service->limits.max_run_ms;
}

uint64_t lease_run_end_ms(const struct broker *broker, const struct task *task)
{
    uint64_t max_ms = max_run_ms_of(task);
    uint64_t end_ms = task->started_ms + max_ms;

    if (max_ms == 0 || MUTANT(MAX_RUN_IGNORED)) {
        return WHEEL_NEVER;
    }
    /* Over while the broker slept: its DONE may be there, unread. */
    return end_ms <= broker->awake_ms ? broker->awake_ms + broker->options.ping_ms : end_ms;
}

void lease_renew(struct broker *broker, struct task *task)
{
    uint64_t lease_ms = lease_ms_of(task);

    uint64_t silent_ms = lease_ms > 0 ? broker->now_ms + lease_ms : WHEEL_NEVER;
    uint64_t run_end_ms = lease_run_end_ms(broker, task);

    task_arm(broker, task, silent_ms < run_end_ms ? silent_ms : run_end_ms);
}

static void lease_take(struct broker *broker, struct offer *offer, struct task *task)
{
    struct message message = {.command = COMMAND_TASK};
    struct task_message *out = &message.task;
    struct join_cursor cursor;

    service_dequeue(broker, task->service, task);
    task->offer = offer;
    task->attempt += !(MUTANT(ATTEMPT_NOT_COUNTED) && task->attempt == 1);
    task->started_ms = broker->now_ms;
    task_set_state(broker, task, TASK_LEASED);
    list_push_back(&offer->leases, &task->link);
    offer_hold(offer);
    task_set_worker(broker, task, offer->peer->name);
    lease_renew(broker, task);
    peer_watch(broker, offer->peer);
    limit_started(broker, task);
    service_count_start(task->service, broker->now_ms);
    broker->stats.attempts++;

    out->id = task->id;
    out->attempt = task_attempt(task);
    out->service = service_name(task->service);
    out->payload = (struct payload){.bytes = blob_span(task->body), .blob = task->body};
    out->deadline_ms =
        task->deadline_ms == WHEEL_NEVER ? 0 : task->deadline_ms - broker->now_ms;
    out->lease_ms = lease_ms_of(task);
    out->max_run_ms = max_run_ms_of(task);
    out->submitter = label_span(task->owner->name);
    if (task->extra != NULL) {
        out->stream = stream_begin(broker, task);
        out->checkpoint = memo_checkpoint(task);
        if (task->extra->join != NULL && !task->extra->join->no_inputs) {
            cursor = join_cursor(task);
            out->input_count = task->extra->join->need_count;
            out->input_at = join_input_at;
            out->input_context = &cursor;
        }
    }
    peer_send(broker, offer->peer, &message);
    memo_give_signals(broker, task);
    if (task->receipts) {
        message = (struct message){.command = COMMAND_STARTED};
        message.started.id = task->id;
        message.started.attempt = task_attempt(task);
        message.started.worker = label_span(task->worker);
        peer_send(broker, task->owner, &message);
    }
}

void service_dispatch(struct broker *broker, struct service *service)
{
    struct flow *flow;

    if (service->limiter != NULL) {
        limit_look(service);
    }
    while (service->loads_occupied != 0 && (flow = flow_next(service)) != NULL) {
        struct task *task = list_entry(list_first(&flow->ready), struct task, link);
        unsigned load = (unsigned)__builtin_ctzll(service->loads_occupied);
        struct list *chosen = list_first(&service->loads[load]);

        CHECK(chosen != NULL);
        if (service->limiter != NULL && !limit_may_start(broker, task)) {
            break;
        }
        flow_charge(flow);
        lease_take(broker, list_entry(chosen, struct offer, load_link), task);
    }
    if (service->limiter != NULL) {
        limit_settle(broker, service);
    }
}

static void lease_unlink(struct broker *broker, struct task *task)
{
    CHECK(task->offer != NULL);
    limit_released(broker, task);
    list_unlink(&task->link);
    task->offer = NULL;
}

void lease_release(struct broker *broker, struct task *task)
{
    struct offer *offer = task->offer;

    lease_unlink(broker, task);
    offer_unhold(broker, offer);
}

static uint32_t stray_hash(const struct broker *broker, const struct id *id)
{
    return broker_hash(broker, id->bytes, sizeof id->bytes);
}

uint16_t stray_last_attempt(const struct broker *broker, const struct peer *peer,
                            const struct id *id)
{
    uint32_t hash = stray_hash(broker, id);
    struct table_node *node = table_chain(&broker->strays, hash);
    uint16_t last = 0;

    for (; node != NULL; node = node->next) {
        const struct stray *stray = table_entry(node, struct stray, node);

        if (node->hash == hash && stray->attempt > last && id_equal(&stray->id, id) &&
            (peer == NULL || stray->offer->peer == peer)) {
            last = stray->attempt;
        }
    }
    return last;
}

void lease_stray(struct broker *broker, struct task *task)
{
    struct offer *offer = task->offer;
    struct stray *stray = MUTANT(STRAY_FREES_CREDIT) ? NULL : pool_get(&broker->stray_pool);

    if (stray == NULL) {
        /* No room to remember it: the worker may get one task more than it asked for. */
        lease_release(broker, task);
        return;
    }
    lease_unlink(broker, task);
    stray->offer = offer;
    stray->id = task->id;
    stray->attempt = (uint16_t)task_attempt(task);
    list_init(&stray->link);
    list_push_back(&offer->strays, &stray->link);
    table_insert(&broker->strays, &stray->node, stray_hash(broker, &stray->id));
}

static void stray_free(struct broker *broker, struct stray *stray)
{
    list_unlink(&stray->link);
    table_remove(&broker->strays, &stray->node);
    pool_put(&broker->stray_pool, stray);
}

bool stray_answer(struct broker *broker, const struct peer *peer, const struct id *id,
                  uint64_t attempt)
{
    uint32_t hash = stray_hash(broker, id);
    struct table_node *node = table_chain(&broker->strays, hash);

    for (; node != NULL; node = node->next) {
        struct stray *stray = table_entry(node, struct stray, node);

        if (node->hash == hash && stray->attempt == attempt && stray->offer->peer == peer &&
            id_equal(&stray->id, id)) {
            struct offer *offer = stray->offer;

            stray_free(broker, stray);
            if (MUTANT(STRAY_KEEPS_CREDIT)) {
                return true;
            }
            offer_unhold(broker, offer);
            return true;
        }
    }
    return false;
}

void offer_drop_strays(struct broker *broker, struct offer *offer)
{
    struct list *link;

    while ((link = list_first(&offer->strays)) != NULL) {
        stray_free(broker, list_entry(link, struct stray, link));
        CHECK(offer->held > 0);
        offer->held--;
        offer->peer->held--;
        if (!offer_withdrawn(offer)) {
            offer->service->held--;
        }
    }
}
