#include "broker/core/ending.h"

#include "broker/core/dead.h"
#include "broker/core/durable.h"
#include "broker/core/flight.h"
#include "broker/core/join.h"
#include "broker/core/memo.h"
#include "broker/core/watch.h"
#include "broker/core/reserve.h"
#include "broker/core/retention.h"
#include "broker/core/retry.h"
#include "broker/core/stream.h"
#include "common/mutant.h"

void result_send(struct broker *broker, struct peer *peer, const struct task *task)
{
    struct message message; /* large: only what is said is set */
    struct result *result = &message.result;
    struct join_cursor cursor;
    struct doc_token tokens[8];
    uint8_t arena[64];
    struct doc details;

    message.command = COMMAND_RESULT;
    result->input_count = 0;
    result->input_at = NULL;
    task_record(task, &result->record);
    if (task->state == TASK_DONE && task->extra == NULL) {
        peer_send(broker, peer, &message); /* as most are */
        return;
    }
    doc_init(&details, tokens, sizeof tokens / sizeof *tokens, arena, sizeof arena);
    doc_map(&details, NULL);
    if (task->unconfirmed) {
        doc_bool(&details, "unconfirmed", true);
    }
    if (task->overrun && task->error == ERROR_LEASE_EXPIRED) {
        doc_bool(&details, "max_run", true);
    }
    if (task->extra != NULL && task->extra->join != NULL) {
        const struct join *join = task->extra->join;

        if (task->error == ERROR_DEPENDENCY_FAILED) {
            doc_bytes(&details, "id", span_of(join->culprit.bytes, sizeof join->culprit.bytes));
            doc_uint(&details, "outcome", join->culprit_outcome);
            if (join->policy != JOIN_ALL) {
                doc_uint(&details, "done", join->done);
            }
        }
        if (join_tells_inputs(task)) {
            cursor = join_cursor(task);
            result->input_count = join->need_count;
            result->input_at = join_input_at;
            result->input_context = &cursor;
        }
    }
    doc_end(&details);
    if (task->state != TASK_DONE && task->error != ERROR_NONE && details.token_count > 2) {
        result->record.error.details = &details;
    }
    peer_send(broker, peer, &message);
}

void refusal_send(struct broker *broker, struct peer *peer, const struct submit *submit,
                  enum error_code code, uint64_t retry_after_ms)
{
    struct message message = {.command = COMMAND_RESULT};
    struct outcome_record *record = &message.result.record;

    record->id = submit->id;
    record->outcome = OUTCOME_REFUSED;
    record->error = error_of(code);
    record->error.retry_after_ms = retry_after_ms;
    record->error.retryable |= retry_after_ms > 0;
    broker->stats.refused++;
    peer_send(broker, peer, &message);
    if (watch_wanted(broker, NOTE_REFUSED)) {
        watch_tell(broker, &(struct note){.kind = NOTE_REFUSED,
                                          .task = submit->id,
                                          .service = submit->service,
                                          .peer = label_span(peer->name),
                                          .detail = record->error.code});
    }
}

void task_wake(struct broker *broker, struct task *task)
{
    struct extra *extra = task->extra;

    if (extra == NULL) {
        /* Nothing below it: it was its worker that it waited for. */
        CHECK(task->state == TASK_CANCELLING);
        CHECK(task->offer == NULL);
        task_end(broker, task, TASK_CANCELLED, ERROR_CANCELLED, NULL);
    } else if (list_empty(&extra->wake_link)) {
        list_push_back(&broker->wake, &extra->wake_link);
    }
}

void task_doom_children(struct broker *broker, struct task *task)
{
    if (task_live_children(task) == 0) {
        return;
    }
    list_each(link, &task_family(task)->children) {
        task_doom(broker, list_entry(link, struct family, sibling)->task);
    }
}

