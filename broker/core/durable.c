#include "broker/core/durable.h"

#include "broker/core/dead.h"
#include "broker/core/ending.h"
#include "broker/core/memo.h"
#include "common/mutant.h"

bool durable_by_service(const struct broker *broker, struct span name)
{
    const struct service *service;

    if (name.size == 0 || !broker->durable_services) {
        return false;
    }
    service = service_find(broker, name);
    return service != NULL ? service->limits.durable : broker->options.service.durable;
}

enum error_code durable_admit(const struct broker *broker, const struct submit *submit)
{
    if (broker->store_state == STORE_NONE) {
        return ERROR_UNSUPPORTED;
    }
    if ((broker->store_state != STORE_OPEN && !MUTANT(FULL_STORE_TAKES_MORE)) ||
        (broker->unsafe_bytes > 0 && !MUTANT(UNSAFE_UNBOUNDED) &&
         broker->unsafe_bytes + submit->payload.bytes.size > broker->options.unsafe_bytes)) {
        return ERROR_STORE_UNAVAILABLE;
    }
    return ERROR_NONE;
}

uint64_t durable_bytes(const struct durable *durable)
{
    uint64_t bytes = sizeof *durable;

    return durable->result == NULL ? bytes
                                   : bytes + blob_span(durable->result).size + blob_overhead();
}

static void record(struct broker *broker, struct store_record *record)
{
    record->sequence = ++broker->store_sequence;
    broker->effects.store(broker->effects.context, record);
}

static_assert(4ULL * PAYLOAD_BYTES_MAX + sizeof(struct submit) <= UINT32_MAX,
              "struct durable has room for the bytes of a task and its outcome");

/* Somebody waits for what has just been recorded. */
static void await_store(struct broker *broker, struct durable *durable, uint64_t bytes)
{
    list_unlink(&durable->link);
    broker->unsafe_bytes += bytes - durable->bytes;
    durable->bytes = (uint32_t)bytes;
    durable->sequence = broker->store_sequence;
    list_push_back(&broker->unsafe, &durable->link);
}

/* What it says of the past of a session is not kept; what its service said then is. */
static struct submit kept(const struct task *task, const struct submit *submit)
{
    struct submit copy = *submit;

    copy.attempts = task->attempts_max;
    if (submit->detached) {
        copy.parent = (struct id){{0}};
        copy.parent_attempt = 0;
    }
    return copy;
}

bool durable_open(struct broker *broker, struct task *task, const struct submit *submit)
{
    struct durable *durable = pool_get(&broker->durable_pool);
    struct submit copy = kept(task, submit);
    uint64_t before = task_bytes(task);

    if (durable == NULL) {
        return false;
    }
    durable->task = task;
    list_init(&durable->unaccepted);
    list_init(&durable->link);
    task->extra->durable = durable;
    broker->durable_count[task->state]++;
    task_resized(broker, task, before);
    if (broker->restoring != NULL) {
        durable->key = broker->restoring->key;
        return true;
    }
    durable->key = broker->store_key++;
    record(broker, &(struct store_record){
                       .what = STORE_TASK,
                       .key = durable->key,
                       .submit = &copy,
                       .session = task->owner->session,
                       .peer = label_span(task->owner->name),
                       .accepted_unix_ms = broker_unix_ms(broker, broker->now_ms),
                       .attempts = task->attempt,
                   });
    durable->first = broker->store_sequence;
    if (!MUTANT(ACCEPTED_TOO_EARLY)) {
        list_push_back(&broker->unaccepted, &durable->unaccepted);
    }
    await_store(broker, durable, sizeof(struct submit) + submit->payload.bytes.size);
    return true;
}

/* `bytes`: room for it. */
static struct span causes_of(const struct broker *broker, const struct task *task, uint8_t *bytes)
{
    const struct terms *terms = task->extra->terms;

    return terms == NULL ? span_of(NULL, 0)
                         : span_of(bytes, cause_pack(broker, &terms->causes, bytes));
}

static_assert(ERROR_BYTES_MAX <= UINT16_MAX && ERROR_CODE_MAX <= UINT8_MAX,
              "struct durable has room for where a code is in its map");

/* The code of the FAIL under way is in the map that is kept of it: it is told with the end. */
static void note_code(const struct broker *broker, struct durable *durable)
{
    struct span code = broker->cause, map = blob_span(durable->result);
    uintptr_t at = (uintptr_t)code.data - (uintptr_t)map.data;
    bool kept = at <= map.size && code.size <= map.size - at;

    durable->code_at = kept ? (uint16_t)at : 0;
    durable->code_size = kept ? (uint8_t)code.size : 0;
}

