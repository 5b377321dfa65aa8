#include "broker/core/join.h"

#include "broker/core/durable.h"
#include "broker/core/ending.h"
#include "broker/core/retention.h"
#include "common/mutant.h"

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

/* How many of its needs must be done. */
static uint32_t wanted_of(const struct submit *submit)
{
    switch (submit->join) {
    case JOIN_ALL:
        return (uint32_t)submit->needs_count;
    case JOIN_ANY:
        return 1;
    case JOIN_K:
        return (uint32_t)submit->k - (MUTANT(JOIN_K_OFF_BY_ONE) && submit->k > 1);
    case JOIN_SETTLED:
        return MUTANT(SETTLED_FAILS_FAST) ? (uint32_t)submit->needs_count : 0;
    case JOIN_NONE:
        break;
    }
    CHECK(submit->join != JOIN_NONE);
    return 0;
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
    join->run_if = submit->run_if;
    join->no_inputs = submit->no_inputs;
    join->wanted = wanted_of(submit);
    join->not_before_ms = broker->now_ms + submit->delay_ms;
    broker->memory_bytes -= task_bytes(task);
    join->need_count = join->left = (uint32_t)submit->needs_count;
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

bool join_tells_inputs(const struct task *task)
{
    return task->service == NULL && !task->extra->join->no_inputs;
}

void join_close(struct join *join)
{
    if (join->decided) {
        return;
    }
    join->decided = true;
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

static bool join_fulfilled(const struct join *join)
{
    return join->done >= join->wanted && (join->policy != JOIN_SETTLED || join->left == 0);
}

bool join_settled(const struct join *join)
{
    return join->left == 0 || join->impossible || join_fulfilled(join);
}

/* One more need has ended. What it makes impossible no later one can mend. */
static void join_tally(struct join *join, struct id id, enum outcome outcome)
{
    if (outcome == OUTCOME_DONE) {
        join->done++;
    }
    if (!join->impossible && join->done + join->left < join->wanted &&
        !MUTANT(ALL_IGNORES_FAILURE)) {
        join->impossible = true;
        join->culprit = id;
        join->culprit_outcome = outcome;
    }
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
            task_family(task)->stopped += 1 + task_stopped_below(need->task);
        }
    }
    if (task_ended(task)) {
        return;
    }
    CHECK(join->left > 0);
    join->left -=
        1 + (MUTANT(JOIN_COUNTS_TWICE) && task->state != TASK_NEW && join->left > 1);
    if (!join->decided) {
        join_tally(join, need->task->id, outcome);
    }
    if (task->state == TASK_CANCELLING ||
        (task->state == TASK_WAITING && !join->decided && join_settled(join))) {
        task_wake(broker, task);
    }
}

bool join_awaits(const struct task *task)
{
    for (const struct need *need = task->needed_by; need != NULL; need = need->next) {
        if (need->join->state == TASK_WAITING && !need->join->extra->join->decided) {
            return true;
        }
    }
    return false;
}

static bool needed_elsewhere(const struct need *need)
{
    for (const struct need *other = need->task->needed_by; other != NULL; other = other->next) {
        if (other->join != need->join && other->join->state == TASK_WAITING &&
            !other->join->extra->join->decided) {
            return true;
        }
    }
    return false;
}

void join_doom_needs(struct broker *broker, struct task *task)
{
    struct join *join = task->extra->join;

    if (join->left == 0 || (MUTANT(LOSERS_RUN_ON) && task->state != TASK_CANCELLING)) {
        return;
    }
    join_each_need(need, join) {
        if (task_ended(need->task) || !need->task->held ||
            (needed_elsewhere(need) && !MUTANT(CANCEL_TAKES_SHARED_NEEDS))) {
            continue;
        }
        if (!need->doomed && task->state == TASK_CANCELLING) {
            need->doomed = true;
            join->stopping++;
        }
        task_doom(broker, need->task);
    }
}

