/* PROTOCOL.md, section 4.6, for fairness keys: a rule holds back the key that it names and nobody
 * else, whatever it bounds; and keys have weights. */
#include "tests/spec/fixture.h"

#include "broker/core/limit.h"

#include <stdio.h>
#include <string.h>

/* Whose rule: of `key` of echo, of `tenant` there, or of echo. NULL: not named. */
static void limit(struct fixture *f, const char *key, const char *tenant,
                  const struct limit_values *values)
{
    limit_of(f, "echo", key != NULL ? key : "", tenant != NULL ? tenant : "", values);
    drop_trace(f);
}

static void limit_concurrency(struct fixture *f, const char *key, uint64_t concurrency)
{
    struct limit_values values = limits_unchanged();

    values.concurrency = concurrency;
    limit(f, key, NULL, &values);
}

static void submit_as(struct fixture *f, const char *task, const char *key, uint64_t priority,
                      uint64_t cost)
{
    struct submit options = {.priority = priority, .key = span_from_text(key), .cost = cost};

    submit_with(f, "s1", task, "echo", "", &options);
}

/* a1, a2, ... of key a. */
static void submit_many(struct fixture *f, const char *key, unsigned count)
{
    char name[32];

    for (unsigned i = 1; i <= count; i++) {
        snprintf(name, sizeof name, "%s%u", key, i);
        submit_as(f, name, key, 4, 0);
    }
}

static bool runs(struct fixture *f, const char *task)
{
    drop_trace(f);
    query_task(f, "s1", QUERY_STATUS, task);
    return trace_has(f, "state=leased");
}

static void expect_row(struct fixture *f, const char *words)
{
    struct message message = {.command = COMMAND_QUERY};

    drop_trace(f);
    message.query.request = 7;
    message.query.what = QUERY_LIMITS;
    say(f, "s1", &message);
    expect_has(f, words);
}

static void a_key_at_its_cap_holds_nobody_else(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 5);
    limit_concurrency(f, "a", 1);
    submit_many(f, "a", 3);
    submit_many(f, "b", 2);
    submit(f, "s1", "c1", "echo");
    assert_true(runs(f, "a1"));
    assert_true(runs(f, "b1") && runs(f, "b2") && runs(f, "c1"));
    expect_why(f, "a2", "reason=concurrency_cap message=as many tasks of its fairness key run as a "
                        "limit allows at once service=echo key=a ");
    done(f, "w1", "b1", 1, "");
    assert_false(runs(f, "a2")); /* it is a slot of the key's that it waits for */
    done(f, "w1", "a1", 1, "");
    assert_true(runs(f, "a2"));
    assert_false(runs(f, "a3"));
    expect_row(f, "service=echo key=a in_use=1 keys_held=1 concurrency=1");
}

static void each_key_has_a_cap_of_its_own(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 10);
    limit_concurrency(f, "*", 2);
    submit_many(f, "a", 3);
    submit_many(f, "b", 3);
    for (unsigned i = 1; i <= 3; i++) { /* without a key it is the session */
        submit(f, "s1", numbered("c", i), "echo");
    }
    assert_int_equal(stats_of(f).leased, 6);
    expect_why(f, "a3", "reason=concurrency_cap");
    assert_true(trace_has(f, "key=* "));
    expect_row(f, "service=echo key=* in_use=6 keys_held=3 concurrency=2");
    done(f, "w1", "b1", 1, "");
    assert_true(runs(f, "b3"));
    assert_false(runs(f, "a3"));
    assert_false(runs(f, "c3"));
}

static void the_smallest_of_all_limits_wins(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 10);
    limit_concurrency(f, NULL, 4);
    limit_concurrency(f, "*", 2);
    limit_concurrency(f, "a", 3); /* more than each key may have: no use */
    limit_concurrency(f, "b", 1);
    submit_many(f, "a", 4);
    submit_many(f, "b", 4);
    submit_many(f, "c", 4);
    assert_int_equal(stats_of(f).leased, 4);
    assert_true(runs(f, "a2") && runs(f, "b1") && runs(f, "c1"));
    expect_why(f, "c2", "reason=concurrency_cap message=as many tasks run as a limit allows");
    expect_why(f, "a3", "reason=concurrency_cap");
    limit_concurrency(f, NULL, 0);
    assert_int_equal(stats_of(f).leased, 5);
    expect_why(f, "b2", "key=b ");
    expect_why(f, "a3", "key=* ");
    limit_concurrency(f, "*", 0);
    assert_int_equal(stats_of(f).leased, 8);
    expect_why(f, "a4", "key=a ");
}

