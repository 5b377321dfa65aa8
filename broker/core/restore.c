/* restore: a broker takes back the rows that its store has kept.
 *
 * Each is submitted again as it was, past every bound: what was accepted is not refused now. Who
 * submitted it is away, and has resume_ms to come back; what was leased is ready again. */
#include "broker/core/dead.h"
#include "broker/core/directive.h"
#include "broker/core/durable.h"
#include "broker/core/ending.h"
#include "broker/core/flight.h"
#include "broker/core/handle.h"
#include "broker/core/join.h"
#include "broker/core/memo.h"
#include "broker/core/retention.h"
#include "broker/core/retry.h"
#include "common/mutant.h"

uint64_t restore_left_ms(uint64_t ms, uint64_t since, uint64_t now)
{
    uint64_t gone = now > since && !MUTANT(TIME_STOPS_WITH_BROKER) ? now - since : 0;

    return ms == 0 ? 0 : gone < ms ? ms - gone : 1;
}

/* What is left of a duration that began when the task was accepted. */
static uint64_t left_ms(const struct broker *broker, const struct store_row *row, uint64_t ms)
{
    return restore_left_ms(ms, row->accepted_unix_ms, broker_unix_ms(broker, broker->now_ms));
}

/* Its times have gone on; its options stay as they were said, for it may be tried again as a dead
 * letter. queue_ttl_ms begins when it is ready: now, or later. */
static void set_times(const struct broker *broker, struct task *task, const struct store_row *row)
{
    const struct submit *submit = &row->submit;

    if (submit->deadline_ms > 0) {
        task->deadline_ms = broker->now_ms + left_ms(broker, row, submit->deadline_ms);
    }
    if (task->extra->join != NULL) {
        task->extra->join->not_before_ms =
            broker->now_ms + left_ms(broker, row, submit->delay_ms);
    }
}

/* A newer row of an id takes the place of the one before, which had ended: its task had been
 * submitted again. False: that one has not ended, and it stays. */
static bool make_way(struct broker *broker, const struct id *id, uint32_t hash)
{
    struct task *task = task_find_by(broker, id, hash);
    struct letter *letter = broker->letters.count > 0 ? dead_find(broker, id) : NULL;

    if (letter != NULL) {
        dead_drop(broker, letter);
    }
    if (task == NULL) {
        return true;
    }
    if (!task_ended(task) || task->needed_by != NULL) {
        return false;
    }
    retention_remove(broker, task);
    task_free(broker, task);
    return true;
}

static struct blob *keep(struct span bytes, struct blob *blob)
{
    return blob != NULL ? blob_ref(blob) : bytes.size > 0 ? blob_new(bytes) : NULL;
}

static enum task_state state_of(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_DONE:
        return TASK_DONE;
    case OUTCOME_CANCELLED:
        return TASK_CANCELLED;
    case OUTCOME_EXPIRED:
        return TASK_EXPIRED;
    case OUTCOME_FAILED:
    case OUTCOME_REFUSED:
        break;
    }
    return TASK_FAILED;
}

/* What the broker itself said; NONE: an application. */
static enum error_code code_of(struct span name)
{
    for (unsigned code = 1; code < ERROR_CODE_COUNT; code++) {
        if (span_is(name, error_code_name(code))) {
            return (enum error_code)code;
        }
    }
    return ERROR_NONE;
}

/* Many tasks have few workers. NULL: it had none, or there is no memory. */
static struct label *worker_label(struct broker *broker, struct span name)
{
    uint32_t hash = broker_hash(broker, name.data, name.size);
    struct label **kept = &broker->workers_restored[hash % WORKERS_RESTORED];

    if (name.size > 0 && (*kept == NULL || !span_equal(label_span(*kept), name))) {
        label_unref(broker, *kept);
        *kept = label_new(broker, name);
    }
    return name.size > 0 ? *kept : NULL;
}

/* How long it waited and ran, and where. */
static void set_past(struct broker *broker, struct task *task, const struct outcome_record *outcome)
{
    struct label *worker = worker_label(broker, outcome->worker);

    task->started_ms = broker->now_ms - outcome->ran_ms;
    task->accepted_ms = task->started_ms - outcome->waited_ms;
    if (worker != NULL) {
        task_set_worker(broker, task, worker);
    }
}

static void set_causes(struct broker *broker, struct task *task, struct span causes)
{
    uint64_t before = task_bytes(task);

    if (causes.size > 0 && task_mourned(task)) {
        cause_unpack(broker, &task->extra->terms->causes, causes);
        task_resized(broker, task, before);
    }
}

/* Of a letter that was tried again they go on from those of its causes. The attempt that may be the
 * only one has none yet. */
static void set_numbers(struct task *task)
{
    const struct terms *terms = task->extra->terms;
    uint64_t last = terms != NULL && terms->causes.last != NULL ? terms->causes.last->attempt : 0;
    uint64_t own = task->attempts_max == 1 ? 0 : task->attempt;

    task->attempts_before = (uint16_t)(last > own ? last - own : 0);
}

/* False: no memory. */
static bool end(struct broker *broker, struct task *task, const struct outcome_record *outcome)
{
    enum task_state state = state_of(outcome->outcome);
    struct span bytes = state == TASK_DONE ? outcome->payload.bytes : outcome->error.raw;
    struct blob *body = keep(bytes, state == TASK_DONE ? outcome->payload.blob : NULL);

    if (bytes.size > 0 && body == NULL) {
        return false;
    }
    set_past(broker, task, outcome);
    task_end(broker, task, state,
             state == TASK_DONE || bytes.size > 0 ? ERROR_NONE : code_of(outcome->error.code),
             body);
    return true;
}

