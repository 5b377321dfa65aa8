#include "agents/research/stage.h"

#include "common/check.h"

#define RESERVE_MS 50     /* to check and send, whatever happens */
#define JOIN_GRACE_MS 250 /* for the broker's word that a deadline has passed */

static uint64_t left_ms(const struct inquiry *inquiry)
{
    uint64_t now = sluice_now_ms(inquiry->sluice);

    return now < inquiry->ends_ms ? inquiry->ends_ms - now : 0;
}

/* `share` of what is left before the reserve; at least 1, for 0 means "no deadline". */
uint64_t stage_budget_ms(const struct inquiry *inquiry, double share)
{
    uint64_t left = left_ms(inquiry);
    uint64_t budget = left > RESERVE_MS ? (uint64_t)((double)(left - RESERVE_MS) * share) : 0;

    return budget > 0 ? budget : 1;
}

void step_failed(struct inquiry *inquiry, const struct step *step, const char *code,
                 const char *message)
{
    json_array_append_new(inquiry->failed,
                          json_pack("{s:s, s:s, s:s, s:s}", "task", step->label, "service",
                                    step->service, "code", code, "message", message));
}

static void steps_submit(struct inquiry *inquiry, struct step *steps, size_t count,
                         uint64_t deadline_ms)
{
    struct sluice_submit_options options = {.deadline_ms = deadline_ms, .held = true};
    size_t i;

    for (i = 0; i < count; i++) {
        steps[i].future =
            sluice_submit_json(inquiry->sluice, steps[i].service, steps[i].args, &options);
        steps[i].args = NULL;
    }
}

static size_t steps_pending(const struct step *steps, size_t count, struct sluice_future **pending)
{
    size_t found = 0;
    size_t i;

    for (i = 0; i < count; i++) {
        if (steps[i].future != NULL && sluice_future_outcome(steps[i].future) == SLUICE_PENDING) {
            pending[found++] = steps[i].future;
        }
    }
    return found;
}

/* A task that was refused (nobody offers its service) cannot be joined, and a join over it
 * would be refused too. The broker handles what we send in order: once it has
 * answered a question, it has refused what it will refuse. The tasks run meanwhile. */
static void steps_see_refusals(struct inquiry *inquiry)
{
    json_t *reply = NULL;

    sluice_query(inquiry->sluice, "status", sluice_task_id(inquiry->task), NULL, &reply);
    json_decref(reply);
}

static void steps_join(struct inquiry *inquiry, struct step *steps, size_t count, uint64_t until_ms)
{
    struct sluice_future *pending[PLAN_CALLS_MAX];
    struct sluice_future *join;
    uint64_t now, deadline_ms;
    size_t left;

    CHECK(count <= PLAN_CALLS_MAX);
    steps_see_refusals(inquiry);
    left = steps_pending(steps, count, pending);
    if (left == 0) {
        return;
    }
    now = sluice_now_ms(inquiry->sluice);
    deadline_ms = now < until_ms ? until_ms - now : 1;
    join = sluice_join(inquiry->sluice, pending, left, SLUICE_JOIN_SETTLED,
                       &(struct sluice_submit_options){.deadline_ms = deadline_ms});
    if (join != NULL) {
        sluice_await_ms(join, deadline_ms + JOIN_GRACE_MS);
        sluice_future_free(join);
    }
}

static void step_record(struct inquiry *inquiry, const struct step *step)
{
    const struct sluice_error *error;
    struct sluice_timing timing;
    enum sluice_outcome outcome;

    if (step->future == NULL) {
        step_failed(inquiry, step, "no_memory", "the task could not be submitted");
        return;
    }
    outcome = sluice_future_outcome(step->future);
    error = sluice_future_error(step->future);
    timing = sluice_future_timing(step->future);
    timeline_add(&inquiry->timeline,
                 &(struct timeline_row){
                     .task = (char *)step->label,
                     .service = step->service,
                     .worker = (char *)(timing.worker != NULL ? timing.worker : ""),
                     .outcome = (char *)(outcome == SLUICE_PENDING ? "no answer"
                                                                   : sluice_outcome_name(outcome)),
                     .attempt = timing.attempt,
                     .submitted_ms = timing.submitted_ms > inquiry->started_ms
                                         ? timing.submitted_ms - inquiry->started_ms
                                         : 0,
                     .waited_ms = timing.waited_ms,
                     .ran_ms = timing.ran_ms,
                 });
    if (outcome == SLUICE_PENDING) {
        step_failed(inquiry, step, "no_answer", "it had not ended when its time was up");
    } else if (outcome != SLUICE_DONE) {
        step_failed(inquiry, step, error != NULL ? error->code : sluice_outcome_name(outcome),
                    error != NULL && error->message != NULL ? error->message : "");
    }
}

/* Runs `steps` at once until all have ended or `share` of the time is over. False: the
 * whole question was cancelled meanwhile. Futures stay with the steps. */
bool stage_run(struct inquiry *inquiry, struct step *steps, size_t count, double share)
{
    uint64_t deadline_ms = stage_budget_ms(inquiry, share);
    uint64_t until_ms = sluice_now_ms(inquiry->sluice) + deadline_ms;
    size_t i;

    steps_submit(inquiry, steps, count, deadline_ms);
    steps_join(inquiry, steps, count, until_ms);
    if (sluice_task_cancelled(inquiry->task)) {
        return false;
    }
    for (i = 0; i < count; i++) {
        step_record(inquiry, &steps[i]);
    }
    return true;
}

void steps_free(struct step *steps, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        sluice_future_free(steps[i].future);
        json_decref(steps[i].args);
    }
}

/* The step's result; NULL: it has none. */
json_t *step_answer(const struct step *step)
{
    return step->future != NULL && sluice_future_outcome(step->future) == SLUICE_DONE
               ? sluice_future_json(step->future)
               : NULL;
}