/* Takes the task off whatever list its state has it on. */
static void task_let_go(struct broker *broker, struct task *task)
{
    wheel_cancel(&broker->wheel, &task->timer);
    if (task->state == TASK_READY || task->state == TASK_DELAYED) {
        service_dequeue(broker, task->service, task);
    }
    if (task->offer != NULL) {
        lease_release(broker, task);
    }
    flight_leave(task);
}

static void task_count_end(struct broker *broker, const struct task *task)
{
    uint64_t *const counters[] = {[TASK_DONE] = &broker->stats.done,
                                  [TASK_FAILED] = &broker->stats.failed,
                                  [TASK_CANCELLED] = &broker->stats.cancelled,
                                  [TASK_EXPIRED] = &broker->stats.expired};

    *counters[task->state] += broker->restoring == NULL; /* else it was counted in its time */
}

static void task_notify_parent(struct broker *broker, struct task *task)
{
    struct task *parent = task_parent(task);
    struct family *above;

    if (parent == NULL) {
        return;
    }
    above = task_family(parent);
    CHECK(above->live_children > 0);
    above->live_children--;
    if (parent->state == TASK_CANCELLING) {
        if (task->state == TASK_CANCELLED) {
            above->stopped += task_stopped_below(task) + 1;
        }
        task_wake(broker, parent);
    }
}

static void task_notify_joins(struct broker *broker, struct task *task)
{
    for (struct need *need = task->needed_by; need != NULL; need = need->next) {
        join_count(broker, need);
    }
}

static void task_drop_memo(struct broker *broker, struct task *task)
{
    uint64_t before = task_bytes(task);

    if (task->extra != NULL && task->extra->memo != NULL) {
        memo_free(broker, task->extra->memo);
        task->extra->memo = NULL;
        task_resized(broker, task, before);
    }
}

void task_end(struct broker *broker, struct task *task, enum task_state state,
              enum error_code error, struct blob *body)
{
    struct peer *owner = task->owner;

    CHECK(!task_ended(task));
    CHECK(state >= TASK_DONE);
    CHECK(state != TASK_DONE || error == ERROR_NONE);
    task_let_go(broker, task);
    if (durable_end(broker, task, state, error, body)) {
        if (!MUTANT(CHILDREN_OUTLIVE_PARENT)) {
            task_doom_children(broker, task); /* its attempt is over, whatever the store says */
        }
        return; /* it comes here again */
    }
    lane_leave(broker, task);
    reserve_leave(broker, task);
    if (!list_empty(&task->owner_link)) {
        owner->submitted_count--;
        owner->submitted_bytes -= blob_span(task->body).size;
        list_unlink(&task->owner_link);
    }
    if (state == TASK_FAILED) {
        dead_bury(broker, task);
    }
    task_set_body(broker, task, body);
    task->error = (uint8_t)error;
    task->ended_ms = broker->now_ms;
    task_set_state(broker, task, state);
    if (task->extra != NULL && task->extra->join != NULL) {
        join_close(task->extra->join);
    }
    task_count_end(broker, task);
    stream_close(broker, task); /* all chunks come before the RESULT */
    if (!task->held && !(MUTANT(EXPIRY_UNTOLD) && state == TASK_EXPIRED)) {
        result_send(broker, owner, task);
    }
    if (MUTANT(RESULT_SENT_TWICE) && !task->held && state == TASK_FAILED) {
        result_send(broker, owner, task);
    }
    flight_land(broker, task);
    task_notify_waits(broker, task);
    if (!MUTANT(CHILDREN_OUTLIVE_PARENT)) {
        task_doom_children(broker, task);
    }
    task_notify_parent(broker, task);
    task_notify_joins(broker, task);
    if (task->extra != NULL && task->extra->join != NULL &&
        (task->orphan || !join_tells_inputs(task))) {
        join_let_go(broker, task); /* nobody reads it, and its needs may start anew */
    }
    task_drop_memo(broker, task);
    retention_add(broker, task);
}

