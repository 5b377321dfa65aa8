#include "tests/sim/check.h"

const struct checker *const checkers[] = {
    &check_declared_moves,
    &check_one_outcome,
    &check_none_forgotten,
    &check_attempts_increase,
    &check_credit_kept,
    &check_queues_bounded,
    &check_refusals_change_nothing,
    &check_cancel_reaches_all,
    &check_joins_end,
    &check_timers_fire,
    &check_turns,
    &check_least_loaded,
    &check_no_idle_worker,
    &check_counters_add_up,
    &check_nothing_before_hello,
    &check_deadline_ahead,
    &check_memory_explained,
    &check_retries,
    &check_detached,
    &check_dead,
    &check_limits,
    &check_drained,
    &check_rare_states,
};
const unsigned checker_count = sizeof checkers / sizeof *checkers;
