/* What a move of a task means to the model: its shadow, its queue, its end. */
#include "tests/sim/shadow.h"

#include "common/check.h"
#include "tests/sim/shadow_dead.h"
#include "tests/sim/shadow_memo.h"
#include "tests/sim/shadow_row.h"
#include "tests/sim/shadow_scatter.h"
#include "tests/sim/shadow_stream.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>
#include <stdlib.h>

/* Attempts of a task's earlier life that some worker still holds: numbers go on from there. */
static uint64_t last_attempt_held(const struct model *model, const struct id *id)
{
    uint64_t last = 0;

    list_each(at, &model->leases) {
        const struct shadow_lease *lease = list_entry(at, struct shadow_lease, link);

        if (id_equal(&lease->task, id) && lease->attempt > last) {
            last = lease->attempt;
        }
    }
    return last;
}

struct submit shadow_submit_of(struct model *model, const struct fact *fact)
{
    struct shadow_dead *letter = model_dead(model, &fact->id);
    struct submit submit;

    if (model->restoring) {
        struct shadow_row *row = shadow_row_unbound(model, &fact->id);

        MODEL_CHECK(model, "durable", row != NULL, "%s is restored, and nobody has stored it",
                    model_id_text(&fact->id));
        return shadow_row_submit(model, row);
    }
    if (model_event_is(model, COMMAND_CONTROL) &&
        model->event->message->control.what == CONTROL_RETRY) {
        MODEL_CHECK(model, "dead", letter != NULL && letter->said != NULL,
                    "%s is submitted again, and has no letter", model_id_text(&fact->id));
        return shadow_dead_submit(letter);
    }
    MODEL_CHECK(model, "declared_moves",
                model_event_is(model, COMMAND_SUBMIT) &&
                    (id_equal(&model->event->message->submit.id, &fact->id) ||
                     model->event->message->submit.route == ROUTE_ALL),
                "a task appeared without a SUBMIT");
    submit = model->event->message->submit;
    submit.durable = submit.durable || (model->core.service.durable && submit.service.size > 0);
    return submit.route == ROUTE_ALL ? shadow_scatter_submit(model, fact, &submit) : submit;
}

/* What it has had before. */
static void restore(struct shadow_task *task, const struct fact *fact,
                    const struct shadow_row *row)
{
    task->attempt = fact->attempt; /* check_durable has looked */
    if (!row->ended) {
        task->attempts_before = row->attempts == 0 ? row->before : fact->attempt - row->attempts;
        task->attempts_max += task->attempts_before;
        shadow_memo_restore(task, row->checkpoint);
    } else if (row->outcome == OUTCOME_DONE) {
        task->answer = row->digest;
    }
}

/* A task was accepted: its shadow begins. */
static struct shadow_task *task_begin(struct model *model, const struct fact *fact)
{
    const struct submit said = shadow_submit_of(model, fact), *submit = &said;
    struct shadow_row *row = submit->durable ? shadow_row_unbound(model, &fact->id) : NULL;
    struct shadow_session *session = model->restoring
                                         ? shadow_session_restore(model, &row->session)
                                         : model_session(model, model->event->from);
    struct shadow_task *old = model_task(model, &fact->id);
    struct shadow_task *task = calloc(1, sizeof *task);
    struct shadow_dead *letter = NULL;
    struct shadow_task *parent;

