/* The promise: what is drained takes nothing new, and loses nothing that it has. */
#include "tests/spec/fixture.h"

#define BROKER 0

static void control(struct fixture *f, enum control_what what, uint64_t peer, const char *service)
{
    struct control control = {.what = what, .peer = peer, .service = span_from_text(service)};

    say_control(f, &control);
}

static void query(struct fixture *f, enum query_what what)
{
    struct message message = {.command = COMMAND_QUERY};

    message.query.request = 7;
    message.query.what = what;
    say(f, "s1", &message);
}

/* given_echo: w1 is peer 1. Services are numbered with them. */
#define W1 1

static void a_drained_worker_finishes_what_it_holds(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 2);
    submit(f, "s1", "t1", "echo");
    drop_trace(f);
    control(f, CONTROL_DRAIN, W1, "");
    expect_trace(f, "[   0] s1 <- REPLY 9 ok left=1\n");
    submit(f, "s1", "t2", "echo");
    expect_trace(f, "");
    expect_why(f, "t2", " reason=draining ");
    drop_trace(f);
    done(f, "w1", "t1", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1\n");
    query(f, QUERY_PEERS);
    assert_true(trace_has(f, "name=w1 agent= state=connected peer=1 draining=1 offers=1 held=0"));
    drop_trace(f);
    control(f, CONTROL_UNDRAIN, W1, "");
    expect_trace(f, "[   0] s1 <- REPLY 9 ok left=0\n[   0] w1 <- TASK t2 attempt=1\n");
}

static void others_take_over_from_a_drained_worker(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 2);
    hello(f, "w2");
    offer(f, "w2", "echo", 1);
    control(f, CONTROL_DRAIN, W1, "");
    drop_trace(f);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    expect_trace(f, "[   0] w2 <- TASK t1 attempt=1\n");
    expect_why(f, "t2", " reason=no_credit ");
    drop_trace(f);
    offer(f, "w1", "echo", 9); /* nor with more credit, nor with another service */
    offer(f, "w1", "other", 9);
    submit(f, "s1", "t3", "other");
    expect_trace(f, "");
    expect_why(f, "t3", " reason=draining ");
}

static void a_worker_stays_drained_while_its_session_is_known(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 2);
    hello_resume(f, "w1", connection_of("w1"));
    offer(f, "w1", "echo", 2);
    control(f, CONTROL_DRAIN, W1, "");
    lose(f, "w1");
    submit(f, "s1", "t1", "echo");
    expect_why(f, "t1", " reason=no_worker ");
    hello_resume(f, "w1", connection_of("w2"));
    drop_trace(f);
    expect_why(f, "t1", " reason=draining ");
    bye(f, "w2");
    hello(f, "w1");
    drop_trace(f);
    offer(f, "w1", "echo", 2); /* another session now */
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n");
}

static void a_drained_service_takes_nothing_new(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.join = JOIN_ALL};

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    drop_trace(f);
    control(f, CONTROL_DRAIN, 0, "echo");
    expect_trace(f, "[   0] s1 <- REPLY 9 ok left=2\n");
    submit(f, "s1", "t3", "echo");
    expect_trace(f, "[   0] s1 <- RESULT t3 refused code=draining retry_after_ms=1000\n");
    submit_with(f, "s1", "j1", "echo", "", &options);
    expect_trace(f, "[   0] s1 <- RESULT j1 refused code=draining retry_after_ms=1000\n");
    offer(f, "w1", "other", 1);
    submit(f, "s1", "t4", "other");
    expect_trace(f, "[   0] w1 <- TASK t4 attempt=1\n");
    fail_task(f, "w1", "t1", 1, "busy", true); /* an attempt is nothing new */
    expect_trace(f, "[   0] w1 <- TASK t2 attempt=1\n");
    done(f, "w1", "t2", 1, "");
    advance_ms(f, 100);
    expect_trace(f, "[   0] s1 <- RESULT t2 done attempt=1\n[ 100] w1 <- TASK t1 attempt=2\n");
    query(f, QUERY_CATALOG);
    assert_true(trace_has(f, "unfinished=1 draining=1"));
    done(f, "w1", "t1", 2, "");
    drop_trace(f);
    control(f, CONTROL_UNDRAIN, 0, "echo");
    expect_trace(f, "[ 100] s1 <- REPLY 9 ok left=0\n");
    submit(f, "s1", "t3", "echo");
    expect_trace(f, "[ 100] w1 <- TASK t3 attempt=1\n");
}

static void children_of_running_tasks_are_let_in(void **state)
{
    struct fixture *f = *state;

    given_parent(f);
    control(f, CONTROL_DRAIN, 0, "leaf");
    control(f, CONTROL_DRAIN, BROKER, "");
    drop_trace(f);
    submit_child(f, "w1", "c1", "leaf", "p1", 1);
    expect_trace(f, "[   0] w2 <- TASK c1 attempt=1\n");
    submit_child(f, "w1", "c2", "leaf", "p1", 2); /* not of the one that runs */
    expect_trace(f, "[   0] w1 <- RESULT c2 refused code=cancelled\n");
    done(f, "w2", "c1", 1, "");
    done(f, "w1", "p1", 1, "");
    drop_trace(f);
    submit_child(f, "w1", "c3", "leaf", "p1", 1);
    expect_trace(f, "[   0] w1 <- RESULT c3 refused code=cancelled\n");
}

