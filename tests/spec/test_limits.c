/* The promise: limits, pauses and breakers hold back what they should, as long as they should. */
#include "tests/spec/fixture.h"

#include "broker/core/limit.h"

static void control(struct fixture *f, enum control_what what, const char *service,
                    const char *tenant, uint64_t ms, const struct limit_values *values)
{
    struct control control = {.what = what,
                              .service = span_from_text(service),
                              .tenant = span_from_text(tenant),
                              .ms = ms,
                              .limits = values != NULL ? *values : limits_unchanged()};

    say_control(f, &control);
}

static void limit(struct fixture *f, const struct limit_values *values)
{
    control(f, CONTROL_LIMIT, "echo", "", 0, values);
    expect_trace(f, f->now_ms == 0 ? "[   0] s1 <- REPLY 9 ok\n" : f->trace);
}

static void fail_with(struct fixture *f, const char *worker, const char *task, uint64_t attempt,
                      uint64_t retry_after_ms)
{
    struct message message = {.command = COMMAND_FAIL};

    message.fail.id = id_of(task);
    message.fail.attempt = attempt;
    message.fail.error.raw = message.fail.error.code = span_from_text("too_many");
    message.fail.error.retryable = true;
    message.fail.error.retry_after_ms = retry_after_ms;
    message.fail.error.scope_service = retry_after_ms > 0;
    say(f, worker, &message);
}

static void concurrency_holds_what_is_too_much(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 5);
    submit(f, "s1", "t0", "echo");
    drop_trace(f);
    values.concurrency = 2;
    limit(f, &values);
    submit_numbered(f, 3, 0);
    assert_int_equal(stats_of(f).leased, 2); /* t0 counts, though it was there before the rule */
    expect_why(f, "t2", "reason=concurrency_cap");
    done(f, "w1", "t0", 1, "");
    assert_int_equal(stats_of(f).leased, 2);
    values.concurrency = 0;
    control(f, CONTROL_LIMIT, "echo", "", 0, &values);
    assert_int_equal(stats_of(f).leased, 3);
}

static void a_rate_starts_its_burst_and_then_at_its_pace(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 100);
    values.rate = 10;
    values.burst = 3;
    limit(f, &values);
    submit_numbered(f, 10, 0);
    assert_int_equal(stats_of(f).leased, 3);
    expect_why(f, "t4", "reason=rate message=a limit allows no more starts for now service=echo "
                        "in_ms=100");
    advance_ms(f, 99);
    assert_int_equal(stats_of(f).leased, 3);
    advance_ms(f, 1);
    assert_int_equal(stats_of(f).leased, 4);
    advance_ms(f, 600);
    assert_int_equal(stats_of(f).leased, 10);
}

static void a_rate_that_refuses_says_when(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 100);
    values.rate = 4;
    values.refuse = 1;
    limit(f, &values);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    assert_true(trace_has(f, "RESULT t2 refused code=rate_limited retry_after_ms=250"));
    advance_ms(f, 250);
    submit(f, "s1", "t2", "echo");
    assert_int_equal(stats_of(f).leased, 2);
}

static void a_tenant_is_bounded_over_all_services(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 5);
    hello(f, "w2");
    offer(f, "w2", "leaf", 5);
    values.concurrency = 2;
    control(f, CONTROL_LIMIT, "", "default", 0, &values);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    submit(f, "s1", "l1", "leaf");
    submit(f, "s1", "l2", "leaf");
    expect_why(f, "l1", "reason=concurrency_cap");
    done(f, "w1", "t1", 1, "");
    assert_int_equal(stats_of(f).leased, 2);
    expect_why(f, "l1", "reason=running");
    done(f, "w1", "t2", 1, "");
    expect_why(f, "l2", "reason=running");
    values.concurrency = 0;
    control(f, CONTROL_LIMIT, "", "default", 0, &values);
    assert_true(trace_has(f, "REPLY 9 ok"));
}

