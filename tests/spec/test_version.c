/* The promise: a task pinned to a version is served by an offer of that version or waits, and holds
 * nobody else while it waits. */
#include "tests/spec/fixture.h"

static void submit_pinned(struct fixture *f, const char *task, const char *version)
{
    struct submit options = {.version = span_from_text(version)};

    submit_with(f, "s1", task, "echo", "", &options);
}

static void submit_urgent(struct fixture *f, const char *task, const char *version,
                          uint64_t priority)
{
    struct submit options = {.version = span_from_text(version), .priority = priority};

    submit_with(f, "s1", task, "echo", "", &options);
}

static void offer_version(struct fixture *f, const char *peer, const char *version,
                          uint64_t credit)
{
    struct message message = {.command = COMMAND_OFFER};

    message.offer.service = span_from_text("echo");
    message.offer.credit = credit;
    message.offer.version = span_from_text(version);
    say(f, peer, &message);
}

/* w1 offers version 1, w2 version 2: one task each at a time. */
static void given_versions(struct fixture *f)
{
    hello(f, "s1");
    hello(f, "w1");
    hello(f, "w2");
    offer_version(f, "w1", "1", 1);
    offer_version(f, "w2", "2", 1);
    drop_trace(f);
}

static void a_pinned_task_goes_to_its_version(void **state)
{
    struct fixture *f = *state;

    given_versions(f);
    submit_pinned(f, "t1", "2");
    expect_trace(f, "[   0] w2 <- TASK t1 attempt=1\n");
    submit_pinned(f, "t2", "1");
    expect_trace(f, "[   0] w1 <- TASK t2 attempt=1\n");
}

static void it_waits_for_its_version_and_holds_nobody(void **state)
{
    struct fixture *f = *state;

    given_versions(f);
    submit_pinned(f, "t1", "2");
    submit_pinned(f, "t2", "2");
    submit_urgent(f, "t3", "2", 9);
    drop_trace(f);
    submit(f, "s1", "t4", "echo");
    expect_trace(f, "[   0] w1 <- TASK t4 attempt=1\n");
    query_task(f, "s1", QUERY_WHY, "t2");
    assert_true(trace_has(f, "reason=fairness")); /* t3 is before it */
    query_task(f, "s1", QUERY_WHY, "t3");
    assert_true(trace_has(f, "reason=no_credit"));
    drop_trace(f);
    done(f, "w1", "t4", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT t4 done attempt=1\n");
    done(f, "w2", "t1", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1\n"
                    "[   0] w2 <- TASK t3 attempt=1\n");
    done(f, "w2", "t3", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT t3 done attempt=1\n"
                    "[   0] w2 <- TASK t2 attempt=1\n");
}

static void keys_take_turns_at_a_version_too(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"a1", "a2", "a3", "b1", "c1"};

    given_versions(f);
    submit_pinned(f, "t1", "2");
    for (unsigned i = 0; i < 5; i++) {
        struct submit options = {.version = span_from_text("2"), .key = span_of(names[i], 1)};

        submit_with(f, "s1", names[i], "echo", "", &options);
    }
    done(f, "w2", "t1", 1, "");
    drop_trace(f);
    done(f, "w2", "a1", 1, "");
    done(f, "w2", "b1", 1, "");
    done(f, "w2", "c1", 1, "");
    done(f, "w2", "a2", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT a1 done attempt=1\n"
                    "[   0] w2 <- TASK b1 attempt=1\n"
                    "[   0] s1 <- RESULT b1 done attempt=1\n"
                    "[   0] w2 <- TASK c1 attempt=1\n"
                    "[   0] s1 <- RESULT c1 done attempt=1\n"
                    "[   0] w2 <- TASK a2 attempt=1\n"
                    "[   0] s1 <- RESULT a2 done attempt=1\n"
                    "[   0] w2 <- TASK a3 attempt=1\n");
}

static void room_for_several_calls_several(void **state)
{
    struct fixture *f = *state;

    given_versions(f);
    submit_pinned(f, "t1", "2");
    for (unsigned i = 0; i < 3; i++) {
        static const char *const names[] = {"a1", "b1", "c1"};
        struct submit options = {.version = span_from_text("2"), .key = span_of(names[i], 1)};

        submit_with(f, "s1", names[i], "echo", "", &options);
    }
    drop_trace(f);
    offer_version(f, "w2", "2", 4);
    expect_trace(f, "[   0] w2 <- TASK a1 attempt=1\n"
                    "[   0] w2 <- TASK b1 attempt=1\n"
                    "[   0] w2 <- TASK c1 attempt=1\n");
}