    CHECK(task != NULL);
    MODEL_CHECK(model, "declared_moves", session != NULL, "a task appeared for nobody");
    if (model->restoring && model_dead(model, &fact->id) != NULL) {
        shadow_dead_drop(model, model_dead(model, &fact->id)); /* it was submitted again */
    }
    if (old != NULL) {
        MODEL_CHECK(model, "one_outcome", shadow_ended(old), "a live task was accepted again");
        shadow_task_drop(model, old); /* forgotten by the broker, and submitted anew */
        model->subject = NULL;
    }
    list_init(&task->link);
    list_init(&task->ready_link);
    list_push_back(&model->tasks, &task->link);
    task->order = ++model->orders;
    task->id = fact->id;
    table_insert(&model->tasks_by_id, &task->node, shadow_id_hash(&task->id));
    task->session = session->id;
    shadow_copy_text(task->service, sizeof task->service, submit->service);
    task->bytes = submit->payload.bytes.size;
    task->attempts_max = submit->attempts > ATTEMPTS_MAX ? ATTEMPTS_MAX : submit->attempts;
    task->accepted_ms = model->now_ms;
    task->deadline_ms = submit->deadline_ms > 0 ? model->now_ms + submit->deadline_ms : UINT64_MAX;
    task->ttl_ms = submit->queue_ttl_ms > 0 ? model->now_ms + submit->queue_ttl_ms : UINT64_MAX;
    task->queue_ttl_ms = submit->queue_ttl_ms;
    task->lease_ms = submit->lease_ms;
    task->max_run_ms = submit->max_run_ms;
    task->backoff_ms = submit->backoff_ms;
    task->backoff_max_ms = submit->backoff_max_ms;
    shadow_copy_text(task->retry_on, sizeof task->retry_on, submit->retry_on);
    shadow_copy_text(task->final_on, sizeof task->final_on, submit->final_on);
    task->detached = submit->detached;
    task->durable = submit->durable;
    MODEL_CHECK(model, "durable", !task->durable || row != NULL,
                "%s, which is durable, is accepted without a record", model_id_text(&task->id));
    task->row = row;
    task->priority = submit->priority;
    task->cost = submit->cost;
    shadow_copy_text(task->key, sizeof task->key, submit->key);
    shadow_copy_text(task->lane, sizeof task->lane, submit->order);
    shadow_copy_text(task->version, sizeof task->version, submit->version);
    task->only = shadow_scatter_offer(model, fact);
    for (unsigned i = 1; i < SHADOW_AFFINITIES; i++) {
        char near[] = "near0";

        near[4] = (char)('0' + i);
        task->near = span_is(submit->affinity, near) ? i : task->near;
    }
    if (submit->idempotency_key.size > 0) {
        shadow_copy_text(task->twin, sizeof task->twin, submit->idempotency_key);
        task->content = row != NULL ? row->content : fact_digest(submit->payload.bytes);
        task->cache_ms = submit->cache_ms;
    }
    task->retain_ms = submit->retain_ms > 0 ? submit->retain_ms : model->core.detached_retain_ms;
    task->mourned = (submit->detached || submit->dead_letter) && submit->join == JOIN_NONE;
    task->delayed_from_ms = task->delayed_until_ms = model->now_ms + submit->delay_ms;
    task->held = submit->held;
    task->receipts = submit->receipts;
    /* A child that is restored belongs to an attempt that is over. */
    task->parent = submit->detached || model->restoring ? (struct id){{0}} : submit->parent;
    task->policy = submit->join;
    task->enough = submit->join == JOIN_ALL   ? submit->needs_count
                   : submit->join == JOIN_ANY ? 1
                   : submit->join == JOIN_K   ? submit->k
                                              : 0;
    shadow_stream_submitted(model, task, submit->stream);
    task->run_if = submit->run_if;
    task->no_inputs = submit->no_inputs;
    task->home = submit->service.size > 0 ? shadow_service_know(model, submit->service) : NULL;
    if (task->attempts_max == 0) {
        task->attempts_max = task->home == NULL   ? 1
                             : task->home->vague ? 0
                                                 : task->home->limits.attempts;
    }
    MODEL_CHECK(model, "durable",
                row == NULL || task->attempts_max == 0 ||
                    row->said->submit.attempts == task->attempts_max,
                "the record of %s has %" PRIu64 " attempts, and it may have %" PRIu64,
                model_id_text(&task->id), row->said->submit.attempts, task->attempts_max);
    task->attempts_before = last_attempt_held(model, &task->id);
    if (model_event_is(model, COMMAND_CONTROL)) {
        letter = model_dead(model, &task->id);
    }
    task->attempts_buried = letter != NULL ? letter->attempt : 0;
    if (letter != NULL && letter->attempt > task->attempts_before) {
        task->attempts_before = letter->attempt;
    }
    task->attempts_max += task->attempts_before;
    if (task->mourned) { /* as it was said, not what is left of it after a restart */
        task->said = shadow_said_keep(model->restoring ? &row->said->submit : submit);
    }
    if (letter != NULL) {
        shadow_dead_drop(model, letter);
    }
    if (row != NULL) {
        row->bound = true;
        if (model->restoring) {
            restore(task, fact, row);
        }
    }
    parent = model_task(model, &submit->parent);
    if (!id_is_nil(&task->parent)) {
        CHECK(parent != NULL);
        task->parent_attempt = submit->parent_attempt;
        task->parent_order = parent->order;
        parent->live_children++;
        if (parent->deadline_ms < task->deadline_ms) {
            task->deadline_ms = parent->deadline_ms;
        }
    }
    if (submit->needs_count > 0) {
        task->needs = calloc(submit->needs_count, sizeof *task->needs);
        CHECK(task->needs != NULL);
        task->need_count = submit->needs_count;
        for (size_t i = 0; i < submit->needs_count; i++) {
            struct shadow_task *need;

            memcpy(task->needs[i].bytes, submit->needs + i * submit->needs_stride, ID_BYTES);
            need = model_task(model, &task->needs[i]);
            MODEL_CHECK(model, "joins_end", need != NULL, "a join over a task nobody submitted");
            need->needed = true;
            need->open_joins++;
        }
    }
    return task;
}

