#include "broker/core/account.h"

#include "broker/core/state.h"
#include "common/mutant.h"

static struct span account_key(const struct account *account)
{
    return span_of(account->key, account->key_size);
}

/* ---- finding ---------------------------------------------------------------------- */

static uint32_t account_hash(const struct broker *broker, const struct service *service,
                             uint64_t submitter, struct span key)
{
    uint64_t serials[2] = {service->place.serial, submitter};
    uint8_t text[sizeof serials + KEY_MAX];

    memcpy(text, serials, sizeof serials);
    if (key.size > 0) {
        memcpy(text + sizeof serials, key.data, key.size);
    }
    return broker_hash(broker, text, sizeof serials + key.size);
}

static struct account *account_find(const struct broker *broker, const struct service *service,
                                    uint64_t submitter, struct span key)
{
    uint32_t hash = account_hash(broker, service, submitter, key);
    struct table_node *node = table_chain(&broker->accounts, hash);

    for (; node != NULL; node = node->next) {
        struct account *account = table_entry(node, struct account, node);

        if (node->hash == hash && account->service == service &&
            account->submitter == submitter && span_equal(account_key(account), key)) {
            return account;
        }
    }
    return NULL;
}

struct account *account_of(const struct broker *broker, const struct service *service,
                           const struct peer *peer, const struct submit *submit)
{
    return account_find(broker, service, submit->key.size > 0 ? 0 : peer->place.serial,
                        submit->key);
}

/* The rule of this kind that names the key; NULL: none. */
static struct limit *rule_of(const struct broker *broker, const struct service *service,
                             struct span key, enum account_rule kind)
{
    const struct span none = span_of(NULL, 0);

    if (kind == ACCOUNT_EACH) {
        return limit_find(broker, service, none, span_from_text(LIMIT_EACH_KEY));
    }
    return key.size > 0 && !span_is(key, LIMIT_EACH_KEY) ? limit_find(broker, service, none, key)
                                                         : NULL;
}

/* ---- lives -------------------------------------------------------------------------- */

static void account_free(struct broker *broker, struct account *account)
{
    CHECK(list_empty(&account->flows));
    account_open(broker, account); /* it may be forgotten while it is closed */
    list_unlink(&account->link);
    list_unlink(&account->age_link);
    table_remove(&broker->accounts, &account->node);
    pool_put(&broker->account_pool, account);
}

/* As a new one would be: nothing runs, nothing is used up. */
static bool account_blank(const struct broker *broker, const struct account *account)
{
    for (unsigned i = 0; i < ACCOUNT_RULES; i++) {
        if (account->limits[i] != NULL &&
            !meter_blank(&account->limits[i]->bounds, &account->meters[i], broker->now_ms)) {
            return false;
        }
    }
    return true;
}

/* No flow of it is left. Each one that goes takes with it up to two of the oldest that are not
 * worth remembering any more, so that these never pile up. */
static void account_retire(struct broker *broker, struct account *account)
{
    if (account_blank(broker, account)) {
        account_free(broker, account);
        return;
    }
    list_push_back(&broker->accounts_by_age, &account->age_link);
    broker->accounts_idle++;
    for (unsigned i = 0; i < 2; i++) {
        struct account *oldest = list_entry(list_first(&broker->accounts_by_age), struct account,
                                            age_link);

        if (broker->accounts_idle <= ACCOUNTS_IDLE_MAX && !account_blank(broker, oldest)) {
            return; /* this very one at the latest */
        }
        broker->accounts_idle--;
        account_free(broker, oldest);
    }
}

static struct account *account_new(struct broker *broker, struct service *service,
                                   uint64_t submitter, struct span key)
{
    struct account *account = pool_get(&broker->account_pool);

    if (account == NULL) {
        return NULL;
    }
    account->service = service;
    account->submitter = submitter;
    account->key_size = (uint8_t)key.size;
    if (key.size > 0) {
        memcpy(account->key, key.data, key.size);
    }
    for (unsigned i = 0; i < ACCOUNT_RULES; i++) {
        account->limits[i] = rule_of(broker, service, key, i);
        meter_init(&account->meters[i]);
    }
    list_init(&account->link);
    list_init(&account->age_link);
    list_init(&account->flows);
    timer_init(&account->timer, TIMER_ACCOUNT);
    list_push_back(&service->limiter->accounts, &account->link);
    table_insert(&broker->accounts, &account->node,
                 account_hash(broker, service, submitter, key));
    return account;
}

static uint64_t account_weight(const struct account *account)
{
    for (unsigned i = 0; i < ACCOUNT_RULES; i++) {
        if (account->limits[i] != NULL && account->limits[i]->values.weight > 0 &&
            !MUTANT(WEIGHT_IGNORED)) {
            return account->limits[i]->values.weight;
        }
    }
    return 1;
}

