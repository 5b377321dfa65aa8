#include "broker/core/meter.h"

#include "common/check.h"
#include "common/mutant.h"

#define NS_PER_MS 1000000ULL
#define TOLERANCE_NS_MAX (1ULL << 62) /* a burst of more than a century: no bound */

/* ---- what holds ------------------------------------------------------------------ */

static uint64_t interval_ns_of(const struct limit_values *values)
{
    uint64_t rate_ns = (values->rate_ms > 0 ? values->rate_ms : METER_RATE_MS) * NS_PER_MS;

    if (values->rate == 0) {
        return 0;
    }
    /* Rounded up: what is left out is below a nanosecond a start. */
    return rate_ns / values->rate + (rate_ns % values->rate != 0);
}

static uint64_t tolerance_ns_of(const struct limit_values *values, uint64_t interval_ns)
{
    uint64_t ahead = values->burst > 1 ? values->burst - 1 : 0;
    uint64_t tolerance_ns;

    if (__builtin_mul_overflow(ahead, interval_ns, &tolerance_ns) ||
        tolerance_ns > TOLERANCE_NS_MAX) {
        return TOLERANCE_NS_MAX;
    }
    return tolerance_ns;
}

void meter_bounds_set(struct meter_bounds *bounds, const struct limit_values *values)
{
    uint64_t interval_ns = interval_ns_of(values);
    uint64_t tolerance_ns = tolerance_ns_of(values, interval_ns);
    uint64_t budget_ms = values->budget_ms > 0 ? values->budget_ms : METER_BUDGET_MS;

    bounds->concurrency = values->concurrency;
    if (interval_ns != bounds->interval_ns || tolerance_ns != bounds->tolerance_ns) {
        bounds->interval_ns = interval_ns;
        bounds->tolerance_ns = tolerance_ns;
        bounds->rate_serial++;
    }
    /* Another budget for the same windows: what is used stays used. */
    if ((values->budget > 0) != (bounds->budget > 0) || budget_ms != bounds->budget_ms) {
        bounds->budget_ms = budget_ms;
        bounds->budget_serial++;
    }
    bounds->budget = values->budget;
}

void meter_init(struct meter *meter)
{
    *meter = (struct meter){.window_at_ms = METER_NEVER};
}

/* ---- rate -------------------------------------------------------------------------- */

/* When the next start would be at the very rate: never before now, or idle time would be saved
 * up beyond the burst. */
static uint64_t arrival_ns(const struct meter_bounds *bounds, const struct meter *meter,
                           uint64_t now_ms)
{
    uint64_t now_ns = now_ms * NS_PER_MS;

    if (meter->rate_serial != bounds->rate_serial || meter->arrival_ns < now_ns) {
        return now_ns;
    }
    return meter->arrival_ns;
}

/* The earliest millisecond in which the rate allows one more start. */
static uint64_t rate_ready_ms(const struct meter_bounds *bounds, const struct meter *meter,
                              uint64_t now_ms)
{
    uint64_t arrival = arrival_ns(bounds, meter, now_ms);
    uint64_t earliest_ns = arrival > bounds->tolerance_ns ? arrival - bounds->tolerance_ns : 0;

    if (bounds->interval_ns == 0 || earliest_ns / NS_PER_MS <= now_ms || MUTANT(RATE_UNBOUNDED)) {
        return now_ms;
    }
    return earliest_ns / NS_PER_MS;
}

uint64_t meter_tokens(const struct meter_bounds *bounds, const struct meter *meter,
                      uint64_t now_ms)
{
    uint64_t until_ns = (now_ms + 1) * NS_PER_MS - 1 + bounds->tolerance_ns;
    uint64_t arrival = arrival_ns(bounds, meter, now_ms);

    if (bounds->interval_ns == 0 || arrival > until_ns) {
        return 0;
    }
    return (until_ns - arrival) / bounds->interval_ns + 1;
}

/* ---- budget ------------------------------------------------------------------------ */

struct window {
    uint64_t at_ms, used, debt;
};

/* The window that `now_ms` is in, and what of it is used. */
static struct window window_now(const struct meter_bounds *bounds, const struct meter *meter,
                                uint64_t now_ms)
{
    struct window window = {meter->window_at_ms, meter->used, meter->debt};
    uint64_t passed, paid;

    if (meter->window_at_ms == METER_NEVER || meter->budget_serial != bounds->budget_serial) {
        return (struct window){now_ms, 0, 0};
    }
    passed = (now_ms - meter->window_at_ms) / bounds->budget_ms;
    if (passed > 0) {
        if (__builtin_mul_overflow(passed, bounds->budget, &paid)) {
            paid = UINT64_MAX;
        }
        window.at_ms += passed * bounds->budget_ms;
        window.used = window.used > paid ? window.used - paid : 0;
        window.debt = window.used;
    }
    return window;
}