static void the_limit_that_holds_longest_is_named(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 10);
    values.rate = 10;
    limit(f, NULL, NULL, &values);
    values.rate = 4;
    limit(f, "a", NULL, &values);
    values.rate = 100;
    limit(f, "*", NULL, &values);
    submit_many(f, "a", 2);
    submit_many(f, "b", 1);
    expect_why(f, "a2", "service=echo key=a in_ms=250");
    expect_why(f, "b1", "service=echo in_ms=100");
    expect_row(f, "key=* in_use=1 rate=100\n");
}

static void a_key_is_called_star_at_its_own_risk(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 10);
    limit_concurrency(f, "*", 1);
    submit_many(f, "*", 2);
    assert_int_equal(stats_of(f).leased, 1);
}

static void a_keys_rate_starts_it_at_its_pace(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 100);
    values.rate = 10;
    values.burst = 2;
    limit(f, "*", NULL, &values);
    submit_many(f, "a", 5);
    submit_many(f, "b", 1);
    assert_true(runs(f, "a2") && runs(f, "b1"));
    expect_why(f, "a3", "reason=rate message=a limit allows its fairness key no more starts for now "
                        "service=echo key=* in_ms=100");
    advance_ms(f, 99);
    assert_false(runs(f, "a3"));
    submit_as(f, "b2", "b", 4, 0);
    assert_true(runs(f, "b2"));
    advance_ms(f, 1);
    assert_true(runs(f, "a3"));
    assert_false(runs(f, "a4"));
    advance_ms(f, 200);
    assert_true(runs(f, "a5"));
}

static void a_keys_budget_holds_its_dear_tasks(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 100);
    values.budget = 100;
    values.budget_ms = 1000;
    limit(f, "a", NULL, &values);
    submit_as(f, "a1", "a", 4, 60);
    submit_as(f, "a2", "a", 4, 60);
    submit_as(f, "a3", "a", 4, 10); /* in its order */
    submit_as(f, "b1", "b", 4, 1000);
    assert_true(runs(f, "a1") && runs(f, "b1"));
    assert_false(runs(f, "a3"));
    expect_why(f, "a2", "reason=budget message=its fairness key has used up the cost units of a "
                        "limit's window service=echo key=a in_ms=1000");
    expect_why(f, "a3", "reason=budget"); /* that of the one before it */
    expect_row(f, "key=a in_use=1 keys_held=1 budget=100 budget_ms=1000 used=60 window_end_ms=1000");
    submit_as(f, "a4", "a", 5, 10); /* of a higher priority, and there is room for it */
    assert_true(runs(f, "a4"));
    cancel(f, "s1", "a2", 0);
    assert_true(runs(f, "a3"));
}

static void what_a_task_gives_back_is_its_keys(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 100);
    values.budget = 100;
    limit(f, "*", NULL, &values);
    expect_row(f, "key=* in_use=0 budget=100\n");
    submit_as(f, "a1", "a", 4, 80);
    submit_as(f, "a2", "a", 4, 80);
    assert_false(runs(f, "a2"));
    done_costing(f, "a1", 10);
    assert_true(runs(f, "a2"));
}

static void a_key_that_refuses_says_when(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 100);
    values.rate = 4;
    values.refuse = 1;
    limit(f, "*", NULL, &values);
    submit_as(f, "a1", "a", 4, 0);
    submit_as(f, "a2", "a", 4, 0);
    assert_true(trace_has(f, "RESULT a2 refused code=rate_limited retry_after_ms=250"));
    submit_as(f, "b1", "b", 4, 0);
    submit(f, "s1", "c1", "echo");
    assert_int_equal(stats_of(f).leased, 3);
}

