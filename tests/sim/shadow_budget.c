#include "tests/sim/shadow_budget.h"

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void begin(struct shadow_budget *b, uint64_t now_ms)
{
    if (b->window_at_ms == SHADOW_NEVER) {
        b->window_at_ms = now_ms;
    }
}

void shadow_budget_set(struct shadow_budget *b, uint64_t budget, uint64_t window_ms,
                       uint64_t now_ms)
{
    if (budget == 0 || b->budget == 0 || window_ms != b->window_ms) {
        *b = (struct shadow_budget){.budget = budget,
                                    .window_ms = window_ms,
                                    .window_at_ms = SHADOW_NEVER,
                                    .granted = (int64_t)budget};
        return;
    }
    shadow_budget_pass(b, now_ms);
    if (budget > b->budget) {
        b->granted += (int64_t)(budget - b->budget);
    }
    b->budget = budget;
}

void shadow_budget_pass(struct shadow_budget *b, uint64_t now_ms)
{
    while (b->budget > 0 && b->window_at_ms != SHADOW_NEVER &&
           now_ms >= b->window_at_ms + b->window_ms) {
        b->window_at_ms += b->window_ms;
        b->used -= least(b->used, b->budget);
        b->debt = b->used;
        b->began = 0;
        b->granted += (int64_t)b->budget;
    }
}

bool shadow_budget_lets(const struct shadow_budget *b, uint64_t cost)
{
    return b->budget == 0 || b->used == 0 || b->used + (cost > 0 ? cost : 1) <= b->budget;
}

void shadow_budget_take(struct shadow_budget *b, uint64_t cost, uint64_t now_ms)
{
    begin(b, now_ms);
    b->used += cost;
    b->began += (int64_t)cost;
    b->total += (int64_t)cost;
}

void shadow_budget_correct(struct shadow_budget *b, uint64_t began_ms, uint64_t declared,
                           uint64_t cost, uint64_t now_ms)
{
    uint64_t back = declared > cost ? declared - cost : 0;
    bool here;

    begin(b, now_ms);
    here = began_ms >= b->window_at_ms;
    if (back == 0) {
        b->used += cost - declared;
    } else if (here) {
        b->used -= least(back, b->used - b->debt);
    } else {
        back = least(back, b->debt);
        b->used -= back;
        b->debt -= back;
    }
    b->began += here ? (int64_t)cost - (int64_t)declared : 0;
    b->total += (int64_t)cost - (int64_t)declared;
}
