#include "broker/core/flow.h"

#include "broker/core/state.h"

static bool key_is(const struct flow *flow, const struct peer *peer, struct span key)
{
    if (key.size == 0) {
        return flow->submitter == peer->place.serial;
    }
    return flow->submitter == 0 && span_equal(span_of(flow->key, flow->key_size), key);
}

static bool flow_is(const struct flow *flow, const struct peer *peer, const struct submit *submit)
{
    return flow->turn.priority == submit->priority && key_is(flow, peer, submit->key) &&
           span_equal(target_version(flow->target), submit->version) &&
           span_equal(service_name(flow->service), submit->service);
}

/* Where a flow was there is another one or none as long as there is a broker: pools give nothing
 * back. */
struct flow *flow_last(const struct peer *peer)
{
    return peer->flow != NULL && peer->flow->serial == peer->flow_serial ? peer->flow : NULL;
}

static void remember(struct peer *peer, struct flow *flow)
{
    peer->flow = flow;
    peer->flow_serial = flow->serial;
}

struct flow *flow_of_last(const struct peer *peer, const struct submit *submit)
{
    struct flow *last = flow_last(peer);

    return last != NULL && flow_is(last, peer, submit) ? last : NULL;
}

static uint32_t span_hash(const struct broker *broker, struct span text)
{
    return text.size == 0 ? 0 : broker_hash(broker, text.data, text.size);
}

uint32_t flow_hash(const struct broker *broker, uint64_t peer_serial,
                   const struct submit *submit)
{
    uint64_t of_service = span_hash(broker, submit->service);
    uint64_t of_version = span_hash(broker, submit->version);
    uint64_t of_key = submit->key.size == 0 ? peer_serial
                                            : (uint64_t)span_hash(broker, submit->key) << 32;
    uint64_t words[2] = {of_service << 32 | of_version, of_key ^ submit->priority << 56};

    return broker_hash(broker, words, sizeof words);
}

bool flow_placed(const struct broker *broker, const struct flow *flow)
{
    struct submit submit = {.service = service_name(flow->service),
                            .version = target_version(flow->target),
                            .key = span_of(flow->key, flow->key_size),
                            .priority = flow->turn.priority};

    return flow->node.hash == flow_hash(broker, flow->submitter, &submit) ||
           MUTANT(PRIORITY_IGNORED);
}

/* False: too many versions, or no memory. */
static bool flow_aim(struct broker *broker, struct flow *flow, struct span version)
{
    if (version.size == 0) {
        return true;
    }
    flow->target = target_open_waiting(broker, flow->service, version);
    if (flow->target == NULL) {
        return false;
    }
    list_push_back(&flow->target->flows, &flow->target_link);
    return true;
}

static void flow_unaim(struct broker *broker, struct flow *flow)
{
    if (flow->target != NULL) {
        list_unlink(&flow->target_link);
        target_release(broker, flow->target);
    }
}

static struct flow *flow_new(struct broker *broker, struct service *service, struct peer *peer,
                             const struct submit *submit, uint32_t hash)
{
    struct flow *flow = pool_get(&broker->flow_pool);

    if (flow == NULL) {
        return NULL;
    }
    flow->service = service;
    turn_init(&flow->turn, (unsigned)submit->priority);
    flow->turn.weight = 1;
    list_init(&flow->ready);
    list_init(&flow->service_link);
    list_init(&flow->account_link);
    list_init(&flow->target_link);
    if (submit->key.size == 0) {
        flow->submitter = peer->place.serial;
    } else {
        flow->key_size = (uint8_t)submit->key.size;
        memcpy(flow->key, submit->key.data, submit->key.size);
    }
    if (!flow_aim(broker, flow, submit->version) ||
        (service->limiter != NULL && !account_join(broker, flow))) {
        flow_unaim(broker, flow);
        pool_put(&broker->flow_pool, flow);
        return NULL;
    }
    flow->serial = ++broker->flow_serial;
    service->flow_count++;
    list_push_back(&service->flows, &flow->service_link);
    table_insert(&broker->flows, &flow->node, hash);
    return flow;
}

struct flow *flow_find(const struct broker *broker, struct peer *peer,
                       const struct submit *submit, uint32_t hash)
{
    struct flow *last = flow_last(peer);
    struct table_node *node;

    if (last != NULL && last->node.hash == hash && flow_is(last, peer, submit)) {
        return last;
    }
    for (node = table_chain(&broker->flows, hash); node != NULL; node = node->next) {
        struct flow *flow = table_entry(node, struct flow, node);

        if (node->hash == hash && flow_is(flow, peer, submit)) {
            remember(peer, flow);
            return flow;
        }
    }
    return NULL;
}