/* All of its needs, or none: what is missing has been forgotten with a join that had ended, or
 * could not be read. */
static void drop_lost_needs(const struct broker *broker, struct submit *submit)
{
    for (size_t i = 0; i < submit->needs_count; i++) {
        if (join_find_need(broker, submit, i) == NULL) {
            submit->join = JOIN_NONE;
            submit->needs_count = 0;
        }
    }
}

/* A join that is over has stopped what it alone waited for, and that may not have been stored: it
 * is looked at when all rows are back. */
static void release_needs(struct broker *broker, const struct submit *join)
{
    for (size_t i = 0; i < join->needs_count; i++) {
        struct task *need = join_find_need(broker, join, i);

        if (need != NULL && !task_ended(need) && need->held && !MUTANT(RESTORED_NEEDS_RUN_ON)) {
            task_durable(need)->released = true;
            task_wake(broker, need);
        }
    }
}

/* What has not been recorded: it becomes of the task now. True. */
static bool end_now(struct broker *broker, struct task *task, enum task_state state,
                    enum error_code error)
{
    release_needs(broker, &broker->restoring->submit);
    broker->restoring = NULL;
    task_end(broker, task, state, error, NULL);
    return true;
}

/* More than it may have: those of a dead letter that was submitted again. */
static void set_attempts(struct task *task, uint64_t attempts)
{
    task->attempt = (uint8_t)(attempts < task->attempts_max ? attempts : task->attempts_max);
    task->attempts_before = (uint16_t)(attempts - task->attempt);
}

static bool restore(struct broker *broker, const struct store_row *row)
{
    struct submit submit;
    struct flight *flight;
    struct peer *peer;
    struct task *task;

    if (row->is_directive) {
        return directive_restore(broker, row);
    }
    submit = row->submit;
    submit.durable = true; /* it has a row */
    peer = peer_restore(broker, &row->session, row->peer);
    if (peer == NULL) {
        return false;
    }
    if (!make_way(broker, &submit.id, task_hash(broker, &submit.id))) {
        return true;
    }
    drop_lost_needs(broker, &submit);
    task = submit_restore(broker, peer, &submit, &flight);
    if (task == NULL) {
        return false;
    }
    task->accepted_ms = broker_ms_of_unix(broker, row->accepted_unix_ms);
    set_times(broker, task, row);
    set_attempts(task, row->ended ? row->outcome.attempt : row->attempts);
    set_causes(broker, task, row->causes);
    if (row->ended) {
        release_needs(broker, &row->submit);
        return end(broker, task, &row->outcome);
    }
    set_numbers(task);
    if (!id_is_nil(&submit.parent) && !MUTANT(RESTORED_CHILD_RUNS)) {
        /* it belongs to an attempt that is over */
        return end_now(broker, task, TASK_CANCELLED, ERROR_CANCELLED);
    }
    if (row->submit.join != submit.join) {
        return end_now(broker, task, TASK_FAILED, ERROR_DEPENDENCY_FAILED);
    }
    if (task->attempt == task->attempts_max && !MUTANT(RESTORED_START_REPEATED)) {
        /* a worker may have had it, and none may again */
        task_note_cause(broker, task, ERROR_WORKER_LOST);
        return end_now(broker, task, TASK_FAILED, ERROR_WORKER_LOST);
    }
    if (row->checkpoint.bytes.size > 0 && !MUTANT(CHECKPOINT_NOT_RESTORED) &&
        memo_set_checkpoint(broker, task, &row->checkpoint) != ERROR_NONE) {
        return false;
    }
    broker->restoring = NULL; /* if it follows what has ended, so does it, and that is new */
    submit_start(broker, task, flight, left_ms(broker, row, submit.delay_ms));
    return true;
}

bool broker_restore(struct broker *broker, const struct store_row *row)
{
    uint64_t notes = broker->notes;
    bool good;

    CHECK(broker->restoring == NULL);
    broker->restoring = row;
    broker->notes = 0; /* it has all been told, in its time */
    good = restore(broker, row);
    broker->restoring = NULL;
    broker->notes = notes;
    if (row->key >= broker->store_key) {
        broker->store_key = row->key + 1;
    }
    return good;
}

/* It waits for the outcome of something. */
static bool may_come_back(const struct peer *peer)
{
    list_each(link, &peer->submitted) {
        if (!list_entry(link, struct task, owner_link)->detached) {
            return true;
        }
    }
    return false;
}

/* As if they had said BYE: they must not take the places of those who come. */
static void end_sessions(struct broker *broker)
{
    list_each(link, &broker->peers.lanes[0]) {
        struct peer *peer = list_entry(link, struct peer, place.lanes);

        if (!may_come_back(peer)) {
            peer_end(broker, peer, "nothing to come back for");
        }
    }
}

void restore_end(struct broker *broker)
{
    for (size_t i = 0; i < WORKERS_RESTORED; i++) {
        label_unref(broker, broker->workers_restored[i]);
        broker->workers_restored[i] = NULL;
    }
}

void broker_restored(struct broker *broker, uint64_t next_key)
{
    if (next_key > broker->store_key) {
        broker->store_key = next_key;
    }
    restore_end(broker);
    directives_restored(broker);
    flights_restored(broker);
    end_sessions(broker);
    broker_settle(broker);
}
