/* The promise: what was told of a durable task is true after a crash, whatever of the records that
 * nobody was told of is lost. */
#include "tests/spec/fixture.h"

static const struct submit durable = {.durable = true, .receipts = true, .attempts = 3};

#define DURABLE(name) cmocka_unit_test_setup_teardown(name, fixture_setup_stored, fixture_teardown)

static void acceptance_and_start_are_told_when_the_task_is_stored(void **state)
{
    struct fixture *f = *state;

    submit_with(f, "s1", "t1", "echo", "x", &durable);
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1 payload=x\n");
    stored(f);
    expect_trace(f, "[   0] s1 <- ACCEPTED t1\n"
                    "[   0] s1 <- STARTED t1 attempt=1 worker=w1\n");
    stored(f);
    expect_trace(f, "");
}

static void a_service_makes_all_its_tasks_durable(void **state)
{
    static const struct submit plain = {.receipts = true, .attempts = 3, .detached = true};
    struct service_limits limits = {.durable = true};
    struct fixture *f = *state;

    assert_true(broker_configure_service(f->broker, span_from_text("echo"), &limits));
    drop_trace(f);
    submit_with(f, "s1", "t1", "echo", "x", &plain);
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1 payload=x\n");
    submit_with(f, "s1", "t2", "later", "", &(struct submit){.if_absent = IF_ABSENT_WAIT,
                                                             .detached = true});
    crash(f);
    given_echo_again(f);
    assert_int_equal(stats_of(f).tasks, 1); /* this broker knows of no such service */
    done(f, "w1", "t1", 1, "y");
    assert_int_equal(stats_of(f).storing, 1);
}

static void a_broker_can_make_all_tasks_durable(void **state)
{
    struct fixture *f = *state;

    f->options.service.durable = true;
    crash(f);
    given_echo_again(f);
    submit_with(f, "s1", "t1", "echo", "", &(struct submit){.receipts = true});
    submit_with(f, "s1", "t2", "later", "", &(struct submit){.if_absent = IF_ABSENT_WAIT});
    assert_false(trace_has(f, "ACCEPTED"));
    crash(f);
    assert_int_equal(stats_of(f).tasks, 2);
}

static void what_all_workers_shall_do_is_not_durable(void **state)
{
    struct submit all = {.durable = true, .route = ROUTE_ALL};
    struct service_limits limits = {.durable = true};
    struct fixture *f = *state;

    submit_with(f, "s1", "t1", "echo", "x", &all);
    expect_trace(f, "[   0] s1 <- RESULT t1 refused code=unsupported\n");
    assert_true(broker_configure_service(f->broker, span_from_text("echo"), &limits));
    all.durable = false;
    submit_with(f, "s1", "t2", "echo", "x", &all);
    expect_trace(f, "[   0] s1 <- RESULT t2 refused code=unsupported\n");
}

static void an_outcome_is_told_when_it_is_stored(void **state)
{
    struct fixture *f = *state;

    submit_with(f, "s1", "t1", "echo", "x", &durable);
    stored(f);
    drop_trace(f);
    done(f, "w1", "t1", 1, "y");
    query_task(f, "s1", QUERY_WHY, "t1");
    assert_true(trace_has(f, "state=storing reason=storing"));
    query_task(f, "s1", QUERY_RESULT, "t1");
    assert_true(trace_has(f, "ended=0"));
    drop_trace(f);
    stored(f);
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1 payload=y\n");
}

static void one_that_ends_before_it_is_stored_is_accepted_first(void **state)
{
    struct fixture *f = *state;

    submit_with(f, "s1", "t1", "echo", "x", &durable);
    done(f, "w1", "t1", 1, "y");
    drop_trace(f);
    stored(f);
    expect_trace(f, "[   0] s1 <- ACCEPTED t1\n"
                    "[   0] s1 <- RESULT t1 done attempt=1 payload=y\n");
}

