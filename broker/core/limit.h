/* limit: what a service, a tenant and a fairness key may take, and who waits for it.
 *
 * A rule (struct limit) bounds the tasks of one service; of one tenant, there or over all
 * services; of one fairness key of a service, or of each of its keys by itself. All rules that
 * match a task hold at once: the smallest wins. A limiter is what a service has that some rule or
 * its gate concerns; a service without one costs a test of a pointer and nothing more.
 *
 * What a key's rule holds back is that key alone: its account is closed (account.h). What the
 * rule of the service, or of the tenant, or the gate holds back is the service (all of its tasks
 * are that tenant's: until peers are authenticated there is one): it hands out nothing, its limiter
 * says why, and is woken by its timer, by the end of one of its own tasks, or by that of another
 * of its tenant. */
#ifndef SLUICE_BROKER_CORE_LIMIT_H
#define SLUICE_BROKER_CORE_LIMIT_H

#include "broker/core/account.h"
#include "broker/core/gate.h"
#include "broker/core/meter.h"
#include "broker/core/roster.h"
#include "broker/core/wheel.h"
#include "common/table.h"

struct broker;
struct doc;
struct peer;
struct service;
struct submit;
struct task;

#define LIMIT_RULES_MAX 4096

/* What a limiter that a tenant's rule holds back waits for. */
enum limit_wait { WAITS_RELEASE, WAITS_BUDGET };

/* The key of a rule for each key by itself. */
#define LIMIT_EACH_KEY "*"

struct limit {
    struct table_node node;    /* broker->limits */
    struct roster_place place; /* broker->limit_rows */
    struct service *service;   /* NULL: a tenant's, whatever the service */
    uint32_t tenant_size;      /* 0: of no tenant */
    uint8_t tenant[PEER_NAME_MAX];
    uint8_t key_size;          /* 0: of no key */
    uint8_t key[KEY_MAX];
    struct limit_values values;
    struct meter_bounds bounds;
    struct meter meter;        /* of a key's rule in_use alone, summed up: accounts have the rest */
    uint64_t keys_held;        /* a key's: accounts that are closed, it being what holds longest */
    uint64_t keys_seen;        /* of those, by broker_check, which leaves 0 */
    struct list waiters[2];    /* a tenant's: limiters that it holds back, by enum limit_wait */
};

static inline struct span limit_tenant(const struct limit *limit)
{
    return span_of(limit->tenant, limit->tenant_size);
}
static inline struct span limit_key(const struct limit *limit)
{
    return span_of(limit->key, limit->key_size);
}

struct limiter {
    struct service *service;
    struct limit *limit; /* the service's own; NULL: none */
    uint64_t rules;      /* that name the service */
    uint64_t tenant_rules, key_rules; /* of those: with a tenant, with a key */
    struct list accounts;
    struct gate_bounds gate_bounds;
    struct gate gate;
    struct hold hold;    /* as of the last time that tasks were handed out */
    struct timer timer;
    struct list link;    /* hold.limit->waiters, of a tenant's */
    struct limit *woken_by; /* in this step; NULL: by none */
};

/* Sets what is not LIMIT_UNCHANGED in the rule of `service`, of its `key` or of `tenant` there;
 * `service` empty: of all that `tenant` does. BAD_MESSAGE: values out of bounds, or of no use
 * there; UNSUPPORTED: a key of a tenant; LIMIT_EXCEEDED: too many. */
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
enum limit_answer {
    LIMIT_START,
    LIMIT_NEXT, /* its key may not: it has left the ring, and it is another's turn */
    LIMIT_STOP, /* nothing of the service may */
};
enum limit_answer limit_may_start(struct broker *broker, struct task *task);
/* Its tasks have been handed out, as far as that goes. */
void limit_settle(struct broker *broker, struct service *service);
/* SUBMIT to `service` (NULL: one that nobody knows yet); what its rules and its breaker refuse. */
enum error_code limit_admit(const struct broker *broker, const struct service *service,
                            const struct peer *peer, const struct submit *submit,
                            uint64_t *retry_after_ms);

/* Attempts; each does nothing to services without a limiter, but limit_pause_for makes one. */
void limit_started(struct broker *broker, struct task *task);
void limit_released(struct broker *broker, struct task *task); /* in nobody's hands any more */
void limit_report(struct broker *broker, struct task *task, enum gate_report report,
                  struct span code);
void limit_correct(struct broker *broker, struct task *task, uint64_t cost);
/* An attempt was told to wait, and so is all of the service. */
void limit_pause_for(struct broker *broker, struct task *task, uint64_t ms, struct span code);

/* For the files limit*.c and account.c alone. */
/* NULL: no memory. */
struct limiter *limiter_open(struct broker *broker, struct service *service);
/* Back to the plain path, if nothing needs it any more. */
void limiter_drop(struct broker *broker, struct limiter *limiter);
/* It fires when what holds the service may have changed. */
void limiter_arm(struct broker *broker, struct limiter *limiter);
void limiter_gate_changed(struct broker *broker, struct limiter *limiter);
/* The rule of a tenant (`service` NULL: everywhere) or of a key; NULL: none. Not the service's. */
struct limit *limit_find(const struct broker *broker, const struct service *service,
                         struct span tenant, struct span key);
uint32_t limit_hash(const struct broker *broker, const struct service *service,
                    struct span tenant, struct span key);
/* *hold becomes what `meter` says, if that takes longer. */
void limit_meter_ask(const struct broker *broker, struct limit *limit, const struct meter *meter,
                     uint64_t cost, struct hold *hold);
/* Every task in a worker's hands, of one service unless it is NULL. */
void limit_each_lease(const struct broker *broker, const struct service *service,
                      void (*visit)(const struct task *task, void *context), void *context);
void limit_free(struct broker *broker, struct limit *limit);
/* All that it holds back look again. */
void limit_wake(struct broker *broker, struct limit *limit);
/* What is LIMIT_UNCHANGED in `said` stays. */
void limit_values_merge(struct limit_values *values, const struct limit_values *said);
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