/* PROTOCOL.md, 4.2: in the order they became ready; what its worker lost goes to the front. */
static void take_queue(struct shadow_task *task, const struct fact *fact)
{
    struct shadow_service *home = task->home;

    if (home == NULL) {
        return;
    }
    if (fact->from == SHADOW_READY) {
        list_unlink(&task->ready_link);
        home->ready_count--;
    }
    if (fact->from == SHADOW_READY || fact->from == SHADOW_DELAYED) {
        home->queued--;
        home->queued_bytes -= task->bytes;
    }
    if (fact->to == SHADOW_READY || fact->to == SHADOW_DELAYED) {
        home->queued++;
        home->queued_bytes += task->bytes;
    }
    if (fact->to == SHADOW_READY) {
        home->ready_count++;
        if (fact->from == SHADOW_LEASED) {
            list_push_front(&home->ready, &task->ready_link);
        } else {
            list_push_back(&home->ready, &task->ready_link);
        }
    }
}

static void take_end(struct model *model, struct shadow_task *task)
{
    struct shadow_task *parent = model_parent(model, task);

    model->joins += task->policy != JOIN_NONE;
    list_unlink(&task->link);
    list_push_back(&model->ended, &task->link);
    task->ended_ms = model->now_ms;
    task->outcome = task->state == SHADOW_DONE        ? OUTCOME_DONE
                    : task->state == SHADOW_FAILED    ? OUTCOME_FAILED
                    : task->state == SHADOW_CANCELLED ? OUTCOME_CANCELLED
                                                      : OUTCOME_EXPIRED;
    if (parent != NULL) {
        parent->live_children--;
    }
    for (size_t i = 0; i < task->need_count; i++) {
        struct shadow_task *need = model_task(model, &task->needs[i]);

        CHECK(need != NULL);
        need->open_joins--;
    }
}

/* When a failed attempt's successor may start: as the worker said, or the broker's backoff. */
static uint64_t delay_ms(const struct model *model, const struct shadow_task *task)
{
    uint64_t ms = task->backoff_ms > 0 ? task->backoff_ms : model->core.backoff_ms;
    uint64_t max_ms = task->backoff_max_ms > 0 ? task->backoff_max_ms : model->core.backoff_max_ms;

    if (model_event_is(model, COMMAND_FAIL) &&
        model->event->message->fail.error.retry_after_ms > 0) {
        return model->event->message->fail.error.retry_after_ms;
    }
    for (uint64_t i = task->attempts_before + 1;
         i < task->attempt && ms < max_ms; i++) {
        ms *= 2;
    }
    return ms < max_ms ? ms : max_ms;
}

/* Its worker never hears of it. */
static void take_back(struct model *model, struct shadow_task *task)
{
    struct shadow_lease *lease = shadow_lease_of(model, task);

    task->starting = false;
    model->starting--;
    if (lease != NULL) {
        shadow_lease_drop(lease);
    }
}