/* A receipt waits for the task alone: a worker may be faster than the disk. */
static void acceptance_does_not_wait_for_the_outcome(void **state)
{
    struct fixture *f = *state;

    submit_with(f, "s1", "t1", "echo", "x", &durable);
    submit_with(f, "s1", "t2", "echo", "x", &durable);
    done(f, "w1", "t1", 1, "y");
    drop_trace(f);
    stored_until(f, 1);
    expect_trace(f, "[   0] s1 <- ACCEPTED t1\n");
    stored_until(f, 2);
    expect_trace(f, "[   0] s1 <- ACCEPTED t2\n"
                    "[   0] s1 <- STARTED t2 attempt=1 worker=w1\n");
    stored_until(f, 3);
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1 payload=y\n");
}

static void what_may_be_started_once_is_accepted_before_it_is_started(void **state)
{
    static const struct submit once = {.durable = true, .receipts = true, .attempts = 1};
    struct fixture *f = *state;

    submit_with(f, "s1", "t1", "echo", "x", &once);
    drop_trace(f);
    stored_until(f, 1);
    expect_trace(f, "[   0] s1 <- ACCEPTED t1\n");
    stored_until(f, 2);
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1 payload=x\n"
                    "[   0] s1 <- STARTED t1 attempt=1 worker=w1\n");
}

static void its_worker_takes_others_meanwhile(void **state)
{
    struct fixture *f = *state;

    for (const char *const *task = (const char *const[]){"t1", "t2", "t3", NULL}; *task; task++) {
        submit_with(f, "s1", *task, "echo", "", &durable);
        done(f, "w1", *task, 1, "");
    }
    assert_int_equal(stats_of(f).storing, 3);
    assert_int_equal(stats_of(f).leased, 0);
    stored(f);
    assert_int_equal(stats_of(f).done, 3);
}

static void a_cancel_comes_too_late_for_what_is_being_stored(void **state)
{
    struct fixture *f = *state;

    submit_with(f, "s1", "t1", "echo", "", &durable);
    done(f, "w1", "t1", 1, "y");
    cancel(f, "s1", "t1", 5);
    drop_trace(f);
    stored(f);
    assert_true(trace_has(f, "RESULT t1 done"));
    assert_true(trace_has(f, "REPLY 5 ok"));
}

static void a_durable_join_of_others_is_refused(void **state)
{
    struct fixture *f = *state;
    struct id id = id_of("t1");
    struct submit join = durable;

    submit_held(f, "t1");
    join.join = JOIN_ALL;
    join.needs = id.bytes;
    join.needs_count = 1;
    join.needs_stride = ID_BYTES;
    submit_with(f, "s1", "j1", "", "", &join);
    assert_true(trace_has(f, "RESULT j1 refused code=unsupported"));
}

static void nothing_durable_without_a_store_that_has_room(void **state)
{
    struct fixture *f = *state;

    store_is(f, STORE_FULL);
    submit_with(f, "s1", "t1", "echo", "", &durable);
    assert_true(trace_has(f, "RESULT t1 refused code=store_unavailable"));
    submit(f, "s1", "v1", "echo");
    assert_true(trace_has(f, "TASK v1"));
    store_is(f, STORE_OPEN);
    submit_with(f, "s1", "t1", "echo", "", &durable);
    assert_true(trace_has(f, "TASK t1"));
    store_is(f, STORE_LOST);
    submit_with(f, "s1", "t2", "echo", "", &durable);
    assert_true(trace_has(f, "RESULT t2 refused code=store_unavailable"));
    store_is(f, STORE_NONE);
    submit_with(f, "s1", "t3", "echo", "", &durable);
    assert_true(trace_has(f, "RESULT t3 refused code=unsupported"));
}