struct flow *flow_open(struct broker *broker, struct service *service, struct peer *peer,
                       const struct submit *submit, uint32_t hash)
{
    struct flow *flow = flow_find(broker, peer, submit, hash);

    CHECK(submit->priority <= PRIORITY_MAX);
    CHECK(submit->key.size <= KEY_MAX);
    CHECK(flow == NULL || flow->service == service);
    if (flow == NULL) {
        flow = flow_new(broker, service, peer, submit, hash);
        if (flow != NULL) {
            remember(peer, flow);
        }
    }
    return flow;
}

static void flow_free(struct broker *broker, struct flow *flow)
{
    CHECK(list_empty(&flow->ready));
    CHECK(!turn_waits(&flow->turn));
    CHECK(flow->service->flow_count > 0);
    flow->service->flow_count--;
    list_unlink(&flow->service_link);
    account_leave(broker, flow);
    flow_unaim(broker, flow);
    table_remove(&broker->flows, &flow->node);
    flow->serial = 0;
    pool_put(&broker->flow_pool, flow);
}

void flow_release(struct broker *broker, struct flow *flow)
{
    if (flow->tasks == 0) {
        flow_free(broker, flow);
    }
}

void flow_unref(struct broker *broker, struct flow *flow)
{
    CHECK(flow->tasks > 0);
    flow->tasks--;
    flow_release(broker, flow);
}

void flow_join(struct flow *flow)
{
    if (!list_empty(&flow->ready) && !turn_waits(&flow->turn) &&
        (flow->account == NULL || !account_closed(flow->account))) {
        ring_join(&flow->service->ring, &flow->turn);
    }
}

void flow_leave(struct flow *flow)
{
    bool called = flow->turn.ring == &flow->service->called;

    if (turn_waits(&flow->turn)) {
        ring_leave(&flow->turn);
    }
    if (called) {
        target_answered(flow->target, flow); /* it will not: the next one may */
        target_call(flow->target);
    }
}

/* Of its key's flows it is the last that joins when the key may start again. */
static void flow_line_up(struct flow *flow)
{
    if (flow->account != NULL) {
        list_unlink(&flow->account_link);
        list_push_back(&flow->account->flows, &flow->account_link);
    }
}

void flow_push(struct broker *broker, struct flow *flow, struct task *task, bool front)
{
    if (list_empty(&flow->ready)) {
        flow_line_up(flow);
    }
    if (front) {
        list_push_front(&flow->ready, &task->link);
    } else {
        list_push_back(&flow->ready, &task->link);
    }
    flow_join(flow);
    if (flow->account != NULL && list_first(&flow->ready) == &task->link) {
        account_look(broker, flow->account);
    }
}

void flow_remove(struct broker *broker, struct flow *flow, struct task *task)
{
    bool first = list_first(&flow->ready) == &task->link;

    list_unlink(&task->link);
    if (list_empty(&flow->ready)) {
        flow_leave(flow);
        turn_reset(&flow->turn);
    }
    if (flow->account != NULL && first) {
        account_look(broker, flow->account);
    }
}

struct flow *flow_next(const struct service *service)
{
    struct turn *turn = ring_top(&service->ring), *called = ring_top(&service->called);

    if (called != NULL &&
        (turn == NULL || called->priority > turn->priority ||
         (called->priority == turn->priority && called->stamp < turn->stamp))) {
        turn = called;
    }
    return turn == NULL ? NULL : list_entry(turn, struct flow, turn);
}

bool flow_is_next(const struct flow *flow)
{
    return flow->target != NULL && flow->turn.ring == &flow->target->parked
               ? ring_top(&flow->target->parked) == &flow->turn
               : flow_next(flow->service) == flow;
}

void flow_charge(struct flow *flow)
{
    struct service *service = flow->service;
    bool called = flow->turn.ring == &service->called;
    bool over = turn_charge(&flow->turn);

    if (!called && list_only(&flow->ready)) {
        return; /* it leaves the ring with its last task */
    }
    if (over) {
        flow_line_up(flow);
    }
    if (called || over) {
        ring_leave(&flow->turn);
        if (over) {
            ring_join(&service->ring, &flow->turn);
        } else {
            ring_put(&service->ring, &flow->turn, true);
        }
    }
    if (called) {
        target_answered(flow->target, flow);
    }
}

void flow_park(struct flow *flow)
{
    bool called = flow->turn.ring == &flow->service->called;

    ring_leave(&flow->turn);
    ring_put(&flow->target->parked, &flow->turn, called);
    if (called) {
        target_answered(flow->target, flow);
    }
}
