#include "broker/core/reserve.h"

#include "common/mutant.h"

bool is_first_child(const struct task *parent)
{
    return parent != NULL && task_live_children(parent) == 0;
}

static const struct task *root_of(const struct task *task)
{
    while (task_parent(task) != NULL) {
        task = task_parent(task);
    }
    return task;
}

bool reserve_has_place(const struct broker *broker, const struct task *parent, uint64_t count)
{
    const struct reserve *reserve = &broker->reserve;

    if (!is_first_child(parent) || MUTANT(RESERVE_REFUSED)) {
        return false;
    }
    return (reserve->tasks == 0 || id_equal(&reserve->root, &root_of(parent)->id)) &&
           reserve->tasks + count <= OVERDRAFT_TASKS;
}

/* What the tree would have beyond the budget with `wanted` bytes more: what it took while there was
 * memory is within. */
static uint64_t beyond(const struct broker *broker, uint64_t wanted)
{
    uint64_t memory_max = broker->options.memory_max;
    uint64_t used = broker_memory_used(broker) + wanted;
    uint64_t over = used > memory_max ? used - memory_max : 0;
    uint64_t taken = broker->reserve.bytes + wanted;

    return over < taken ? over : taken;
}

bool reserve_has_room(const struct broker *broker, const struct task *parent, uint64_t wanted)
{
    return reserve_has_place(broker, parent, 1) &&
           (broker->reserve.tasks == 0 ||
            beyond(broker, wanted) <= broker->options.memory_max / RESERVE_SHARE);
}

void reserve_take(struct broker *broker, struct task *task, const struct task *parent)
{
    struct reserve *reserve = &broker->reserve;

    if (reserve->tasks == 0) {
        reserve->root = root_of(parent)->id;
    }
    task->reserve = true;
    reserve->tasks++;
    reserve->bytes += task_bytes(task);
}

void reserve_leave(struct broker *broker, struct task *task)
{
    struct reserve *reserve = &broker->reserve;

    if (!task->reserve) {
        return;
    }
    CHECK(reserve->tasks > 0);
    CHECK(reserve->bytes >= task_bytes(task));
    task->reserve = false;
    reserve->tasks--;
    reserve->bytes -= task_bytes(task);
}
