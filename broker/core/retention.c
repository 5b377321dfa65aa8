#include "broker/core/retention.h"

#include "common/mutant.h"

#define RETAIN_MAX_MS (7ULL * 24 * 3600 * 1000)

static uint64_t own_retain_ms(const struct broker *broker, const struct task *task)
{
    struct submit terms = task_terms(task);
    uint64_t ms = terms.retain_ms;

    if (ms == 0 && task->detached) {
        ms = broker->options.detached_retain_ms;
    }
    if (ms < terms.cache_ms) {
        ms = terms.cache_ms;
    }
    return ms < RETAIN_MAX_MS ? ms : RETAIN_MAX_MS;
}

static void remember(struct broker *broker, struct task *task)
{
    uint64_t until_ms = task->ended_ms + own_retain_ms(broker, task);

    broker->remembered_bytes += task_bytes(task);
    broker->remembered_count++;
    list_push_back(&broker->remembered, &task->link);
    /* Not in this very millisecond: whoever ends it may still look at it. */
    wheel_arm(&broker->wheel, &task->timer,
              until_ms > broker->now_ms ? until_ms : broker->now_ms + 1);
}

void retention_add(struct broker *broker, struct task *task)
{
    CHECK(task_ended(task));
    if (task->needed_by != NULL && !MUTANT(NEED_FORGOTTEN_EARLY)) {
        broker->kept_bytes += task_bytes(task);
        return; /* the last of the joins adds it */
    }
    if (task->remembered) {
        remember(broker, task);
        return;
    }
    broker->retained_bytes += task_bytes(task);
    broker->retained_count++;
    list_push_back(&broker->retained, &task->link);
}

void retention_remove(struct broker *broker, struct task *task)
{
    uint64_t bytes = task_bytes(task);

    if (list_empty(&task->link)) {
        return; /* some join has it already */
    }
    if (task->remembered) {
        CHECK(broker->remembered_bytes >= bytes);
        CHECK(broker->remembered_count > 0);
        broker->remembered_bytes -= bytes;
        broker->remembered_count--;
        list_unlink(&task->link);
        wheel_cancel(&broker->wheel, &task->timer);
        return;
    }
    CHECK(broker->retained_bytes >= bytes);
    CHECK(broker->retained_count > 0);
    broker->retained_bytes -= bytes;
    broker->retained_count--;
    list_unlink(&task->link);
}

/* The oldest ended tasks have long left the caches: what the next two evictions will
 * touch is fetched while there is other work to do. */
static void retention_prefetch(const struct broker *broker, const struct task *task)
{
    const struct list *next = task->link.next;
    const struct task *soon;

    if (next == &broker->retained || task->remembered) {
        return;
    }
    soon = list_entry(next, struct task, link);
    __builtin_prefetch(soon->body, 1);
    if (soon->flow != NULL) {
        prefetch_bytes(&soon->flow->tasks, sizeof soon->flow->tasks);
    }
    table_prefetch(&broker->tasks, soon->node.hash);
    if (soon->link.next != &broker->retained) {
        prefetch_bytes(list_entry(soon->link.next, struct task, link), sizeof *soon);
    }
}

static void retention_forget(struct broker *broker, struct task *task)
{
    retention_prefetch(broker, task);
    retention_remove(broker, task);
    if (task->extra != NULL) {
        list_unlink(&task->extra->wake_link);
        list_unlink(&task->extra->doom_link);
    }
    task_free(broker, task);
}

void retention_expire(struct broker *broker, struct task *task)
{
    CHECK(task->remembered);
    retention_forget(broker, task);
}

/* Forgets the oldest of those with a time of their own, before that time. False: there is none. */
static bool forget_remembered(struct broker *broker)
{
    struct list *link = list_first(&broker->remembered);
    struct task *task = link == NULL ? NULL : list_entry(link, struct task, link);

    if (task == NULL) {
        return false;
    }
    broker->stats.remembered_forgotten++;
    BROKER_LOG(broker, LOG_INFO, "outcome_forgotten", LOG_ID("task", &task->id));
    retention_forget(broker, task);
    return true;
}

bool retention_evict(struct broker *broker)
{
    struct list *link = list_first(&broker->retained);

    if (link == NULL) {
        return forget_remembered(broker);
    }
    retention_forget(broker, list_entry(link, struct task, link));
    return true;
}

bool retention_make_room(struct broker *broker, uint64_t bytes)
{
    while (broker_memory_used(broker) + bytes > broker->options.memory_max) {
        if (!retention_evict(broker)) {
            return false;
        }
    }
    return true;
}

void retention_trim(struct broker *broker)
{
    const struct broker_options *options = &broker->options;
    struct list *link;

    while (broker->remembered_count > options->detached_retain_tasks ||
           broker->remembered_bytes > options->detached_retain_bytes) {
        forget_remembered(broker);
    }
    while (list_empty(&broker->retained) && !list_empty(&broker->remembered) &&
           broker_memory_used(broker) > options->memory_max) {
        forget_remembered(broker);
    }
    while ((link = list_first(&broker->retained)) != NULL) {
        const struct task *oldest = list_entry(link, struct task, link);
        uint64_t until_ms = oldest->ended_ms + options->retain_ms;

        if (until_ms > broker->now_ms && broker->retained_count <= options->retain_tasks &&
            broker->retained_bytes <= options->retain_bytes &&
            broker_memory_used(broker) <= options->memory_max) {
            if (!timer_armed(&broker->retention)) {
                wheel_arm(&broker->wheel, &broker->retention, until_ms);
            }
            return;
        }
        retention_evict(broker);
    }
}
