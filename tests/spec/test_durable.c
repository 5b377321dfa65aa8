/* The promise: what was told of a durable task is true after a crash, whatever of the records that
 * nobody was told of is lost. */
#include "tests/spec/fixture.h"

#include <string.h>

static const struct submit durable = {.durable = true, .receipts = true, .attempts = 3};

static void peers(struct fixture *f)
{
    given_echo(f, 10);
    drop_trace(f);
}

static int setup(void **state)
{
    int rc = fixture_setup(state);
    struct fixture *f = *state;

    fixture_crash(f, 0);
    peers(f);
    return rc;
}

#define DURABLE(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

static void crash(struct fixture *f)
{
    fixture_crash(f, shelf_last(f->shelf));
}

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

/* Whatever a crash leaves, nobody was told more than is there; and what was told is there. */
static void after_every_crash_what_was_told_holds(void **state)
{
    for (uint64_t kept = 0; kept <= 2; kept++) {
        struct fixture *f = *state;
        bool told_accepted, told_done;

        shelf_free(f->shelf);
        f->shelf = NULL;
        fixture_crash(f, 0);
        peers(f);
        submit_with(f, "s1", "t1", "echo", "x", &durable);
        if (kept >= 1) {
            stored(f);
        }
        done(f, "w1", "t1", 1, "y");
        if (kept >= 2) {
            stored(f);
        }
        told_accepted = trace_has(f, "ACCEPTED t1");
        told_done = trace_has(f, "RESULT t1 done");
        assert_int_equal(told_accepted, kept >= 1);
        assert_int_equal(told_done, kept >= 2);
        fixture_crash(f, kept);
        assert_int_equal(shelf_count(f->shelf), kept >= 1);
        peers(f);
        submit_with(f, "s1", "t1", "echo", "x", &durable); /* as submitters do */
        if (kept < 2) {
            done(f, "w1", "t1", 1, "y");
            stored(f);
        }
        assert_true(trace_has(f, "RESULT t1 done attempt=1 payload=y"));
        assert_int_equal(f->sent[COMMAND_TASK], kept < 2 ? 2 : 1);
        memset(f->sent, 0, sizeof f->sent);
    }
}

static void a_waiting_task_waits_again(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;

    options.if_absent = IF_ABSENT_WAIT;
    options.priority = 7;
    submit_with(f, "s1", "t1", "later", "x", &options);
    stored(f);
    crash(f);
    hello(f, "w2");
    drop_trace(f);
    offer(f, "w2", "later", 1);
    assert_true(trace_has(f, "w2 <- TASK t1 attempt=1 payload=x"));
    done(f, "w2", "t1", 1, "y");
    hello(f, "s1");
    stored(f);
    assert_true(trace_has(f, "s1 <- RESULT t1 done attempt=1 payload=y"));
}

static void a_submitter_that_stays_away_cancels_what_is_not_detached(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;

    options.if_absent = IF_ABSENT_WAIT;
    submit_with(f, "s1", "t1", "later", "", &options);
    options.detached = true;
    submit_with(f, "s1", "t2", "later", "", &options);
    stored(f);
    crash(f);
    advance_ms(f, f->options.resume_ms);
    stored(f);
    assert_int_equal(stats_of(f).cancelled, 1);
    assert_int_equal(stats_of(f).ready, 1);
}

static void deadlines_and_delays_go_on_while_the_broker_is_down(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;

    options.delay_ms = 5000;
    submit_with(f, "s1", "t1", "echo", "", &options);
    options.delay_ms = 0;
    options.if_absent = IF_ABSENT_WAIT;
    options.deadline_ms = 3000;
    options.detached = true;
    submit_with(f, "s1", "t2", "later", "", &options);
    stored(f);
    f->now_ms = 2000; /* it is down for so long */
    crash(f);
    peers(f);
    advance_ms(f, 999);
    stored(f);
    assert_int_equal(stats_of(f).expired, 0);
    advance_ms(f, 1);
    stored(f);
    assert_int_equal(stats_of(f).expired, 1);
    assert_false(trace_has(f, "TASK t1"));
    advance_ms(f, 2000);
    assert_true(trace_has(f, "TASK t1"));
}

