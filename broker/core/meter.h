/* meter: how much may start at once, in a time, and of a budget.
 *
 * Three bounds that hold together, any of which may be absent:
 *
 *   concurrency  so many at once, from meter_take to meter_release
 *   rate         the generic cell rate algorithm in its virtual scheduling form (ITU-T I.371,
 *                annex A), in whole nanoseconds: in any n milliseconds of the broker's clock at
 *                most burst + rate * n start. A millisecond is one moment to that clock, so all
 *                that is due before its end may start in it: 10,000/s are ten in each.
 *   budget       cost units in a window. Windows follow one another without a gap, the first
 *                from the first use. What is spent beyond a window's budget (work that cost more
 *                than it declared, or that costs more than a whole budget and began in an empty
 *                window) is a debt, which the next windows pay first.
 *
 * `struct meter_bounds` says what holds, `struct meter` what is used: one of the first may stand
 * over many of the second. Pure: no clock, no allocation; O(1). One thread. */
#ifndef SLUICE_BROKER_CORE_METER_H
#define SLUICE_BROKER_CORE_METER_H

#include "proto/message.h"

#define METER_NEVER UINT64_MAX
#define METER_RATE_MS 1000     /* if rate_ms is not said */
#define METER_BUDGET_MS 60000  /* if budget_ms is not said */

struct meter_bounds {
    uint64_t concurrency;  /* 0: unbounded */
    uint64_t interval_ns;  /* between two starts at the rate; 0: unbounded */
    uint64_t tolerance_ns; /* how much of that may be ahead of time: burst - 1 intervals */
    uint64_t budget;       /* cost units a window; 0: unbounded */
    uint64_t budget_ms;
    uint32_t rate_serial;   /* another one: the rate has changed, and starts with a full burst */
    uint32_t budget_serial; /* another one: windows begin anew */
};

struct meter {
    uint64_t in_use;       /* taken and not released; counted without a bound, too */
    uint64_t arrival_ns;   /* when the next start would be at the very rate */
    uint64_t window_at_ms; /* begin of the window; METER_NEVER: not used yet */
    uint64_t used;         /* cost units of this window, with the debt */
    uint64_t debt;         /* of those: from windows before */
    uint32_t rate_serial, budget_serial;
};

/* Why something cannot start now. */
enum meter_answer { METER_ROOM, METER_CONCURRENCY, METER_RATE, METER_BUDGET };

/* What holds from now on; `values` are those of PROTOCOL.md (0: none), in their bounds. */
void meter_bounds_set(struct meter_bounds *bounds, const struct limit_values *values);

void meter_init(struct meter *meter);
/* Before `bounds` change: windows that have passed are paid as they were. */
void meter_settle(const struct meter_bounds *bounds, struct meter *meter, uint64_t now_ms);

/* May work of `cost` start now? If not, *ready_ms is when it may, unless others come first, and
 * METER_NEVER when only a release can tell. */
enum meter_answer meter_ask(const struct meter_bounds *bounds, const struct meter *meter,
                            uint64_t cost, uint64_t now_ms, uint64_t *ready_ms);
/* The same, however many run: of rate and budget alone. */
enum meter_answer meter_ask_spent(const struct meter_bounds *bounds, const struct meter *meter,
                                  uint64_t cost, uint64_t now_ms, uint64_t *ready_ms);
/* It starts. Right after METER_ROOM; or of one that may not be asked, and then in debt. */
void meter_take(const struct meter_bounds *bounds, struct meter *meter, uint64_t cost,
                uint64_t now_ms);
void meter_release(struct meter *meter);
/* What started at `started_ms` for `reserved` has cost `actual`. More: used up now. Less: free
 * again, if that window is not over; else it lessens only the debt. */
void meter_correct(const struct meter_bounds *bounds, struct meter *meter, uint64_t started_ms,
                   uint64_t reserved, uint64_t actual, uint64_t now_ms);

/* It remembers nothing: another one would say the same. */
bool meter_blank(const struct meter_bounds *bounds, const struct meter *meter, uint64_t now_ms);

/* For people: starts that the rate allows at this moment, units used, and the window's end. */
uint64_t meter_tokens(const struct meter_bounds *bounds, const struct meter *meter,
                      uint64_t now_ms);
uint64_t meter_used(const struct meter_bounds *bounds, const struct meter *meter,
                    uint64_t now_ms);
uint64_t meter_window_end_ms(const struct meter_bounds *bounds, const struct meter *meter,
                             uint64_t now_ms); /* METER_NEVER: no window */

#endif