/* The begin of the first window in which `cost` has room; at most what a refusal can say. */
static uint64_t budget_ready_ms(const struct meter_bounds *bounds, const struct meter *meter,
                                uint64_t cost, uint64_t now_ms)
{
    struct window window = window_now(bounds, meter, now_ms);
    uint64_t wanted = cost > 0 ? cost : 1; /* what declares none still needs something left */
    uint64_t excess, windows;

    if (bounds->budget == 0 || window.used == 0 || window.used + wanted <= bounds->budget) {
        return now_ms;
    }
    /* More than a whole budget waits for an empty window. */
    excess = window.used + (wanted < bounds->budget ? wanted : bounds->budget) - bounds->budget;
    windows = excess / bounds->budget + (excess % bounds->budget != 0);
    if (windows > DURATION_MS_MAX / bounds->budget_ms) {
        return now_ms + DURATION_MS_MAX; /* it is asked again then */
    }
    return window.at_ms + windows * bounds->budget_ms;
}

static void window_enter(const struct meter_bounds *bounds, struct meter *meter, uint64_t now_ms)
{
    struct window window = window_now(bounds, meter, now_ms);

    meter->window_at_ms = window.at_ms;
    meter->used = window.used;
    meter->debt = window.debt;
    meter->budget_serial = bounds->budget_serial;
}

void meter_settle(const struct meter_bounds *bounds, struct meter *meter, uint64_t now_ms)
{
    if (bounds->budget > 0 && meter->window_at_ms != METER_NEVER &&
        meter->budget_serial == bounds->budget_serial) {
        window_enter(bounds, meter, now_ms);
    }
}

void meter_correct(const struct meter_bounds *bounds, struct meter *meter, uint64_t started_ms,
                   uint64_t reserved, uint64_t actual, uint64_t now_ms)
{
    uint64_t back, most;

    if (bounds->budget == 0) {
        return;
    }
    window_enter(bounds, meter, now_ms);
    if (actual >= reserved) {
        meter->used += actual - reserved;
        return;
    }
    back = reserved - actual;
    if (started_ms >= meter->window_at_ms) {
        most = meter->used - meter->debt;
        meter->used -= back < most ? back : most;
    } else {
        back = back < meter->debt ? back : meter->debt;
        meter->used -= back;
        meter->debt -= back;
    }
}

uint64_t meter_used(const struct meter_bounds *bounds, const struct meter *meter, uint64_t now_ms)
{
    return bounds->budget == 0 ? 0 : window_now(bounds, meter, now_ms).used;
}

uint64_t meter_window_end_ms(const struct meter_bounds *bounds, const struct meter *meter,
                             uint64_t now_ms)
{
    if (bounds->budget == 0 || meter->window_at_ms == METER_NEVER ||
        meter->budget_serial != bounds->budget_serial) {
        return METER_NEVER;
    }
    return window_now(bounds, meter, now_ms).at_ms + bounds->budget_ms;
}

/* ---- all three ----------------------------------------------------------------------- */

enum meter_answer meter_ask(const struct meter_bounds *bounds, const struct meter *meter,
                            uint64_t cost, uint64_t now_ms, uint64_t *ready_ms)
{
    if (bounds->concurrency > 0 &&
        meter->in_use >= bounds->concurrency + MUTANT(CAP_OFF_BY_ONE)) {
        *ready_ms = METER_NEVER;
        return METER_CONCURRENCY;
    }
    return meter_ask_spent(bounds, meter, cost, now_ms, ready_ms);
}

enum meter_answer meter_ask_spent(const struct meter_bounds *bounds, const struct meter *meter,
                                  uint64_t cost, uint64_t now_ms, uint64_t *ready_ms)
{
    uint64_t rate_ms = rate_ready_ms(bounds, meter, now_ms);
    uint64_t budget_ms = budget_ready_ms(bounds, meter, cost, now_ms);

    *ready_ms = rate_ms > budget_ms ? rate_ms : budget_ms;
    if (*ready_ms <= now_ms) {
        return METER_ROOM;
    }
    return rate_ms > budget_ms ? METER_RATE : METER_BUDGET;
}

void meter_take(const struct meter_bounds *bounds, struct meter *meter, uint64_t cost,
                uint64_t now_ms)
{
    meter->in_use++;
    if (bounds->interval_ns > 0) {
        meter->arrival_ns = arrival_ns(bounds, meter, now_ms) + bounds->interval_ns;
        meter->rate_serial = bounds->rate_serial;
    }
    if (bounds->budget > 0) {
        window_enter(bounds, meter, now_ms);
        meter->used += cost;
    }
}

void meter_release(struct meter *meter)
{
    CHECK(meter->in_use > 0);
    meter->in_use--;
}

bool meter_blank(const struct meter_bounds *bounds, const struct meter *meter, uint64_t now_ms)
{
    return meter->in_use == 0 &&
           arrival_ns(bounds, meter, now_ms) == now_ms * NS_PER_MS &&
           meter_used(bounds, meter, now_ms) == 0;
}
