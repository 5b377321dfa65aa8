#include "broker/core/state.h"

#include "broker/core/durable.h"
#include "broker/core/join.h"
#include "broker/core/memo.h"
#include "broker/core/stream.h"
#include "common/mutant.h"

static uint64_t lease_ms_of(const struct task *task)
{
    const struct extra *extra = task->extra;

    if (extra != NULL && extra->lease_ms > 0) {
        return extra->lease_ms;
    }
    return task->offer->lease_ms > 0 ? task->offer->lease_ms : task->service->limits.lease_ms;
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

static uint64_t run_end_ms(const struct broker *broker, const struct task *task, uint64_t max_ms)
{
    uint64_t end_ms = task->started_ms + max_ms;

    if (max_ms == 0 || MUTANT(MAX_RUN_IGNORED)) {
        return WHEEL_NEVER;
    }
    /* Over while the broker slept: its DONE may be there, unread. */
    return end_ms <= broker->awake_ms ? broker->awake_ms + broker->options.ping_ms : end_ms;
}

uint64_t lease_run_end_ms(const struct broker *broker, const struct task *task)
{
    return run_end_ms(broker, task, max_run_ms_of(task));
}

static void lease_arm(struct broker *broker, struct task *task, uint64_t lease_ms,
                      uint64_t max_run_ms)
{
    uint64_t silent_ms = lease_ms > 0 ? broker->now_ms + lease_ms : WHEEL_NEVER;
    uint64_t end_ms = run_end_ms(broker, task, max_run_ms);

    task_arm(broker, task, silent_ms < end_ms ? silent_ms : end_ms);
}

void lease_renew(struct broker *broker, struct task *task)
{
    lease_arm(broker, task, lease_ms_of(task), max_run_ms_of(task));
}

void lease_take(struct broker *broker, struct offer *offer, struct task *task)
{
    service_dequeue(broker, task->service, task);
    task->offer = offer;
    task->attempt += !(MUTANT(ATTEMPT_NOT_COUNTED) && task->attempt == 1);
    task->started_ms = broker->now_ms;
    task_set_state(broker, task, TASK_LEASED);
    list_push_back(&offer->leases, &task->link);
    offer_hold(offer);
    task_set_worker(broker, task, offer->peer->name);
    peer_watch(broker, offer->peer);
    limit_started(broker, task);
    service_count_start(task->service, broker->now_ms);
    broker->stats.attempts++;
    if (durable_start(broker, task)) {
        task_arm(broker, task, WHEEL_NEVER); /* its lease begins when its worker hears of it */
    } else {
        lease_send(broker, task);
    }
}

void lease_send(struct broker *broker, struct task *task)
{
    struct message message; /* large: only what is said is set */
    struct task_message *out = &message.task;
    struct join_cursor cursor;
    uint64_t lease_ms = lease_ms_of(task), max_run_ms = max_run_ms_of(task);

    task->started_ms = broker->now_ms;
    lease_arm(broker, task, lease_ms, max_run_ms);
    message.command = COMMAND_TASK;
    *out = (struct task_message){
        .id = task->id,
        .attempt = task_attempt(task),
        .service = service_name(task->service),
        .payload = {.bytes = blob_span(task->body), .blob = task->body},
        .deadline_ms = task->deadline_ms == WHEEL_NEVER ? 0 : task->deadline_ms - broker->now_ms,
        .lease_ms = lease_ms,
        .max_run_ms = max_run_ms,
        .submitter = label_span(task->owner->name),
    };
    if (task->extra != NULL) {
        out->stream = stream_begin(broker, task);
        out->checkpoint = memo_checkpoint(task);
        if (task->extra->join != NULL && !task->extra->join->no_inputs &&
            !(MUTANT(REDUCER_WITHOUT_INPUTS) && task->attempt > 1)) {
            cursor = join_cursor(task);
            out->input_count = task->extra->join->need_count;
            out->input_at = join_input_at;
            out->input_context = &cursor;
        }
    }
    peer_send(broker, task->offer->peer, &message);
    if (task->extra != NULL) {
        memo_give_signals(broker, task);
    }
    if (task->receipts && durable_accepted(task)) {
        lease_tell_started(broker, task);
    }
}

void lease_tell_started(struct broker *broker, const struct task *task)
{
    struct message message = {.command = COMMAND_STARTED};

    message.started.id = task->id;
    message.started.attempt = task_attempt(task);
    message.started.worker = label_span(task->worker);
    peer_send(broker, task->owner, &message);
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

struct strays strays_of(const struct broker *broker, const struct peer *peer, const struct id *id)
{
    uint32_t hash = stray_hash(broker, id);
    struct table_node *node = table_chain(&broker->strays, hash);
    struct strays strays = {0, 0};

    for (; node != NULL; node = node->next) {
        const struct stray *stray = table_entry(node, struct stray, node);

        if (node->hash == hash && id_equal(&stray->id, id) &&
            (peer == NULL || stray->offer->peer == peer)) {
            strays.count++;
            if (stray->attempt > strays.last_attempt) {
                strays.last_attempt = stray->attempt;
            }
        }
    }
    return strays;
}

bool strays_too_many(struct strays strays)
{
    return strays.last_attempt > ATTEMPT_NUMBERS_MAX || strays.count > STRAYS_OF_ID_MAX;
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
