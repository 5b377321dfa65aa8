/* The promise: who gets a task, with what credit, and how a broker drains. */
#include "tests/spec/fixture.h"

static void the_least_loaded_worker_is_chosen(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 10);
    hello(f, "w2");
    offer(f, "w2", "echo", 10);
    drop_trace(f);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    submit(f, "s1", "t3", "echo");
    done(f, "w2", "t2", 1, "");
    submit(f, "s1", "t4", "echo");
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n"
                    "[   0] w2 <- TASK t2 attempt=1\n"
                    "[   0] w1 <- TASK t3 attempt=1\n"
                    "[   0] s1 <- RESULT t2 done attempt=1\n"
                    "[   0] w2 <- TASK t4 attempt=1\n");
}

/* What was looked up for the session that says BYE is of no use to the one that says HELLO. */
static void a_session_that_begins_within_a_batch_has_its_own_flow(void **state)
{
    struct fixture *f = *state;
    struct message bye = {.command = COMMAND_BYE}, again = {.command = COMMAND_HELLO};
    struct message work = {.command = COMMAND_SUBMIT};
    struct event batch[] = {{.message = &bye}, {.message = &again}, {.message = &work}};

    given_echo(f, 10);
    again.hello.version = PROTOCOL_VERSION;
    again.hello.session = id_of("s2");
    again.hello.name = span_from_text("s2");
    work.submit.id = id_of("t1");
    work.submit.service = span_from_text("echo");
    work.submit.priority = PRIORITY_DEFAULT;
    for (size_t i = 0; i < 3; i++) {
        batch[i].kind = EVENT_MESSAGE;
        batch[i].from = connection_of("s1");
    }
    broker_expect(f->broker, batch, 3);
    for (size_t i = 0; i < 3; i++) {
        broker_step(f->broker, &batch[i]);
        broker_check(f->broker);
    }
    assert_true(trace_has(f, "w1 <- TASK t1"));
}

/* Workers that offer many services do not get all tasks in turns. */
static void of_equals_the_worker_that_holds_less_of_all_services_is_chosen(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 10);
    hello(f, "w2");
    offer(f, "w2", "echo", 10);
    offer(f, "w1", "sum", 10);
    offer(f, "w2", "sum", 10);
    drop_trace(f);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "sum");
    submit(f, "s1", "t3", "sum");
    done(f, "w1", "t3", 1, "");
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n"
                    "[   0] w2 <- TASK t2 attempt=1\n"
                    "[   0] w1 <- TASK t3 attempt=1\n"
                    "[   0] s1 <- RESULT t3 done attempt=1\n");
}

static void credit_is_a_level_of_tasks_held(void **state)
{
    struct fixture *f = *state;
    struct message more = {.command = COMMAND_CREDIT};

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    submit(f, "s1", "t3", "echo");
    drop_trace(f);
    more.credit.service = span_from_text("echo");
    more.credit.credit = 2;
    say(f, "w1", &more);
    expect_trace(f, "[   0] w1 <- TASK t2 attempt=1\n");
    more.credit.credit = 1;
    say(f, "w1", &more);
    done(f, "w1", "t2", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT t2 done attempt=1\n");
    done(f, "w1", "t1", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1\n"
                    "[   0] w1 <- TASK t3 attempt=1\n");
}

static void a_withdrawn_offer_finishes_what_it_holds(void **state)
{
    struct fixture *f = *state;
    struct message withdraw = {.command = COMMAND_WITHDRAW};

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    drop_trace(f);
    withdraw.withdraw.service = span_from_text("echo");
    say(f, "w1", &withdraw);
    done(f, "w1", "t1", 1, "last");
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1 payload=last\n");
    assert_int_equal(stats_of(f).offers, 0);
    say(f, "w1", &withdraw);
    expect_trace(f, "[   0] w1 <- ERROR code=not_found field=service\n");
}

static void a_draining_broker_finishes_what_it_has(void **state)
{
    struct fixture *f = *state;
    struct event drain = {.kind = EVENT_DRAIN};

    given_parent(f);
    assert_false(broker_drained(f->broker));
    event(f, &drain);
    submit(f, "s1", "t2", "echo");
    expect_trace(f, "[   0] s1 <- RESULT t2 refused code=draining retry_after_ms=1000\n");
    submit_child(f, "w1", "c1", "leaf", "p1", 1);
    expect_trace(f, "[   0] w2 <- TASK c1 attempt=1\n");
    assert_false(broker_drained(f->broker));
    done(f, "w2", "c1", 1, "");
    done(f, "w1", "p1", 1, "");
    assert_true(broker_drained(f->broker));
}

static void a_service_is_forgotten_when_nobody_needs_it(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    bye(f, "w1");
    advance_ms(f, 59999);
    assert_int_equal(stats_of(f).services, 1);
    advance_ms(f, 1);
    assert_int_equal(stats_of(f).services, 0);
}

static void the_operators_limits_stand_against_offers(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_OFFER};
    struct service_limits limits = {.max_tasks = 1};

    assert_true(broker_configure_service(f->broker, span_from_text("echo"), &limits));
    hello(f, "w1");
    hello(f, "s1");
    message.offer.service = span_from_text("echo");
    message.offer.max_tasks = 100;
    say(f, "w1", &message);
    drop_trace(f);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    expect_trace(f, "[   0] s1 <- RESULT t2 refused code=queue_full retry_after_ms=1000\n");
}