static void what_runs_already_counts(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 10);
    submit_many(f, "a", 2);
    submit_many(f, "b", 2);
    limit_concurrency(f, "*", 2);
    submit_as(f, "a3", "a", 4, 0);
    assert_false(runs(f, "a3"));
    limit_concurrency(f, "a", 3);
    limit_concurrency(f, "*", 0);
    assert_true(runs(f, "a3"));
    expect_row(f, "key=a in_use=3 concurrency=3");
    limit_concurrency(f, "a", 0);
    expect_row(f, "REPLY 7 ok limits\n");
}

/* Its flows of all priorities wait together, and the higher one is first when it may go on. */
static void a_key_waits_with_all_its_priorities(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 10);
    limit_concurrency(f, "a", 1);
    submit_as(f, "a1", "a", 4, 0);
    submit_as(f, "a2", "a", 2, 0);
    submit_as(f, "a3", "a", 7, 0);
    submit_as(f, "b1", "b", 1, 0);
    assert_true(runs(f, "b1"));
    assert_int_equal(stats_of(f).leased, 2);
    done(f, "w1", "a1", 1, "");
    assert_true(runs(f, "a3"));
    done(f, "w1", "a3", 1, "");
    assert_true(runs(f, "a2"));
}

static void a_lost_worker_frees_its_keys(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 10);
    limit_concurrency(f, "a", 1);
    submit_many(f, "a", 2);
    hello(f, "w2");
    offer(f, "w2", "echo", 10);
    bye(f, "w1");
    assert_true(runs(f, "a1")); /* its second attempt, at the front */
    assert_int_equal(stats_of(f).leased, 1);
    cancel(f, "s1", "a1", 0);
    fail_task(f, "w2", "a1", 2, "cancelled", false);
    assert_true(runs(f, "a2"));
}

/* While it was held back, nobody lost a turn, and it gets no turns more for it. */
static void turns_are_as_before_for_the_others(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 2);
    limit_concurrency(f, "a", 1);
    submit_many(f, "a", 2);
    submit_many(f, "b", 2);
    submit_many(f, "c", 2);
    assert_true(runs(f, "b1"));
    done(f, "w1", "a1", 1, "");
    assert_true(runs(f, "b2")); /* a joins again, behind the others */
    done(f, "w1", "b1", 1, "");
    assert_true(runs(f, "c1"));
    done(f, "w1", "b2", 1, "");
    assert_true(runs(f, "a2"));
}

static void weights_are_shares_of_a_round(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();
    unsigned a = 0, b = 0, c = 0;
    char held[16] = "a1";

    given_echo(f, 1);
    submit_many(f, "a", 60); /* one flow is older than its rule */
    values.weight = 3;
    limit(f, "a", NULL, &values);
    values.weight = 2;
    limit(f, "*", NULL, &values);
    submit_many(f, "b", 60);
    submit_many(f, "c", 60);
    values.weight = 1;
    limit(f, "c", NULL, &values);
    for (unsigned i = 0; i < 60; i++) {
        const char *at;

        drop_trace(f);
        done(f, "w1", held, 1, "");
        at = strstr(f->trace, "w1 <- TASK ");
        assert_non_null(at);
        sscanf(at, "w1 <- TASK %15s", held);
        a += held[0] == 'a';
        b += held[0] == 'b';
        c += held[0] == 'c';
    }
    assert_int_equal(a, 30);
    assert_int_equal(b, 20);
    assert_int_equal(c, 10);
}

static void weights_are_of_keys_alone(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();
    struct control control = {.what = CONTROL_LIMIT, .service = span_from_text("echo")};

    given_echo(f, 1);
    values.weight = 2;
    control.limits = values;
    drop_trace(f);
    say_control(f, &control);
    control.key = span_from_text("a");
    control.limits.breaker_failures = 1;
    say_control(f, &control);
    control.limits.breaker_failures = LIMIT_UNCHANGED;
    control.key = span_from_text("a\n");
    say_control(f, &control);
    control.key = span_from_text("a");
    control.limits.weight = WEIGHT_MAX + 1;
    say_control(f, &control);
    expect_trace(f, "[   0] s1 <- REPLY 9 failed code=bad_message\n"
                    "[   0] s1 <- REPLY 9 failed code=bad_message\n"
                    "[   0] s1 <- REPLY 9 failed code=bad_message\n"
                    "[   0] s1 <- REPLY 9 failed code=bad_message\n");
}