static void what_is_not_yet_stored_is_bounded(void **state)
{
    struct fixture *f = *state;
    uint64_t accepted = 0;

    f->options.unsafe_bytes = 10000;
    crash(f);
    given_echo_again(f);
    while (f->refused == 0 && accepted < 1000) {
        submit_with(f, "s1", numbered("t", (unsigned)accepted++), "echo", "0123456789", &durable);
    }
    assert_in_range(accepted, 2, 100);
    assert_true(trace_has(f, "refused code=store_unavailable"));
    stored(f);
    submit_with(f, "s1", "again", "echo", "0123456789", &durable);
    assert_int_equal(f->refused, 1);
}

/* At most once, whatever happens. */
static void what_may_be_started_once_is_started_when_that_is_stored(void **state)
{
    struct fixture *f = *state;
    struct submit once = durable;

    once.attempts = 1;
    submit_with(f, "s1", "t1", "echo", "", &once);
    expect_trace(f, "");
    stored(f);
    expect_trace(f, "[   0] s1 <- ACCEPTED t1\n"
                    "[   0] w1 <- TASK t1 attempt=1\n"
                    "[   0] s1 <- STARTED t1 attempt=1 worker=w1\n");
    crash(f);
    given_echo_again(f);
    submit_with(f, "s1", "t1", "echo", "", &once);
    stored(f);
    assert_true(trace_has(f, "RESULT t1 failed attempt=1 code=worker_lost"));
    assert_false(trace_has(f, "TASK t1"));
}

static void a_task_that_is_about_to_start_can_be_taken_back(void **state)
{
    struct fixture *f = *state;
    struct submit once = durable;

    once.attempts = 1;
    once.receipts = false;
    submit_with(f, "s1", "t1", "echo", "", &once);
    cancel(f, "s1", "t1", 0);
    once.deadline_ms = 5;
    submit_with(f, "s1", "t2", "echo", "", &once);
    advance_ms(f, 5);
    once.deadline_ms = 0;
    submit_with(f, "s1", "t3", "echo", "", &once);
    lose(f, "w1");
    assert_int_equal(stats_of(f).storing, 3);
    drop_trace(f);
    stored(f);
    expect_trace(f, "[   5] s1 <- RESULT t1 cancelled attempt=1 code=cancelled\n"
                    "[   5] s1 <- RESULT t2 expired attempt=1 code=expired\n"
                    "[   5] s1 <- RESULT t3 failed attempt=1 code=worker_lost\n");
}

/* A worker may say as many as it likes, and the disk may be slow. */
static void of_checkpoints_one_a_task_is_on_its_way_to_the_store(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_CHECKPOINT};

    submit_with(f, "s1", "t1", "echo", "", &durable);
    message.checkpoint.id = id_of("t1");
    message.checkpoint.attempt = 1;
    for (unsigned i = 0; i < 100; i++) {
        message.checkpoint.payload.bytes = span_from_text(numbered("", i));
        say(f, "w1", &message);
    }
    assert_in_range(shelf_last(f->shelf), 1, 3);
    stored(f);
    stored(f);
    assert_in_range(shelf_last(f->shelf), 2, 4);
    crash(f);
    assert_true(span_is(shelf_row(f->shelf, 0)->checkpoint.bytes, "99"));
}

static void what_waits_for_the_store_has_no_lease_yet(void **state)
{
    struct fixture *f = *state;
    struct submit once = durable;

    once.attempts = 1;
    once.lease_ms = 100;
    submit_with(f, "s1", "t1", "echo", "", &once);
    query_task(f, "s1", QUERY_WHY, "t1");
    assert_true(trace_has(f, "state=leased reason=storing"));
    advance_ms(f, 500);
    stored(f);
    assert_true(trace_has(f, "w1 <- TASK t1 attempt=1"));
    drop_trace(f);
    advance_ms(f, 99);
    stored(f);
    assert_false(trace_has(f, "CANCEL t1"));
    advance_ms(f, 1);
    assert_true(trace_has(f, "CANCEL t1"));
}

