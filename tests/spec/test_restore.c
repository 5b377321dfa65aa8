/* The promise: after a crash a broker has what it accepted, and tells nothing twice. */
#include "tests/spec/fixture.h"

#include <string.h>

static const struct submit durable = {.durable = true, .receipts = true, .attempts = 3};

#define DURABLE(name) cmocka_unit_test_setup_teardown(name, fixture_setup_stored, fixture_teardown)

/* Whatever a crash leaves, nobody was told more than is there; and what was told is there. */
static void after_every_crash_what_was_told_holds(void **state)
{
    for (uint64_t kept = 0; kept <= 2; kept++) {
        struct fixture *f = *state;
        bool told_accepted, told_done;

        shelf_free(f->shelf);
        f->shelf = NULL;
        fixture_crash(f, 0);
        given_echo_again(f);
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
        given_echo_again(f);
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
    given_echo_again(f);
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
    given_echo_again(f);
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

static void a_checkpoint_is_kept_past_the_memory_there_is_now(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_CHECKPOINT};
    static uint8_t bytes[100 * 1000];

    memset(bytes, 'x', sizeof bytes);
    submit_with(f, "s1", "t1", "echo", "", &durable);
    message.checkpoint.id = id_of("t1");
    message.checkpoint.attempt = 1;
    message.checkpoint.payload.bytes = span_of(bytes, sizeof bytes);
    say(f, "w1", &message);
    stored(f);
    f->options.memory_max = sizeof bytes;
    crash(f);
    hello(f, "w1");
    offer(f, "w1", "echo", 1);
    assert_true(trace_has(f, "TASK t1 attempt=1 checkpoint: payload=100000 bytes"));
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
    struct control retry = {.what = CONTROL_RETRY, .task = id_of("t1")};

    options.dead_letter = true;
    options.attempts = 1;
    submit_with(f, "s1", "t1", "echo", "x", &options);
    fail_task(f, "w1", "t1", 1, "broken", false);
    stored(f);
    crash(f);
    given_echo_again(f);
    assert_int_equal(stats_of(f).dead, 1);
    advance_ms(f, f->options.retain_ms); /* its outcome is forgotten, the letter is not */
    given_echo_again(f);
    drop_trace(f);
    say_control(f, &retry);
    stored(f);
    assert_true(trace_has(f, "w1 <- TASK t1 attempt=2 payload=x"));
    crash(f);
    assert_int_equal(shelf_count(f->shelf), 1);
    assert_int_equal(stats_of(f).dead, 0);
    assert_int_equal(stats_of(f).storing, 1); /* it was the only attempt, and may have begun */
}

static void what_each_attempt_failed_of_survives(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;

    options.dead_letter = true;
    options.attempts = 3;
    options.backoff_ms = 1;
    submit_with(f, "s1", "t1", "echo", "x", &options);
    stored(f);
    advance_ms(f, 100);
    fail_task(f, "w1", "t1", 1, "broken", true);
    stored(f);
    f->now_ms += 900;
    crash(f);
    given_echo_again(f);
    fail_task(f, "w1", "t1", 2, "torn", true);
    advance_ms(f, 2);
    fail_task(f, "w1", "t1", 3, "burnt", true);
    stored(f);
    crash(f);
    given_echo_again(f);
    query_task(f, "s1", QUERY_LETTER, "t1");
    assert_true(trace_has(f, "attempt=3 died_ms=1000000001002 "));
    assert_true(trace_has(f, "attempt=1 at_ms=1000000000100 worker=w1 code=broken"));
    assert_true(trace_has(f, "attempt=2 at_ms=1000000001000 worker=w1 code=torn"));
    assert_true(trace_has(f, "attempt=3 at_ms=1000000001002 worker=w1 code=burnt"));
    assert_true(trace_has(f, "causes_dropped=0"));
}

/* Nobody knows what became of the only attempt: that is why it is a dead letter. */
static void what_a_crash_ended_says_so(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;

    options.dead_letter = true;
    options.attempts = 1;
    submit_with(f, "s1", "t1", "echo", "x", &options);
    stored(f);
    assert_true(trace_has(f, "w1 <- TASK t1 attempt=1"));
    crash(f);
    given_echo_again(f);
    stored(f);
    query_task(f, "s1", QUERY_LETTER, "t1");
    assert_true(trace_has(f, "attempt=1 at_ms=1000000000000 worker= code=worker_lost") ||
                trace_has(f, "attempt=1 at_ms=1000000000000 code=worker_lost"));
    crash(f); /* and it is kept */
    given_echo_again(f);
    drop_trace(f);
    query_task(f, "s1", QUERY_LETTER, "t1");
    assert_true(trace_has(f, "code=worker_lost"));
}

static void causes_that_are_none_are_left_out(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;
    struct store_row row;

    options.dead_letter = true;
    options.attempts = 1;
    submit_with(f, "s1", "t1", "echo", "x", &options);
    fail_task(f, "w1", "t1", 1, "broken", false);
    crash(f);
    row = *shelf_row(f->shelf, 0);
    assert_true(row.causes.size > 0);
    for (size_t i = 0; i < row.causes.size; i++) {
        struct store_row cut = row;

        cut.causes.size = i;
        fixture_restart(f);
        assert_true(broker_restore(f->broker, &cut));
        broker_restored(f->broker, row.key + 1);
        broker_check(f->broker);
        assert_int_equal(stats_of(f).dead, 1);
    }
}

static void a_row_is_durable_whatever_it_says(void **state)
{
    struct fixture *f = *state;
    struct submit options = {.if_absent = IF_ABSENT_WAIT};
    struct submit join = {.join = JOIN_ALL, .needs_count = 1, .needs_stride = ID_BYTES};
    struct store_row row = {.key = 1, .accepted_unix_ms = 1000000000000, .submit = options,
                            .peer = span_from_text("s1")};
    struct id need = id_of("t1");

    row.session = id_of("S1");
    row.submit.id = need;
    row.submit.service = span_from_text("later");
    row.submit.attempts = 1;
    row.submit.held = true;
    assert_true(broker_restore(f->broker, &row));
    join.needs = need.bytes;
    row.key = 2;
    row.submit = join;
    row.submit.id = id_of("j1");
    row.ended = true;
    row.outcome = (struct outcome_record){.id = row.submit.id, .outcome = OUTCOME_CANCELLED};
    assert_true(broker_restore(f->broker, &row));
    broker_restored(f->broker, 3);
    stored(f);
    broker_check(f->broker);
    assert_int_equal(stats_of(f).cancelled, 1); /* the need; the join was counted in its time */
}

static void an_outcome_says_where_and_how_long_after_a_crash_too(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;

    options.detached = true;
    submit_with(f, "s1", "t1", "echo", "x", &options);
    advance_ms(f, 30);
    done(f, "w1", "t1", 1, "y");
    stored(f);
    f->now_ms += 50;
    crash(f);
    given_echo_again(f);
    query_task(f, "s1", QUERY_STATUS, "t1");
    assert_true(trace_has(f, "state=done attempt=1 waited_ms=0 ran_ms=30 worker=w1"));
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
    given_echo_again(f);
    assert_int_equal(stats_of(f).waiting, 1);
    done(f, "w1", "t2", 1, "b");
    stored(f);
    stored(f);
    assert_true(trace_has(f, "RESULT j1 done"));
}

static void what_was_not_started_is_started_after_a_crash(void **state)
{
    struct fixture *f = *state;
    struct submit once = durable;

    once.attempts = 1;
    submit_with(f, "s1", "t1", "echo", "", &once);
    fixture_crash(f, 1); /* of its lease nothing is left */
    given_echo_again(f);
    stored(f);
    assert_true(trace_has(f, "TASK t1 attempt=1"));
}

/* The new row may be there and the old one not yet gone. */
static void a_retried_letter_is_one_task_whatever_a_crash_leaves(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;
    struct control retry = {.what = CONTROL_RETRY, .task = id_of("t1")};
    uint64_t last;

    options.dead_letter = true;
    submit_with(f, "s1", "t1", "echo", "x", &options);
    fail_task(f, "w1", "t1", 1, "broken", false);
    stored(f);
    last = shelf_last(f->shelf);
    say_control(f, &retry);
    assert_true(shelf_last(f->shelf) > last + 1);
    fixture_crash(f, last + 1);
    assert_int_equal(shelf_count(f->shelf), 2);
    assert_int_equal(stats_of(f).dead, 0);
    assert_int_equal(stats_of(f).ready, 1);
    crash(f);
    assert_int_equal(shelf_count(f->shelf), 1);
}

/* Its causes are numbered, and go on. */
static void attempts_of_a_retried_letter_go_on_after_a_crash(void **state)
{
    struct fixture *f = *state;
    struct control retry = {.what = CONTROL_RETRY, .task = id_of("t1")};
    struct submit options = durable;

    options.attempts = 2;
    options.dead_letter = true;
    submit_with(f, "s1", "t1", "echo", "x", &options);
    for (uint64_t attempt = 1; attempt <= 2; attempt++) {
        fail_task(f, "w1", "t1", attempt, "bad", true);
        advance_ms(f, 1000);
    }
    stored(f);
    say_control(f, &retry);
    fail_task(f, "w1", "t1", 3, "bad", true);
    stored(f);
    drop_trace(f);
    crash(f);
    hello(f, "w1");
    offer(f, "w1", "echo", 1);
    assert_true(trace_has(f, "TASK t1 attempt=4"));
    fail_task(f, "w1", "t1", 4, "bad", true);
    stored(f);
    assert_int_equal(stats_of(f).dead, 1);
}

static void a_retried_letter_keeps_its_past_before_it_is_started(void **state)
{
    struct fixture *f = *state;
    struct control retry = {.what = CONTROL_RETRY, .task = id_of("t1")};
    struct submit options = durable;

    options.attempts = 1;
    options.dead_letter = true;
    submit_with(f, "s1", "t1", "echo", "x", &options);
    stored(f);
    fail_task(f, "w1", "t1", 1, "first", true);
    stored(f);
    lose(f, "w1");
    say_control(f, &retry);
    for (unsigned i = 0; i < 2; i++) {
        crash(f);
    }
    given_echo_again(f);
    stored(f);
    fail_task(f, "w1", "t1", 2, "second", true);
    stored(f);
    query_task(f, "s1", QUERY_LETTER, "t1");
    assert_true(trace_has(f, "causes attempt=1 at_ms=1000000000000 worker=w1 code=first"));
    assert_true(trace_has(f, "attempt=2 at_ms=1000000000000 worker=w1 code=second"));
}

/* The offer that said so is gone after a restart. */
static void attempts_are_kept_as_they_were_accepted(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_OFFER};
    struct submit options = {.durable = true};

    message.offer.service = span_from_text("once");
    message.offer.credit = 1;
    message.offer.attempts = 1;
    say(f, "w1", &message);
    submit_with(f, "s1", "t1", "once", "", &options);
    stored(f);
    assert_true(trace_has(f, "TASK t1"));
    crash(f);
    given_echo_again(f);
    offer(f, "w1", "once", 1);
    stored(f);
    assert_false(trace_has(f, "TASK t1"));
    assert_int_equal(stats_of(f).failed, 1);
}

