/* Cancel reaches the whole tree: what is cancelled stops in that very step or is asked to, and so
 * is all below it (children, and held needs that no other join waits for); nothing below a
 * task that is over is handed out; a task ends after its children, and when its worker has
 * answered or is lost, unless its grace is over. And nobody is cancelled without a reason. */
#include "tests/sim/check.h"
#include "tests/sim/shadow_dead.h"
#include "tests/sim/shadow_row.h"

#define PROPERTY "cancel_reaches_all"

static bool stopping(const struct shadow_task *task)
{
    return shadow_ended(task) || task->state == SHADOW_CANCELLING ||
           task->state == SHADOW_STORING;
}

/* The handler that submitted the task still runs, in the same attempt. */
static bool parent_runs(const struct model *model, const struct shadow_task *task)
{
    const struct shadow_task *parent = model_parent(model, task);

    return parent != NULL && parent->state == SHADOW_LEASED &&
           parent->attempt == task->parent_attempt;
}

static bool worker_still_on_it(const struct model *model, const struct shadow_task *task)
{
    list_each(at, &model->leases) {
        const struct shadow_lease *lease = list_entry(at, struct shadow_lease, link);

        if (task->in_hands && lease->task_order == task->order && lease->attempt == task->attempt) {
            return !(model_event_is(model, COMMAND_HELLO) &&
                     id_equal(&lease->offer->session->id, &model->event->message->hello.session));
        }
    }
    return false;
}

static bool grace_over(const struct model *model, const struct shadow_task *task)
{
    return task->cancelled && task->cancelled_ms + model->core.cancel_grace_ms <= model->now_ms;
}

static void see_move(struct model *model, const struct fact *fact,
                     const struct shadow_task *task)
{
    if (fact->to == SHADOW_LEASED && !id_is_nil(&task->parent)) {
        MODEL_CHECK(model, PROPERTY, parent_runs(model, task),
                    "%s is handed out, but the attempt of %s that submitted it is over",
                    model_id_text(&task->id), model_id_text(&task->parent));
    }
    if (fact->from == SHADOW_CANCELLING && fact->aim == SHADOW_CANCELLED) {
        MODEL_CHECK(model, PROPERTY, task->live_children == 0 || grace_over(model, task),
                    "%s ends before its %u children", model_id_text(&task->id),
                    (unsigned)task->live_children);
        MODEL_CHECK(model, PROPERTY, grace_over(model, task) || !worker_still_on_it(model, task),
                    "%s ends, its worker has not answered and its grace is not over",
                    model_id_text(&task->id));
    }
}

/* What a join was submitted with: one that is restored without all of it waits for nothing. */
static const struct id *needs_of(const struct shadow_task *join, size_t *count)
{
    bool lost = join->need_count == 0 && join->row != NULL;

    *count = lost ? join->row->said->submit.needs_count : join->need_count;
    return lost ? join->row->needs : join->needs;
}

/* It was submitted anew when the join had ended. */
static bool is_newer(const struct shadow_task *task, const struct shadow_task *join)
{
    return task->row != NULL && join->row != NULL && task->row->key > join->row->key;
}

static bool names(const struct shadow_task *join, const struct shadow_task *need)
{
    size_t count;
    const struct id *needs = needs_of(join, &count);

    for (size_t i = 0; i < count; i++) {
        if (id_equal(&needs[i], &need->id)) {
            return !is_newer(need, join);
        }
    }
    return false;
}

/* Some join that needs `task` goes on, at this moment of the step. */
static bool is_wanted(const struct model *model, const struct shadow_task *task)
{
    if (task->open_joins == 0) {
        return false;
    }
    list_each(at, &model->tasks) {
        const struct shadow_task *join = list_entry(at, struct shadow_task, link);

        if (join->state == SHADOW_WAITING && names(join, task)) {
            return true;
        }
    }
    return false;
}

static bool begins_to_stop(const struct fact *fact)
{
    return fact->to == SHADOW_CANCELLING ||
           (fact->aim == SHADOW_CANCELLED && fact->from != SHADOW_CANCELLING &&
            fact->from != SHADOW_STORING);
}

static void on_fact(struct model *model, const struct fact *fact)
{
    struct shadow_task *task = model_task(model, &fact->id);

    if (task == NULL) {
        return;
    }
    if (fact->kind == FACT_MOVE && fact->from != SHADOW_NEW) {
        if (begins_to_stop(fact)) {
            task->wanted = is_wanted(model, task);
        }
        see_move(model, fact, task);
    } else if (fact->kind == FACT_SEND && fact->command == COMMAND_RESULT &&
               fact->outcome == OUTCOME_CANCELLED) {
        MODEL_CHECK(model, PROPERTY, !fact->unconfirmed || grace_over(model, task),
                    "%s is said to be unconfirmed before its grace was over",
                    model_id_text(&task->id));
    }
}

