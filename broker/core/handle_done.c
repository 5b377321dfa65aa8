#include "broker/core/ending.h"
#include "broker/core/handle.h"
#include "broker/core/retention.h"
#include "broker/core/retry.h"
#include "broker/core/stream.h"
#include "broker/core/watch.h"
#include "common/mutant.h"

#define KEPT_SHARE 4 /* of memory_max: what joins may keep when it is used up */

static struct task *find_held_by(struct broker *broker, const struct peer *peer,
                                 const struct id *id, uint32_t hash, uint64_t attempt)
{
    struct task *task = task_find_by(broker, id, hash);

    if (task != NULL && task->offer != NULL &&
        (task->offer->peer == peer || MUTANT(STRANGERS_ANSWER_TAKEN)) &&
        (task_attempt(task) == attempt || MUTANT(STALE_ANSWER_TAKEN))) {
        return task;
    }
    broker->stats.stale++;
    return NULL;
}

struct task *find_held(struct broker *broker, const struct peer *peer, const struct id *id,
                       uint64_t attempt)
{
    return find_held_by(broker, peer, id, task_hash(broker, id), attempt);
}

/* As find_held, for an answer: a stale one frees the credit that its lease still held. */
static struct task *find_answered(struct broker *broker, const struct peer *peer,
                                  const struct id *id, uint32_t hash, uint64_t attempt)
{
    struct task *task = find_held_by(broker, peer, id, hash, attempt);

    if (task == NULL) {
        stray_answer(broker, peer, id, attempt);
    }
    return task;
}

/* What the attempt took is known, whatever becomes of its answer. */
static void note_cost(struct broker *broker, struct task *task, bool costed, uint64_t cost)
{
    if (costed) {
        limit_correct(broker, task, cost);
    }
}

/* A cancelling task's worker has answered, with whatever: it has stopped. */
static bool confirm_cancel(struct broker *broker, struct task *task)
{
    if (task->state != TASK_CANCELLING) {
        return false;
    }
    lease_release(broker, task);
    task_wake(broker, task);
    return true;
}

/* Joins hold the answers they need for as long as they like, so those count against the
 * budget; any other is forgotten when the room is needed. They have a share beyond it: a
 * memory full of tasks must not fail the work that others have done. */
static bool has_room(struct broker *broker, const struct task *task, uint64_t bytes)
{
    bytes += blob_overhead();
    return task->needed_by == NULL ||
           broker->kept_bytes + bytes <= broker->options.memory_max / KEPT_SHARE ||
           retention_make_room(broker, bytes);
}

void handle_done(struct broker *broker, struct peer *peer, const struct done *done,
                 const struct hint *hint)
{
    uint32_t hash = hint->task_known ? hint->task : task_hash(broker, &done->id);
    struct task *task = find_answered(broker, peer, &done->id, hash, done->attempt);
    struct blob *body = NULL;

    if (task == NULL) {
        return;
    }
    note_cost(broker, task, done->costed, done->cost);
    if (confirm_cancel(broker, task)) {
        return;
    }
    if (done->payload.bytes.size > 0) {
        if (has_room(broker, task, done->payload.bytes.size)) {
            body = done->payload.blob != NULL ? blob_ref(done->payload.blob)
                                              : blob_new(done->payload.bytes);
        }
        if (body == NULL) {
            /* The result cannot be kept: the outcome is a failure, said so. */
            lease_release(broker, task);
            task_attempt_failed(broker, task, &(struct failure){.error = ERROR_MEMORY_FULL,
                                                               .retryable = true});
            return;
        }
    }
    if (task->service->limiter != NULL) {
        limit_report(broker, task, GATE_SUCCESS, span_of(NULL, 0));
    }
    task_end(broker, task, TASK_DONE, ERROR_NONE, body);
}

/* The code of an error, in the map that is kept of it, if it is. */
static struct span code_kept(const struct error *error, const struct blob *map)
{
    return map == NULL || error->raw.size == 0
               ? error->code
               : span_of(blob_span(map).data + (error->code.data - error->raw.data),
                         error->code.size);
}

void handle_fail(struct broker *broker, struct peer *peer, const struct fail *fail)
{
    struct task *task = find_answered(broker, peer, &fail->id, task_hash(broker, &fail->id),
                                      fail->attempt);
    struct failure failure = {.said = &fail->error, .retryable = fail->error.retryable};

    if (task == NULL) {
        return;
    }
    note_cost(broker, task, fail->costed, fail->cost);
    if (confirm_cancel(broker, task)) {
        return;
    }
    if (has_room(broker, task, fail->error.raw.size)) {
        failure.map = blob_new(fail->error.raw);
    }
    broker->cause = code_kept(&fail->error, failure.map);
    lease_release(broker, task);
    task_attempt_failed(broker, task, &failure);
    broker->cause = span_of(NULL, 0);
}

void handle_garbled_answer(struct broker *broker, struct peer *peer, const struct id *id)
{
    struct task *task = task_find(broker, id);

    if (task == NULL || task->offer == NULL || task->offer->peer != peer) {
        if (!MUTANT(UNREADABLE_ANSWER_KEEPS_CREDIT)) {
            stray_answer(broker, peer, id, strays_of(broker, peer, id).last_attempt);
        }
        return;
    }
    if (!confirm_cancel(broker, task)) {
        lease_release(broker, task);
        task_attempt_failed(broker, task, &(struct failure){.error = ERROR_BAD_MESSAGE});
    }
}

void handle_progress(struct broker *broker, struct peer *peer, const struct progress *progress)
{
    struct task *task = find_held(broker, peer, &progress->id, progress->attempt);
    struct message message = {.command = COMMAND_PROGRESS_OUT};

    if (task == NULL || task->state != TASK_LEASED) {
        return;
    }
    if (!MUTANT(PROGRESS_RENEWS_NOTHING)) {
        lease_renew(broker, task);
    }
    if (watch_wanted(broker, NOTE_PROGRESS)) {
        watch_progress(broker, task);
    }
    if (progress->payload.bytes.size == 0) {
        return;
    }
    message.progress = *progress;
    if (!task->held) {
        peer_send(broker, task->owner, &message);
    }
    if (task->extra != NULL && task->extra->stream != NULL) {
        stream_tell(broker, task->extra->stream, task->held ? NULL : task->owner, &message);
    }
}