static void a_tenant_is_bounded_at_one_service(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 10);
    hello(f, "w2");
    offer(f, "w2", "leaf", 10);
    values.concurrency = 2;
    limit(f, NULL, "default", &values);
    values.concurrency = 1;
    limit(f, NULL, "somebody", &values);
    submit_many(f, "a", 3);
    for (unsigned i = 1; i <= 3; i++) {
        submit(f, "s1", numbered("l", i), "leaf");
    }
    assert_int_equal(stats_of(f).leased, 5);
    expect_why(f, "a3", "reason=concurrency_cap message=as many tasks run as a limit allows at once "
                        "service=echo tenant=default ");
    expect_row(f, "service=echo tenant=default in_use=2 concurrency=2");
    done(f, "w1", "a1", 1, "");
    assert_true(runs(f, "a3"));
}

/* What a key has used is remembered when none of its tasks is. */
static void a_key_is_remembered_while_its_rate_is_used_up(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    f->options.retain_tasks = 0;
    f->options.silence_ms = 3600 * 1000;
    fixture_restart(f);
    given_echo(f, 10);
    values.rate = 1;
    values.rate_ms = 60000;
    limit(f, "*", NULL, &values);
    submit_many(f, "a", 1);
    done(f, "w1", "a1", 1, "");
    submit_as(f, "a2", "a", 4, 0);
    assert_false(runs(f, "a2"));
    expect_why(f, "a2", "in_ms=60000");
    advance_ms(f, 60000);
    assert_true(runs(f, "a2"));
    done(f, "w1", "a2", 1, "");
    advance_ms(f, 60000);
    for (unsigned i = 1; i <= 5; i++) { /* each key that goes sweeps away what is over */
        char key[16], name[32];

        snprintf(key, sizeof key, "k%u", i);
        snprintf(name, sizeof name, "%s1", key);
        submit_many(f, key, 1);
        done(f, "w1", name, 1, "");
        advance_ms(f, i == 3 ? 60000 : 1);
    }
    submit_as(f, "k0", "k5", 4, 0);
    assert_false(runs(f, "k0"));
    limit(f, "*", NULL, &(struct limit_values){0});
    assert_true(runs(f, "k0"));
}

/* Made-up keys push out what is remembered of others, never more than there is room for. */
static void what_is_remembered_of_keys_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    f->options.retain_tasks = 0;
    fixture_restart(f);
    given_echo(f, 10);
    values.rate = 1;
    values.rate_ms = 3600 * 1000;
    limit(f, "*", NULL, &values);
    submit_many(f, "held", 2); /* one that is forgotten while it is held back */
    cancel(f, "s1", "held2", 0);
    done(f, "w1", "held1", 1, "");
    expect_row(f, "keys_held=1");
    f->quiet = true;
    for (unsigned i = 0; i < ACCOUNTS_IDLE_MAX + 10; i++) {
        const char *name = numbered("k", i);

        submit_as(f, name, name, 4, 0);
        done(f, "w1", name, 1, "");
    }
    f->quiet = false;
    submit_as(f, "x1", "k0", 4, 0);
    assert_true(runs(f, "x1")); /* forgotten: a full burst */
    submit_as(f, "x2", "k100", 4, 0);
    assert_false(runs(f, "x2"));
    expect_row(f, "keys_held=1"); /* that one */
    limit(f, "*", NULL, &(struct limit_values){0});
    assert_true(runs(f, "x2"));
}

/* Ten thousand keys, each of which may run one at once, with all the rest parked: were all of them
 * looked at for each task, this would be a billion looks. */
static void many_keys_that_wait_cost_no_more(void **state)
{
    enum { KEYS = 10000, TASKS = 5 };
    struct fixture *f = *state;

    f->options.service.max_tasks = f->options.window_tasks = KEYS * TASKS;
    fixture_restart(f);
    given_echo(f, CREDIT_MAX);
    limit_concurrency(f, "*", 1);
    f->quiet = true;
    for (unsigned i = 0; i < KEYS * TASKS; i++) {
        submit_as(f, numbered("t", i), numbered("k", i % KEYS), 4, 0);
    }
    assert_int_equal(stats_of(f).leased, KEYS);
    for (unsigned i = 0; i < KEYS * TASKS; i++) {
        done(f, "w1", numbered("t", i), 1, "");
    }
    assert_int_equal(stats_of(f).done, KEYS * TASKS);
    f->quiet = false;
    drop_trace(f);
    submit(f, "s1", "last", "echo"); /* and all adds up */
    assert_true(runs(f, "last"));
}

