#include "broker/core/state.h"

#include "broker/core/durable.h"
#include "broker/core/join.h"
#include "broker/core/memo.h"
#include "broker/core/stream.h"
#include "broker/core/watch.h"
#include "common/mutant.h"

#define BIT(state) (1u << (state))
#define ENDS                                                                                       \
    (BIT(TASK_DONE) | BIT(TASK_FAILED) | BIT(TASK_CANCELLED) | BIT(TASK_EXPIRED) |                 \
     BIT(TASK_STORING))

static const struct task_rule {
    const char *name;
    unsigned next; /* bit set of the states reachable from here */
} task_rules[TASK_STATE_COUNT] = {
    /* At once to an end: those that a store gives back. */
    [TASK_NEW] = {"new", BIT(TASK_WAITING) | BIT(TASK_READY) | BIT(TASK_DELAYED) | ENDS},
    [TASK_WAITING] = {"waiting", BIT(TASK_READY) | BIT(TASK_DELAYED) | BIT(TASK_CANCELLING) | ENDS},
    [TASK_READY] = {"ready", BIT(TASK_LEASED) | BIT(TASK_CANCELLING) | (ENDS & ~BIT(TASK_DONE))},
    [TASK_DELAYED] = {"delayed", BIT(TASK_READY) | BIT(TASK_CANCELLING) | (ENDS & ~BIT(TASK_DONE))},
    [TASK_LEASED] = {"leased", BIT(TASK_READY) | BIT(TASK_DELAYED) | BIT(TASK_CANCELLING) |
                                   (ENDS & ~BIT(TASK_CANCELLED))},
    [TASK_CANCELLING] = {"cancelling", BIT(TASK_CANCELLED) | BIT(TASK_STORING)},
    [TASK_STORING] = {"storing", ENDS & ~BIT(TASK_STORING)},
    [TASK_DONE] = {"done", 0},
    [TASK_FAILED] = {"failed", 0},
    [TASK_CANCELLED] = {"cancelled", 0},
    [TASK_EXPIRED] = {"expired", 0},
};

const char *task_state_name(enum task_state state)
{
    CHECK(state < TASK_STATE_COUNT);
    return task_rules[state].name;
}

void task_set_state(struct broker *broker, struct task *task, enum task_state next)
{
    enum task_state from = task->state;

    CHECK(next < TASK_STATE_COUNT);
    CHECK(task_rules[from].next & BIT(next));
    BROKER_LOG(broker, LOG_DEBUG, "task_state", LOG_ID("task", &task->id),
               LOG_WORD("from", task_rules[from].name), LOG_WORD("to", task_rules[next].name),
               LOG_UINT("attempt", task_attempt(task)));
    CHECK(broker->state_count[from] > 0);
    broker->state_count[from]--;
    broker->state_count[next]++;
    if (task_durable(task) != NULL) {
        broker->durable_count[from]--;
        broker->durable_count[next]++;
    }
    task->state = (uint8_t)next;
    if (task->service != NULL) {
        task->service->unfinished += (from == TASK_NEW) - (uint64_t)task_ended(task);
    }
    /* leased <=> in somebody's hands; an ended task is in nobody's */
    CHECK(next != TASK_LEASED || task->offer != NULL);
    CHECK(!task_ended(task) || task->offer == NULL);
    watch_move(broker, task, from);
}

static enum outcome outcome_of(enum task_state state)
{
    switch (state) {
    case TASK_DONE:
        return OUTCOME_DONE;
    case TASK_FAILED:
        return OUTCOME_FAILED;
    case TASK_CANCELLED:
        return OUTCOME_CANCELLED;
    case TASK_EXPIRED:
        return OUTCOME_EXPIRED;
    case TASK_NEW:
    case TASK_WAITING:
    case TASK_READY:
    case TASK_DELAYED:
    case TASK_LEASED:
    case TASK_CANCELLING:
    case TASK_STORING:
        break;
    }
    CHECK(state >= TASK_DONE);
    return OUTCOME_FAILED;
}

enum outcome task_outcome(const struct task *task)
{
    return outcome_of(task->state);
}