/* Its run_if did not agree (check_joins_end). */
static bool skipped(const struct fact *fact, const struct shadow_task *task)
{
    return fact->from == SHADOW_WAITING && fact->aim == SHADOW_CANCELLED && task->home != NULL;
}

/* A join that names `task` has ended or begun to stop in this step. */
static bool join_let_go(const struct model *model, const struct shadow_task *task)
{
    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];
        const struct shadow_task *join =
            fact->kind == FACT_MOVE &&
                    (fact->to >= SHADOW_CANCELLING || fact->from == SHADOW_WAITING)
                ? model_task(model, &fact->id)
                : NULL;

        if (join != NULL && names(join, task)) {
            return true;
        }
    }
    return false;
}

static bool has_reason(const struct model *model, const struct shadow_task *task)
{
    return (model_event_is(model, COMMAND_CANCEL) && model->subject == task) || task->orphan ||
           (!id_is_nil(&task->parent) && !parent_runs(model, task)) ||
           (task->held && (!task->wanted || !is_wanted(model, task)) && join_let_go(model, task));
}

/* What a join let go of and nobody else waits for is stopped with it. */
static void check_needs(struct model *model, const struct shadow_task *join)
{
    uint64_t own = shadow_ended(join) || join->need_count == 0 ? 0 : 1;
    size_t count;
    const struct id *needs = needs_of(join, &count);

    for (size_t i = 0; i < count; i++) {
        const struct shadow_task *need = model_task(model, &needs[i]);

        if (need == NULL || !need->held || need->open_joins > own || is_newer(need, join)) {
            continue;
        }
        MODEL_CHECK(model, PROPERTY, stopping(need),
                    "join %s is %s, and its need %s, held and needed by no other, is %s",
                    model_id_text(&join->id), shadow_state_name(join->state),
                    model_id_text(&need->id), shadow_state_name(need->state));
    }
}

static void check_children(struct model *model)
{
    list_each(at, &model->tasks) {
        const struct shadow_task *task = list_entry(at, struct shadow_task, link);

        if (!id_is_nil(&task->parent)) {
            MODEL_CHECK(model, PROPERTY, stopping(task) || parent_runs(model, task),
                        "the attempt of %s that submitted %s is over, and it is %s",
                        model_id_text(&task->parent), model_id_text(&task->id),
                        shadow_state_name(task->state));
        }
    }
}

/* Too many wait for the end of a cancel already: REPLY limit_exceeded, and nothing is done. */
static bool cancel_refused(const struct model *model)
{
    const struct fact *fact = check_first_fact(model);

    return check_count_facts(model) == 1 && fact->kind == FACT_SEND &&
           fact->command == COMMAND_REPLY && strcmp(fact->code, "limit_exceeded") == 0;
}

static void after(struct model *model, const struct broker *core)
{
    bool orphans = false;

    if (model_event_is(model, COMMAND_CANCEL) && model->subject_live && !cancel_refused(model) &&
        model_session(model, model->event->from) != NULL) {
        MODEL_CHECK(model, PROPERTY, stopping(model->subject), "%s is cancelled, and is %s",
                    model_id_text(&model->subject->id),
                    shadow_state_name(model->subject->state));
    }
    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];
        const struct shadow_task *task;

        if (fact->kind != FACT_MOVE || (task = model_task(model, &fact->id)) == NULL) {
            continue;
        }
        if (begins_to_stop(fact) && !skipped(fact, task) && fact->from != SHADOW_NEW) {
            MODEL_CHECK(model, PROPERTY, has_reason(model, task),
                        "%s: %s -> %s, and nobody has cancelled it", model_id_text(&task->id),
                        shadow_state_name(fact->from), shadow_state_name(fact->to));
        }
        if (fact->to >= SHADOW_CANCELLING || fact->from == SHADOW_WAITING) {
            check_needs(model, task);
        }
        orphans = orphans || (task->live_children > 0 && fact->from == SHADOW_LEASED);
    }
    if (orphans) {
        check_children(model);
    }
}

const struct checker check_cancel_reaches_all = {
    .property = PROPERTY, .fact = on_fact, .after = after};