static void send_cancel(struct broker *broker, const struct task *task, enum error_code reason)
{
    struct message message = {.command = COMMAND_CANCEL_OUT};

    message.cancel_out.id = task->id;
    message.cancel_out.attempt = task_attempt(task);
    message.cancel_out.reason = span_from_text(error_code_name(reason));
    peer_send(broker, task->offer->peer, &message);
}

/* True: its worker has not heard of it, and needs to do nothing more. */
static bool recall(struct broker *broker, struct task *task)
{
    if (!durable_starting(task)) {
        return false;
    }
    task_durable(task)->starting = false;
    lease_release(broker, task);
    return true;
}

/* Out of its worker's hands, who has its credit back when it answers. */
static void take_back(struct broker *broker, struct task *task, enum error_code reason)
{
    if (!recall(broker, task)) {
        send_cancel(broker, task, reason);
        lease_stray(broker, task);
    }
}

/* A cancelling task ends when it is in nobody's hands and nothing below it is left. */
static bool task_stopped(const struct task *task)
{
    const struct extra *extra = task->extra;

    return task->offer == NULL && task_live_children(task) == 0 &&
           (extra == NULL || extra->join == NULL || extra->join->stopping == 0);
}

static void task_begin_cancel(struct broker *broker, struct task *task)
{
    if (task->state == TASK_READY || task->state == TASK_DELAYED) {
        service_dequeue(broker, task->service, task);
    }
    task_set_state(broker, task, TASK_CANCELLING);
    wheel_arm(&broker->wheel, &task->timer,
              broker->now_ms + broker->options.cancel_grace_ms);
    if (!recall(broker, task) && task->offer != NULL) {
        send_cancel(broker, task, ERROR_CANCELLED);
    }
}

static void task_expire(struct broker *broker, struct task *task)
{
    if (task->state == TASK_WAITING && task->extra->join != NULL) {
        join_expire(broker, task);
        return;
    }
    if (task->state == TASK_LEASED) {
        take_back(broker, task, ERROR_EXPIRED);
    }
    task_end(broker, task, TASK_EXPIRED, ERROR_EXPIRED, NULL);
}

void task_doom(struct broker *broker, struct task *task)
{
    bool has_below = task_live_children(task) > 0 ||
                     (task->extra != NULL && task->extra->join != NULL);

    if (task_ended(task) || task->state == TASK_CANCELLING ||
        (task->state == TASK_STORING && !MUTANT(CANCEL_REACHES_STORING))) {
        return;
    }
    if (MUTANT(CANCEL_SKIPS_DELAYED) && task->state == TASK_DELAYED) {
        return;
    }
    if (has_below) {
        if (list_empty(&task->extra->doom_link)) {
            list_push_back(&broker->doomed, &task->extra->doom_link);
        }
        return;
    }
    if (task->deadline_ms <= broker->now_ms) {
        /* Its own time is up too, by the deadline it inherited: that is the cause. */
        task_expire(broker, task);
    } else if (task->state == TASK_LEASED && !durable_starting(task)) {
        task_begin_cancel(broker, task);
    } else {
        task_end(broker, task, TASK_CANCELLED, ERROR_CANCELLED, NULL);
    }
}

/* task_doom for a task with something below it. */
static void task_cancel_tree(struct broker *broker, struct task *task)
{
    if (task_ended(task) || task->state == TASK_CANCELLING || task->state == TASK_STORING) {
        return;
    }
    if (task->deadline_ms <= broker->now_ms) {
        task_expire(broker, task);
        return;
    }
    task_begin_cancel(broker, task);
    if (!MUTANT(CANCEL_SKIPS_CHILDREN)) {
        task_doom_children(broker, task);
    }
    if (task->extra->join != NULL) {
        join_doom_needs(broker, task);
    }
    task_wake(broker, task);
}

