/* shadow_gate: whether a service may start anything, by PROTOCOL.md, 4.6: pauses and the breaker.
 *
 * Exact but for two things. How many are let through at once doubles at the latest when nothing
 * could start for a second, and sooner only if somebody asked: `allowed` is the most it can be.
 * And a breaker's window is known to a ninth: what lies between may open it. */
#ifndef SLUICE_TESTS_SIM_SHADOW_GATE_H
#define SLUICE_TESTS_SIM_SHADOW_GATE_H

#include "proto/message.h"

#include <stdbool.h>
#include <stdint.h>

#define SHADOW_ENDS 1024

enum shadow_gate_state {
    SHADOW_GATE_CLOSED,
    SHADOW_GATE_PAUSED,
    SHADOW_GATE_OPEN,
    SHADOW_GATE_HALF_OPEN,
    SHADOW_GATE_RESUMING,
};
#define SHADOW_GATE_STATES (SHADOW_GATE_RESUMING + 1)

/* What the end of an attempt says of its service. */
enum shadow_report { SHADOW_SAYS_NOTHING, SHADOW_SUCCESS, SHADOW_FAILURE };

struct shadow_gate {
    enum shadow_gate_state state;
    enum shadow_gate_state told; /* by the log */
    const char *cause;           /* of the last pause or opening; NULL: none yet */
    bool broken;                 /* paused while the breaker was open: it is probed next */
    uint64_t since_ms, until_ms; /* until: paused, open; UINT64_MAX: until told */
    uint64_t epoch_ms;           /* attempts that began before do not count */
    uint64_t allowed, least;     /* at once, at most and at least */
    uint64_t wanted;             /* successes that are missing */
    uint64_t patience_ms;
    uint64_t failures;           /* in a row */
    /* Attempts that ended since the breaker was open, as a ring; when, and whether they failed. */
    uint64_t end_count, ends_since, slice_ms; /* a ninth of the window they were counted in */
    struct {
        uint64_t at_ms;
        bool failed;
    } ends[SHADOW_ENDS];
};

/* Whether the breaker has to open, or may. */
enum shadow_verdict { SHADOW_STAYS, SHADOW_MAY_OPEN, SHADOW_OPENS };

const char *shadow_gate_name(enum shadow_gate_state state);
enum shadow_gate_state shadow_gate_from(const char *name);

void shadow_gate_pause(struct shadow_gate *gate, const char *cause, uint64_t ms, uint64_t now_ms);
void shadow_gate_resume(struct shadow_gate *gate, uint64_t now_ms);
/* True: it is paused or open, and that is over. */
bool shadow_gate_due(const struct shadow_gate *gate, uint64_t now_ms);
/* It is over: half_open or resuming, as it must be. */
void shadow_gate_begin(struct shadow_gate *gate, const struct limit_values *policy,
                       uint64_t now_ms);
/* Before a step: `running` attempts that count are in workers' hands. */
void shadow_gate_pass(struct shadow_gate *gate, uint64_t running, uint64_t now_ms);
/* One more may start. */
bool shadow_gate_lets(const struct shadow_gate *gate, uint64_t running);
void shadow_gate_start(struct shadow_gate *gate, uint64_t now_ms);
/* Counts the end of an attempt that began at `began_ms`, and says what follows for the breaker;
 * `*cause` of an opening. */
enum shadow_verdict shadow_gate_report(struct shadow_gate *gate, const struct limit_values *policy,
                                       enum shadow_report report, uint64_t began_ms,
                                       uint64_t now_ms, const char **cause);
void shadow_gate_open(struct shadow_gate *gate, const struct limit_values *policy,
                      const char *cause, uint64_t now_ms);
/* Nobody's rule and closed: what was counted is forgotten. */
void shadow_gate_forget(struct shadow_gate *gate);

#endif