static void signal_to(struct fixture *f, const char *task)
{
    struct message message = {.command = COMMAND_SIGNAL};

    message.signal.request = 8;
    message.signal.id = id_of(task);
    message.signal.payload.bytes = span_from_text("go");
    say(f, "s1", &message);
}

static void signals_come_after_the_task_and_not_after_its_end(void **state)
{
    struct fixture *f = *state;
    struct submit once = durable;

    once.attempts = 1;
    once.receipts = false;
    submit_with(f, "s1", "t1", "echo", "", &once);
    signal_to(f, "t1");
    expect_trace(f, "[   0] s1 <- REPLY 8 ok delivered=0 kept=1\n");
    stored(f);
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n"
                    "[   0] w1 <- SIGNAL t1 attempt=1 payload=go\n");
    done(f, "w1", "t1", 1, "");
    signal_to(f, "t1");
    assert_true(trace_has(f, "REPLY 8 failed code=not_found"));
}

static void an_outcome_stays_though_its_submitter_has_left(void **state)
{
    struct fixture *f = *state;

    submit_with(f, "s1", "t1", "echo", "", &durable);
    stored(f);
    done(f, "w1", "t1", 1, "y");
    bye(f, "s1");
    stored(f);
    hello(f, "s1");
    drop_trace(f);
    submit_with(f, "s1", "t1", "echo", "", &durable);
    assert_true(trace_has(f, "RESULT t1 done attempt=1 payload=y"));
    assert_false(trace_has(f, "TASK t1"));
}

static void a_drained_broker_leaves_what_waits_to_its_store(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;
    struct event drain = {.kind = EVENT_DRAIN};

    options.if_absent = IF_ABSENT_WAIT;
    submit_with(f, "s1", "t1", "later", "", &options);
    submit_with(f, "s1", "t2", "echo", "", &durable);
    event(f, &drain);
    assert_false(broker_drained(f->broker)); /* a worker has t2 */
    done(f, "w1", "t2", 1, "");
    assert_false(broker_drained(f->broker)); /* its outcome is not told yet */
    stored(f);
    assert_true(broker_drained(f->broker));
}

static void a_broker_whose_store_is_lost_waits_for_nothing_durable(void **state)
{
    struct fixture *f = *state;
    struct event drain = {.kind = EVENT_DRAIN};

    submit_with(f, "s1", "t1", "echo", "", &durable);
    submit_with(f, "s1", "t2", "echo", "", &durable);
    submit(f, "s1", "v1", "echo");
    done(f, "w1", "t2", 1, "");
    store_is(f, STORE_LOST);
    event(f, &drain);
    assert_false(broker_drained(f->broker));
    done(f, "w1", "v1", 1, "");
    assert_true(trace_has(f, "RESULT v1 done"));
    assert_true(broker_drained(f->broker));
    assert_false(trace_has(f, "ACCEPTED t1"));
    assert_false(trace_has(f, "RESULT t2"));
}

static void pause_echo(struct fixture *f, uint64_t ms)
{
    struct message message = {.command = COMMAND_CONTROL};

    message.control.limits = limits_unchanged();
    message.control.what = CONTROL_PAUSE;
    message.control.service = span_from_text("echo");
    message.control.ms = ms;
    say(f, "s1", &message);
}

/* It was chosen before the pause, and its worker gets it after: it is not one of those that the
 * service resumes with. */
static void a_pause_while_its_start_is_stored_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct submit once = durable;

    once.attempts = 1;
    submit_with(f, "s1", "t1", "echo", "", &once);
    pause_echo(f, 10);
    submit(f, "s1", "v1", "echo");
    submit(f, "s1", "v2", "echo");
    advance_ms(f, 10);
    stored(f);
    assert_true(trace_has(f, "TASK t1"));
    assert_true(trace_has(f, "TASK v1"));
    assert_false(trace_has(f, "TASK v2"));
    done(f, "w1", "t1", 1, "");
    assert_false(trace_has(f, "TASK v2"));
    done(f, "w1", "v1", 1, "");
    assert_true(trace_has(f, "TASK v2"));
}