/* A rule keeps its service known, and no timer runs for that. */
static void a_rule_needs_no_timer(void **state)
{
    struct fixture *f = *state;

    hello(f, "s1");
    limit_concurrency(f, "a", 1);
    bye(f, "s1");
    assert_int_equal(broker_deadline(f->broker), BROKER_NEVER);
    advance_ms(f, 10 * f->options.service_linger_ms);
    assert_int_equal(stats_of(f).services, 1);
    hello(f, "s1");
    limit_concurrency(f, "a", 0);
    bye(f, "s1");
    advance_ms(f, f->options.service_linger_ms);
    assert_int_equal(stats_of(f).services, 0);
}

/* Another one of the key always stands behind it. */
static void expect_turn(struct fixture *f, const char *task)
{
    struct submit plain = {.key = span_from_text("a")};
    char name[16], last[16] = "t0";

    for (unsigned i = 1; i <= 3; i++) {
        snprintf(name, sizeof name, "t%u", i);
        submit_with(f, "s1", name, "echo", "", &plain);
        drop_trace(f);
        done(f, "w1", last, 1, "");
        if (trace_has(f, task)) {
            return;
        }
        snprintf(last, sizeof last, "%s", name);
    }
    fail_msg("three that came later have started before it");
}

static void versions_of_a_key_take_turns(void **state)
{
    struct fixture *f = *state;
    struct message offered = {.command = COMMAND_OFFER};
    struct submit plain = {.key = span_from_text("a")};
    struct submit pinned = {.key = span_from_text("a"), .version = span_from_text("1")};

    given_echo(f, 0);
    limit_concurrency(f, "a", 1);
    offered.offer.service = span_from_text("echo");
    offered.offer.credit = 10;
    offered.offer.version = span_from_text("1");
    say(f, "w1", &offered);
    submit_with(f, "s1", "t0", "echo", "", &plain);
    submit_with(f, "s1", "p", "echo", "", &pinned);
    expect_turn(f, "TASK p");
}

static void parts_of_a_key_have_their_turn(void **state)
{
    struct fixture *f = *state;
    struct submit plain = {.key = span_from_text("a")};
    struct submit all = {.key = span_from_text("a"), .route = ROUTE_ALL};

    given_echo(f, 10);
    limit_concurrency(f, "*", 1);
    submit_with(f, "s1", "t0", "echo", "", &plain);
    submit_with(f, "s1", "all", "echo", "", &all);
    expect_turn(f, "TASK #0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(a_key_at_its_cap_holds_nobody_else),
        SPEC(each_key_has_a_cap_of_its_own),
        SPEC(the_smallest_of_all_limits_wins),
        SPEC(the_limit_that_holds_longest_is_named),
        SPEC(a_key_is_called_star_at_its_own_risk),
        SPEC(a_keys_rate_starts_it_at_its_pace),
        SPEC(a_keys_budget_holds_its_dear_tasks),
        SPEC(what_a_task_gives_back_is_its_keys),
        SPEC(a_key_that_refuses_says_when),
        SPEC(what_runs_already_counts),
        SPEC(a_key_waits_with_all_its_priorities),
        SPEC(a_lost_worker_frees_its_keys),
        SPEC(turns_are_as_before_for_the_others),
        SPEC(weights_are_shares_of_a_round),
        SPEC(weights_are_of_keys_alone),
        SPEC(a_tenant_is_bounded_at_one_service),
        SPEC(a_key_is_remembered_while_its_rate_is_used_up),
        SPEC(what_is_remembered_of_keys_is_bounded),
        SPEC(many_keys_that_wait_cost_no_more),
        SPEC(a_rule_needs_no_timer),
        SPEC(versions_of_a_key_take_turns),
        SPEC(parts_of_a_key_have_their_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
