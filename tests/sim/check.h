/* check: the properties, one file each. Each is called after every step (with the step's
 * event, facts, and the shadows as they are after it) and once at rest. */
#ifndef SLUICE_TESTS_SIM_CHECK_H
#define SLUICE_TESTS_SIM_CHECK_H

#include "tests/sim/model.h"

/* Called for each fact in order, before the model itself takes it in. */
typedef void check_fact_fn(struct model *model, const struct fact *fact);
typedef void check_fn(struct model *model, const struct broker *core);

struct checker {
    const char *property;
    check_fact_fn *fact; /* NULL: not interested */
    check_fn *after;     /* after a step; NULL */
    check_fn *rest;      /* at rest; NULL */
};

extern const struct checker *const checkers[];
extern const unsigned checker_count;

/* No rule of the service, nor its gate, holds its ready tasks back, for sure. */
bool check_limits_let(const struct model *model, const struct shadow_service *service);

/* Nothing of its ordering key has to end before this ready task may start. */
bool check_lane_lets(const struct model *model, const struct shadow_task *task);

/* What a store has of it is all that there is to be had: it may be told that it is accepted. */
bool check_accepted(const struct shadow_task *task);

/* Facts of the step, without what the store is told to forget: that is due at any time. And the
 * first of them; NULL: none. */
size_t check_count_facts(const struct model *model);
const struct fact *check_first_fact(const struct model *model);

struct doc;
/* The answer to a QUERY limits, in the step under way. */
void check_limits_told(struct model *model, const struct doc *doc);

extern const struct checker check_one_outcome;
extern const struct checker check_durable;
extern const struct checker check_none_forgotten;
extern const struct checker check_declared_moves;
extern const struct checker check_attempts_increase;
extern const struct checker check_credit_kept;
extern const struct checker check_queues_bounded;
extern const struct checker check_refusals_change_nothing;
extern const struct checker check_cancel_reaches_all;
extern const struct checker check_joins_end;
extern const struct checker check_timers_fire;
extern const struct checker check_turns;
extern const struct checker check_scatters;
extern const struct checker check_one_run_a_key;
extern const struct checker check_least_loaded;
extern const struct checker check_no_idle_worker;
extern const struct checker check_counters_add_up;
extern const struct checker check_nothing_before_hello;
extern const struct checker check_deadline_ahead;
extern const struct checker check_memory_explained;
extern const struct checker check_retries;
extern const struct checker check_detached;
extern const struct checker check_dead;
extern const struct checker check_keys;
extern const struct checker check_limits;
extern const struct checker check_budgets;
extern const struct checker check_gates;
extern const struct checker check_drained;
extern const struct checker check_alone;
extern const struct checker check_chunks_in_order;
extern const struct checker check_ring_bounded;
extern const struct checker check_worker_paced;
extern const struct checker check_checkpoint_handed;
extern const struct checker check_signals_in_order;
extern const struct checker check_events_counted;
extern const struct checker check_messages_once;
extern const struct checker check_session_goes_on;
/* Checks nothing: counts the rare states that a run has reached. */
extern const struct checker check_rare_states;

#endif