uint64_t task_bytes(const struct task *task)
{
    uint64_t bytes = sizeof *task + sizeof(struct table_node *);

    if (task->body != NULL) {
        bytes += blob_span(task->body).size + blob_overhead();
    }
    if (task->extra != NULL) {
        bytes += sizeof *task->extra;
        if (task->extra->family != NULL) {
            bytes += sizeof *task->extra->family;
        }
        if (task->extra->join != NULL) {
            bytes += sizeof(struct join) + needs_bytes(task->extra->join->need_count);
        }
        if (task->extra->terms != NULL) {
            bytes += terms_bytes(task->extra->terms);
        }
        if (task->extra->stream != NULL) {
            bytes += stream_bytes(task->extra->stream);
        }
        if (task->extra->memo != NULL) {
            bytes += memo_bytes(task->extra->memo);
        }
        if (task->extra->durable != NULL) {
            bytes += durable_bytes(task->extra->durable);
        }
    }
    return bytes;
}

static struct extra *extra_new(struct broker *broker, struct task *task)
{
    struct extra *extra = pool_get(&broker->extra_pool);

    if (extra == NULL) {
        return NULL;
    }
    extra->task = task;
    list_init(&extra->waits);
    list_init(&extra->wake_link);
    list_init(&extra->doom_link);
    return extra;
}

struct extra *task_extra(struct broker *broker, struct task *task)
{
    if (task->extra == NULL) {
        CHECK(!task_ended(task)); /* what is kept counts what it had when it ended */
        task->extra = extra_new(broker, task);
        if (task->extra != NULL) {
            broker->memory_bytes += sizeof *task->extra;
        }
    }
    return task->extra;
}

struct family *task_family_open(struct broker *broker, struct task *task)
{
    struct family *family = task_family(task);

    if (family != NULL || task_extra(broker, task) == NULL) {
        return family;
    }
    family = pool_get(&broker->family_pool);
    if (family != NULL) {
        family->task = task;
        list_init(&family->sibling);
        list_init(&family->children);
        task->extra->family = family;
        broker->memory_bytes += sizeof *family;
    }
    return family;
}

struct task *task_new(struct broker *broker, const struct id *id, uint32_t hash,
                      struct peer *owner, struct flow *flow, struct blob *body)
{
    struct task *task = pool_get(&broker->task_pool);

    if (task == NULL) {
        return NULL;
    }
    task->id = *id;
    task->state = TASK_NEW;
    timer_init(&task->timer, TIMER_TASK);
    list_init(&task->link);
    list_init(&task->owner_link);
    task->owner = owner;
    owner->tasks++;
    if (flow != NULL) {
        task->flow = flow;
        flow_ref(flow);
        task->service = flow->service;
        if (task->service->tasks++ == 0) {
            service_note_idle(broker, task->service);
        }
    }
    task->body = body;
    task->deadline_ms = WHEEL_NEVER;
    task->accepted_ms = broker->now_ms;
    table_insert(&broker->tasks, &task->node, hash);
    broker->state_count[TASK_NEW]++;
    broker->memory_bytes += task_bytes(task);
    return task;
}

static void family_free(struct broker *broker, struct family *family)
{
    list_unlink(&family->sibling);
    list_each(link, &family->children) {
        struct family *child = list_entry(link, struct family, sibling);

        list_unlink(&child->sibling);
        child->parent = NULL;
    }
    pool_put(&broker->family_pool, family);
}

static void extra_free(struct broker *broker, struct extra *extra)
{
    CHECK(list_empty(&extra->waits));
    CHECK(list_empty(&extra->wake_link));
    CHECK(list_empty(&extra->doom_link));
    if (extra->family != NULL) {
        family_free(broker, extra->family);
    }
    if (extra->join != NULL) {
        join_free(broker, extra->join);
    }
    if (extra->terms != NULL) {
        terms_free(broker, extra->terms);
    }
    if (extra->stream != NULL) {
        stream_free(broker, extra->stream);
    }
    if (extra->memo != NULL) {
        memo_free(broker, extra->memo);
    }
    pool_put(&broker->extra_pool, extra);
}

void task_free(struct broker *broker, struct task *task)
{
    CHECK(task_ended(task) || task->state == TASK_NEW);
    CHECK(list_empty(&task->link));
    CHECK(list_empty(&task->owner_link));
    CHECK(task->needed_by == NULL);
    CHECK(task->offer == NULL);
    wheel_cancel(&broker->wheel, &task->timer);
    table_remove(&broker->tasks, &task->node);
    broker->memory_bytes -= task_bytes(task);
    broker->state_count[task->state]--;
    flight_forget(broker, task);
    if (task_durable(task) != NULL) {
        durable_free(broker, task);
    }
    if (task->extra != NULL) {
        extra_free(broker, task->extra);
    }
    blob_unref(task->body);
    label_unref(broker, task->worker);
    if (task->service != NULL) {
        flow_unref(broker, task->flow);
        CHECK(task->service->tasks > 0);
        if (--task->service->tasks == 0) {
            service_note_idle(broker, task->service);
        }
    }
    CHECK(task->owner->tasks > 0);
    task->owner->tasks--;
    peer_release(broker, task->owner);
    pool_put(&broker->task_pool, task);
}

