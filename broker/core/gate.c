#include "broker/core/gate.h"

#include "common/check.h"
#include "common/mutant.h"

#include <string.h>

#define ALLOWED_MAX (1ULL << 32) /* more at once than anybody has: no bound */
#define PROBING_RETRY_MS 100     /* a probe is out: nothing better is known */

const char *gate_state_name(enum gate_state state)
{
    static const char *const names[] = {[GATE_CLOSED] = "closed",
                                        [GATE_PAUSED] = "paused",
                                        [GATE_OPEN] = "open",
                                        [GATE_HALF_OPEN] = "half_open",
                                        [GATE_RESUMING] = "resuming"};

    CHECK(state <= GATE_RESUMING);
    return names[state];
}

const char *gate_cause_name(enum gate_cause cause)
{
    static const char *const names[] = {[GATE_NO_CAUSE] = "",
                                        [GATE_RETRY_AFTER] = "retry_after",
                                        [GATE_OPERATOR] = "operator",
                                        [GATE_FAILURES] = "failures",
                                        [GATE_PERCENT] = "percent",
                                        [GATE_PROBE] = "probe"};

    CHECK(cause <= GATE_PROBE);
    return names[cause];
}

void gate_bounds_set(struct gate_bounds *bounds, const struct limit_values *values)
{
    *bounds = (struct gate_bounds){
        .failures = values->breaker_failures,
        .percent = values->breaker_percent,
        .min = values->breaker_min,
        .window_ms = values->breaker_ms > 0 ? values->breaker_ms : GATE_WINDOW_MS,
        .open_ms = values->breaker_open_ms > 0 ? values->breaker_open_ms : GATE_OPEN_MS,
        .probes = values->breaker_probes > 0 ? values->breaker_probes : 1,
        .refuse = values->breaker_refuse != 0,
    };
}

bool gate_bounds_any(const struct gate_bounds *bounds)
{
    return bounds->failures > 0 || bounds->percent > 0;
}

static void gate_enter(struct gate *gate, enum gate_state state, uint64_t now_ms)
{
    gate->state = state;
    gate->since_ms = now_ms;
    if (state != GATE_PAUSED && state != GATE_OPEN) {
        gate->until_ms = 0;
    }
}

static void gate_blame(struct gate *gate, enum gate_cause cause, struct span code)
{
    gate->cause = cause;
    gate->code_size = (uint32_t)(code.size < sizeof gate->code ? code.size : sizeof gate->code);
    if (gate->code_size > 0) {
        memcpy(gate->code, code.data, gate->code_size);
    }
}

/* ---- starts --------------------------------------------------------------------- */

bool gate_ask(const struct gate *gate, uint64_t *ready_ms)
{
    *ready_ms = GATE_NEVER;
    switch (gate->state) {
    case GATE_CLOSED:
        return true;
    case GATE_PAUSED:
    case GATE_OPEN:
        *ready_ms = gate->until_ms;
        return MUTANT(PAUSE_IGNORED);
    case GATE_HALF_OPEN:
    case GATE_RESUMING:
        *ready_ms = gate->patience_ms;
        return gate->running < gate->allowed ||
               (MUTANT(BREAKER_LETS_ALL_PROBE) && gate->state == GATE_HALF_OPEN);
    }
    return false;
}

void gate_start(struct gate *gate, uint64_t now_ms)
{
    if (gate->state == GATE_HALF_OPEN || gate->state == GATE_RESUMING) {
        gate->running++;
        gate->patience_ms = now_ms + GATE_PATIENCE_MS;
    }
}

bool gate_refuses(const struct gate_bounds *bounds, const struct gate *gate, uint64_t now_ms,
                  uint64_t *retry_after_ms)
{
    if (!bounds->refuse) {
        return false;
    }
    if (gate->state == GATE_OPEN) {
        *retry_after_ms = gate->until_ms - now_ms;
        return true;
    }
    if (gate->state == GATE_HALF_OPEN && gate->running >= gate->allowed) {
        *retry_after_ms = PROBING_RETRY_MS;
        return true;
    }
    return false;
}

/* ---- the breaker ---------------------------------------------------------------- */

/* Rounded up: the window is never shorter than was said. */
static uint64_t slice_ms(const struct gate_bounds *bounds)
{
    return (bounds->window_ms + GATE_SLICES - 2) / (GATE_SLICES - 1);
}

static void count_attempt(const struct gate_bounds *bounds, struct gate *gate, bool failed,
                          uint64_t now_ms)
{
    uint64_t number = now_ms / slice_ms(bounds);
    struct gate_slice *slice = &gate->slices[number % GATE_SLICES];

    if (gate->slice_ms != slice_ms(bounds)) {
        gate->slice_ms = slice_ms(bounds);
        memset(gate->slices, 0, sizeof gate->slices); /* the numbers mean other times */
    }
    if (slice->number != number) {
        *slice = (struct gate_slice){.number = number};
    }
    slice->attempts++;
    slice->failures += failed;
    gate->failures = failed ? gate->failures + 1 : 0;
}

/* After count_attempt. */
static bool percent_reached(const struct gate_bounds *bounds, const struct gate *gate,
                            uint64_t now_ms)
{
    uint64_t number = now_ms / gate->slice_ms, attempts = 0, failures = 0;

    for (unsigned i = 0; i < GATE_SLICES; i++) {
        if (number - gate->slices[i].number < GATE_SLICES) {
            attempts += gate->slices[i].attempts;
            failures += gate->slices[i].failures;
        }
    }
    return bounds->percent > 0 && attempts >= bounds->min &&
           failures * 100 >= attempts * bounds->percent;
}

