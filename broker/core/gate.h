/* gate: whether a service may start anything at all: pause and circuit breaker in one.
 *
 *   closed     everything passes; how attempts end is watched
 *   paused     nothing passes until a time, or until told: an attempt was told to wait
 *              (FAIL with retry_after_ms and scope service), or the operator said so
 *   open       nothing passes until a time: too many attempts have failed
 *   half_open  as many pass as successes are wanted; the last of those closes it, a failure
 *              opens it again
 *   resuming   closed but for a bound: one at once at first, twice as many with each success
 *              (slow start, as in TCP: RFC 5681, 3.1), until nothing waits or the bound no
 *              longer matters
 *
 * paused and half_open end in resuming: whatever was in trouble is not flooded with all that has
 * gathered meanwhile. The breaker is that of M. Nygard, "Release It!" (2007).
 *
 * Neither waits for ever for attempts that take long, or that wait themselves for tasks of this
 * service: what has held back for a second lets through more.
 *
 * Attempts that began before the gate last let something pass say nothing about what it is like
 * now, so they are not counted. Pauses last a millisecond at least, and nothing starts in them:
 * so the time of its start tells which attempt counts. Pure; O(1). One thread. */
#ifndef SLUICE_BROKER_CORE_GATE_H
#define SLUICE_BROKER_CORE_GATE_H

#include "proto/message.h"

#define GATE_NEVER UINT64_MAX
#define GATE_WINDOW_MS 10000 /* if breaker_ms is not said */
#define GATE_OPEN_MS 5000    /* if breaker_open_ms is not said */
#define GATE_PATIENCE_MS 1000
#define GATE_SLICES 10       /* of a window: it moves on a tenth at a time */

enum gate_state { GATE_CLOSED, GATE_PAUSED, GATE_OPEN, GATE_HALF_OPEN, GATE_RESUMING };

enum gate_cause {
    GATE_NO_CAUSE,
    GATE_RETRY_AFTER, /* an attempt was told to wait */
    GATE_OPERATOR,
    GATE_FAILURES,    /* so many in a row */
    GATE_PERCENT,     /* so many of all */
    GATE_PROBE,       /* one of half_open failed */
};

/* How an attempt has ended, for the service that it went to. An error that is final is an
 * answer: the service works, it was the task that was wrong. */
enum gate_report { GATE_SUCCESS, GATE_FAILURE, GATE_NEITHER };

struct gate_bounds {
    uint64_t failures;     /* in a row; 0: not counted */
    uint64_t percent, min; /* of attempts in a window, of at least so many; 0: not counted */
    uint64_t window_ms, open_ms, probes;
    bool refuse;
};

struct gate_slice {
    uint64_t number; /* which slice of all time this is */
    uint32_t attempts, failures;
};

struct gate {
    enum gate_state state;
    enum gate_cause cause;  /* of the last pause or opening */
    bool broken;            /* paused while it was open: half_open comes next */
    uint64_t since_ms;      /* the state's begin */
    uint64_t until_ms;      /* paused, open; GATE_NEVER: until told */
    uint64_t epoch_ms;      /* attempts that began earlier do not count */
    uint64_t allowed;       /* at once; half_open, resuming */
    uint64_t wanted;        /* successes, to leave half_open */
    uint64_t patience_ms;   /* half_open, resuming: a bound that is reached grows then */
    uint64_t running;       /* of those that count; half_open, resuming */
    uint64_t failures;      /* in a row */
    uint64_t slice_ms;      /* of those below */
    struct gate_slice slices[GATE_SLICES];
    uint32_t code_size;
    uint8_t code[ERROR_CODE_MAX]; /* of the error that was the cause */
};

void gate_bounds_set(struct gate_bounds *bounds, const struct limit_values *values);
bool gate_bounds_any(const struct gate_bounds *bounds);

/* May an attempt start now? If not, *ready_ms is when that changes, GATE_NEVER when only the end
 * of an attempt, or an operator, can tell. */
bool gate_ask(const struct gate *gate, uint64_t *ready_ms);
/* An attempt starts; after gate_ask. */
void gate_start(struct gate *gate, uint64_t now_ms);
/* An attempt that began at `started_ms` is in nobody's hands any more. */
void gate_leave(struct gate *gate, uint64_t started_ms);
/* How it has ended; before or after that, or never. `code` of its error, if it failed. */
void gate_report(const struct gate_bounds *bounds, struct gate *gate, enum gate_report report,
                 uint64_t started_ms, struct span code, uint64_t now_ms);

/* Nothing passes for `ms` (0: until told), or longer, if that was said before; an operator's
 * pause replaces any other. */
void gate_pause(struct gate *gate, enum gate_cause cause, uint64_t ms, struct span code,
                uint64_t now_ms);
/* A pause, or the time that it is open, is over with the next millisecond. */
void gate_resume(struct gate *gate, uint64_t now_ms);
/* To be called when the time of gate_ask has come. */
void gate_timer(const struct gate_bounds *bounds, struct gate *gate, uint64_t now_ms);
/* What can start has: `waiting` tasks are left, and workers take `credit` at once. */
void gate_idle(struct gate *gate, uint64_t waiting, uint64_t credit, uint64_t now_ms);

/* True: SUBMIT is refused, for *retry_after_ms at least; else that is as it was. */
bool gate_refuses(const struct gate_bounds *bounds, const struct gate *gate, uint64_t now_ms,
                  uint64_t *retry_after_ms);

const char *gate_state_name(enum gate_state state);
const char *gate_cause_name(enum gate_cause cause); /* "" for none */

#endif
