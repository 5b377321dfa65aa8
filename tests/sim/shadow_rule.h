/* shadow_rule: what PROTOCOL.md, 4.6 says of one rule: values, what is used of its budget, and when the
 * last attempts under it started. */
#ifndef SLUICE_TESTS_SIM_SHADOW_RULE_H
#define SLUICE_TESTS_SIM_SHADOW_RULE_H

#include "proto/message.h"
#include "tests/sim/shadow_budget.h"

#define SHADOW_STARTS 64

struct shadow_rule {
    struct limit_values values;
    struct shadow_budget budget;
    uint64_t starts[SHADOW_STARTS]; /* since the rate was set, as a ring */
    uint64_t start_count;
};

/* What is not LIMIT_UNCHANGED holds from now on. */
void shadow_rule_set(struct shadow_rule *rule, const struct limit_values *said, uint64_t now_ms);
bool shadow_rule_any(const struct limit_values *values);
/* An attempt starts. */
void shadow_rule_start(struct shadow_rule *rule, uint64_t cost, uint64_t now_ms);
/* In any time no more than burst + rate * time have started, the last one just now. Else false, and
 * how many since when. */
bool shadow_rule_paced(const struct shadow_rule *rule, uint64_t now_ms, uint64_t *count,
                       uint64_t *since_ms);
/* One more may start by the rate: for sure, which is to a nanosecond a start. */
bool shadow_rule_rate_lets(const struct shadow_rule *rule, uint64_t now_ms);

#endif
