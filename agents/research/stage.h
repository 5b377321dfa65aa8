/* stage: tasks that run at once and are joined with a deadline.
 *
 * All are submitted held and joined with `settled`, so however many of them fail
 * or hang, the stage ends in time and says how each of them ended: into the
 * inquiry's timeline, and into `failed` when it was not done. On a fiber. */
#ifndef SLUICE_AGENTS_RESEARCH_STAGE_H
#define SLUICE_AGENTS_RESEARCH_STAGE_H

#include "agents/research/inquiry.h"

/* One task of a stage. */
struct step {
    const char *service;
    const char *label;
    json_t *args; /* taken over when submitted */
    struct sluice_future *future;
};

/* Milliseconds of `share` of what the inquiry has left; at least 1. */
uint64_t stage_budget_ms(const struct inquiry *inquiry, double share);

/* Runs `count` steps, at most PLAN_CALLS_MAX, until all have ended or `share` of the time is
 * over. SUSPENDS. False: the whole question was cancelled. Futures stay with the steps. */
bool stage_run(struct inquiry *inquiry, struct step *steps, size_t count, double share);

/* The step's result, borrowed from it; NULL: it has none. */
json_t *step_answer(const struct step *step);

/* Notes that `step` did not bring what was needed of it. */
void step_failed(struct inquiry *inquiry, const struct step *step, const char *code,
                 const char *message);

void steps_free(struct step *steps, size_t count);

#endif