static void the_newest_offer_that_names_limits_wins(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_OFFER};
    struct message query = {.command = COMMAND_QUERY};

    given_echo(f, 0);
    message.offer.service = span_from_text("echo");
    message.offer.max_tasks = 7;
    message.offer.max_bytes = 70;
    message.offer.attempts = 2;
    say(f, "w1", &message);
    hello(f, "w2");
    offer(f, "w2", "echo", 0); /* names none */
    drop_trace(f);
    say(f, "s1", &query);
    assert_true(trace_has(f, " max_tasks=7 max_bytes=70"));
    submit(f, "s1", "t1", "echo");
    query_task(f, "s1", QUERY_STATUS, "t1");
    assert_true(trace_has(f, " attempts=2 "));
}

static void an_operator_names_only_what_has_a_name(void **state)
{
    struct fixture *f = *state;
    struct service_limits limits = {0};

    assert_false(broker_configure_service(f->broker, span_from_text("no spaces"), &limits));
    assert_int_equal(stats_of(f).services, 0);
}

static void the_default_lease_is_the_operators(void **state)
{
    struct fixture *f = *state;
    struct service_limits limits = {.lease_ms = 50, .attempts = 1};
    struct message message = {.command = COMMAND_OFFER};

    assert_true(broker_configure_service(f->broker, span_from_text("echo"), &limits));
    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    drop_trace(f);
    advance_ms(f, 50);
    expect_trace(f, "[  50] w1 <- CANCEL t1 attempt=1 reason=lease_expired\n"
                    "[  50] s1 <- RESULT t1 failed attempt=1 code=lease_expired\n");
    /* An offer may name another. */
    hello(f, "w2");
    message.offer.service = span_from_text("echo");
    message.offer.credit = 1;
    message.offer.lease_ms = 70;
    say(f, "w2", &message);
    submit(f, "s1", "t2", "echo");
    drop_trace(f);
    advance_ms(f, 69);
    expect_trace(f, "");
    advance_ms(f, 1);
    expect_trace(f, "[ 120] w2 <- CANCEL t2 attempt=1 reason=lease_expired\n"
                    "[ 120] s1 <- RESULT t2 failed attempt=1 code=lease_expired\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(the_least_loaded_worker_is_chosen),
        SPEC(a_session_that_begins_within_a_batch_has_its_own_flow),
        SPEC(of_equals_the_worker_that_holds_less_of_all_services_is_chosen),
        SPEC(credit_is_a_level_of_tasks_held),
        SPEC(a_withdrawn_offer_finishes_what_it_holds),
        SPEC(a_draining_broker_finishes_what_it_has),
        SPEC(a_service_is_forgotten_when_nobody_needs_it),
        SPEC(the_operators_limits_stand_against_offers),
        SPEC(the_newest_offer_that_names_limits_wins),
        SPEC(an_operator_names_only_what_has_a_name),
        SPEC(the_default_lease_is_the_operators),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