static void an_unknown_version_waits_or_is_refused(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.version = span_from_text("3"), .if_absent = IF_ABSENT_WAIT};

    given_versions(f);
    submit_pinned(f, "t1", "3");
    expect_trace(f, "[   0] s1 <- RESULT t1 refused code=unknown_service retry_after_ms=100\n");
    submit_with(f, "s1", "t2", "echo", "", &options);
    query_task(f, "s1", QUERY_WHY, "t2");
    assert_true(trace_has(f, "reason=no_worker message=nobody offers the version"));
    drop_trace(f);
    offer_version(f, "w1", "3", 1); /* it is another one from now on */
    expect_trace(f, "[   0] w1 <- TASK t2 attempt=1\n");
    submit_pinned(f, "t3", "1");
    expect_trace(f, "[   0] s1 <- RESULT t3 refused code=unknown_service retry_after_ms=100\n");
}

static void versions_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.if_absent = IF_ABSENT_WAIT};

    given_versions(f);
    f->quiet = true;
    for (unsigned i = 3; i < 49; i++) { /* 48 with those that are offered */
        const char *name = numbered("", i);

        options.version = span_from_text(name);
        submit_with(f, "s1", name, "echo", "", &options);
    }
    assert_int_equal(stats_of(f).ready, 46);
    f->quiet = false;
    options.version = span_from_text("49");
    submit_with(f, "s1", "t49", "echo", "", &options);
    expect_trace(f, "[   0] s1 <- RESULT t49 refused code=limit_exceeded retry_after_ms=100\n");
    for (unsigned i = 49; i < 65; i++) { /* a quarter is for those who offer */
        const char *name = numbered("w", i);

        hello(f, name);
        drop_trace(f);
        offer_version(f, name, name, 1);
        expect_trace(f, "");
    }
    hello(f, "w65");
    drop_trace(f);
    offer_version(f, "w65", "w65", 1);
    expect_trace(f, "[   0] w65 <- ERROR code=limit_exceeded field=service\n");
    offer_version(f, "w64", "w65", 1); /* nor may one that is there become another */
    expect_trace(f, "[   0] w64 <- ERROR code=limit_exceeded field=service\n");
    offer_version(f, "w65", "48", 1);
    expect_trace(f, "[   0] w65 <- TASK 48 attempt=1\n");
}

static void a_cancelled_one_calls_the_next(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.version = span_from_text("2"), .key = span_from_text("k")};

    given_versions(f);
    submit_pinned(f, "t1", "2");
    submit_pinned(f, "t2", "2");
    submit_with(f, "s1", "t3", "echo", "", &options);
    cancel(f, "s1", "t2", 7);
    drop_trace(f);
    done(f, "w2", "t1", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1\n"
                    "[   0] w2 <- TASK t3 attempt=1\n");
}

/* While a limit holds the service nothing starts; the called one may go, and the next is called. */
static void limits_hold_pinned_ones_as_all_others(void **state)
{
    struct fixture *f = *state;
    struct submit key = {.version = span_from_text("2"), .key = span_from_text("k")};
    struct limit_values values = limits_unchanged();

    values.concurrency = 1;
    given_versions(f);
    assert_true(broker_configure_limit(f->broker, span_from_text("echo"), span_of(NULL, 0),
                                       span_of(NULL, 0), &values));
    submit_pinned(f, "t1", "2");
    submit_pinned(f, "t2", "2");
    submit_with(f, "s1", "t3", "echo", "", &key);
    offer_version(f, "w2", "2", 4);
    assert_int_equal(stats_of(f).leased, 1);
    cancel(f, "s1", "t2", 7);
    drop_trace(f);
    done(f, "w2", "t1", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1\n"
                    "[   0] w2 <- TASK t3 attempt=1\n");
}

static void a_lost_workers_task_waits_for_its_version(void **state)
{
    struct fixture *f = *state;

    given_versions(f);
    submit_pinned(f, "t1", "2");
    lose(f, "w2");
    drop_trace(f);
    advance_ms(f, 1000);
    expect_trace(f, ""); /* w1 is idle, and another version */
    hello(f, "w3");
    drop_trace(f);
    offer_version(f, "w3", "2", 1);
    expect_trace(f, "[1000] w3 <- TASK t1 attempt=2\n");
}

static void affinity_does_not_lead_to_another_version(void **state)
{
    struct fixture *f = *state;
    struct submit near = {.affinity = span_from_text("k")};

    given_versions(f);
    submit_with(f, "s1", "t1", "echo", "", &near);
    done(f, "w1", "t1", 1, "");
    near.version = span_from_text("2");
    drop_trace(f);
    submit_with(f, "s1", "t2", "echo", "", &near);
    expect_trace(f, "[   0] w2 <- TASK t2 attempt=1\n");
    offer_version(f, "w2", "2", 2);
    hello(f, "w3");
    offer_version(f, "w3", "2", 2);
    drop_trace(f);
    submit_with(f, "s1", "t3", "echo", "", &near);
    expect_trace(f, "[   0] w2 <- TASK t3 attempt=1\n");
}

