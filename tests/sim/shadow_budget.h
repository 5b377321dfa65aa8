/* shadow_budget: what PROTOCOL.md, 4.6 says is used of a budget, kept by events alone.
 *
 * Beside what counts against the window (`used`), two plain sums of what attempts are known to have
 * cost: those that began in this window, and all there were, which need neither debts nor gifts. */
#ifndef SLUICE_TESTS_SIM_SHADOW_BUDGET_H
#define SLUICE_TESTS_SIM_SHADOW_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define SHADOW_NEVER UINT64_MAX

struct shadow_budget {
    uint64_t budget, window_ms; /* budget 0: none */
    uint64_t window_at_ms;      /* begin of the window; SHADOW_NEVER: nothing was used yet */
    uint64_t used, debt;        /* debt: what of it windows before have left */
    int64_t began;              /* known cost of the attempts that began in this window */
    int64_t total, granted;     /* of all attempts; budgets of all windows up to this one */
};

/* The operator sets it. What is used stays used, unless it is another window, or was none. */
void shadow_budget_set(struct shadow_budget *b, uint64_t budget, uint64_t window_ms,
                       uint64_t now_ms);
/* Windows that have passed are over. */
void shadow_budget_pass(struct shadow_budget *b, uint64_t now_ms);
/* An attempt of `cost` would be within it, now. */
bool shadow_budget_lets(const struct shadow_budget *b, uint64_t cost);
void shadow_budget_take(struct shadow_budget *b, uint64_t cost, uint64_t now_ms);
/* One that began at `began_ms` for `declared` tells its real cost. */
void shadow_budget_correct(struct shadow_budget *b, uint64_t began_ms, uint64_t declared,
                           uint64_t cost, uint64_t now_ms);

#endif
