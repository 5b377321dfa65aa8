#include "broker/core/join.h"

#include "broker/core/ending.h"
#include "broker/core/mutant.h"
#include "broker/core/retention.h"

/* Walks all needs in order without counting through the chunks each time. */
#define join_each_need(need, join)                                                                 \
    for (size_t index_ = 0, in_ = 0, once_ = 1; once_; once_ = 0)                                  \
        for (struct need_chunk *chunk_ = (join)->chunks;                                           \
             index_ < (join)->need_count; chunk_ = chunk_->next, in_ = 0)        \
            for (struct need *need = &chunk_->needs[0];                                            \
                 in_ < NEED_CHUNK && index_ < (join)->need_count; in_++, index_++, need++)

static void need_link(struct need *need)
{
    struct task *task = need->task;

    need->next = task->needed_by;
    need->at = &task->needed_by;
    if (need->next != NULL) {
        need->next->at = &need->next;
    }
    task->needed_by = need;
    CHECK(task->needed_by_count < NEEDED_BY_MAX);
    task->needed_by_count++;
}

static void need_unlink(struct broker *broker, struct need *need)
{
    struct task *task = need->task;

    *need->at = need->next;
    if (need->next != NULL) {
        need->next->at = need->at;
    }
    CHECK(task->needed_by_count > 0);
    task->needed_by_count--;
    if (task->needed_by == NULL && task_ended(task)) {
        CHECK(broker->kept_bytes >= task_bytes(task));
        broker->kept_bytes -= task_bytes(task);
        retention_add(broker, task);
    }
}

static void join_put_chunks(struct broker *broker, struct join *join)
{
    while (join->chunks != NULL) {
        struct need_chunk *chunk = join->chunks;

        join->chunks = chunk->next;
        pool_put(&broker->need_pool, chunk);
    }
}

static bool join_get_chunks(struct broker *broker, struct join *join, size_t needs)
{
    for (size_t have = 0; have < needs; have += NEED_CHUNK) {
        struct need_chunk *chunk = pool_get(&broker->need_pool);

        if (chunk == NULL) {
            join_put_chunks(broker, join);
            return false;
        }
        chunk->next = join->chunks;
        join->chunks = chunk;
    }
    return true;
}

bool join_open(struct broker *broker, struct task *task, const struct submit *submit)
{
    struct extra *extra = task->extra;
    struct join *join = pool_get(&broker->join_pool);
    size_t index = 0;

    CHECK(extra != NULL);
    if (join == NULL) {
        return false;
    }
    if (!join_get_chunks(broker, join, submit->needs_count)) {
        pool_put(&broker->join_pool, join);
        return false;
    }
    join->policy = submit->join;
    broker->memory_bytes -= task_bytes(task);
    join->need_count = (uint32_t)submit->needs_count;
    extra->join = join;
    broker->memory_bytes += task_bytes(task);
    join_each_need(need, join) {
        struct id id;

        memcpy(id.bytes, submit->needs + index * submit->needs_stride, sizeof id.bytes);
        need->task = task_find(broker, &id);
        need->join = task;
        CHECK(need->task != NULL);
        if (task_ended(need->task)) {
            /* kept while it is needed */
            broker->kept_bytes += need->task->needed_by == NULL ? task_bytes(need->task) : 0;
            retention_remove(broker, need->task);
        } else {
            join->left++;
        }
        need_link(need);
        if (task_ended(need->task)) {
            join_count(broker, need);
        }
        index++;
    }
    return true;
}

void join_let_go(struct broker *broker, struct task *task)
{
    struct join *join = task->extra->join;

    CHECK(task_ended(task));
    broker->memory_bytes -= task_bytes(task);
    join_each_need(need, join) {
        need_unlink(broker, need);
    }
    join_put_chunks(broker, join);
    join->need_count = join->left = join->stopping = 0;
    broker->memory_bytes += task_bytes(task);
}

void join_free(struct broker *broker, struct join *join)
{
    join_each_need(need, join) {
        need_unlink(broker, need);
    }
    join_put_chunks(broker, join);
    pool_put(&broker->join_pool, join);
}

void join_close(struct join *join)
{
    if (join->left == 0) {
        return;
    }
    join_each_need(need, join) {
        need->cut = !task_ended(need->task);
    }
}

/* The join names the same task once more, and that edge is still to be counted. */
static bool doomed_again(const struct need *need)
{
    for (const struct need *other = need->task->needed_by; other != NULL; other = other->next) {
        if (other->join == need->join && other->doomed) {
            return true;
        }
    }
    return false;
}