static void forget_failures(struct gate *gate)
{
    gate->failures = 0;
    memset(gate->slices, 0, sizeof gate->slices);
}

static void gate_break(const struct gate_bounds *bounds, struct gate *gate, enum gate_cause cause,
                       struct span code, uint64_t now_ms)
{
    gate_enter(gate, GATE_OPEN, now_ms);
    gate->until_ms = now_ms + bounds->open_ms;
    gate_blame(gate, cause, code);
    forget_failures(gate);
}

static void note_probe(const struct gate_bounds *bounds, struct gate *gate,
                       enum gate_report report, struct span code, uint64_t now_ms)
{
    if (report == GATE_FAILURE) {
        gate_break(bounds, gate, GATE_PROBE, code, now_ms);
    } else if (report == GATE_SUCCESS && --gate->wanted == 0) {
        gate_enter(gate, GATE_RESUMING, now_ms);
        gate->allowed = 2 * bounds->probes;
    }
}

static void note_attempt(const struct gate_bounds *bounds, struct gate *gate,
                         enum gate_report report, struct span code, uint64_t now_ms)
{
    if (report == GATE_NEITHER) {
        return;
    }
    if (gate->state == GATE_RESUMING && report == GATE_SUCCESS) {
        gate->allowed = gate->allowed < ALLOWED_MAX ? 2 * gate->allowed : ALLOWED_MAX;
    }
    if (!gate_bounds_any(bounds) || MUTANT(BREAKER_NEVER_OPENS)) {
        return;
    }
    count_attempt(bounds, gate, report == GATE_FAILURE, now_ms);
    if (report == GATE_FAILURE && bounds->failures > 0 && gate->failures >= bounds->failures) {
        gate_break(bounds, gate, GATE_FAILURES, code, now_ms);
    } else if (report == GATE_FAILURE && percent_reached(bounds, gate, now_ms)) {
        gate_break(bounds, gate, GATE_PERCENT, code, now_ms);
    }
}

void gate_leave(struct gate *gate, uint64_t started_ms)
{
    if (started_ms >= gate->epoch_ms &&
        (gate->state == GATE_HALF_OPEN || gate->state == GATE_RESUMING)) {
        CHECK(gate->running > 0);
        gate->running--;
    }
}

void gate_report(const struct gate_bounds *bounds, struct gate *gate, enum gate_report report,
                 uint64_t started_ms, struct span code, uint64_t now_ms)
{
    if (started_ms < gate->epoch_ms) {
        return;
    }
    switch (gate->state) {
    case GATE_HALF_OPEN:
        note_probe(bounds, gate, report, code, now_ms);
        break;
    case GATE_CLOSED:
    case GATE_RESUMING:
        note_attempt(bounds, gate, report, code, now_ms);
        break;
    case GATE_PAUSED:
    case GATE_OPEN:
        break; /* what comes next is counted from its begin */
    }
}

/* ---- pause and time --------------------------------------------------------------- */

void gate_pause(struct gate *gate, enum gate_cause cause, uint64_t ms, struct span code,
                uint64_t now_ms)
{
    uint64_t until_ms = ms > 0 ? now_ms + ms : GATE_NEVER;
    bool blocked = gate->state == GATE_PAUSED || gate->state == GATE_OPEN;

    if (blocked && cause != GATE_OPERATOR) {
        /* It is known already: no more than for how long. */
        gate->until_ms = until_ms > gate->until_ms ? until_ms : gate->until_ms;
        return;
    }
    gate->broken = gate->state == GATE_OPEN || gate->state == GATE_HALF_OPEN ||
                   (gate->state == GATE_PAUSED && gate->broken);
    gate_enter(gate, GATE_PAUSED, now_ms);
    gate->until_ms = until_ms;
    gate_blame(gate, cause, code);
}

void gate_resume(struct gate *gate, uint64_t now_ms)
{
    if (gate->state == GATE_PAUSED || gate->state == GATE_OPEN) {
        gate->until_ms = now_ms + 1;
    }
}

void gate_timer(const struct gate_bounds *bounds, struct gate *gate, uint64_t now_ms)
{
    bool probe = gate->state == GATE_OPEN || gate->broken;

    if ((gate->state == GATE_HALF_OPEN || gate->state == GATE_RESUMING) &&
        gate->running >= gate->allowed && gate->patience_ms <= now_ms) {
        gate->allowed *= 2;
        gate->patience_ms = now_ms + GATE_PATIENCE_MS;
    }
    if ((gate->state != GATE_PAUSED && gate->state != GATE_OPEN) || gate->until_ms > now_ms) {
        return;
    }
    gate->broken = false;
    gate_enter(gate, probe ? GATE_HALF_OPEN : GATE_RESUMING, now_ms);
    gate->allowed = probe ? bounds->probes : 1;
    gate->wanted = bounds->probes;
    gate->patience_ms = now_ms + GATE_PATIENCE_MS;
    gate->running = 0;
    gate->epoch_ms = now_ms;
}

void gate_idle(struct gate *gate, uint64_t waiting, uint64_t credit, uint64_t now_ms)
{
    if (gate->state == GATE_RESUMING &&
        (waiting == 0 || (credit > 0 && gate->allowed >= credit))) {
        gate_enter(gate, GATE_CLOSED, now_ms);
    }
}
