/* shadow_key: what PROTOCOL.md, 4.2 and 4.6 say of a service's fairness keys, kept by events alone:
 * the operator's rules for them, what their rates allow, and when their tasks started.
 *
 * The keys are those that the simulator's submitters use; other keys and sessions share only in the
 * rule for each key. */
#ifndef SLUICE_TESTS_SIM_SHADOW_KEY_H
#define SLUICE_TESTS_SIM_SHADOW_KEY_H

#include "proto/message.h"

struct model;
struct shadow_task;

#define SHADOW_KEYS 3       /* "k1", "k2", "k3" */
#define SHADOW_KEY_STARTS 32
#define SHADOW_KEY_USES 256

struct shadow_rate {
    uint64_t interval_ns, tolerance_ns; /* 0: none */
};

/* What attempts are known to have cost since a budget was set. */
struct shadow_spend {
    uint64_t since_ms;     /* the first one; meaningless while nothing has started */
    bool began;
    int64_t total;
};

/* Tasks of one key and one priority that ask for no version. */
struct shadow_flow {
    uint64_t starts[SHADOW_KEY_STARTS]; /* when its last tasks started, by model->orders, a ring */
    uint64_t count;
    uint64_t idle;         /* nothing of it was ready, the last time that this was seen */
};

struct shadow_keys {
    struct limit_values rules[SHADOW_KEYS + 1]; /* the last one: of each key */
    struct shadow_rate rates[SHADOW_KEYS + 1];
    uint64_t arrival_ns[SHADOW_KEYS][2];        /* by the key's own rate, by that of each */
    struct shadow_spend spend[SHADOW_KEYS][2];  /* the same of budgets */
    uint64_t changed;                           /* when a rule was, by model->orders */
    struct shadow_flow flows[SHADOW_KEYS][PRIORITY_MAX + 1];
};

/* Tasks in hands, by a hash of service and key: where two meet it is too many. */
struct shadow_key_uses {
    uint32_t tasks[SHADOW_KEY_USES];
};

/* Place of its fairness key; -1: another key, or none. */
int shadow_key_of(const struct shadow_task *task);
bool shadow_key_same(const struct shadow_task *a, const struct shadow_task *b);
/* A key's rule, or SHADOW_KEYS: that of each, is `values` from now on. */
void shadow_keys_set(struct model *model, struct shadow_keys *keys, unsigned rule,
                     const struct limit_values *values);
uint64_t shadow_key_weight(const struct shadow_keys *keys, unsigned key);
/* Some rule may hold it back. */
bool shadow_key_bound(const struct shadow_keys *keys, int key);
/* Its rates allow one more start. */
bool shadow_key_rates_let(const struct shadow_keys *keys, unsigned key, uint64_t now_ms);
/* An attempt of `cost` is within the budgets of all windows there can have been since the first one,
 * or nothing of the present one's is used. True does not mean that it may start. */
bool shadow_key_budgets_let(const struct shadow_keys *keys, unsigned key, uint64_t cost,
                            uint64_t now_ms);
/* A task of the key starts, and uses up its rates and budgets. */
void shadow_key_start(struct shadow_keys *keys, unsigned key, uint64_t cost, uint64_t now_ms);
/* One of its attempts costs so much, or so much more or less than it declared. */
void shadow_key_spend(struct shadow_keys *keys, unsigned key, int64_t cost, uint64_t now_ms);
/* And one of this flow, as number `order` of all that is ordered. */
void shadow_flow_add(struct shadow_flow *flow, uint64_t order);
/* Starts of a flow after `order`; SHADOW_KEY_STARTS: so many, or more. */
uint64_t shadow_flow_since(const struct shadow_flow *flow, uint64_t order);
/* When the `back`th last task started (1: the last one); 0: it never did. */
uint64_t shadow_flow_start(const struct shadow_flow *flow, uint64_t back);

void shadow_key_count(const struct model *model, struct shadow_key_uses *uses);
/* No rule for its key holds a ready task back, for sure. */
bool shadow_key_lets(const struct model *model, const struct shadow_key_uses *uses,
                     const struct shadow_task *task);

#endif
