/* Joins always end, as soon as they are decided: `all`, `any` and `k` done with the need that makes
 * it enough and not before, failed with the one after which it can never be enough; `settled`
 * when every need has ended, or at its deadline. Its
 * inputs are its needs, each once, in order, with the outcomes they had then. */
#include "tests/sim/check.h"

#define PROPERTY "joins_end"

struct tally {
    size_t live, done, other;
};

static struct tally count_needs(const struct model *model, const struct shadow_task *join)
{
    struct tally tally = {0, 0, 0};

    for (size_t i = 0; i < join->need_count; i++) {
        const struct shadow_task *need = model_task(model, &join->needs[i]);

        tally.live += need != NULL && !shadow_ended(need);
        tally.done += need != NULL && need->state == SHADOW_DONE;
        tally.other += need != NULL && shadow_ended(need) && need->state != SHADOW_DONE;
    }
    return tally;
}

/* So many needs must be done, and cannot be any more. */
static bool impossible(const struct shadow_task *join, const struct tally *needs)
{
    return join->policy != JOIN_SETTLED && join->need_count - needs->other < join->enough;
}

static bool fulfilled(const struct shadow_task *join, const struct tally *needs)
{
    return join->policy == JOIN_SETTLED ? needs->live == 0 : needs->done >= join->enough;
}

/* A task of a service that waited goes on, or ends, as its run_if says. */
static bool task_right(const struct shadow_task *join, const struct tally *needs,
                       enum shadow_state to, bool late)
{
    bool decided = fulfilled(join, needs) || impossible(join, needs);

    switch (to) {
    case SHADOW_READY:
    case SHADOW_DELAYED:
        return decided && (join->run_if == RUN_IF_ALWAYS ||
                           fulfilled(join, needs) == (join->run_if == RUN_IF_DONE));
    case SHADOW_FAILED:
        return impossible(join, needs) && join->run_if == RUN_IF_DONE;
    case SHADOW_CANCELLED: /* skipped */
        return fulfilled(join, needs) && join->run_if == RUN_IF_FAILED;
    case SHADOW_EXPIRED:
        return late;
    default:
        return to == SHADOW_CANCELLING;
    }
}

static void see_end(struct model *model, const struct shadow_task *join, const struct fact *fact)
{
    struct tally needs = count_needs(model, join);
    bool late = join->deadline_ms <= model->now_ms;
    bool right = true;

    if (join->home != NULL) {
        right = task_right(join, &needs, fact->aim, late);
    } else if (fact->aim == SHADOW_DONE) {
        right = fulfilled(join, &needs) || (late && join->policy == JOIN_SETTLED);
    } else if (fact->aim == SHADOW_FAILED) {
        right = impossible(join, &needs);
    } else if (fact->aim == SHADOW_EXPIRED) {
        right = join->policy != JOIN_SETTLED && late;
    }
    MODEL_CHECK(model, PROPERTY, right,
                "join %s (%s) is %s with %zu needs live, %zu done, %zu ended otherwise of %zu",
                model_id_text(&join->id), join_policy_name(join->policy),
                shadow_state_name(fact->to), needs.live, needs.done, needs.other,
                join->need_count);
}

/* How the join saw its need: as it ended, or as what it was cut off with. */
static bool input_right(const struct shadow_task *join, const struct shadow_task *need,
                        enum outcome seen)
{
    enum outcome cut = join->policy == JOIN_SETTLED ? OUTCOME_EXPIRED : OUTCOME_CANCELLED;

    if (!shadow_ended(need) || need->ended_ms > join->decided_ms) {
        return seen == cut;
    }
    return seen == need->outcome || (need->ended_ms == join->decided_ms && seen == cut);
}

static void check_culprit(struct model *model, const struct shadow_task *join,
                          const struct fact *fact)
{
    const struct shadow_task *culprit = model_task(model, &fact->culprit);
    bool named = false;
    /* A task that waited has let go of its needs: one may have been forgotten, and submitted
     * again since. */
    bool anew = culprit != NULL && culprit->order > join->order;

    for (size_t i = 0; i < join->need_count; i++) {
        named = named || id_equal(&join->needs[i], &fact->culprit);
    }
    MODEL_CHECK(model, PROPERTY,
                named && culprit != NULL &&
                    (anew || (shadow_ended(culprit) && culprit->state != SHADOW_DONE)),
                "join %s failed for %s, which is %s", model_id_text(&join->id),
                model_id_text(&fact->culprit),
                !named            ? "none of its needs"
                : culprit == NULL ? "unknown"
                                  : shadow_state_name(culprit->state));
}

