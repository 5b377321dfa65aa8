/* account: what one fairness key has taken of a service, and whether it may have more now.
 *
 * Rules may name a key of a service, or each of its keys by itself (limit.h). A key that some rule
 * names has an account: a meter for each of the two, and its flows, one of each priority and
 * version. When the key may start nothing its account is closed and its flows leave the ring, so
 * that nobody looks at them and all others have their turns; when that changes they join again,
 * each at the end of its priority, first whose last turn is longest ago: also of a key that may
 * start one task at a time all have their turns. Closing and opening touch as many flows as the key
 * uses priorities and versions.
 *
 * An account lives as long as it has flows, and then, while its meters remember something, among
 * the ACCOUNTS_IDLE_MAX that were used last. A service without such rules has none. Owner: the
 * broker's pool. */
#ifndef SLUICE_BROKER_CORE_ACCOUNT_H
#define SLUICE_BROKER_CORE_ACCOUNT_H

#include "broker/core/meter.h"
#include "broker/core/wheel.h"
#include "common/table.h"
#include "proto/limits.h"

struct broker;
struct flow;
struct limit;
struct limiter;
struct peer;
struct service;
struct submit;

#define ACCOUNTS_IDLE_MAX 16384

/* Why something does not start. */
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

/* The rules that may name a key. */
enum account_rule { ACCOUNT_KEY, ACCOUNT_EACH };
#define ACCOUNT_RULES (ACCOUNT_EACH + 1)

struct account {
    struct table_node node;   /* broker->accounts */
    struct list link;         /* limiter->accounts */
    struct list age_link;     /* broker->accounts_by_age, while it has no flow */
    struct service *service;
    struct limit *limits[ACCOUNT_RULES]; /* by enum account_rule; NULL: none. One there is */
    struct meter meters[ACCOUNT_RULES];
    struct list flows;        /* by account_link; in the order in which they have their turns */
    struct hold hold;         /* closed: why; else HOLD_NONE */
    struct timer timer;       /* closed, and known until when */
    uint64_t submitter;       /* as of a flow: serial of the peer that is the key; 0: `key` is */
    uint64_t seen;            /* leases, by broker_check, which leaves 0 */
    uint8_t key_size;
    uint8_t key[KEY_MAX];
};

/* A flow of a service with a limiter comes; one goes. False: no memory for its account. */
bool account_join(struct broker *broker, struct flow *flow);
void account_leave(struct broker *broker, struct flow *flow);
/* Of the key of `submit`; NULL: nothing is known of it. */
struct account *account_of(const struct broker *broker, const struct service *service,
                           const struct peer *peer, const struct submit *submit);

static inline bool account_closed(const struct account *account)
{
    return account->hold.reason != HOLD_NONE;
}

/* Whether, and why not, a task of its key that costs `cost` may start by its rules. */
struct hold account_ask(const struct broker *broker, const struct account *account,
                        uint64_t cost);
/* Nothing of it starts, for `hold`. */
void account_close(struct broker *broker, struct account *account, const struct hold *hold);
/* What closed it may have changed: its flows wait for their turns again. */
void account_open(struct broker *broker, struct account *account);
/* The first task of a flow has changed: another one may cost less. */
void account_look(struct broker *broker, struct account *account);

/* A rule for keys is found from now on: those that it names have an account, and what runs of them
 * counts. False: no memory; unbind it. Looks at all flows and leases of the service. */
bool accounts_bind(struct broker *broker, struct limit *limit);
/* It is not found any more. */
void accounts_unbind(struct broker *broker, struct limit *limit);
/* Its values are about to change: what has passed is paid as they were; and have changed. */
void accounts_settle(struct broker *broker, struct limit *limit);
void accounts_refresh(struct broker *broker, struct limit *limit);

/* Of the rule of one key, for QUERY: the key's meter. NULL: it has no task. */
const struct meter *account_meter(const struct broker *broker, const struct limit *limit);
void accounts_check(const struct broker *broker);

#endif