static void attempts_and_checkpoints_are_kept(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_CHECKPOINT};
    struct submit options = durable;

    options.attempts = 2;
    submit_with(f, "s1", "t1", "echo", "", &options);
    message.checkpoint.id = id_of("t1");
    message.checkpoint.attempt = 1;
    message.checkpoint.payload.bytes = span_from_text("half");
    say(f, "w1", &message);
    fail_task(f, "w1", "t1", 1, "busy", true);
    stored(f);
    crash(f);
    peers(f);
    assert_int_equal(shelf_row(f->shelf, 0)->attempts, 1);
    assert_true(span_is(shelf_row(f->shelf, 0)->checkpoint.bytes, "half"));
    hello(f, "s1");
    submit_with(f, "s1", "t2", "echo", "", NULL);
    advance_ms(f, 1);
    fail_task(f, "w1", "t1", 2, "busy", true);
    stored(f);
    assert_true(trace_has(f, "RESULT t1 failed"));
    assert_int_equal(stats_of(f).retries, 0);
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

static void a_cancelled_one_is_cancelled_after_a_crash(void **state)
{
    struct fixture *f = *state;

    submit_with(f, "s1", "t1", "echo", "", &durable);
    stored(f);
    cancel(f, "s1", "t1", 0);
    done(f, "w1", "t1", 1, "");
    assert_int_equal(stats_of(f).storing, 1);
    stored(f);
    assert_true(trace_has(f, "RESULT t1 cancelled"));
    crash(f);
    assert_int_equal(stats_of(f).tasks, 0);
    assert_int_equal(shelf_count(f->shelf), 1); /* what is remembered */
}

static void a_dead_letter_survives_and_takes_its_row_with_it(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;
    struct message message = {.command = COMMAND_CONTROL};

    options.dead_letter = true;
    options.attempts = 1;
    submit_with(f, "s1", "t1", "echo", "x", &options);
    fail_task(f, "w1", "t1", 1, "broken", false);
    stored(f);
    crash(f);
    peers(f);
    assert_int_equal(stats_of(f).dead, 1);
    advance_ms(f, f->options.retain_ms); /* its outcome is forgotten, the letter is not */
    peers(f);
    message.control.request = 9;
    message.control.what = CONTROL_RETRY;
    message.control.task = id_of("t1");
    drop_trace(f);
    say(f, "s1", &message);
    stored(f);
    assert_true(trace_has(f, "w1 <- TASK t1 attempt=2 payload=x"));
    crash(f);
    assert_int_equal(shelf_count(f->shelf), 1);
    assert_int_equal(stats_of(f).dead, 0);
    assert_int_equal(stats_of(f).storing, 1); /* it was the only attempt, and may have begun */
}

static void what_is_forgotten_is_forgotten_in_the_store(void **state)
{
    struct fixture *f = *state;

    submit_with(f, "s1", "t1", "echo", "", &durable);
    done(f, "w1", "t1", 1, "");
    stored(f);
    advance_ms(f, f->options.retain_ms);
    crash(f);
    assert_int_equal(shelf_count(f->shelf), 0);
}

static void a_key_is_under_way_after_a_crash_too(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;

    options.idempotency_key = span_from_text("k");
    submit_with(f, "s1", "t1", "echo", "x", &options);
    submit_with(f, "s1", "t2", "echo", "x", &options);
    stored(f);
    crash(f);
    peers(f);
    assert_int_equal(stats_of(f).leased, 1);
    assert_int_equal(stats_of(f).waiting, 1);
    done(f, "w1", "t1", 1, "y");
    stored(f); /* the first */
    stored(f); /* and who follows */
    assert_true(trace_has(f, "RESULT t1 done"));
    assert_true(trace_has(f, "RESULT t2 done"));
}