static void a_restart_repeats_no_event(void **state)
{
    struct fixture *f = *state;

    submit_with(f, "s1", "t1", "echo", "", &durable);
    done(f, "w1", "t1", 1, "");
    stored(f);
    f->noted = 0;
    f->notes = true;
    crash(f);
    assert_int_equal(f->noted, 0);
    assert_int_equal(stats_of(f).done, 0); /* since its start */
    given_echo_again(f);
    submit_with(f, "s1", "t2", "echo", "", &durable);
    assert_true(f->noted > 0);
}

/* Nobody will ever come back as most of them. */
static void sessions_that_have_nothing_to_come_back_for_take_no_place(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;

    options.detached = true;
    options.if_absent = IF_ABSENT_WAIT;
    for (unsigned i = 2; i < 9; i++) {
        const char *name = numbered("s", i);

        hello(f, name);
        submit_with(f, name, numbered("t", i), "later", "", &options);
    }
    submit_with(f, "s1", "t1", "echo", "", &durable);
    stored(f);
    f->options.peers_max = 3;
    crash(f);
    assert_int_equal(stats_of(f).peers, 1); /* s1 has 10 s */
    hello(f, "w1");
    hello(f, "w2");
    assert_int_equal(stats_of(f).peers, 3);
    assert_int_equal(stats_of(f).ready, 8);
}