/* Ends the join, and stops what it alone waited for. Told first, unless the join lets go of its
 * needs when it ends. */
static void join_end(struct broker *broker, struct task *task, enum task_state state,
                     enum error_code error)
{
    bool keeps = join_tells_inputs(task);

    join_close(task->extra->join);
    if (!keeps) {
        join_doom_needs(broker, task);
    }
    task_end(broker, task, state, error, NULL);
    if (keeps) {
        join_doom_needs(broker, task);
    }
}

/* It was admitted to its queue when it was submitted: from here on it is as any other task. */
static void join_run(struct broker *broker, struct task *task)
{
    struct join *join = task->extra->join;

    join_close(join);
    task_begin(broker, task, join->not_before_ms);
    join_doom_needs(broker, task);
}

void join_decide(struct broker *broker, struct task *task)
{
    struct join *join = task->extra->join;
    bool fulfilled = join_fulfilled(join) || MUTANT(ALL_IGNORES_FAILURE);

    CHECK(task->state == TASK_WAITING);
    CHECK(!join->decided);
    if (!join_settled(join)) {
        return;
    }
    if (task->service != NULL &&
        (join->run_if == RUN_IF_ALWAYS || MUTANT(SKIP_IGNORED) ||
         fulfilled == (join->run_if == RUN_IF_DONE))) {
        join_run(broker, task);
    } else if (!fulfilled) {
        join_end(broker, task, TASK_FAILED, ERROR_DEPENDENCY_FAILED);
    } else if (task->service != NULL) {
        join_end(broker, task, TASK_CANCELLED, ERROR_SKIPPED);
    } else {
        join_end(broker, task, TASK_DONE, ERROR_NONE);
    }
}

void join_expire(struct broker *broker, struct task *task)
{
    bool done = task->extra->join->policy == JOIN_SETTLED && task->service == NULL;

    join_end(broker, task, done ? TASK_DONE : TASK_EXPIRED, done ? ERROR_NONE : ERROR_EXPIRED);
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
    bool expired = task->state == TASK_EXPIRED ||
                   (task->state == TASK_DONE && task->extra->join->policy == JOIN_SETTLED);
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
    /* The join was decided before this need: at its deadline, or by others, or cancelled. */
    *record = (struct outcome_record){
        .id = need->id,
        .outcome = expired ? OUTCOME_EXPIRED : OUTCOME_CANCELLED,
        .error = error_of(expired ? ERROR_EXPIRED : ERROR_CANCELLED),
        .attempt = task_attempt(need),
        .worker = label_span(need->worker),
    };
}

struct task *join_find_need(const struct broker *broker, const struct submit *submit,
                            size_t index)
{
    struct id id;

    memcpy(id.bytes, submit->needs + index * submit->needs_stride, sizeof id.bytes);
    return task_find(broker, &id);
}

/* ON RECV 5. A task may be named more than once: its edges are counted as if the join were
 * there, then the counts are taken back. */
enum error_code join_check_needs(const struct broker *broker, const struct peer *peer,
                                 const struct submit *submit)
{
    enum error_code code = ERROR_NONE;
    size_t counted = 0;

    while (code == ERROR_NONE && counted < submit->needs_count) {
        struct task *need = join_find_need(broker, submit, counted);

        if (need == NULL || !id_equal(&need->owner->session, &peer->session)) {
            code = ERROR_NOT_FOUND;
        } else if (need->orphan) {
            code = ERROR_CONFLICT; /* soon it is submitted afresh: after that */
        } else if (submit->durable && task_durable(need) == NULL) {
            code = ERROR_UNSUPPORTED; /* it could be gone after a restart */
        } else if (need->needed_by_count == NEEDED_BY_MAX) {
            code = ERROR_LIMIT_EXCEEDED;
        } else {
            need->needed_by_count++;
            counted++;
        }
    }
    while (counted > 0) {
        join_find_need(broker, submit, --counted)->needed_by_count--;
    }
    return code;
}
