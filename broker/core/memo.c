#include "broker/core/memo.h"

#include "broker/core/durable.h"
#include "broker/core/retention.h"
#include "common/mutant.h"

uint64_t memo_bytes(const struct memo *memo)
{
    uint64_t bytes = sizeof *memo + memo->bytes +
                     memo->count * (sizeof(struct kept_signal) + blob_overhead());

    return memo->checkpoint == NULL
               ? bytes
               : bytes + blob_span(memo->checkpoint).size + blob_overhead();
}

static struct memo *memo_find(const struct task *task)
{
    return task->extra == NULL ? NULL : task->extra->memo;
}

/* The memo of a task that has not ended, made if it is missing. NULL: no memory. */
static struct memo *memo_of(struct broker *broker, struct task *task)
{
    struct extra *extra = task_extra(broker, task);

    if (extra != NULL && extra->memo == NULL) {
        uint64_t before = task_bytes(task);

        extra->memo = pool_get(&broker->memo_pool);
        task_resized(broker, task, before);
    }
    return extra == NULL ? NULL : extra->memo;
}

/* What a store has kept was accepted in its time. */
static bool has_room(struct broker *broker, const struct task *task, uint64_t bytes)
{
    if (broker->restoring != NULL) {
        return true;
    }
    if (memo_find(task) == NULL) {
        bytes += sizeof(struct extra) + sizeof(struct memo);
    }
    return retention_make_room(broker, bytes + blob_overhead());
}

static struct blob *keep(const struct payload *payload)
{
    return payload->blob != NULL ? blob_ref(payload->blob) : blob_new(payload->bytes);
}

enum error_code memo_set_checkpoint(struct broker *broker, struct task *task,
                                    const struct payload *payload)
{
    struct blob *blob = NULL;
    struct memo *memo;
    uint64_t before;

    if (payload->bytes.size > 0) {
        if (!has_room(broker, task, payload->bytes.size)) {
            return ERROR_MEMORY_FULL;
        }
        blob = keep(payload);
        if (blob == NULL) {
            return ERROR_MEMORY_FULL;
        }
    }
    memo = memo_of(broker, task);
    if (memo == NULL) {
        blob_unref(blob);
        return ERROR_MEMORY_FULL;
    }
    before = task_bytes(task);
    blob_unref(memo->checkpoint);
    memo->checkpoint = blob;
    task_resized(broker, task, before);
    broker->stats.checkpoints++;
    durable_checkpoint(broker, task);
    return ERROR_NONE;
}

struct payload memo_checkpoint(const struct task *task)
{
    const struct memo *memo = memo_find(task);

    if (memo == NULL || MUTANT(CHECKPOINT_LOST)) {
        return (struct payload){.blob = NULL};
    }
    return (struct payload){.bytes = blob_span(memo->checkpoint), .blob = memo->checkpoint};
}

/* ---- signals ----------------------------------------------------------------- */

static void drop_first(struct broker *broker, struct memo *memo)
{
    struct kept_signal *first = memo->first;

    memo->first = first->next;
    memo->last = memo->first == NULL ? NULL : memo->last;
    memo->count--;
    memo->given -= memo->given > 0;
    memo->bytes -= blob_span(first->payload).size;
    blob_unref(first->payload);
    pool_put(&broker->signal_pool, first);
}

static bool is_full(const struct memo *memo, uint64_t size)
{
    return memo->count >= SIGNALS_MAX || memo->bytes + size > SIGNALS_BYTES_MAX;
}

/* True: when all that some attempt has had are gone, there is no room for `size` more. */
static bool stays_full(const struct memo *memo, uint64_t size)
{
    uint64_t bytes = memo->bytes;
    const struct kept_signal *signal = memo->first;

    for (uint32_t i = 0; i < memo->given; i++, signal = signal->next) {
        bytes -= blob_span(signal->payload).size;
    }
    return memo->count - memo->given >= SIGNALS_MAX || bytes + size > SIGNALS_BYTES_MAX;
}

static void append(struct memo *memo, struct kept_signal *signal)
{
    if (memo->last == NULL) {
        memo->first = memo->last = signal;
    } else if (MUTANT(SIGNAL_REORDERED)) {
        signal->next = memo->first;
        memo->first = signal;
    } else {
        memo->last->next = signal;
        memo->last = signal;
    }
    memo->count++;
    memo->bytes += blob_span(signal->payload).size;
}

enum error_code memo_add_signal(struct broker *broker, struct task *task,
                                const struct payload *payload, bool given)
{
    uint64_t size = payload->bytes.size;
    struct kept_signal *signal;
    struct memo *memo = memo_find(task);
    uint64_t before;

    if (memo != NULL && stays_full(memo, size)) {
        return ERROR_LIMIT_EXCEEDED;
    }
    memo = has_room(broker, task, size + sizeof *signal) ? memo_of(broker, task) : NULL;
    signal = memo == NULL ? NULL : pool_get(&broker->signal_pool);
    if (signal != NULL && size > 0) {
        signal->payload = keep(payload);
        if (signal->payload == NULL) {
            pool_put(&broker->signal_pool, signal);
            signal = NULL;
        }
    }
    if (signal == NULL) {
        return ERROR_MEMORY_FULL;
    }
    before = task_bytes(task);
    while (is_full(memo, size)) {
        drop_first(broker, memo);
    }
    append(memo, signal);
    if (given) {
        memo->given = memo->count;
    }
    task_resized(broker, task, before);
    broker->stats.signals++;
    return ERROR_NONE;
}

void memo_give_signals(struct broker *broker, struct task *task)
{
    struct memo *memo = memo_find(task);
    struct message message;

    CHECK(task->offer != NULL);
    if (memo == NULL) {
        return;
    }
    message = (struct message){.command = COMMAND_SIGNAL_OUT};
    message.signal_out.id = task->id;
    message.signal_out.attempt = task_attempt(task);
    for (const struct kept_signal *at = memo->first; at != NULL; at = at->next) {
        message.signal_out.payload =
            (struct payload){.bytes = blob_span(at->payload), .blob = at->payload};
        peer_send(broker, task->offer->peer, &message);
    }
    memo->given = memo->count;
}

void memo_free(struct broker *broker, struct memo *memo)
{
    while (memo->first != NULL) {
        drop_first(broker, memo);
    }
    blob_unref(memo->checkpoint);
    pool_put(&broker->memo_pool, memo);
}