static void what_an_ended_join_let_go_of_does_not_run(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable, join = durable;
    const char *const services[] = {"", "later"};
    uint8_t needs[2 * ID_BYTES];
    struct id one = id_of("t1"), other = id_of("t2");

    memcpy(needs, one.bytes, ID_BYTES);
    memcpy(needs + ID_BYTES, other.bytes, ID_BYTES);
    options.held = options.detached = true;
    options.if_absent = IF_ABSENT_WAIT;
    join.join = JOIN_ALL;
    join.needs = needs;
    join.needs_count = 2;
    join.needs_stride = ID_BYTES;
    join.if_absent = IF_ABSENT_WAIT;
    for (unsigned i = 0; i < 2; i++) {
        shelf_free(f->shelf);
        f->shelf = NULL;
        fixture_crash(f, 0);
        given_echo_again(f);
        submit_with(f, "s1", "t1", "echo", "", &options);
        submit_with(f, "s1", "t2", "none", "", &options);
        submit_with(f, "s1", "j1", services[i], "", &join);
        stored(f);
        fail_task(f, "w1", "t1", 1, "bad", false);
        stored(f); /* it ends, and what it fails is recorded */
        fixture_crash(f, shelf_last(f->shelf) - (i == 0 ? 1 : 0));
        drop_trace(f);
        stored(f);
        hello(f, "w2");
        offer(f, "w2", "none", 1);
        assert_false(trace_has(f, "TASK t2"));
    }
}

