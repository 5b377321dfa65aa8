/* What an agent works on: handlers that take time, have children, fail, hang. */
#include "tests/sim/agent_state.h"

#include "common/check.h"
#include "tests/sim/sometimes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define CHILDREN_MAX 2

/* ---- working ------------------------------------------------------------------------ */

struct job *job_find(struct agent *agent, uint64_t serial)
{
    list_each(at, &agent->jobs) {
        struct job *job = list_entry(at, struct job, link);

        if ((job->serial & 0xffffffff) == (serial & 0xffffffff)) {
            return job;
        }
    }
    return NULL;
}

void job_give_credit(struct agent *agent, struct job *job, bool give)
{
    if (job->gave_credit != give) {
        peer_credit_give(agent->peer, peer_lease_offering(job->lease), give ? 1 : -1);
        job->gave_credit = give;
    }
}

/* Whether it fails, and how: by itself, or because its service does at this time. */
static bool draw_failure(struct agent *agent, const struct job *job, struct error *error)
{
    static const char *const codes[] = {"went_wrong", "busy", "bad_key"};

    if (world_in_burst(agent->world, job->service) && random_chance(&agent->costs, 900)) {
        error->code = span_from_text("overloaded");
        error->retryable = true;
        return true;
    }
    if (!random_chance(&agent->work, agent->world->options.failures)) {
        return false;
    }
    error->code = span_from_text(codes[random_below(&agent->retries, 3)]);
    error->retryable = random_chance(&agent->work, 500);
    error->retry_after_ms = error->retryable ? random_below(&agent->work, 3) * 100 : 0;
    if (random_chance(&agent->policies, agent->world->options.told_to_wait)) {
        error->scope_service = true;
        error->retry_after_ms = random_between(&agent->policies, 1, 1500);
    }
    return true;
}

/* Ends the job, and gives up the children that it no longer waits for. */
static void job_end(struct agent *agent, struct job *job, bool cancelled)
{
    struct error error = {.code = span_from_text("went_wrong"),
                          .message = span_from_text("as drawn")};
    uint8_t result[] = {0xc0};

    list_each(at, &agent->asks) {
        struct ask *ask = list_entry(at, struct ask, link);

        if (ask->parent == job) {
            peer_abandon(agent->peer, ask->submission);
            ask_drop(ask);
        }
    }
    job_give_credit(agent, job, false);
    if (random_chance(&agent->costs, agent->world->options.cost_errors)) {
        peer_lease_set_cost(job->lease, random_below(&agent->costs, 60));
    }
    if (cancelled) {
        error.code = span_from_text("cancelled");
        peer_fail(agent->peer, job->lease, &error);
    } else if (draw_failure(agent, job, &error)) {
        peer_fail(agent->peer, job->lease, &error);
    } else {
        peer_done(agent->peer, job->lease,
                  (struct payload){span_of(result, sizeof result), NULL});
    }
    list_unlink(&job->link);
    free(job);
}

static void job_look(struct agent *agent, struct job *job)
{
    if (job->finished_work && job->children == 0 && !job->hangs && !job->cancelled) {
        job_end(agent, job, false);
    }
}

static void job_submit_children(struct agent *agent, struct job *job)
{
    uint64_t count = random_between(&agent->work, 1, CHILDREN_MAX);

    for (uint64_t i = 0; i < count; i++) {
        struct submit submit = {.priority = PRIORITY_DEFAULT, .if_absent = IF_ABSENT_WAIT};

        draw_options(agent, &submit);
        submit.detached = false; /* it waits for them */
        submit.retain_ms = 0;
        if (ask_submit(agent, job, draw_service(agent), &submit) != NULL) {
            job->children++;
        }
    }
    /* As the runtime does: a handler that waits for its children holds no credit. */
    if (job->children > 0) {
        job_give_credit(agent, job, true);
    }
}

void job_work(void *context, uint64_t argument)
{
    struct agent *agent = context;
    const struct sim_options *options = &agent->world->options;
    struct job *job;

    if (agent_void_ticket(agent, argument)) {
        return;
    }
    job = job_find(agent, argument);
    if (job == NULL || job->cancelled) {
        return;
    }
    if (agent->node.paused) {
        agent_enter(agent, 100, job_work, job->serial);
        return;
    }
    peer_advance(agent->peer, world_now_ms(agent->world));
    if (!job->finished_work && !job_talk(agent, job)) {
        agent_settle(agent);
        return;
    }
    if (!job->finished_work && job->depth < options->depth_max &&
        random_chance(&agent->work, options->children)) {
        job_submit_children(agent, job);
    }
    if (!job->finished_work && random_chance(&agent->work, options->progress)) {
        peer_progress(agent->peer, job->lease, span_from_text("half"));
    }
    job->finished_work = true;
    job_look(agent, job);
    agent_settle(agent);
}

void job_confirm_cancel(void *context, uint64_t argument)
{
    struct agent *agent = context;
    struct job *job;

    if (agent_void_ticket(agent, argument)) {
        return;
    }
    job = job_find(agent, argument);
    if (job == NULL) {
        return;
    }
    if (agent->node.paused) {
        agent_enter(agent, 100, job_confirm_cancel, job->serial);
        return;
    }
    peer_advance(agent->peer, world_now_ms(agent->world));
    job_end(agent, job, true);
    agent_settle(agent);
}