/* Each need once, in order, with the outcome that the join saw. */
static void check_inputs(struct model *model, const struct shadow_task *join,
                         const struct fact *fact)
{
    MODEL_CHECK(model, PROPERTY, fact->input_count == join->need_count,
                "join %s has %zu needs, and is told of with %zu inputs", model_id_text(&join->id),
                join->need_count, fact->input_count);
    for (size_t i = 0; i < fact->input_count && i < 16; i++) {
        const struct shadow_task *need = model_task(model, &join->needs[i]);

        MODEL_CHECK(model, PROPERTY, id_equal(&fact->inputs[i], &join->needs[i]),
                    "join %s: input %zu is %s, expected %s", model_id_text(&join->id), i,
                    model_id_text(&fact->inputs[i]), model_id_text(&join->needs[i]));
        if (need != NULL && join->state != SHADOW_CANCELLED && join->state != SHADOW_EXPIRED) {
            MODEL_CHECK(model, PROPERTY, input_right(join, need, fact->input_outcomes[i]),
                        "join %s is %s; its need %s is %s, and an input that says %s",
                        model_id_text(&join->id), shadow_state_name(join->state),
                        model_id_text(&need->id), shadow_state_name(need->state),
                        outcome_name(fact->input_outcomes[i]));
        }
    }
}

/* What waited for tasks of others is handed out with what became of them. */
static void see_task(struct model *model, const struct shadow_task *join, const struct fact *fact)
{
    if (!join->no_inputs) {
        check_inputs(model, join, fact);
        return;
    }
    MODEL_CHECK(model, PROPERTY, fact->input_count == 0, "%s wants no inputs, and has %zu",
                model_id_text(&join->id), fact->input_count);
}

static void see_result(struct model *model, const struct shadow_task *join,
                       const struct fact *fact)
{
    if (join->orphan && fact->input_count == 0) {
        return; /* nobody awaits it: it has let go of its needs */
    }
    if (join->home == NULL) {
        check_inputs(model, join, fact);
    }
    if (join->state == SHADOW_FAILED && (join->home == NULL || join->attempt == 0)) {
        MODEL_CHECK(model, PROPERTY, strcmp(fact->code, "dependency_failed") == 0,
                    "join %s failed with code '%s'", model_id_text(&join->id), fact->code);
        check_culprit(model, join, fact);
    }
}

static void on_fact(struct model *model, const struct fact *fact)
{
    const struct shadow_task *task = model_task(model, &fact->id);

    if (task == NULL || task->policy == JOIN_NONE) {
        return;
    }
    if (fact->kind == FACT_MOVE && fact->from == SHADOW_WAITING) {
        see_end(model, task, fact);
    } else if (fact->kind == FACT_SEND && fact->command == COMMAND_RESULT &&
               fact->outcome != OUTCOME_REFUSED && shadow_ended(task)) {
        see_result(model, task, fact);
    } else if (fact->kind == FACT_SEND && fact->command == COMMAND_TASK) {
        see_task(model, task, fact);
    }
}

static bool may_decide(const struct model *model)
{
    for (size_t i = 0; i < model->fact_count; i++) {
        const struct fact *fact = &model->facts[i];
        const struct shadow_task *task =
            fact->kind == FACT_MOVE && (fact->to >= SHADOW_DONE || fact->to == SHADOW_WAITING)
                ? model_task(model, &fact->id)
                : NULL;

        if (task != NULL && (task->needed || task->policy != JOIN_NONE)) {
            return true;
        }
    }
    return false;
}

static void after(struct model *model, const struct broker *core)
{
    if (!may_decide(model)) {
        return;
    }
    list_each(at, &model->tasks) {
        const struct shadow_task *join = list_entry(at, struct shadow_task, link);
        struct tally needs;

        if (join->state != SHADOW_WAITING || join->policy == JOIN_NONE) {
            continue;
        }
        needs = count_needs(model, join);
        MODEL_CHECK(model, PROPERTY,
                    !fulfilled(join, &needs) && !impossible(join, &needs),
                    "join %s (%s) waits on, though %zu of its %zu needs are done, %zu ended "
                    "otherwise", model_id_text(&join->id), join_policy_name(join->policy),
                    needs.done, join->need_count, needs.other);
    }
}

const struct checker check_joins_end = {.property = PROPERTY, .fact = on_fact, .after = after};