static void a_join_waits_for_the_same_tasks_after_a_crash(void **state)
{
    struct fixture *f = *state;
    uint8_t needs[2 * ID_BYTES];
    struct id ids[2] = {id_of("t1"), id_of("t2")};
    struct submit options = durable, join = durable;

    options.held = true;
    submit_with(f, "s1", "t1", "echo", "", &options);
    submit_with(f, "s1", "t2", "echo", "", &options);
    memcpy(needs, ids[0].bytes, ID_BYTES);
    memcpy(needs + ID_BYTES, ids[1].bytes, ID_BYTES);
    join.join = JOIN_ALL;
    join.needs = needs;
    join.needs_count = 2;
    join.needs_stride = ID_BYTES;
    submit_with(f, "s1", "j1", "", "", &join);
    done(f, "w1", "t1", 1, "a");
    stored(f);
    crash(f);
    peers(f);
    assert_int_equal(stats_of(f).waiting, 1);
    done(f, "w1", "t2", 1, "b");
    stored(f);
    stored(f);
    assert_true(trace_has(f, "RESULT j1 done"));
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
    char name[16];

    f->options.unsafe_bytes = 10000;
    crash(f);
    peers(f);
    while (f->refused == 0 && accepted < 1000) {
        snprintf(name, sizeof name, "t%u", (unsigned)accepted++);
        submit_with(f, "s1", name, "echo", "0123456789", &durable);
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
    expect_trace(f, "[   0] w1 <- TASK t1 attempt=1\n"
                    "[   0] s1 <- ACCEPTED t1\n"
                    "[   0] s1 <- STARTED t1 attempt=1 worker=w1\n");
    crash(f);
    peers(f);
    submit_with(f, "s1", "t1", "echo", "", &once);
    stored(f);
    assert_true(trace_has(f, "RESULT t1 failed attempt=1 code=worker_lost"));
    assert_false(trace_has(f, "TASK t1"));
}

static void what_was_not_started_is_started_after_a_crash(void **state)
{
    struct fixture *f = *state;
    struct submit once = durable;

    once.attempts = 1;
    submit_with(f, "s1", "t1", "echo", "", &once);
    fixture_crash(f, 1); /* of its lease nothing is left */
    peers(f);
    stored(f);
    assert_true(trace_has(f, "TASK t1 attempt=1"));
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

/* The new row may be there and the old one not yet gone. */
static void a_retried_letter_is_one_task_whatever_a_crash_leaves(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;
    struct message message = {.command = COMMAND_CONTROL};
    uint64_t last;

    options.dead_letter = true;
    submit_with(f, "s1", "t1", "echo", "x", &options);
    fail_task(f, "w1", "t1", 1, "broken", false);
    stored(f);
    last = shelf_last(f->shelf);
    message.control.request = 9;
    message.control.what = CONTROL_RETRY;
    message.control.task = id_of("t1");
    say(f, "s1", &message);
    assert_true(shelf_last(f->shelf) > last + 1);
    fixture_crash(f, last + 1);
    assert_int_equal(shelf_count(f->shelf), 2);
    assert_int_equal(stats_of(f).dead, 0);
    assert_int_equal(stats_of(f).ready, 1);
    crash(f);
    assert_int_equal(shelf_count(f->shelf), 1);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        DURABLE(acceptance_and_start_are_told_when_the_task_is_stored),
        DURABLE(an_outcome_is_told_when_it_is_stored),
        DURABLE(one_that_ends_before_it_is_stored_is_accepted_first),
        DURABLE(its_worker_takes_others_meanwhile),
        DURABLE(after_every_crash_what_was_told_holds),
        DURABLE(a_waiting_task_waits_again),
        DURABLE(a_submitter_that_stays_away_cancels_what_is_not_detached),
        DURABLE(deadlines_and_delays_go_on_while_the_broker_is_down),
        DURABLE(attempts_and_checkpoints_are_kept),
        DURABLE(a_cancel_comes_too_late_for_what_is_being_stored),
        DURABLE(a_cancelled_one_is_cancelled_after_a_crash),
        DURABLE(a_dead_letter_survives_and_takes_its_row_with_it),
        DURABLE(what_is_forgotten_is_forgotten_in_the_store),
        DURABLE(a_key_is_under_way_after_a_crash_too),
        DURABLE(a_join_waits_for_the_same_tasks_after_a_crash),
        DURABLE(a_durable_join_of_others_is_refused),
        DURABLE(nothing_durable_without_a_store_that_has_room),
        DURABLE(what_is_not_yet_stored_is_bounded),
        DURABLE(what_may_be_started_once_is_started_when_that_is_stored),
        DURABLE(what_was_not_started_is_started_after_a_crash),
        DURABLE(a_task_that_is_about_to_start_can_be_taken_back),
        DURABLE(a_retried_letter_is_one_task_whatever_a_crash_leaves),
        DURABLE(a_drained_broker_leaves_what_waits_to_its_store),
        DURABLE(a_broker_whose_store_is_lost_waits_for_nothing_durable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