static void chunk(struct fixture *f, const char *task, uint64_t sequence)
{
    struct message message = {.command = COMMAND_CHUNK};

    message.chunk.id = id_of(task);
    message.chunk.attempt = 1;
    message.chunk.sequence = sequence;
    message.chunk.payload.bytes = span_from_text("c");
    say(f, "w1", &message);
}

static void a_stream_waits_for_its_reader(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;

    options.stream = 5;
    submit_with(f, "s1", "t1", "echo", "", &options);
    stored(f);
    crash(f);
    hello(f, "w1");
    offer(f, "w1", "echo", 1);
    chunk(f, "t1", 0);
    hello(f, "s1");
    assert_false(trace_has(f, "s1 <- CHUNK"));
    submit_with(f, "s1", "t1", "echo", "", &options);
    assert_true(trace_has(f, "s1 <- CHUNK t1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DURABLE(after_every_crash_what_was_told_holds),
        DURABLE(a_waiting_task_waits_again),
        DURABLE(a_submitter_that_stays_away_cancels_what_is_not_detached),
        DURABLE(deadlines_and_delays_go_on_while_the_broker_is_down),
        DURABLE(attempts_and_checkpoints_are_kept),
        DURABLE(a_checkpoint_is_kept_past_the_memory_there_is_now),
        DURABLE(a_cancelled_one_is_cancelled_after_a_crash),
        DURABLE(a_dead_letter_survives_and_takes_its_row_with_it),
        DURABLE(what_each_attempt_failed_of_survives),
        DURABLE(what_a_crash_ended_says_so),
        DURABLE(causes_that_are_none_are_left_out),
        DURABLE(a_row_is_durable_whatever_it_says),
        DURABLE(an_outcome_says_where_and_how_long_after_a_crash_too),
        DURABLE(what_is_forgotten_is_forgotten_in_the_store),
        DURABLE(a_join_waits_for_the_same_tasks_after_a_crash),
        DURABLE(what_was_not_started_is_started_after_a_crash),
        DURABLE(a_retried_letter_is_one_task_whatever_a_crash_leaves),
        DURABLE(attempts_of_a_retried_letter_go_on_after_a_crash),
        DURABLE(a_retried_letter_keeps_its_past_before_it_is_started),
        DURABLE(attempts_are_kept_as_they_were_accepted),
        DURABLE(a_restart_repeats_no_event),
        DURABLE(sessions_that_have_nothing_to_come_back_for_take_no_place),
        DURABLE(what_an_ended_join_let_go_of_does_not_run),
        DURABLE(a_stream_waits_for_its_reader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