bool durable_end(struct broker *broker, struct task *task, enum task_state state,
                 enum error_code error, struct blob *result)
{
    struct durable *durable = task_durable(task);
    uint64_t before = task_bytes(task);
    uint8_t causes[CAUSES_PACKED_MAX];
    struct outcome_record outcome;

    if (durable == NULL || task->state == TASK_STORING || broker->effects.store == NULL ||
        broker->restoring != NULL) {
        return false;
    }
    task_outcome_record(broker, task, state, error, result, &outcome);
    record(broker, &(struct store_record){
                       .what = STORE_END,
                       .key = durable->key,
                       .attempts = task->attempt,
                       .causes = causes_of(broker, task, causes),
                       .outcome = &outcome,
                       .ended_unix_ms = broker_unix_ms(broker, broker->now_ms),
                   });
    if (MUTANT(OUTCOME_TOO_EARLY)) {
        return false;
    }
    durable->starting = false;
    durable->state = (uint8_t)state;
    durable->error = (uint8_t)error;
    durable->result = result;
    note_code(broker, durable);
    task_resized(broker, task, before);
    await_store(broker, durable, durable->bytes + durable_bytes(durable));
    task_set_state(broker, task, TASK_STORING);
    if (broker->store_state == STORE_LOST) {
        lane_leave(broker, task);
    }
    return true;
}

static bool records(const struct broker *broker, const struct task *task)
{
    return task_durable(task) != NULL && broker->effects.store != NULL &&
           broker->restoring == NULL;
}

bool durable_start(struct broker *broker, struct task *task)
{
    struct durable *durable = task_durable(task);

    if (!records(broker, task) || task->attempts_max > 1) {
        return false;
    }
    durable_attempt(broker, task);
    if (MUTANT(START_TOO_EARLY)) {
        return false;
    }
    await_store(broker, durable, durable->bytes + sizeof *durable);
    BROKER_LOG(broker, LOG_DEBUG, "task_starting", LOG_ID("task", &task->id),
               LOG_ID("session", &task->offer->peer->session));
    durable->starting = true;
    durable->taken_ms = broker->now_ms;
    return true;
}

void durable_attempt(struct broker *broker, const struct task *task)
{
    uint8_t causes[CAUSES_PACKED_MAX];

    if (records(broker, task)) {
        record(broker, &(struct store_record){.what = STORE_ATTEMPT,
                                              .key = task_durable(task)->key,
                                              .attempts = task->attempt,
                                              .causes = causes_of(broker, task, causes)});
    }
}

void durable_checkpoint(struct broker *broker, const struct task *task)
{
    struct durable *durable = task_durable(task);
    struct payload checkpoint = memo_checkpoint(task);

    if (!records(broker, task)) {
        return;
    }
    if (!list_empty(&durable->link)) {
        durable->outdated = !MUTANT(NEWER_CHECKPOINT_NOT_STORED);
        return;
    }
    record(broker, &(struct store_record){.what = STORE_CHECKPOINT,
                                          .key = durable->key,
                                          .checkpoint = checkpoint});
    durable->saving = true;
    await_store(broker, durable, sizeof *durable + checkpoint.bytes.size);
}

uint64_t durable_direct(struct broker *broker, const struct peer *peer,
                        const struct control *control)
{
    record(broker, &(struct store_record){
                       .what = STORE_DIRECTIVE,
                       .key = broker->store_key,
                       .directive = control,
                       .session = peer->session,
                       .peer = label_span(peer->name),
                       .accepted_unix_ms = broker_unix_ms(broker, broker->now_ms),
                   });
    return broker->store_key++;
}

void durable_forget(struct broker *broker, uint64_t key)
{
    if (broker->effects.store != NULL) {
        record(broker, &(struct store_record){.what = STORE_FORGET, .key = key});
    }
}

void durable_free(struct broker *broker, struct task *task)
{
    struct durable *durable = task_durable(task);

    list_unlink(&durable->unaccepted);
    list_unlink(&durable->link);
    broker->unsafe_bytes -= durable->bytes;
    broker->durable_count[task->state]--;
    blob_unref(durable->result);
    if (!dead_keeps(broker, &task->id, durable->key) || MUTANT(FORGOTTEN_WITH_LETTER)) {
        durable_forget(broker, durable->key);
    }
    pool_put(&broker->durable_pool, durable);
}

static void tell_accepted(struct broker *broker, const struct task *task)
{
    struct message message = {.command = COMMAND_ACCEPTED};

    if (!task->receipts) {
        return;
    }
    message.accepted.id = task->id;
    peer_send(broker, task->owner, &message);
    if (task->state == TASK_LEASED && !durable_starting(task)) {
        lease_tell_started(broker, task);
    }
}