static void a_429_of_one_of_twenty_workers_pauses_them_all(void **state)
{
    struct fixture *f = *state;

    hello(f, "s1");
    for (unsigned i = 1; i <= 20; i++) {
        const char *name = numbered("w", i);

        hello(f, name);
        offer(f, name, "echo", 1);
    }
    submit_numbered(f, 60, 0);
    assert_int_equal(stats_of(f).leased, 20);
    fail_with(f, "w7", "t7", 1, 5000);
    assert_int_equal(stats_of(f).leased, 19);
    done(f, "w1", "t1", 1, "");
    assert_int_equal(stats_of(f).leased, 18);
    expect_why(f, "t30", "reason=paused");
    assert_true(trace_has(f, "in_ms=5000"));
    advance_ms(f, 4999);
    assert_int_equal(stats_of(f).leased, 18);
    advance_ms(f, 1);
    assert_int_equal(stats_of(f).leased, 19); /* one at first: t21 */
    assert_int_equal(stats_of(f).attempts, 21);
    done(f, "w7", "t21", 1, "");
    done(f, "w1", "t21", 1, "");
    assert_int_equal(stats_of(f).attempts, 23); /* then two */
}

static void the_operator_pauses_and_resumes(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 5);
    control(f, CONTROL_PAUSE, "echo", "", 0, NULL);
    submit_numbered(f, 3, 0);
    assert_int_equal(stats_of(f).leased, 0);
    expect_why(f, "t1", "reason=paused");
    advance_ms(f, 1000);
    assert_int_equal(stats_of(f).leased, 0);
    control(f, CONTROL_RESUME, "echo", "", 0, NULL);
    advance_ms(f, 1);
    assert_int_equal(stats_of(f).leased, 1);
    done(f, "w1", "t1", 1, "");
    assert_int_equal(stats_of(f).leased, 2);
    control(f, CONTROL_PAUSE, "echo", "", 50, NULL);
    submit(f, "s1", "t4", "echo");
    expect_why(f, "t4", "in_ms=50");
    advance_ms(f, 50);
    expect_why(f, "t4", "reason=running");
    drop_trace(f);
    control(f, CONTROL_PAUSE, "nobody", "", 0, NULL);
    assert_true(trace_has(f, "REPLY 9 failed code=not_found"));
}

/* The one that a resuming service lets through may wait for another task of the same service. */
static void resuming_waits_for_nobody_for_ever(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 5);
    control(f, CONTROL_PAUSE, "echo", "", 10, NULL);
    submit_numbered(f, 2, 0);
    advance_ms(f, 10);
    assert_int_equal(stats_of(f).leased, 1);
    advance_ms(f, 999);
    assert_int_equal(stats_of(f).leased, 1);
    advance_ms(f, 1);
    assert_int_equal(stats_of(f).leased, 2);
}

static void a_breaker_opens_probes_and_closes(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 10);
    values.breaker_failures = 3;
    values.breaker_open_ms = 1000;
    values.breaker_probes = 2;
    values.attempts = 1;
    limit(f, &values);
    submit_numbered(f, 4, 0);
    fail_task(f, "w1", "t1", 1, "x", true);
    fail_task(f, "w1", "t2", 1, "x", false); /* final: an answer, and the row begins anew */
    fail_task(f, "w1", "t3", 1, "x", true);
    fail_task(f, "w1", "t4", 1, "x", true);
    submit_numbered(f, 5, 0);
    for (unsigned i = 10; i < 20; i++) {
        submit(f, "s1", numbered("t", i), "echo");
    }
    assert_int_equal(stats_of(f).leased, 10);
    fail_task(f, "w1", "t10", 1, "x", true);
    assert_int_equal(stats_of(f).leased, 9);
    expect_why(f, "t19", "reason=breaker_open");
    assert_true(trace_has(f, "in_ms=1000"));
    advance_ms(f, 1000);
    assert_int_equal(stats_of(f).leased, 10); /* one of two probes: there is no more credit */
    fail_task(f, "w1", "t5", 1, "x", true);   /* began before it opened: says nothing now */
    done(f, "w1", "t19", 1, "");
    submit(f, "s1", "t20", "echo");
    done(f, "w1", "t20", 1, "");
    submit(f, "s1", "t21", "echo");
    expect_why(f, "t21", "reason=running");
}