static void a_session_that_is_back_has_what_was_being_stored(void **state)
{
    struct fixture *f = *state;

    submit_with(f, "s1", "t1", "echo", "", &durable);
    stored(f);
    done(f, "w1", "t1", 1, "y");
    bye(f, "s1");
    hello(f, "s1");
    submit_with(f, "s1", "t1", "echo", "", &durable);
    drop_trace(f);
    stored(f);
    expect_trace(f, "[   0] s1 <- RESULT t1 done attempt=1 payload=y\n");
}

static void nothing_durable_goes_to_every_worker(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;

    options.route = ROUTE_ALL;
    submit_with(f, "s1", "t1", "echo", "", &options);
    assert_true(trace_has(f, "RESULT t1 refused code=unsupported"));
    assert_int_equal(shelf_last(f->shelf), 0);
}

static void the_event_of_a_durable_failure_has_its_code(void **state)
{
    struct submit follower = {.idempotency_key = span_from_text("k")}, first = follower;
    struct message message = {.command = COMMAND_WATCH};
    struct fixture *f = *state;

    message.watch.request = 3;
    message.watch.credit = 100;
    say(f, "s1", &message);
    first.durable = true;
    submit_with(f, "s1", "t1", "echo", "", &first);
    submit_with(f, "s1", "t2", "echo", "", &follower);
    follower.durable = true;
    submit_with(f, "s1", "t3", "echo", "", &follower);
    fail_task(f, "w1", "t1", 1, "boom", false);
    drop_trace(f);
    stored(f);
    assert_true(trace_has(f, "failed t1 attempt=1 peer=w1 detail=boom\n"));
    assert_true(trace_has(f, "failed t2 detail=boom\n"));
    drop_trace(f);
    stored(f);
    assert_true(trace_has(f, "failed t3 detail=boom\n"));
}

static void a_cancel_that_comes_too_late_stops_nothing(void **state)
{
    static const struct submit one = {.durable = true};
    struct fixture *f = *state;

    submit_with(f, "s1", "t1", "echo", "", &one);
    done(f, "w1", "t1", 1, "");
    cancel(f, "s1", "t1", 5);
    drop_trace(f);
    stored(f);
    assert_true(trace_has(f, "REPLY 5 ok state=done stopped=0\n"));
}

/* What waits for an ordering key that will never be free is not waited for. */
static void a_broker_whose_store_is_lost_ends(void **state)
{
    struct fixture *f = *state;
    struct submit stored_one = {.durable = true, .order = span_from_text("o")};
    struct submit plain = {.order = span_from_text("o")};
    struct event drain = {.kind = EVENT_DRAIN};

    submit_with(f, "s1", "t1", "echo", "", &stored_one);
    submit_with(f, "s1", "t2", "echo", "", &stored_one);
    submit_with(f, "s1", "v1", "echo", "", &plain);
    done(f, "w1", "t1", 1, "");
    drop_trace(f);
    store_is(f, STORE_LOST);
    assert_true(trace_has(f, "TASK t2 attempt=1"));
    event(f, &drain);
    done(f, "w1", "t2", 1, "");
    assert_true(trace_has(f, "TASK v1 attempt=1"));
    assert_false(broker_drained(f->broker));
    done(f, "w1", "v1", 1, "");
    assert_true(trace_has(f, "RESULT v1 done"));
    assert_true(broker_drained(f->broker));
}

