#include "tests/sim/shadow_gate.h"

#include "common/check.h"

#include <string.h>

#define PATIENCE_MS 1000
#define WINDOW_MS 10000 /* PROTOCOL.md's default of breaker_ms, and of breaker_open_ms */
#define OPEN_MS 5000

static const char *const names[SHADOW_GATE_STATES] = {"closed", "paused", "open", "half_open",
                                                      "resuming"};

const char *shadow_gate_name(enum shadow_gate_state state)
{
    return names[state];
}

enum shadow_gate_state shadow_gate_from(const char *name)
{
    for (unsigned i = 0; i < SHADOW_GATE_STATES; i++) {
        if (strcmp(name, names[i]) == 0) {
            return (enum shadow_gate_state)i;
        }
    }
    CHECK(!"a state that PROTOCOL.md does not know");
    return SHADOW_GATE_CLOSED;
}

static bool blocks(const struct shadow_gate *gate)
{
    return gate->state == SHADOW_GATE_PAUSED || gate->state == SHADOW_GATE_OPEN;
}

static bool counts(const struct shadow_gate *gate)
{
    return gate->state == SHADOW_GATE_HALF_OPEN || gate->state == SHADOW_GATE_RESUMING;
}

static uint64_t probes(const struct limit_values *policy)
{
    return policy->breaker_probes > 0 ? policy->breaker_probes : 1;
}

void shadow_gate_pause(struct shadow_gate *gate, const char *cause, uint64_t ms, uint64_t now_ms)
{
    uint64_t until_ms = ms > 0 ? now_ms + ms : UINT64_MAX;

    if (blocks(gate) && strcmp(cause, "operator") != 0) {
        gate->until_ms = until_ms > gate->until_ms ? until_ms : gate->until_ms;
        return;
    }
    gate->broken = gate->state == SHADOW_GATE_OPEN || gate->state == SHADOW_GATE_HALF_OPEN ||
                   (gate->state == SHADOW_GATE_PAUSED && gate->broken);
    gate->state = SHADOW_GATE_PAUSED;
    gate->cause = cause;
    gate->since_ms = now_ms;
    gate->until_ms = until_ms;
}

void shadow_gate_resume(struct shadow_gate *gate, uint64_t now_ms)
{
    if (blocks(gate)) {
        gate->until_ms = now_ms + 1;
    }
}

bool shadow_gate_due(const struct shadow_gate *gate, uint64_t now_ms)
{
    return blocks(gate) && gate->until_ms <= now_ms;
}

void shadow_gate_begin(struct shadow_gate *gate, const struct limit_values *policy,
                       uint64_t now_ms)
{
    bool probed = gate->state == SHADOW_GATE_OPEN || gate->broken;

    gate->broken = false;
    gate->state = probed ? SHADOW_GATE_HALF_OPEN : SHADOW_GATE_RESUMING;
    gate->wanted = probes(policy);
    gate->allowed = gate->least = probed ? gate->wanted : 1;
    gate->since_ms = gate->epoch_ms = now_ms;
    gate->patience_ms = now_ms + PATIENCE_MS;
}

void shadow_gate_pass(struct shadow_gate *gate, uint64_t running, uint64_t now_ms)
{
    while (counts(gate) && running >= gate->allowed && gate->patience_ms <= now_ms) {
        gate->allowed *= 2;
        gate->patience_ms += PATIENCE_MS;
    }
}

bool shadow_gate_lets(const struct shadow_gate *gate, uint64_t running)
{
    return counts(gate) ? running < gate->allowed : !blocks(gate);
}

void shadow_gate_start(struct shadow_gate *gate, uint64_t now_ms)
{
    gate->patience_ms = now_ms + PATIENCE_MS;
}

void shadow_gate_forget(struct shadow_gate *gate)
{
    gate->failures = 0;
    gate->end_count = gate->ends_since = 0;
    gate->epoch_ms = 0;
    gate->cause = NULL;
}

void shadow_gate_open(struct shadow_gate *gate, const struct limit_values *policy,
                      const char *cause, uint64_t now_ms)
{
    gate->state = SHADOW_GATE_OPEN;
    gate->cause = cause;
    gate->since_ms = now_ms;
    gate->until_ms = now_ms + (policy->breaker_open_ms > 0 ? policy->breaker_open_ms : OPEN_MS);
    gate->failures = 0;
    gate->ends_since = gate->end_count;
}