static void a_probe_that_fails_opens_it_again(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 10);
    values.breaker_percent = 50;
    values.breaker_min = 4;
    values.breaker_refuse = 1;
    values.attempts = 1;
    limit(f, &values);
    submit_numbered(f, 6, 0);
    done(f, "w1", "t1", 1, "");
    done(f, "w1", "t2", 1, "");
    fail_task(f, "w1", "t3", 1, "x", true);
    submit(f, "s1", "t7", "echo");
    fail_task(f, "w1", "t4", 1, "x", true);
    drop_trace(f);
    submit(f, "s1", "t8", "echo");
    assert_true(trace_has(f, "t8 refused code=circuit_open retry_after_ms=5000"));
    advance_ms(f, 5000);
    submit(f, "s1", "t8", "echo");
    submit(f, "s1", "t9", "echo");
    assert_true(trace_has(f, "t9 refused code=circuit_open retry_after_ms=100"));
    lose(f, "w1");
    drop_trace(f);
    submit(f, "s1", "t9", "echo");
    assert_true(trace_has(f, "t9 refused code=circuit_open retry_after_ms=5000"));
}

static void what_is_out_of_bounds_is_refused(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 1);
    values.breaker_percent = 101;
    control(f, CONTROL_LIMIT, "echo", "", 0, &values);
    expect_trace(f, "[   0] s1 <- REPLY 9 failed code=bad_message\n");
    values.breaker_percent = 50;
    control(f, CONTROL_LIMIT, "", "default", 0, &values);
    expect_trace(f, "[   0] s1 <- REPLY 9 failed code=bad_message\n");
    control(f, CONTROL_LIMIT, "", "", 0, &values);
    expect_trace(f, "[   0] s1 <- REPLY 9 failed code=bad_message\n");
}

/* Each value beyond what makes sense, at a service and at a tenant; nothing has changed. */
static void values_have_bounds(void **state)
{
    struct fixture *f = *state;
    unsigned refused = 0;

    given_echo(f, 1);
#define TOO_MUCH(name, max)                                                                        \
    do {                                                                                           \
        struct limit_values values = limits_unchanged();                                           \
                                                                                                   \
        values.name = UINT64_MAX - 1;                                                              \
        drop_trace(f);                                                                             \
        control(f, CONTROL_LIMIT, "echo", "", 0, &values);                                         \
        refused += trace_has(f, "REPLY 9 failed code=bad_message");                                \
    } while (0);
    LIMIT_VALUES(TOO_MUCH)
#undef TOO_MUCH
    assert_int_equal(refused, 22 - 2); /* all but the bounds of queues */
}

/* Queues, breakers and attempts are a service's: a tenant has none. */
static void a_tenant_has_fewer_values(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
#define AT_TENANT(name, max)                                                                       \
    do {                                                                                           \
        struct limit_values values = limits_unchanged();                                           \
                                                                                                   \
        values.name = 1;                                                                           \
        drop_trace(f);                                                                             \
        control(f, CONTROL_LIMIT, "", "default", 0, &values);                                     \
        assert_true(trace_has(f, "REPLY 9 "));                                                     \
        drop_trace(f);                                                                             \
        control(f, CONTROL_LIMIT, "echo", "", 0, &values);                                         \
        assert_true(trace_has(f, "REPLY 9 "));                                                     \
    } while (0);
    LIMIT_VALUES(AT_TENANT)
#undef AT_TENANT
    drop_trace(f);
    query_task(f, "s1", QUERY_STATS, "t1");
    assert_true(trace_has(f, "REPLY"));
}

static void strange_names_are_refused(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();
    struct control keyed = {.what = CONTROL_LIMIT, .key = span_from_text("ann")};

    given_echo(f, 1);
    drop_trace(f);
    values.concurrency = 1;
    control(f, CONTROL_LIMIT, "no name", "", 0, &values);
    control(f, CONTROL_LIMIT, "", "", 0, &values);
    keyed.limits = values;
    say_control(f, &keyed);
    keyed.service = span_from_text("echo");
    keyed.tenant = span_from_text("default");
    say_control(f, &keyed);
    expect_trace(f, "[   0] s1 <- REPLY 9 failed code=bad_message\n"
                    "[   0] s1 <- REPLY 9 failed code=bad_message\n"
                    "[   0] s1 <- REPLY 9 failed code=bad_message\n"
                    "[   0] s1 <- REPLY 9 failed code=unsupported\n");
}

static void limits_are_listed(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();
    struct message message = {.command = COMMAND_QUERY};

    given_echo(f, 5);
    values.rate = 10;
    values.burst = 5;
    values.budget = 1000;
    limit(f, &values);
    submit_numbered(f, 2, 100);
    drop_trace(f);
    message.query.request = 3;
    message.query.what = QUERY_LIMITS;
    say(f, "s1", &message);
    expect_trace(f, "[   0] s1 <- REPLY 3 ok limits service=echo in_use=2 rate=10 burst=5 "
                    "tokens=3 budget=1000 used=200 window_end_ms=60000 gate=closed\n");
}