/* Its worker never hears of it: it must not keep a place and a key for ever. */
static void what_was_starting_when_the_store_was_lost_holds_nobody_up(void **state)
{
    struct fixture *f = *state;
    struct submit once = {.durable = true, .attempts = 1, .order = span_from_text("o")};
    struct submit plain = {.order = span_from_text("o")};
    struct event drain = {.kind = EVENT_DRAIN};

    for (uint64_t credit = 1; credit <= 2; credit++) {
        offer(f, "w1", "echo", credit);
        submit_with(f, "s1", "t1", "echo", "", &once);
        submit_with(f, "s1", "v1", "echo", "", &plain);
        drop_trace(f);
        store_is(f, STORE_LOST);
        assert_true(trace_has(f, "TASK v1 attempt=1"));
        event(f, &drain);
        assert_false(broker_drained(f->broker));
        done(f, "w1", "v1", 1, "");
        assert_true(broker_drained(f->broker));
        assert_false(trace_has(f, "t1"));
        shelf_free(f->shelf);
        f->shelf = NULL;
        fixture_crash(f, 0);
        given_echo_again(f);
    }
}

static void what_would_start_after_the_store_was_lost_holds_nobody_up(void **state)
{
    struct fixture *f = *state;
    struct submit once = {.durable = true, .attempts = 1, .order = span_from_text("o")};
    struct event drain = {.kind = EVENT_DRAIN};

    offer(f, "w1", "echo", 1);
    submit(f, "s1", "p1", "echo");
    submit_with(f, "s1", "t1", "echo", "", &once);
    submit_with(f, "s1", "t2", "echo", "", &once);
    submit(f, "s1", "v1", "echo");
    stored(f);
    store_is(f, STORE_LOST);
    event(f, &drain);
    drop_trace(f);
    done(f, "w1", "p1", 1, "");
    assert_false(trace_has(f, "TASK t"));
    assert_true(trace_has(f, "TASK v1"));
    done(f, "w1", "v1", 1, "");
    assert_true(broker_drained(f->broker));
    assert_false(trace_has(f, "RESULT t"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DURABLE(acceptance_and_start_are_told_when_the_task_is_stored),
        DURABLE(a_service_makes_all_its_tasks_durable),
        DURABLE(a_broker_can_make_all_tasks_durable),
        DURABLE(what_all_workers_shall_do_is_not_durable),
        DURABLE(an_outcome_is_told_when_it_is_stored),
        DURABLE(one_that_ends_before_it_is_stored_is_accepted_first),
        DURABLE(acceptance_does_not_wait_for_the_outcome),
        DURABLE(what_may_be_started_once_is_accepted_before_it_is_started),
        DURABLE(its_worker_takes_others_meanwhile),
        DURABLE(a_cancel_comes_too_late_for_what_is_being_stored),
        DURABLE(a_durable_join_of_others_is_refused),
        DURABLE(nothing_durable_without_a_store_that_has_room),
        DURABLE(what_is_not_yet_stored_is_bounded),
        DURABLE(what_may_be_started_once_is_started_when_that_is_stored),
        DURABLE(a_task_that_is_about_to_start_can_be_taken_back),
        DURABLE(of_checkpoints_one_a_task_is_on_its_way_to_the_store),
        DURABLE(what_waits_for_the_store_has_no_lease_yet),
        DURABLE(signals_come_after_the_task_and_not_after_its_end),
        DURABLE(an_outcome_stays_though_its_submitter_has_left),
        DURABLE(a_drained_broker_leaves_what_waits_to_its_store),
        DURABLE(a_broker_whose_store_is_lost_waits_for_nothing_durable),
        DURABLE(a_pause_while_its_start_is_stored_changes_nothing),
        DURABLE(a_session_that_is_back_has_what_was_being_stored),
        DURABLE(nothing_durable_goes_to_every_worker),
        DURABLE(the_event_of_a_durable_failure_has_its_code),
        DURABLE(a_cancel_that_comes_too_late_stops_nothing),
        DURABLE(a_broker_whose_store_is_lost_ends),
        DURABLE(what_was_starting_when_the_store_was_lost_holds_nobody_up),
        DURABLE(what_would_start_after_the_store_was_lost_holds_nobody_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