/* Called once for each need, when it has ended (or is found to have). */
void join_count(struct broker *broker, struct need *need)
{
    struct task *task = need->join;
    struct join *join = task->extra->join;
    enum outcome outcome = task_outcome(need->task);

    if (need->doomed) {
        need->doomed = false;
        CHECK(join->stopping > 0);
        join->stopping--;
        if (outcome == OUTCOME_CANCELLED && task->state == TASK_CANCELLING &&
            !doomed_again(need)) {
            task->extra->stopped +=
                1 + (need->task->extra != NULL ? need->task->extra->stopped : 0);
        }
    }
    if (!task_ended(task) && outcome != OUTCOME_DONE && !join->failed) {
        join->failed = true;
        join->culprit = need->task->id;
        join->culprit_outcome = outcome;
    }
    if (task_ended(task)) {
        return;
    }
    if (task->state != TASK_NEW) {
        /* While it opens, needs that have ended were never counted as left. */
        CHECK(join->left > 0);
        join->left -= 1 + (MUTANT(JOIN_COUNTS_TWICE) && join->left > 1);
    }
    if (join->left == 0 || join->failed || task->state == TASK_CANCELLING) {
        task_wake(broker, task);
    }
}

static bool needed_elsewhere(const struct need *need)
{
    for (const struct need *other = need->task->needed_by; other != NULL; other = other->next) {
        if (other->join != need->join && !task_ended(other->join) &&
            other->join->state != TASK_CANCELLING) {
            return true;
        }
    }
    return false;
}

void join_doom_needs(struct broker *broker, struct task *task)
{
    struct join *join = task->extra->join;

    join_each_need(need, join) {
        if (task_ended(need->task) || !need->task->held ||
            (needed_elsewhere(need) && !MUTANT(CANCEL_TAKES_SHARED_NEEDS))) {
            continue;
        }
        if (!need->doomed && !task_ended(task)) {
            need->doomed = true;
            join->stopping++;
        }
        task_doom(broker, need->task);
    }
}

void join_decide(struct broker *broker, struct task *task)
{
    struct join *join = task->extra->join;

    CHECK(task->state == TASK_WAITING);
    if ((join->policy == JOIN_ALL || MUTANT(SETTLED_FAILS_FAST)) && join->failed &&
        !MUTANT(ALL_IGNORES_FAILURE)) {
        task_end(broker, task, TASK_FAILED, ERROR_DEPENDENCY_FAILED, NULL);
        join_doom_needs(broker, task);
    } else if (join->left == 0) {
        task_end(broker, task, TASK_DONE, ERROR_NONE, NULL);
    }
}

void join_expire(struct broker *broker, struct task *task)
{
    struct join *join = task->extra->join;
    bool settled = join->policy == JOIN_SETTLED;

    task_end(broker, task, settled ? TASK_DONE : TASK_EXPIRED,
             settled ? ERROR_NONE : ERROR_EXPIRED, NULL);
    join_doom_needs(broker, task);
}

struct join_cursor join_cursor(const struct task *task)
{
    CHECK(task->extra != NULL && task->extra->join != NULL);
    return (struct join_cursor){task, task->extra->join->chunks, 0};
}

void join_input_at(void *context, size_t index, struct outcome_record *record)
{
    struct join_cursor *cursor = context;
    const struct task *task = cursor->task;
    bool expired = task->state == TASK_DONE || task->state == TASK_EXPIRED;
    const struct need *edge;
    const struct task *need;

    CHECK(index < task->extra->join->need_count);
    if (index < cursor->first) {
        *cursor = join_cursor(task);
    }
    while (index - cursor->first >= NEED_CHUNK) {
        cursor->chunk = cursor->chunk->next;
        cursor->first += NEED_CHUNK;
    }
    edge = &cursor->chunk->needs[index - cursor->first];
    need = edge->task;

    if (!edge->cut) {
        task_record(need, record);
        return;
    }
    /* The join has ended before this need: at its deadline, with a failure, or cancelled. */
    *record = (struct outcome_record){
        .id = need->id,
        .outcome = expired ? OUTCOME_EXPIRED : OUTCOME_CANCELLED,
        .error = error_of(expired ? ERROR_EXPIRED : ERROR_CANCELLED),
        .attempt = task_attempt(need),
        .worker = label_span(need->worker),
    };
}