static void query_limits(struct fixture *f, const char *service)
{
    struct message message = {.command = COMMAND_QUERY};

    drop_trace(f);
    message.query.request = 3;
    message.query.what = QUERY_LIMITS;
    message.query.service = span_from_text(service);
    say(f, "s1", &message);
}

static void limits_are_listed_by_service(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 5);
    values.concurrency = 3;
    control(f, CONTROL_LIMIT, "echo", "", 0, &values);
    control(f, CONTROL_LIMIT, "", "acme", 0, &values);
    control(f, CONTROL_PAUSE, "echo", "", 0, NULL);
    query_limits(f, "echo");
    expect_trace(f, "[   0] s1 <- REPLY 3 ok limits service=echo in_use=0 concurrency=3 "
                    "gate=paused cause=operator code= since_ms=0\n");
    query_limits(f, "");
    assert_true(trace_has(f, "service=echo in_use=0"));
    assert_true(trace_has(f, "service=* tenant=acme in_use=0 concurrency=3"));
    query_limits(f, "nobody");
    assert_false(trace_has(f, "service=*"));
}

/* What a service's task gives back may be what another service's waits for. */
static void a_tenants_budget_given_back_is_for_all_its_services(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();
    struct submit costly = {.cost = 60};

    given_echo(f, 5);
    hello(f, "w2");
    offer(f, "w2", "leaf", 5);
    values.budget = 100;
    values.budget_ms = 60000;
    control(f, CONTROL_LIMIT, "", "default", 0, &values);
    submit_with(f, "s1", "t1", "echo", "", &costly);
    submit_with(f, "s1", "l1", "leaf", "", &costly);
    expect_why(f, "l1", "reason=budget");
    done_costing(f, "t1", 10);
    expect_why(f, "l1", "reason=running");
}

/* The operator's file is a rule like any other. */
static void a_configured_limit_holds_from_the_next_step(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();
    struct span echo = span_from_text("echo"), none = span_of(NULL, 0);

    values.rate = 10;
    values.concurrency = 1;
    assert_true(broker_configure_limit(f->broker, echo, none, none, &values));
    given_echo(f, 100);
    submit_numbered(f, 2, 0);
    assert_int_equal(stats_of(f).leased, 1);
    values.concurrency = 0;
    values.rate = 0;
    assert_true(broker_configure_limit(f->broker, echo, none, none, &values));
    submit(f, "s1", "t3", "echo");
    assert_int_equal(stats_of(f).leased, 3);
    assert_false(broker_configure_limit(f->broker, none, none, none, &values));
}

static void values_of_a_service_go_back_to_the_brokers(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 0);
    values.max_tasks = 1;
    values.max_bytes = 1;
    values.attempts = 1;
    values.backoff_ms = 1;
    values.max_run_ms = 1;
    limit(f, &values);
    submit(f, "s1", "t0", "echo");
    submit(f, "s1", "t1", "echo");
    assert_true(trace_has(f, "RESULT t1 refused code=queue_full"));
    values = limits_unchanged();
    values.max_tasks = values.max_bytes = values.attempts = 0;
    values.backoff_ms = values.max_run_ms = 0;
    control(f, CONTROL_LIMIT, "echo", "", 0, &values);
    drop_trace(f);
    submit_with(f, "s1", "t1", "echo", "ab", NULL);
    submit_with(f, "s1", "t2", "echo", "ab", NULL);
    assert_int_equal(stats_of(f).ready, 3);
    query_limits(f, "echo");
    expect_trace(f, "[   0] s1 <- REPLY 3 ok limits\n");
}

/* A page of answers, and no way to make the broker keep more rules than it has services. */
static void rules_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    f->options.services_max = 8;
    f->options.peers_max = 8;
    fixture_restart(f);
    hello(f, "s1");
    f->quiet = true;
    values.concurrency = 1;
    for (unsigned i = 0; i < LIMIT_RULES_MAX; i++) {
        control(f, CONTROL_LIMIT, "", numbered("t", i), 0, &values);
    }
    f->quiet = false;
    drop_trace(f);
    control(f, CONTROL_LIMIT, "", "another", 0, &values);
    expect_trace(f, "[   0] s1 <- REPLY 9 failed code=limit_exceeded\n");
    control(f, CONTROL_LIMIT, "svc", "", 0, &values);
    expect_trace(f, "[   0] s1 <- REPLY 9 failed code=limit_exceeded\n");
    values.concurrency = 0;
    control(f, CONTROL_LIMIT, "", "t0", 0, &values);
    values.concurrency = 1;
    drop_trace(f);
    control(f, CONTROL_LIMIT, "", "another", 0, &values);
    expect_trace(f, "[   0] s1 <- REPLY 9 ok\n");
    control(f, CONTROL_LIMIT, "", "bad\nname", 0, &values);
    expect_trace(f, "[   0] s1 <- REPLY 9 failed code=bad_message\n");
}