static void account_weigh(struct account *account)
{
    list_each(link, &account->flows) {
        list_entry(link, struct flow, account_link)->turn.weight = account_weight(account);
    }
}

bool account_join(struct broker *broker, struct flow *flow)
{
    struct service *service = flow->service;
    struct span key = span_of(flow->key, flow->key_size);
    struct account *account;

    if (service->limiter->key_rules == 0 ||
        (rule_of(broker, service, key, ACCOUNT_KEY) == NULL &&
         rule_of(broker, service, key, ACCOUNT_EACH) == NULL)) {
        return true;
    }
    account = account_find(broker, service, flow->submitter, key);
    if (account == NULL) {
        account = account_new(broker, service, flow->submitter, key);
    } else if (!list_empty(&account->age_link)) {
        list_unlink(&account->age_link);
        broker->accounts_idle--;
    }
    if (account == NULL) {
        return false;
    }
    flow->account = account;
    flow->turn.weight = account_weight(account);
    list_push_back(&account->flows, &flow->account_link);
    return true;
}

void account_leave(struct broker *broker, struct flow *flow)
{
    struct account *account = flow->account;

    if (account != NULL) {
        flow->account = NULL;
        list_unlink(&flow->account_link);
        if (list_empty(&account->flows)) {
            account_retire(broker, account);
        }
    }
}

/* ---- opening and closing -------------------------------------------------------------- */

struct hold account_ask(const struct broker *broker, const struct account *account,
                        uint64_t cost)
{
    struct hold hold = {.reason = HOLD_NONE};

    for (unsigned i = 0; i < ACCOUNT_RULES && !MUTANT(KEY_CAP_IGNORED); i++) {
        if (account->limits[i] != NULL) {
            limit_meter_ask(broker, account->limits[i], &account->meters[i], cost, &hold);
        }
    }
    return hold;
}

void account_close(struct broker *broker, struct account *account, const struct hold *hold)
{
    CHECK(!account_closed(account));
    CHECK(hold->reason != HOLD_NONE);
    account->hold = *hold;
    hold->limit->keys_held++;
    list_each(link, &account->flows) {
        flow_leave(list_entry(link, struct flow, account_link));
    }
    if (hold->ready_ms != WHEEL_NEVER && !MUTANT(PARKED_KEY_FORGOTTEN)) {
        wheel_arm(&broker->wheel, &account->timer, hold->ready_ms);
    }
}

void account_open(struct broker *broker, struct account *account)
{
    if (!account_closed(account)) {
        return;
    }
    account->hold.limit->keys_held--;
    account->hold = (struct hold){.reason = HOLD_NONE};
    wheel_cancel(&broker->wheel, &account->timer);
    list_each(link, &account->flows) {
        flow_join(list_entry(link, struct flow, account_link));
    }
    service_touch(broker, account->service);
}

void account_look(struct broker *broker, struct account *account)
{
    if (account->hold.reason == HOLD_BUDGET) {
        account_open(broker, account);
    }
}

/* ---- rules change ------------------------------------------------------------------------ */

/* No rule names its key any more; it is open. */
static void account_dissolve(struct broker *broker, struct account *account)
{
    struct list *link;

    while ((link = list_pop_front(&account->flows)) != NULL) {
        struct flow *flow = list_entry(link, struct flow, account_link);

        flow->account = NULL;
        flow->turn.weight = 1;
    }
    if (!list_empty(&account->age_link)) {
        broker->accounts_idle--;
    }
    account_free(broker, account);
}

static enum account_rule kind_of(const struct limit *limit)
{
    return span_is(limit_key(limit), LIMIT_EACH_KEY) ? ACCOUNT_EACH : ACCOUNT_KEY;
}

/* All accounts that the rule names: that of its key, or each one of its service. */
static void each_account(struct broker *broker, struct limit *limit,
                         void (*visit)(struct broker *broker, struct account *account,
                                       struct limit *limit))
{
    struct account *account;

    if (kind_of(limit) == ACCOUNT_KEY) {
        account = account_find(broker, limit->service, 0, limit_key(limit));
        if (account != NULL) {
            visit(broker, account, limit);
        }
        return;
    }
    list_each(link, &limit->service->limiter->accounts) {
        visit(broker, list_entry(link, struct account, link), limit);
    }
}

static void account_bind(struct broker *broker, struct account *account, struct limit *limit)
{
    account->limits[kind_of(limit)] = limit;
    meter_init(&account->meters[kind_of(limit)]);
}

static void account_unbind(struct broker *broker, struct account *account, struct limit *limit)
{
    account_open(broker, account);
    account->limits[kind_of(limit)] = NULL;
    meter_init(&account->meters[kind_of(limit)]);
    if (account->limits[ACCOUNT_KEY] == NULL && account->limits[ACCOUNT_EACH] == NULL) {
        account_dissolve(broker, account);
    } else {
        account_weigh(account);
    }
}