/* Another live task runs for its idempotency key. */
static bool runs_elsewhere(const struct model *model, const struct shadow_task *task)
{
    list_each(at, &model->tasks) {
        const struct shadow_task *other = list_entry(at, struct shadow_task, link);

        if (other != task && other->ran && other->home == task->home &&
            strcmp(other->twin, task->twin) == 0) {
            return true;
        }
    }
    return false;
}

/* There was no room for it. */
static bool letter_forgotten(const struct model *model, const struct id *id)
{
    for (size_t i = 0; i < model->fact_count; i++) {
        if (model->facts[i].kind == FACT_LETTER && id_equal(&model->facts[i].id, id)) {
            return true;
        }
    }
    return false;
}

void shadow_move(struct model *model, const struct fact *fact)
{
    struct shadow_task *task =
        fact->from == SHADOW_NEW ? task_begin(model, fact) : model_task(model, &fact->id);

    MODEL_CHECK(model, "declared_moves", task != NULL, "a move of a task that was not accepted");
    if (task->starting) {
        take_back(model, task);
    }
    task->state = fact->to;
    task->aim = fact->aim;
    task->attempt = fact->attempt;
    if (fact->from == SHADOW_NEW && model->restoring) {
        task->decided_ms = model->now_ms;
    }
    if (fact->from == SHADOW_WAITING) {
        task->decided_ms = model->now_ms;
        if (fact->to == SHADOW_READY && task->queue_ttl_ms > 0) {
            task->ttl_ms = model->now_ms + task->queue_ttl_ms;
        }
    }
    if (fact->to == SHADOW_READY && fact->from == SHADOW_NEW) {
        task->ready_order = ++model->orders;
    }
    if (fact->to == SHADOW_READY) {
        task->ready_since = ++model->orders;
        task->lined_up = task->lined_up == 0 ? task->ready_since : task->lined_up;
    }
    if (fact->to == SHADOW_LEASED) {
        task->leased_ms = model->now_ms;
        if (fact->starts) {
            sometimes(SOMETIMES_STARTING);
            task->starting = true;
            model->starting++;
            task->lease_until_ms = UINT64_MAX;
            shadow_begin(model, task, model_taker(model, fact), fact->attempt);
        }
    }
    task->ran = task->ran || fact->to == SHADOW_READY || fact->to == SHADOW_DELAYED;
    if (fact->aim == SHADOW_DONE && model->subject == task &&
        model_event_is(model, COMMAND_DONE)) {
        task->answer = fact_digest(model->event->message->done.payload.bytes);
    }
    task->in_hands = fact->to == SHADOW_LEASED ||
                     (fact->to == SHADOW_CANCELLING && fact->from == SHADOW_LEASED);
    if (fact->to == SHADOW_DELAYED && fact->from == SHADOW_LEASED) {
        bool exact = model_event_is(model, COMMAND_FAIL) &&
                     model->event->message->fail.error.retry_after_ms > 0;

        task->delayed_until_ms = model->now_ms + delay_ms(model, task);
        task->delayed_from_ms = exact ? task->delayed_until_ms : model->now_ms + 1;
    }
    if (fact->to == SHADOW_READY && task->queue_ttl_ms > 0 &&
        (fact->from == SHADOW_DELAYED || fact->from == SHADOW_WAITING)) {
        task->ttl_ms = model->now_ms + task->queue_ttl_ms;
    }
    if (fact->to == SHADOW_CANCELLING) {
        task->cancelled = true;
        task->cancelled_ms = model->now_ms;
    }
    if (model->restoring && fact->from == SHADOW_NEW) {
        task->ran = task->ran || shadow_ended(task) ||
                    (fact->to == SHADOW_STORING && !runs_elsewhere(model, task));
    }
    model->levels[fact->from] -= fact->from != SHADOW_NEW;
    model->levels[fact->to]++;
    take_queue(task, fact);
    if (shadow_ended(task)) {
        take_end(model, task);
        if (model->restoring && task->state == SHADOW_FAILED && task->mourned &&
            !letter_forgotten(model, &task->id)) {
            sometimes(SOMETIMES_RESTORED_LETTER);
            shadow_dead_add(model, &task->id); /* that was told in its time */
            shadow_dead_fill(model_dead(model, &task->id), task);
        }
    }
}