static uint64_t slice_ms(const struct limit_values *policy)
{
    return ((policy->breaker_ms > 0 ? policy->breaker_ms : WINDOW_MS) + 8) / 9;
}

/* The share of failures among those that ended lately. Where the window begins is known to a ninth of
 * it: looks at every beginning there may be. */
static enum shadow_verdict percent_verdict(const struct shadow_gate *gate,
                                           const struct limit_values *policy, uint64_t now_ms)
{
    int64_t ninth_ms = (int64_t)slice_ms(policy);
    int64_t first_ms = (int64_t)now_ms - 10 * ninth_ms + 1, last_ms = (int64_t)now_ms - 9 * ninth_ms;
    uint64_t attempts = 0, failures = 0;
    bool always = true, ever = false;

    for (uint64_t i = gate->end_count; i > gate->ends_since; i--) {
        int64_t at_ms = (int64_t)gate->ends[(i - 1) % SHADOW_ENDS].at_ms;
        int64_t before_ms = i - 1 > gate->ends_since
                                ? (int64_t)gate->ends[(i - 2) % SHADOW_ENDS].at_ms
                                : INT64_MIN + 1;
        bool reached;

        if (gate->end_count - i >= SHADOW_ENDS - 1) {
            return SHADOW_MAY_OPEN; /* too many to be known */
        }
        if (at_ms < first_ms) {
            break;
        }
        attempts++;
        failures += gate->ends[(i - 1) % SHADOW_ENDS].failed;
        if ((before_ms + 1 > first_ms ? before_ms + 1 : first_ms) >
            (at_ms < last_ms ? at_ms : last_ms)) {
            continue; /* no window begins between the two */
        }
        reached = attempts >= policy->breaker_min &&
                  failures * 100 >= attempts * policy->breaker_percent;
        always = always && reached;
        ever = ever || reached;
    }
    return !ever ? SHADOW_STAYS : always ? SHADOW_OPENS : SHADOW_MAY_OPEN;
}

static enum shadow_verdict breaker_verdict(const struct shadow_gate *gate,
                                           const struct limit_values *policy, uint64_t now_ms,
                                           const char **cause)
{
    if (policy->breaker_failures > 0 && gate->failures >= policy->breaker_failures) {
        *cause = "failures";
        return SHADOW_OPENS;
    }
    *cause = "percent";
    return policy->breaker_percent > 0 ? percent_verdict(gate, policy, now_ms) : SHADOW_STAYS;
}

static enum shadow_verdict probe_verdict(struct shadow_gate *gate,
                                         const struct limit_values *policy,
                                         enum shadow_report report, uint64_t now_ms,
                                         const char **cause)
{
    *cause = "probe";
    if (report == SHADOW_FAILURE) {
        return SHADOW_OPENS;
    }
    if (--gate->wanted == 0) {
        gate->state = SHADOW_GATE_RESUMING;
        gate->since_ms = now_ms;
        gate->allowed = gate->least = 2 * probes(policy);
        gate->patience_ms = now_ms; /* maybe: while nobody waited it was not looked at */
    }
    return SHADOW_STAYS;
}

enum shadow_verdict shadow_gate_report(struct shadow_gate *gate, const struct limit_values *policy,
                                       enum shadow_report report, uint64_t began_ms,
                                       uint64_t now_ms, const char **cause)
{
    bool failed = report == SHADOW_FAILURE;

    if (report == SHADOW_SAYS_NOTHING || began_ms < gate->epoch_ms || blocks(gate)) {
        return SHADOW_STAYS;
    }
    if (gate->state == SHADOW_GATE_HALF_OPEN) {
        return probe_verdict(gate, policy, report, now_ms, cause);
    }
    if (gate->state == SHADOW_GATE_RESUMING && !failed) {
        gate->allowed *= 2;
        gate->least *= 2;
    }
    if (policy->breaker_failures == 0 && policy->breaker_percent == 0) {
        return SHADOW_STAYS;
    }
    if (slice_ms(policy) != gate->slice_ms) {
        gate->slice_ms = slice_ms(policy);
        gate->ends_since = gate->end_count; /* another window counts anew */
    }
    gate->ends[gate->end_count % SHADOW_ENDS].at_ms = now_ms;
    gate->ends[gate->end_count % SHADOW_ENDS].failed = failed;
    gate->end_count++;
    gate->failures = failed ? gate->failures + 1 : 0;
    return failed ? breaker_verdict(gate, policy, now_ms, cause) : SHADOW_STAYS;
}