static void a_broker_can_be_drained_and_undrained(void **state)
{
    struct fixture *f = *state;
    struct event stop = {.kind = EVENT_DRAIN};

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    submit(f, "s1", "t2", "echo");
    drop_trace(f);
    control(f, CONTROL_DRAIN, BROKER, "");
    expect_trace(f, "[   0] s1 <- REPLY 9 ok left=2\n");
    submit(f, "s1", "t3", "echo");
    expect_trace(f, "[   0] s1 <- RESULT t3 refused code=draining retry_after_ms=1000\n");
    done(f, "w1", "t1", 1, "");
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1\n[   0] w1 <- TASK t2 attempt=1\n");
    done(f, "w1", "t2", 1, "");
    assert_false(broker_drained(f->broker)); /* it goes on: nobody has stopped it */
    control(f, CONTROL_UNDRAIN, BROKER, "");
    drop_trace(f);
    submit(f, "s1", "t3", "echo");
    expect_trace(f, "[   0] w1 <- TASK t3 attempt=1\n");
    event(f, &stop);
    control(f, CONTROL_UNDRAIN, BROKER, "");
    expect_trace(f, "[   0] s1 <- REPLY 9 failed code=draining\n");
}

static void a_drained_service_is_not_forgotten(void **state)
{
    struct fixture *f = *state;
    struct message withdraw = {.command = COMMAND_WITHDRAW};

    given_echo(f, 1);
    control(f, CONTROL_DRAIN, 0, "echo");
    withdraw.withdraw.service = span_from_text("echo");
    say(f, "w1", &withdraw);
    advance_ms(f, 3 * f->options.service_linger_ms);
    hello(f, "s1");
    drop_trace(f);
    query(f, QUERY_CATALOG);
    assert_true(trace_has(f, "service=echo"));
    control(f, CONTROL_UNDRAIN, 0, "echo");
    advance_ms(f, 2 * f->options.service_linger_ms);
    hello(f, "s1");
    drop_trace(f);
    query(f, QUERY_CATALOG);
    assert_false(trace_has(f, "service=echo"));
}

/* Its service may be gone by then. */
static void a_withdrawn_offer_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct message withdraw = {.command = COMMAND_WITHDRAW};
    struct submit leased = {.lease_ms = 10, .attempts = 1};

    given_echo(f, 1);
    f->options.silence_ms = f->options.resume_ms = 1000 * 1000;
    fixture_restart(f);
    hello_resume(f, "w1", connection_of("w1"));
    offer(f, "w1", "echo", 1);
    hello(f, "s1");
    submit_with(f, "s1", "t1", "echo", "", &leased);
    advance_ms(f, 20); /* its lease runs out; w1 has yet to answer */
    withdraw.withdraw.service = span_from_text("echo");
    say(f, "w1", &withdraw);
    advance_ms(f, 3 * f->options.service_linger_ms);
    assert_int_equal(stats_of(f).services, 0);
    control(f, CONTROL_DRAIN, W1, "");
    lose(f, "w1");
    drop_trace(f);
    offer(f, "s1", "next", 1);
    submit(f, "s1", "t2", "next");
    assert_true(trace_has(f, "s1 <- TASK t2"));
}

static void what_cannot_be_drained(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    control(f, CONTROL_DRAIN, 99, "");
    expect_trace(f, "[   0] s1 <- REPLY 9 failed code=not_found\n");
    control(f, CONTROL_DRAIN, 3, ""); /* a service's number */
    expect_trace(f, "[   0] s1 <- REPLY 9 failed code=not_found\n");
    control(f, CONTROL_DRAIN, 0, "nothing");
    expect_trace(f, "[   0] s1 <- REPLY 9 failed code=not_found\n");
    control(f, CONTROL_DRAIN, W1, "echo"); /* which of the two? */
    expect_trace(f, "[   0] s1 <- REPLY 9 failed code=bad_message\n");
    bye(f, "w1");
    control(f, CONTROL_DRAIN, W1, ""); /* below all that are there */
    expect_trace(f, "[   0] s1 <- REPLY 9 failed code=not_found\n");
}

static void watchers_hear_of_it(void **state)
{
    struct fixture *f = *state;
    struct message watch = {.command = COMMAND_WATCH};
    struct event stop = {.kind = EVENT_DRAIN};

    given_echo(f, 1);
    hello(f, "o1");
    watch.watch.request = 3;
    watch.watch.credit = 100;
    say(f, "o1", &watch);
    drop_trace(f);
    control(f, CONTROL_DRAIN, W1, "");
    expect_trace(f, "[   0] o1 <- EVENT 3 #1 draining - peer=s1 detail=worker=w1\n"
                    "[   0] s1 <- REPLY 9 ok left=0\n");
    control(f, CONTROL_UNDRAIN, W1, "");
    expect_trace(f, "[   0] o1 <- EVENT 3 #2 undrained - peer=s1 detail=worker=w1\n"
                    "[   0] s1 <- REPLY 9 ok left=0\n");
    control(f, CONTROL_DRAIN, 0, "echo");
    expect_trace(f, "[   0] o1 <- EVENT 3 #3 draining - peer=s1\n"
                    "[   0] s1 <- REPLY 9 ok left=0\n");
    event(f, &stop);
    expect_trace(f, "[   0] o1 <- EVENT 3 #4 draining -\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(a_drained_worker_finishes_what_it_holds),
        SPEC(others_take_over_from_a_drained_worker),
        SPEC(a_worker_stays_drained_while_its_session_is_known),
        SPEC(a_drained_service_takes_nothing_new),
        SPEC(children_of_running_tasks_are_let_in),
        SPEC(a_broker_can_be_drained_and_undrained),
        SPEC(a_drained_service_is_not_forgotten),
        SPEC(a_withdrawn_offer_is_left_alone),
        SPEC(what_cannot_be_drained),
        SPEC(watchers_hear_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