static void an_offer_may_have_no_version_any_more(void **state)
{
    struct fixture *f = *state;

    given_versions(f);
    offer_version(f, "w2", "", 1);
    submit_pinned(f, "t1", "2");
    assert_true(trace_has(f, "code=unknown_service"));
    submit(f, "s1", "t2", "echo");
    submit(f, "s1", "t3", "echo");
    assert_int_equal(stats_of(f).leased, 2);
    offer_version(f, "w2", "2", 1); /* while it holds one */
    done(f, "w2", "t3", 1, "");
    submit_pinned(f, "t4", "2");
    assert_int_equal(stats_of(f).leased, 2);
    bye(f, "w2");
    assert_int_equal(stats_of(f).leased, 1);
}

static void the_catalog_names_the_versions(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_QUERY};

    given_versions(f);
    message.query.request = 3;
    message.query.what = QUERY_CATALOG;
    say(f, "s1", &message);
    assert_true(trace_has(f, "version=1 versions =1 =2"));
}

/* Who only has a late answer to give holds up nobody, not even by its version. */
static void a_service_is_forgotten_before_a_late_answer_of_its_version(void **state)
{
    struct fixture *f = *state;
    struct submit once = {
        .version = span_from_text("1"), .lease_ms = 10, .attempts = 1, .retain_ms = 1};
    struct message withdraw = {.command = COMMAND_WITHDRAW};

    f->options.service_linger_ms = 1000;
    fixture_restart(f);
    hello(f, "s1");
    hello(f, "w1");
    offer_version(f, "w1", "1", 1);
    submit_with(f, "s1", "t1", "echo", "", &once);
    advance_ms(f, 10); /* its lease is over: no answer comes */
    withdraw.withdraw.service = span_from_text("echo");
    say(f, "w1", &withdraw);
    advance_ms(f, 2000);
    assert_int_equal(stats_of(f).services, 0);
    done(f, "w1", "t1", 1, "");
    assert_int_equal(stats_of(f).offers, 0);
}

static void drain(struct fixture *f, uint64_t peer)
{
    struct message message = {.command = COMMAND_CONTROL};

    message.control.what = CONTROL_DRAIN;
    message.control.peer = peer;
    say(f, "s1", &message);
    drop_trace(f);
}

/* What holds a worker of another version holds nobody who asks for this one. */
static void why_speaks_of_its_own_version(void **state)
{
    struct fixture *f = *state;

    hello(f, "s1");
    hello(f, "w1");
    hello_resume(f, "w2", connection_of("w2"));
    offer_version(f, "w1", "1", 1);
    offer_version(f, "w2", "2", 1);
    lose(f, "w2"); /* suspended: it may be back */
    drain(f, 2); /* w1; s1 is 1 */
    submit_pinned(f, "t1", "2");
    query_task(f, "s1", QUERY_WHY, "t1");
    assert_true(trace_has(f, "reason=no_worker message=the connections of its workers are lost"));
    drop_trace(f);
    submit_pinned(f, "t2", "1");
    query_task(f, "s1", QUERY_WHY, "t2");
    assert_true(trace_has(f, "reason=draining"));
}

static void why_says_whose_workers_are_busy(void **state)
{
    struct fixture *f = *state;
    struct submit all = {.route = ROUTE_ALL};

    given_versions(f);
    submit_pinned(f, "t1", "2");
    submit_pinned(f, "t2", "2");
    query_task(f, "s1", QUERY_WHY, "t2");
    assert_true(trace_has(f, "reason=no_credit message=every worker of the version that it asks "
                             "for holds as many tasks as it takes"));
    f->transitions = true;
    submit_with(f, "s1", "all", "echo", "", &all); /* #0 is for w1, and #1 for w2 */
    f->transitions = false;
    drop_trace(f);
    done(f, "w1", "#0", 1, "");
    drop_trace(f);
    query_task(f, "s1", QUERY_WHY, "#1");
    assert_true(trace_has(f, "reason=no_credit message=the worker that it is for holds as many "
                             "tasks as it takes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(a_pinned_task_goes_to_its_version),
        SPEC(it_waits_for_its_version_and_holds_nobody),
        SPEC(keys_take_turns_at_a_version_too),
        SPEC(room_for_several_calls_several),
        SPEC(an_unknown_version_waits_or_is_refused),
        SPEC(versions_are_bounded),
        SPEC(a_cancelled_one_calls_the_next),
        SPEC(limits_hold_pinned_ones_as_all_others),
        SPEC(a_lost_workers_task_waits_for_its_version),
        SPEC(affinity_does_not_lead_to_another_version),
        SPEC(an_offer_may_have_no_version_any_more),
        SPEC(the_catalog_names_the_versions),
        SPEC(why_speaks_of_its_own_version),
        SPEC(why_says_whose_workers_are_busy),
        SPEC(a_service_is_forgotten_before_a_late_answer_of_its_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