/* A receipt waits for its task's first record and no other: the outcome may be on its way, too. */
static void accept_stored(struct broker *broker, uint64_t sequence)
{
    struct list *link;

    while ((link = list_first(&broker->unaccepted)) != NULL) {
        struct durable *durable = list_entry(link, struct durable, unaccepted);

        if (durable->first > sequence ||
            (MUTANT(ACCEPTED_TOO_LATE) && durable->sequence > sequence)) {
            break;
        }
        list_unlink(link);
        tell_accepted(broker, durable->task);
    }
}

/* Its outcome is safe: now it ends. */
static void end(struct broker *broker, struct task *task)
{
    struct durable *durable = task_durable(task);
    struct blob *result = durable->result;
    uint64_t before = task_bytes(task);

    durable->result = NULL;
    task_resized(broker, task, before);
    broker->cause = durable->code_size == 0
                        ? span_of(NULL, 0)
                        : span_of(blob_span(result).data + durable->code_at, durable->code_size);
    task_end(broker, task, durable->state, durable->error, result);
    broker->cause = span_of(NULL, 0);
}

void durable_stored(struct broker *broker, uint64_t sequence)
{
    struct list *link;

    CHECK(sequence <= broker->store_sequence);
    sequence += MUTANT(STORED_ONE_TOO_FAR);
    accept_stored(broker, sequence);
    while ((link = list_first(&broker->unsafe)) != NULL) {
        struct durable *durable = list_entry(link, struct durable, link);
        struct task *task = durable->task;

        if (durable->sequence > sequence) {
            break;
        }
        list_unlink(link);
        broker->unsafe_bytes -= durable->bytes;
        durable->bytes = 0;
        durable->saving = false;
        if (durable->starting) {
            durable->starting = false;
            lease_send(broker, task);
        }
        if (task->state == TASK_STORING) {
            end(broker, task);
        } else if (durable->outdated) {
            durable->outdated = false;
            durable_checkpoint(broker, task);
        }
    }
}

void durable_unstart(struct broker *broker, struct task *task)
{
    if (broker->store_state == STORE_LOST && durable_starting(task) && !MUTANT(LOST_START_WAITS)) {
        task_end(broker, task, TASK_FAILED, ERROR_WORKER_LOST, NULL);
    }
}

void durable_lost(struct broker *broker)
{
    struct list starting, *link;

    list_init(&starting);
    list_each(at, &broker->unsafe) {
        struct durable *durable = list_entry(at, struct durable, link);

        if (durable->task->state == TASK_STORING) {
            lane_leave(broker, durable->task);
        } else if (durable->starting && !MUTANT(LOST_START_WAITS)) {
            list_unlink(at);
            list_push_back(&starting, at);
        }
    }
    while ((link = list_first(&starting)) != NULL) {
        durable_unstart(broker, list_entry(link, struct durable, link)->task);
    }
}

/* What waits is there after a restart, too. What a lost store has not is not going to end here. */
uint64_t durable_kept(const struct broker *broker)
{
    const uint64_t *count = broker->durable_count;
    uint64_t kept = count[TASK_WAITING] + count[TASK_READY] + count[TASK_DELAYED];

    if (broker->store_state == STORE_LOST) {
        kept += count[TASK_LEASED] + count[TASK_CANCELLING] + count[TASK_STORING];
    }
    return kept;
}

void durable_check(const struct broker *broker)
{
    uint64_t sequence = 0, bytes = 0, count = 0;

    for (unsigned state = 0; state < TASK_STATE_COUNT; state++) {
        CHECK(broker->durable_count[state] <= broker->state_count[state]);
        count += broker->durable_count[state];
    }
    CHECK(count == broker->durable_pool.used);

    list_each(link, &broker->unsafe) {
        const struct durable *durable = list_entry(link, struct durable, link);
        const struct task *task = durable->task;

        CHECK(task_durable(task) == durable);
        CHECK(!task_ended(task));
        CHECK(!durable_accepted(task) || durable->starting || durable->saving ||
              task->state == TASK_STORING || task->state == TASK_CANCELLING);
        CHECK(!durable->starting || task->state == TASK_LEASED);
        CHECK(durable->sequence > sequence);
        CHECK(durable->key > 0 && durable->key < broker->store_key);
        sequence = durable->sequence;
        bytes += durable->bytes;
    }
    CHECK(sequence <= broker->store_sequence);
    CHECK(bytes == broker->unsafe_bytes);
    CHECK(broker->restoring == NULL);

    sequence = 0;
    list_each(link, &broker->unaccepted) {
        const struct durable *durable = list_entry(link, struct durable, unaccepted);

        CHECK(durable->first > sequence && durable->first <= durable->sequence);
        CHECK(!list_empty(&durable->link));
        sequence = durable->first;
    }
}