static void offer_bounds(struct fixture *f, const char *peer, uint64_t bound)
{
    struct message message = {.command = COMMAND_OFFER};

    hello(f, peer);
    message.offer.service = span_from_text("echo");
    message.offer.max_tasks = bound;
    message.offer.max_bytes = 10 * bound;
    message.offer.attempts = bound;
    say(f, peer, &message);
}

static void an_offer_changes_nothing_that_the_operator_has_set(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 0);
    values.max_tasks = 2;
    values.max_bytes = 10;
    values.attempts = 1;
    limit(f, &values);
    offer_bounds(f, "w2", 100);
    submit_with(f, "s1", "t1", "echo", "12345678", NULL);
    submit_with(f, "s1", "t2", "echo", "12345678", NULL);
    assert_int_equal(f->refused, 1);
    submit(f, "s1", "t3", "echo");
    submit(f, "s1", "t4", "echo");
    assert_int_equal(f->refused, 2);
    query_task(f, "s1", QUERY_STATUS, "t1");
    assert_true(trace_has(f, "attempts=1 "));
    drop_trace(f);
    values.max_tasks = values.max_bytes = values.attempts = 0; /* none any more */
    limit(f, &values);
    offer_bounds(f, "w2", 3);
    submit(f, "s1", "t4", "echo");
    assert_int_equal(f->refused, 2);
    submit(f, "s1", "t5", "echo");
    assert_int_equal(f->refused, 3);
    drop_trace(f);
    query_task(f, "s1", QUERY_STATUS, "t4");
    assert_true(trace_has(f, "attempts=3 "));
}

static void a_lease_holds_for_workers_that_are_there(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();
    struct message message = {.command = COMMAND_OFFER};

    given_echo(f, 1);
    values.lease_ms = 50;
    limit(f, &values);
    submit(f, "s1", "t1", "echo");
    advance_ms(f, 49);
    assert_false(trace_has(f, "CANCEL t1"));
    advance_ms(f, 1);
    assert_true(trace_has(f, "CANCEL t1 attempt=1 reason=lease_expired"));
    message.offer.service = span_from_text("echo"); /* what an offer names is its own */
    message.offer.credit = 10;
    message.offer.lease_ms = 100;
    say(f, "w1", &message);
    submit(f, "s1", "t2", "echo");
    drop_trace(f);
    advance_ms(f, 50);
    assert_false(trace_has(f, "CANCEL t2"));
    advance_ms(f, 50);
    assert_true(trace_has(f, "CANCEL t2 attempt=1 reason=lease_expired"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(concurrency_holds_what_is_too_much),
        SPEC(a_rate_starts_its_burst_and_then_at_its_pace),
        SPEC(a_rate_that_refuses_says_when),
        SPEC(a_tenant_is_bounded_over_all_services),
        SPEC(a_429_of_one_of_twenty_workers_pauses_them_all),
        SPEC(the_operator_pauses_and_resumes),
        SPEC(resuming_waits_for_nobody_for_ever),
        SPEC(a_breaker_opens_probes_and_closes),
        SPEC(a_probe_that_fails_opens_it_again),
        SPEC(what_is_out_of_bounds_is_refused),
        SPEC(values_have_bounds),
        SPEC(a_tenant_has_fewer_values),
        SPEC(strange_names_are_refused),
        SPEC(limits_are_listed),
        SPEC(limits_are_listed_by_service),
        SPEC(a_tenants_budget_given_back_is_for_all_its_services),
        SPEC(a_configured_limit_holds_from_the_next_step),
        SPEC(values_of_a_service_go_back_to_the_brokers),
        SPEC(an_offer_changes_nothing_that_the_operator_has_set),
        SPEC(a_lease_holds_for_workers_that_are_there),
        SPEC(rules_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
