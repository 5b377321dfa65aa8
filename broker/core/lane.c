#include "broker/core/lane.h"

#include "broker/core/state.h"
#include "common/mutant.h"

static uint32_t lane_hash(const struct broker *broker, const struct service *service,
                          struct span key)
{
    uint8_t text[sizeof(uint64_t) + KEY_MAX];

    memcpy(text, &service->place.serial, sizeof(uint64_t));
    memcpy(text + sizeof(uint64_t), key.data, key.size);
    return broker_hash(broker, text, sizeof(uint64_t) + key.size);
}

static struct lane *lane_find(const struct broker *broker, const struct service *service,
                              struct span key, uint32_t hash)
{
    struct table_node *node = table_chain(&broker->lanes, hash);

    for (; node != NULL; node = node->next) {
        struct lane *lane = table_entry(node, struct lane, node);

        if (node->hash == hash && lane->service == service &&
            span_equal(span_of(lane->key, lane->key_size), key)) {
            return lane;
        }
    }
    return NULL;
}

bool lane_open(struct broker *broker, struct task *task, struct span key)
{
    uint32_t hash = lane_hash(broker, task->service, key);
    struct lane *lane = lane_find(broker, task->service, key, hash);

    CHECK(key.size > 0 && key.size <= KEY_MAX);
    CHECK(task->extra->lane == NULL);
    if (lane == NULL) {
        lane = pool_get(&broker->lane_pool);
        if (lane == NULL) {
            return false;
        }
        lane->service = task->service;
        list_init(&lane->waiting);
        lane->key_size = (uint8_t)key.size;
        memcpy(lane->key, key.data, key.size);
        table_insert(&broker->lanes, &lane->node, hash);
    }
    lane->tasks++;
    task->extra->lane = lane;
    return true;
}

bool lane_pass(struct task *task)
{
    struct lane *lane = task->extra->lane;

    if (lane->out == NULL || MUTANT(ORDER_IGNORED)) {
        lane->out = task;
    }
    if (lane->out == task) {
        return true;
    }
    list_push_back(&lane->waiting, &task->link);
    lane->service->laned++;
    return false;
}

bool lane_holds(const struct task *task)
{
    const struct lane *lane = task->extra != NULL ? task->extra->lane : NULL;

    return lane != NULL && lane->out != task && task->state == TASK_READY &&
           !MUTANT(ORDER_IGNORED);
}

void lane_remove(struct task *task)
{
    CHECK(lane_holds(task));
    CHECK(task->service->laned > 0);
    list_unlink(&task->link);
    task->service->laned--;
}

static void lane_advance(struct broker *broker, struct lane *lane)
{
    struct list *link = MUTANT(LANE_FORGOTTEN) ? NULL : list_first(&lane->waiting);
    struct task *next = link == NULL ? NULL : list_entry(link, struct task, link);

    lane->out = NULL;
    if (next != NULL) {
        lane_remove(next);
        lane->out = next;
        flow_push(broker, lane->out->flow, lane->out, false);
        service_touch(broker, lane->service);
    }
}

void lane_leave(struct broker *broker, struct task *task)
{
    struct lane *lane = task->extra != NULL ? task->extra->lane : NULL;

    if (lane == NULL) {
        return;
    }
    task->extra->lane = NULL;
    lane->tasks--;
    if (lane->out == task) {
        lane_advance(broker, lane);
    }
    if (lane->tasks == 0) {
        CHECK(list_empty(&lane->waiting));
        table_remove(&broker->lanes, &lane->node);
        pool_put(&broker->lane_pool, lane);
    }
}