uint32_t task_hash(const struct broker *broker, const struct id *id)
{
    return broker_hash(broker, id->bytes, sizeof id->bytes);
}

struct task *task_find(const struct broker *broker, const struct id *id)
{
    return task_find_by(broker, id, task_hash(broker, id));
}

struct task *task_find_by(const struct broker *broker, const struct id *id, uint32_t hash)
{
    for (struct table_node *node = table_chain(&broker->tasks, hash); node; node = node->next) {
        struct task *task = table_entry(node, struct task, node);

        if (node->hash == hash && id_equal(&task->id, id)) {
            return task;
        }
    }
    return NULL;
}

void task_resized(struct broker *broker, const struct task *task, uint64_t before)
{
    uint64_t bytes = task_bytes(task);

    broker->memory_bytes += bytes - before;
    if (task->reserve) {
        broker->reserve.bytes += bytes - before;
    }
}

void task_set_body(struct broker *broker, struct task *task, struct blob *body)
{
    broker->memory_bytes -= task_bytes(task);
    blob_unref(task->body);
    task->body = body;
    broker->memory_bytes += task_bytes(task);
}

void label_unref(struct broker *broker, struct label *label)
{
    if (label == NULL) {
        return;
    }
    CHECK(label->references > 0);
    if (--label->references == 0) {
        pool_put(&broker->label_pool, label);
    }
}

void task_set_worker(struct broker *broker, struct task *task, struct label *worker)
{
    if (task->worker == worker) {
        return;
    }
    label_unref(broker, task->worker);
    task->worker = worker;
    worker->references++;
}

void task_arm(struct broker *broker, struct task *task, uint64_t extra_ms)
{
    uint64_t due_ms = extra_ms < task->deadline_ms ? extra_ms : task->deadline_ms;

    if (MUTANT(TIMER_LATE) && due_ms != WHEEL_NEVER) {
        due_ms += 2;
    }

    if (due_ms == WHEEL_NEVER) {
        wheel_cancel(&broker->wheel, &task->timer);
    } else {
        wheel_arm(&broker->wheel, &task->timer, due_ms);
    }
}

void task_arm_queued(struct broker *broker, struct task *task)
{
    uint64_t ttl_ms = task->extra != NULL && task->attempt == 0 ? task->extra->queue_ttl_ms : 0;

    task_arm(broker, task, ttl_ms > 0 ? broker->now_ms + ttl_ms : WHEEL_NEVER);
}

void task_begin(struct broker *broker, struct task *task, uint64_t not_before_ms)
{
    if (not_before_ms > broker->now_ms && !MUTANT(DELAY_IGNORED)) {
        task_set_state(broker, task, TASK_DELAYED);
        service_delay(broker, task->service, task);
        task_arm(broker, task, not_before_ms);
    } else {
        service_enqueue(broker, task->service, task, false);
        task_arm_queued(broker, task);
    }
}

uint64_t task_waited_ms(const struct broker *broker, const struct task *task)
{
    if (task->attempt > 0) {
        return task->started_ms - task->accepted_ms;
    }
    return (task_ended(task) ? task->ended_ms : broker->now_ms) - task->accepted_ms;
}

uint64_t task_ran_ms(const struct broker *broker, const struct task *task)
{
    if (task->attempt == 0) {
        return 0;
    }
    return (task_ended(task) ? task->ended_ms : broker->now_ms) - task->started_ms;
}

void task_outcome_record(const struct broker *broker, const struct task *task,
                         enum task_state state, enum error_code error, struct blob *body,
                         struct outcome_record *record)
{
    *record = (struct outcome_record){
        .id = task->id,
        .outcome = outcome_of(state),
        .attempt = task_attempt(task),
        .waited_ms = task_waited_ms(broker, task),
        .ran_ms = task_ran_ms(broker, task),
        .worker = label_span(task->worker),
    };
    if (state == TASK_DONE) {
        record->payload = (struct payload){.bytes = blob_span(body), .blob = body};
    } else if (error == ERROR_NONE) {
        record->error.raw = blob_span(body);
    } else {
        record->error = error_of(error);
    }
}

void task_record(const struct task *task, struct outcome_record *record)
{
    CHECK(task_ended(task));
    task_outcome_record(NULL, task, task->state, task->error, task->body, record);
}