static void account_refresh(struct broker *broker, struct account *account, struct limit *limit)
{
    account_weigh(account);
    account_open(broker, account);
}

static void account_settle(struct broker *broker, struct account *account, struct limit *limit)
{
    meter_settle(&limit->bounds, &account->meters[kind_of(limit)], broker->now_ms);
}

static void count_lease(const struct task *task, void *context)
{
    struct limit *limit = context;
    struct account *account = task->flow->account;

    if (account != NULL && account->limits[kind_of(limit)] == limit) {
        account->meters[kind_of(limit)].in_use++;
        limit->meter.in_use++;
    }
}

bool accounts_bind(struct broker *broker, struct limit *limit)
{
    each_account(broker, limit, account_bind);
    list_each(link, &limit->service->flows) {
        struct flow *flow = list_entry(link, struct flow, service_link);

        if (flow->account == NULL && !account_join(broker, flow)) {
            return false;
        }
    }
    limit_each_lease(broker, limit->service, count_lease, limit);
    accounts_refresh(broker, limit);
    return true;
}

void accounts_unbind(struct broker *broker, struct limit *limit)
{
    each_account(broker, limit, account_unbind);
}

void accounts_settle(struct broker *broker, struct limit *limit)
{
    each_account(broker, limit, account_settle);
}

void accounts_refresh(struct broker *broker, struct limit *limit)
{
    each_account(broker, limit, account_refresh);
}

/* ---- showing and proving ------------------------------------------------------------------ */

const struct meter *account_meter(const struct broker *broker, const struct limit *limit)
{
    const struct account *account = account_find(broker, limit->service, 0, limit_key(limit));

    return account != NULL ? &account->meters[ACCOUNT_KEY] : NULL;
}

static void see_lease(const struct task *task, void *context)
{
    (void)context;
    if (task->flow->account != NULL) {
        task->flow->account->seen++;
    }
}

/* What is closed cannot start, and something will open it. */
static void check_hold(const struct broker *broker, const struct account *account)
{
    const struct hold *hold = &account->hold;
    bool timed = account_closed(account) && hold->ready_ms != WHEEL_NEVER;

    CHECK(timer_armed(&account->timer) == timed || MUTANT(PARKED_KEY_FORGOTTEN));
    CHECK(!timed || hold->ready_ms > broker->now_ms || MUTANT(PARKED_KEY_FORGOTTEN));
    CHECK(hold->reason != HOLD_CONCURRENCY || MUTANT(PARKED_KEY_FORGOTTEN) ||
          account_ask(broker, account, 0).reason == HOLD_CONCURRENCY);
}

static void account_check(const struct broker *broker, struct account *account)
{
    CHECK(account->limits[ACCOUNT_KEY] != NULL || account->limits[ACCOUNT_EACH] != NULL);
    CHECK((account->submitter == 0) == (account->key_size > 0));
    for (unsigned i = 0; i < ACCOUNT_RULES; i++) {
        CHECK(account->limits[i] == rule_of(broker, account->service, account_key(account), i));
        CHECK(account->meters[i].in_use == (account->limits[i] != NULL ? account->seen : 0));
    }
    account->seen = 0;
    list_each(link, &account->flows) {
        const struct flow *flow = list_entry(link, struct flow, account_link);

        CHECK(flow->account == account);
        CHECK(flow->service == account->service);
        CHECK(flow->submitter == account->submitter);
        CHECK(span_equal(span_of(flow->key, flow->key_size), account_key(account)));
        CHECK(flow->turn.weight == account_weight(account));
    }
    CHECK(list_empty(&account->flows) != list_empty(&account->age_link));
    check_hold(broker, account);
    if (account_closed(account)) {
        account->hold.limit->keys_seen++;
    }
}

void accounts_check(const struct broker *broker)
{
    uint64_t accounts = 0, idle = 0;

    limit_each_lease(broker, NULL, see_lease, NULL);
    list_each(s, &broker->services.lanes[0]) {
        const struct service *service = list_entry(s, struct service, place.lanes);

        if (service->limiter == NULL) {
            continue;
        }
        list_each(link, &service->limiter->accounts) {
            CHECK(list_entry(link, struct account, link)->service == service);
            account_check(broker, list_entry(link, struct account, link));
            accounts++;
        }
    }
    list_each(link, &broker->accounts_by_age) {
        idle++;
    }
    CHECK(idle == broker->accounts_idle);
    CHECK(idle <= ACCOUNTS_IDLE_MAX);
    CHECK(accounts == broker->account_pool.used);
    CHECK(accounts == broker->accounts.count);
}