static void task_look(struct broker *broker, struct task *task)
{
    if (durable_take_released(task) && !join_awaits(task)) {
        task_doom(broker, task);
    } else if (task->state == TASK_CANCELLING) {
        if (task_stopped(task)) {
            task_end(broker, task, TASK_CANCELLED, ERROR_CANCELLED, NULL);
        }
    } else if (task->state == TASK_WAITING && task->extra->join != NULL) {
        join_decide(broker, task);
    }
}

void broker_settle(struct broker *broker)
{
    struct list *link;

    for (;;) {
        if ((link = list_pop_front(&broker->doomed)) != NULL) {
            task_cancel_tree(broker, list_entry(link, struct extra, doom_link)->task);
        } else if ((link = list_pop_front(&broker->wake)) != NULL) {
            task_look(broker, list_entry(link, struct extra, wake_link)->task);
        } else if ((link = list_pop_front(&broker->dirty)) != NULL) {
            service_dispatch(broker, list_entry(link, struct service, dirty_link));
        } else {
            break;
        }
    }
    retention_trim(broker);
}

/* ---- timers ------------------------------------------------------------------ */

/* TIMERS cancel grace: what has not stopped by now, its worker or something below it, is left
 * behind. What is below has a grace that began no later: it ends in this millisecond, and wakes
 * this task, which ends after it. Only what waits for itself (a join may need its own parent) is
 * still there a millisecond later, and ends as it is. */
static void task_give_up(struct broker *broker, struct task *task)
{
    bool again = task->unconfirmed;

    task->unconfirmed = true;
    if (MUTANT(GRACE_FORGOTTEN)) {
        return;
    }
    if (task->offer != NULL) {
        BROKER_LOG(broker, LOG_WARN, "cancel_unconfirmed", LOG_ID("task", &task->id),
                   LOG_TEXT("worker", label_span(task->worker)));
        lease_stray(broker, task);
    }
    if (again || task_stopped(task)) {
        task_end(broker, task, TASK_CANCELLED, ERROR_CANCELLED, NULL);
    } else {
        wheel_arm(&broker->wheel, &task->timer, broker->now_ms + 1);
    }
}

static void task_lease_over(struct broker *broker, struct task *task)
{
    const struct failure failure = {
        .error = ERROR_LEASE_EXPIRED, .retryable = true, .at_once = true};
    bool overrun = lease_run_end_ms(broker, task) <= broker->now_ms;

    take_back(broker, task, ERROR_LEASE_EXPIRED);
    task->overrun = overrun;
    task_attempt_failed(broker, task, &failure);
}

void task_fail_attempt(struct broker *broker, struct task *task, enum error_code code)
{
    const struct failure failure = {.error = code, .retryable = error_code_retryable(code)};

    take_back(broker, task, code);
    task_attempt_failed(broker, task, &failure);
}

void task_timer(struct broker *broker, struct task *task)
{
    bool dead = task->deadline_ms <= broker->now_ms;

    switch ((enum task_state)task->state) {
    case TASK_WAITING:
    case TASK_READY:
        /* Armed for the deadline, or for queue_ttl_ms while it has never started. */
        task_expire(broker, task);
        break;
    case TASK_DELAYED:
        if (dead) {
            task_expire(broker, task);
        } else {
            list_unlink(&task->link);
            service_enqueue(broker, task->service, task, false);
            if (MUTANT(DEADLINE_LOST_BY_RETRY)) {
                break;
            }
            task_arm_queued(broker, task);
        }
        break;
    case TASK_LEASED:
        if (dead) {
            task_expire(broker, task);
        } else if (broker->awake_ms == broker->now_ms) {
            lease_renew(broker, task); /* its PROGRESS may be there, unread */
        } else {
            task_lease_over(broker, task);
        }
        break;
    case TASK_CANCELLING:
        task_give_up(broker, task);
        break;
    case TASK_DONE:
    case TASK_FAILED:
    case TASK_CANCELLED:
    case TASK_EXPIRED:
        retention_expire(broker, task);
        break;
    case TASK_STORING:
    case TASK_NEW:
        CHECK(!"a task of this state has a timer");
    }
}
