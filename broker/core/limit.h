/* limit: what holds for a service, or for all that a tenant does, and who waits for it.
 *
 * A rule (struct limit) bounds the tasks of one service, or of one tenant over all services. All
 * rules that match a task hold at once. A limiter is what a service has that some rule or its
 * gate concerns; a service without one costs a test of a pointer and nothing more.
 *
 * A service whose first task may not start hands out nothing: its limiter says why, and is woken
 * by its timer, by the end of one of its own tasks, or by that of another of its tenant. */
#ifndef SLUICE_BROKER_CORE_LIMIT_H
#define SLUICE_BROKER_CORE_LIMIT_H

#include "broker/core/gate.h"
#include "broker/core/meter.h"
#include "broker/core/roster.h"
#include "broker/core/wheel.h"
#include "common/table.h"

struct broker;
struct doc;
struct peer;
struct service;
struct task;

#define LIMIT_RULES_MAX 4096
#define LIMIT_RATE_MAX 1000000000ULL
#define LIMIT_BUDGET_MAX (1ULL << 50)

/* What a limiter that a tenant's rule holds back waits for. */
enum limit_wait { WAITS_RELEASE, WAITS_BUDGET };

struct limit {
    struct table_node node;    /* broker->limits */
    struct roster_place place; /* broker->limit_rows */
    struct service *service;   /* NULL: a tenant's, whatever the service */
    uint32_t tenant_size;      /* 0: of a service */
    uint8_t tenant[PEER_NAME_MAX];
    struct limit_values values;
    struct meter_bounds bounds;
    struct meter meter;
    struct list waiters[2];    /* a tenant's: limiters that it holds back, by enum limit_wait */
};

/* Why the first task of a service does not start. */
enum hold_reason {
    HOLD_NONE,
    HOLD_PAUSED,
    HOLD_BREAKER,
    HOLD_CONCURRENCY,
    HOLD_RATE,
    HOLD_BUDGET,
};

struct hold {
    enum hold_reason reason;
    uint64_t ready_ms;   /* WHEEL_NEVER: not known */
    struct limit *limit; /* whose meter it is; NULL: the gate */
};

struct limiter {
    struct service *service;
    struct limit *limit; /* the service's own; NULL: none */
    struct gate_bounds gate_bounds;
    struct gate gate;
    struct hold hold;    /* as of the last time that tasks were handed out */
    struct timer timer;
    struct list link;    /* hold.limit->waiters, of a tenant's */
    struct limit *woken_by; /* in this step; NULL: by none */
};

/* Sets what is not LIMIT_UNCHANGED. `service` empty or "*": the rule of `tenant`, else of the
 * service. BAD_MESSAGE: values out of bounds, or of no use there; LIMIT_EXCEEDED: too many. */
enum error_code limit_set(struct broker *broker, struct span service, struct span key,
                          struct span tenant, const struct limit_values *values);
/* For `ms`, 0: until limit_resume. */
enum error_code limit_pause(struct broker *broker, struct span service, uint64_t ms);
enum error_code limit_resume(struct broker *broker, struct span service);

/* A service comes or goes. False: no memory for what it needs. */
bool limiter_begin(struct broker *broker, struct service *service);
void limiter_end(struct broker *broker, struct service *service);
/* True: forgetting the service would forget a rule, or what its gate knows. */
bool limiter_pins(const struct service *service);
void limiter_timer(struct broker *broker, struct limiter *limiter);
/* All rules go: the broker ends. */
void limit_clear(struct broker *broker);

/* Of services with a limiter: whether, and why not, `task` may start now. */
struct hold limit_ask(const struct broker *broker, const struct task *task);
/* Its tasks are about to be handed out. */
void limit_look(struct service *service);
bool limit_may_start(struct broker *broker, struct task *task);
/* Its tasks have been handed out, as far as that goes. */
void limit_settle(struct broker *broker, struct service *service);
/* SUBMIT to `service`; what its rules and its breaker refuse. */
enum error_code limit_admit(const struct broker *broker, const struct service *service,
                            const struct peer *peer, uint64_t cost, uint64_t *retry_after_ms);

/* Attempts; each does nothing to services without a limiter, but limit_pause_for makes one. */
void limit_started(struct broker *broker, struct task *task);
void limit_released(struct broker *broker, struct task *task); /* in nobody's hands any more */
void limit_report(struct broker *broker, struct task *task, enum gate_report report,
                  struct span code);
void limit_correct(struct broker *broker, struct task *task, uint64_t cost);
/* An attempt was told to wait, and so is all of the service. */
void limit_pause_for(struct broker *broker, struct task *task, uint64_t ms, struct span code);

/* For the files limit*.c alone. */
static inline struct span limit_tenant(const struct limit *limit)
{
    return span_of(limit->tenant, limit->tenant_size);
}
struct limit *limit_of_tenant(const struct broker *broker, struct span tenant); /* NULL: none */
struct limiter *limiter_open(struct broker *broker, struct service *service); /* NULL: no memory */
void limit_free(struct broker *broker, struct limit *limit);
/* All that it holds back look again. */
void limit_wake(struct broker *broker, struct limit *limit);
bool limit_values_any(const struct limit_values *values);
/* Tasks that count against it and are in some worker's hands; looks at all leases. */
uint64_t limit_leased(const struct broker *broker, const struct limit *limit);

const char *hold_reason_name(enum hold_reason reason);
void limit_row(const struct broker *broker, struct doc *doc, const struct roster_place *place);
/* For a QUERY that asks only for one service. */
bool limit_matches(const struct roster_place *place, const struct query *query);
void gate_row(const struct broker *broker, struct doc *doc, const struct service *service);
void limit_check(const struct broker *broker);

#endif
