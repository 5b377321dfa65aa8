#include "broker/core/affinity.h"
#include "broker/core/durable.h"
#include "broker/core/state.h"

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

bool service_pinned(const struct service *service)
{
    return service->configured || service->draining || limiter_pins(service);
}

void service_note_idle(struct broker *broker, struct service *service)
{
    bool idle = service->offer_count == 0 && service->tasks == 0 && !service_pinned(service);

    if (!idle && !list_empty(&service->idle_link)) {
        list_unlink(&service->idle_link);
        wheel_cancel(&broker->wheel, &service->linger);
    } else if (idle && list_empty(&service->idle_link)) {
        list_push_back(&broker->idle, &service->idle_link);
        wheel_arm(&broker->wheel, &service->linger,
                  broker->now_ms + broker->options.service_linger_ms);
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
    ring_init(&service->called);
    list_init(&service->flows);
    list_init(&service->offers);
    loads_init(&service->loads);
    list_init(&service->targets);
    broker->serial++;
    roster_append(&broker->services, &service->place, broker->serial,
                  broker_hash(broker, &broker->serial, sizeof broker->serial));
    service_note_idle(broker, service);
    table_insert(&broker->services_by_name, &service->node,
                 broker_hash(broker, name.data, name.size));
    return service;
}

struct service *service_open(struct broker *broker, struct span name)
{
    return open_below(broker, name, broker->service_pool.max);
}

struct service *service_open_waiting(struct broker *broker, struct span name)
{
    size_t max = broker->service_pool.max;

    return open_below(broker, name, broker->restoring != NULL ? max : max - max / 4);
}

void service_free(struct broker *broker, struct service *service)
{
    CHECK(service->tasks == 0);
    CHECK(service->unfinished == 0);
    CHECK(service->attended == 0);
    CHECK(service->queued == 0);
    CHECK(service->ring.occupied == 0);
    CHECK(service->called.occupied == 0);
    CHECK(service->flow_count == 0);
    CHECK(service->laned == 0);
    CHECK(list_empty(&service->offers));
    CHECK(list_empty(&service->targets));
    limiter_end(broker, service);
    wheel_cancel(&broker->wheel, &service->linger);
    list_unlink(&service->dirty_link);
    list_unlink(&service->idle_link);
    roster_remove(&service->place);
    table_remove(&broker->services_by_name, &service->node);
    pool_put(&broker->service_pool, service);
}

enum error_code service_admit(const struct service *service, uint64_t tasks, uint64_t bytes)
{
    const struct service_limits *limits = &service->limits;
    uint64_t before = service->queued + tasks - 1; /* the last one of them */

    if (before >= limits->max_tasks + MUTANT(QUEUE_BOUND_OFF_BY_ONE)) {
        return ERROR_QUEUE_FULL;
    }
    /* An empty queue takes any one task: a payload above max_bytes would otherwise
     * be refused for ever by an idle service. */
    if (before > 0 && service->queued_bytes + tasks * bytes > limits->max_bytes &&
        !MUTANT(QUEUE_BYTES_UNBOUNDED)) {
        return ERROR_QUEUE_FULL;
    }
    return ERROR_NONE;
}

void service_count_start(struct service *service, uint64_t now_ms)
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
    flow_push(broker, task->flow, task,
              front || (MUTANT(FIFO_REVERSED) && service->queued % 4 == 3));
    service_touch(broker, service);
}

void service_delay(struct broker *broker, struct service *service, struct task *task)
{
    CHECK(task->state == TASK_DELAYED);
    service_count(broker, service, task);
    if (task->flow->target != NULL && task->flow->target->lone) {
        list_push_back(&task->flow->target->delayed, &task->link);
    }
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
        flow_remove(broker, task->flow, task);
    }
    CHECK(service->queued > 0);
    CHECK(service->queued_bytes >= bytes);
    service->queued--;
    service->queued_bytes -= bytes;
    broker->stats.queued_bytes -= bytes;
    if (service->limiter != NULL) {
        service_touch(broker, service); /* who comes next may cost less; or nothing waits now */
    }
}

void service_touch(struct broker *broker, struct service *service)
{
    if (list_empty(&service->dirty_link)) {
        list_push_back(&broker->dirty, &service->dirty_link);
    }
}

/* Two offers that hold as many tasks of their service, by what their workers hold of all others. */
static struct offer *less_busy(struct offer *first, struct offer *second)
{
    return second->peer->held < first->peer->held ? second : first;
}

/* The least loaded with room, of the two among equals that were served longest ago the less busy
 * one; but the one that served the task's affinity key last, if it has room. NULL: no offer that
 * the task is meant for has. */
static struct offer *offer_for(const struct broker *broker, const struct service *service,
                               const struct task *task)
{
    struct offer *offer = task->extra != NULL ? affinity_offer(broker, task) : NULL;
    const struct target *target = MUTANT(PIN_IGNORED) ? NULL : task->flow->target;
    struct list *least;

    if (target == NULL) {
        least = loads_least(&service->loads);
        CHECK(least != NULL);
        return offer != NULL
                   ? offer
                   : less_busy(list_entry(least, struct offer, load_link),
                               list_entry(loads_other(&service->loads, least), struct offer,
                                          load_link));
    }
    least = loads_least(&target->loads);
    if (least == NULL || target->lone) {
        return least == NULL ? NULL : target->only;
    }
    if (offer != NULL && offer->target == target) {
        return offer;
    }
    return less_busy(list_entry(least, struct offer, target_link),
                     list_entry(loads_other(&target->loads, least), struct offer, target_link));
}

void service_dispatch(struct broker *broker, struct service *service)
{
    struct flow *flow;

    if (service->limiter != NULL) {
        limit_look(service);
    }
    /* Mostly nothing waits: then its rings need not be looked at. */
    while (service->queued > 0 && service->loads.occupied != 0 &&
           (flow = flow_next(service)) != NULL) {
        struct task *task = list_entry(list_first(&flow->ready), struct task, link);
        struct offer *offer = offer_for(broker, service, task);

        if (offer == NULL) {
            if (MUTANT(PINNED_HOLD_OTHERS)) {
                break;
            }
            flow_park(flow);
            continue;
        }
        if (service->limiter != NULL) {
            enum limit_answer answer = limit_may_start(broker, task);

            if (answer == LIMIT_NEXT) {
                continue;
            }
            if (answer == LIMIT_STOP) {
                break;
            }
        }
        flow_charge(flow);
        if (task->extra != NULL) {
            affinity_note(broker, task, offer);
        }
        lease_take(broker, offer, task);
        if (flow->target != NULL) {
            target_call(flow->target);
        }
        durable_unstart(broker, task);
    }
    if (service->limiter != NULL) {
        limit_settle(broker, service);
    }
}
