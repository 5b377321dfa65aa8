/* The promise: a task that failed for good is kept, with every cause, until somebody decides. */
#include "tests/spec/fixture.h"

#include <string.h>

static const struct submit mourned = {
    .dead_letter = true, .attempts = 2, .backoff_ms = 1, .final_on = {(const uint8_t *)"bad", 3}};

static void control(struct fixture *f, enum control_what what, const char *task,
                    const char *service)
{
    struct message message = {.command = COMMAND_CONTROL};

    message.control.request = 5;
    message.control.what = what;
    if (task != NULL) {
        message.control.task = id_of(task);
    }
    message.control.service = span_from_text(service);
    say(f, "s1", &message);
}

static void query(struct fixture *f, enum query_what what, const char *task)
{
    struct message message = {.command = COMMAND_QUERY};
    struct id id = id_of(task);

    message.query.request = 7;
    message.query.what = what;
    if (task[0] != '\0') {
        message.query.argument = span_of(id.bytes, sizeof id.bytes);
    }
    say(f, "s1", &message);
}

static void die(struct fixture *f, const char *task)
{
    submit_with(f, "s1", task, "echo", "in", &mourned);
    fail_task(f, "w1", task, 1, "bad", true);
    drop_trace(f);
}

static void every_attempt_leaves_its_cause(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "in", &mourned);
    fail_task(f, "w1", "t1", 1, "busy", true);
    advance_ms(f, 1);
    fail_task(f, "w1", "t1", 2, "broken", false);
    drop_trace(f);
    query(f, QUERY_DEAD, "");
    assert_true(trace_has(f, "id=t1 service=echo attempt=2 died_ms=1 payload_bytes=2 worker=w1 "
                             "code=broken"));
    drop_trace(f);
    query(f, QUERY_LETTER, "t1");
    assert_true(trace_has(f, "attempt=1 at_ms=0 worker=w1 code=busy"));
    assert_true(trace_has(f, "attempt=2 at_ms=1 worker=w1 code=broken"));
    assert_true(trace_has(f, "causes_dropped=0"));
    drop_trace(f);
    query(f, QUERY_LETTER, "t2");
    expect_trace(f, "[   1] s1 <- REPLY 7 failed code=not_found\n");
}

static void who_asks_for_none_leaves_none(void **state)
{
    struct fixture *f = *state;
    struct submit detached = {.detached = true};

    given_echo(f, 1);
    submit(f, "s1", "t1", "echo");
    fail_task(f, "w1", "t1", 1, "bad", false);
    assert_int_equal(stats_of(f).dead, 0);
    submit_with(f, "s1", "t2", "echo", "", &detached);
    fail_task(f, "w1", "t2", 1, "bad", false);
    assert_int_equal(stats_of(f).dead, 1);
    submit_with(f, "s1", "t3", "echo", "", &mourned);
    cancel(f, "s1", "t3", 0);
    fail_task(f, "w1", "t3", 1, "cancelled", false);
    assert_int_equal(stats_of(f).dead, 1);
}

static void a_letter_is_submitted_again(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    die(f, "t1");
    control(f, CONTROL_RETRY, "t1", "");
    expect_trace(f, "[   0] s1 <- REPLY 5 ok retried=1 left=0\n"
                    "[   0] w1 <- TASK t1 attempt=2 payload=in\n");
    assert_int_equal(stats_of(f).dead, 0);
    assert_int_equal(stats_of(f).detached, 1);
    bye(f, "s1");
    hello(f, "s1");
    /* Its options are those of its first life, and so is what it died of. */
    fail_task(f, "w1", "t1", 2, "bad", true);
    assert_int_equal(stats_of(f).dead, 1);
    drop_trace(f);
    query(f, QUERY_LETTER, "t1");
    assert_true(trace_has(f, "attempt=1 at_ms=0 worker=w1 code=bad"));
    assert_true(trace_has(f, "attempt=2 at_ms=0 worker=w1 code=bad"));
}

static void a_refused_retry_keeps_the_letter(void **state)
{
    struct fixture *f = *state;
    struct service_limits limits = {.max_tasks = 1};

    assert_true(broker_configure_service(f->broker, span_from_text("echo"), &limits));
    given_echo(f, 1);
    die(f, "t1");
    submit(f, "s1", "x1", "echo");
    submit(f, "s1", "x2", "echo");
    drop_trace(f);
    control(f, CONTROL_RETRY, "t1", "");
    expect_trace(f, "[   0] s1 <- REPLY 5 failed code=queue_full\n");
    assert_int_equal(stats_of(f).dead, 1);
    control(f, CONTROL_RETRY, "t9", "");
    expect_trace(f, "[   0] s1 <- REPLY 5 failed code=not_found\n");
}

/* And the outcome, which somebody may ask for yet. */
static void a_refused_retry_keeps_the_outcome(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    die(f, "t1");
    event(f, &(struct event){.kind = EVENT_DRAIN});
    drop_trace(f);
    control(f, CONTROL_RETRY, "t1", "");
    expect_trace(f, "[   0] s1 <- REPLY 5 failed code=draining\n");
    query_task(f, "s1", QUERY_STATUS, "t1");
    assert_true(trace_has(f, "state=failed"));
}

static void a_retry_while_the_id_is_in_use_is_a_conflict(void **state)
{
    struct fixture *f = *state;
    struct submit once = {.attempts = 1};

    f->options.retain_ms = 1;
    fixture_restart(f);
    given_echo(f, 2);
    die(f, "t1");
    advance_ms(f, 1); /* the outcome is forgotten, the letter is not */
    submit_with(f, "s1", "t1", "echo", "new", &once);
    drop_trace(f);
    control(f, CONTROL_RETRY, "t1", "");
    expect_trace(f, "[   1] s1 <- REPLY 5 failed code=conflict\n");
    assert_int_equal(stats_of(f).dead, 1);
}

/* The same id, submitted anew by its peer, fails again: there is one letter of it, the newer. */
static void a_letter_gives_way_to_a_newer_one(void **state)
{
    struct fixture *f = *state;

    f->options.retain_ms = 1;
    fixture_restart(f);
    given_echo(f, 1);
    die(f, "t1");
    die(f, "t2");
    advance_ms(f, 1);
    submit_with(f, "s1", "t1", "echo", "in", &mourned);
    fail_task(f, "w1", "t1", 1, "bad", true);
    assert_int_equal(stats_of(f).dead, 2);
    assert_int_equal(stats_of(f).dead_forgotten, 0);
    drop_trace(f);
    query(f, QUERY_LETTER, "t1");
    assert_true(trace_has(f, "attempt=1 at_ms=1 worker=w1"));
    assert_false(trace_has(f, "at_ms=0"));
}

/* One command takes a thousand: the rest is for the next. */
static void a_thousand_letters_at_once(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 1);
    f->quiet = true;
    for (unsigned i = 0; i < 1001; i++) {
        die(f, numbered("t", i));
    }
    f->quiet = false;
    control(f, CONTROL_DROP, NULL, "echo");
    assert_true(trace_has(f, "dropped=1000 left=1"));
    assert_int_equal(stats_of(f).dead, 1);
}

/* Attempts are numbered in 16 bits, through all retries of an id. */
static void the_attempts_of_an_id_have_an_end(void **state)
{
    struct submit options = {
        .attempts = ATTEMPTS_MAX, .dead_letter = true, .backoff_ms = 1, .backoff_max_ms = 1};
    struct fixture *f = *state;
    unsigned attempt = 0;

    given_echo(f, 1);
    f->quiet = true;
    submit_with(f, "s1", "t1", "echo", "in", &options);
    do {
        for (unsigned i = 0; i < ATTEMPTS_MAX; i++) {
            fail_task(f, "w1", "t1", ++attempt, "bad", true);
            advance_ms(f, 1);
        }
        ping(f, "s1");
        assert_int_equal(stats_of(f).dead, 1);
        drop_trace(f);
        control(f, CONTROL_RETRY, "t1", "");
    } while (stats_of(f).dead == 0);
    assert_in_range(attempt, 60000, 65535);
    f->quiet = false;
    control(f, CONTROL_RETRY, "t1", "");
    assert_true(trace_has(f, "REPLY 5 failed code=limit_exceeded"));
}

static void a_service_drops_or_retries_all_of_its_own(void **state)
{
    struct fixture *f = *state;

    given_echo(f, 9);
    die(f, "t1");
    die(f, "t2");
    control(f, CONTROL_DROP, NULL, "other");
    expect_trace(f, "[   0] s1 <- REPLY 5 ok dropped=0 left=0\n");
    control(f, CONTROL_DROP, "t1", "");
    expect_trace(f, "[   0] s1 <- REPLY 5 ok dropped=1 left=0\n");
    die(f, "t3");
    control(f, CONTROL_RETRY, NULL, "echo");
    expect_trace(f, "[   0] s1 <- REPLY 5 ok retried=2 left=0\n"
                    "[   0] w1 <- TASK t2 attempt=2 payload=in\n"
                    "[   0] w1 <- TASK t3 attempt=2 payload=in\n");
    control(f, CONTROL_DROP, NULL, "");
    expect_trace(f, "[   0] s1 <- REPLY 5 failed code=bad_message\n");
}

static void letters_are_bounded_and_the_oldest_goes_first(void **state)
{
    struct fixture *f = *state;

    f->options.dead_tasks = 2;
    fixture_restart(f);
    given_echo(f, 1);
    die(f, "t1");
    die(f, "t2");
    die(f, "t3");
    assert_int_equal(stats_of(f).dead, 2);
    assert_int_equal(stats_of(f).dead_forgotten, 1);
    query(f, QUERY_LETTER, "t1");
    expect_trace(f, "[   0] s1 <- REPLY 7 failed code=not_found\n");
    f->options.dead_tasks = 100;
    f->options.dead_bytes = 2000;
    fixture_restart(f);
    given_echo(f, 1);
    for (unsigned i = 0; i < 20; i++) {
        die(f, numbered("t", i));
    }
    assert_in_range(stats_of(f).dead_bytes, 500, 2000);
    assert_int_equal(stats_of(f).dead + stats_of(f).dead_forgotten, 20);
}

static void of_many_causes_the_first_and_the_last_stay(void **state)
{
    struct fixture *f = *state;
    struct submit many = {
        .dead_letter = true, .attempts = 30, .backoff_ms = 1, .backoff_max_ms = 1};

    given_echo(f, 1);
    submit_with(f, "s1", "t1", "echo", "", &many);
    for (unsigned i = 1; i <= 30; i++) {
        fail_task(f, "w1", "t1", i, "busy", true);
        advance_ms(f, 1);
    }
    assert_int_equal(stats_of(f).dead, 1);
    drop_trace(f);
    query(f, QUERY_LETTER, "t1");
    assert_true(trace_has(f, "causes_dropped=14"));
    assert_true(trace_has(f, " attempt=4 at_ms"));
    assert_false(trace_has(f, " attempt=5 at_ms"));
    assert_false(trace_has(f, " attempt=18 at_ms"));
    assert_true(trace_has(f, " attempt=19 at_ms"));
    assert_true(trace_has(f, " attempt=30 at_ms"));
}

static void a_letter_outlives_the_outcome(void **state)
{
    struct fixture *f = *state;

    f->options.retain_ms = 1;
    fixture_restart(f);
    given_echo(f, 1);
    die(f, "t1");
    advance_ms(f, 1); /* the outcome is forgotten, the letter is not */
    drop_trace(f);
    control(f, CONTROL_RETRY, "t1", "");
    expect_trace(f, "[   1] s1 <- REPLY 5 ok retried=1 left=0\n"
                    "[   1] w1 <- TASK t1 attempt=2 payload=in\n");
}

static void a_retry_while_a_join_still_needs_the_outcome_is_a_conflict(void **state)
{
    struct fixture *f = *state;

    f->options.retain_ms = 1;
    fixture_restart(f);
    given_echo(f, 2);
    submit_with(f, "s1", "t1", "echo", "in", &mourned);
    submit(f, "s1", "t2", "echo");
    submit_join(f, "s1", "j1", JOIN_SETTLED, 0, (const char *const[]){"t1", "t2", NULL});
    fail_task(f, "w1", "t1", 1, "bad", true);
    drop_trace(f);
    control(f, CONTROL_RETRY, "t1", "");
    expect_trace(f, "[   0] s1 <- REPLY 5 failed code=conflict\n");
    done(f, "w1", "t2", 1, "");
    advance_ms(f, 1); /* join and members are forgotten together */
    drop_trace(f);
    control(f, CONTROL_RETRY, "t1", "");
    expect_trace(f, "[   1] s1 <- REPLY 5 ok retried=1 left=0\n"
                    "[   1] w1 <- TASK t1 attempt=2 payload=in\n");
}

/* The worker that let its lease run out has yet to answer: its attempt keeps its number. */
static void a_retry_counts_on_from_an_attempt_that_is_still_out(void **state)
{
    struct fixture *f = *state;
    struct submit leased = {.dead_letter = true, .attempts = 1, .lease_ms = 10};

    given_echo(f, 2);
    submit_with(f, "s1", "t1", "echo", "in", &leased);
    advance_ms(f, 10);
    assert_int_equal(stats_of(f).dead, 1);
    drop_trace(f);
    control(f, CONTROL_RETRY, "t1", "");
    expect_trace(f, "[  10] s1 <- REPLY 5 ok retried=1 left=0\n"
                    "[  10] w1 <- TASK t1 attempt=2 payload=in\n");
    done(f, "w1", "t1", 1, "late");
    assert_int_equal(stats_of(f).leased, 1);
}

static void what_there_is_no_room_for_stays_a_letter(void **state)
{
    struct fixture *f = *state;
    struct service_limits limits = {.max_tasks = 1};

    assert_true(broker_configure_service(f->broker, span_from_text("echo"), &limits));
    given_echo(f, 1);
    for (unsigned i = 1; i <= 4; i++) {
        die(f, numbered("t", i));
    }
    submit(f, "s1", "x1", "echo"); /* w1 has it: room for one to wait */
    drop_trace(f);
    control(f, CONTROL_RETRY, NULL, "echo");
    expect_trace(f, "[   0] s1 <- REPLY 5 ok retried=1 left=3\n");
    assert_int_equal(stats_of(f).dead, 3);
    control(f, CONTROL_RETRY, NULL, "echo");
    expect_trace(f, "[   0] s1 <- REPLY 5 failed code=queue_full\n");
}

static void letters_are_listed_by_service(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_QUERY};

    given_echo(f, 1);
    die(f, "t1");
    message.query.request = 7;
    message.query.what = QUERY_DEAD;
    message.query.service = span_from_text("echo");
    say(f, "s1", &message);
    assert_true(trace_has(f, "id=t1 service=echo"));
    drop_trace(f);
    message.query.service = span_from_text("other");
    say(f, "s1", &message);
    assert_true(trace_has(f, "REPLY 7 ok"));
    assert_false(trace_has(f, "id=t1"));
    drop_trace(f);
    message.query.what = QUERY_LETTER;
    message.query.argument = span_from_text("no id");
    say(f, "s1", &message);
    assert_true(trace_has(f, "REPLY 7 failed code=bad_message"));
}

/* In whole characters: what is kept is text again. */
static void a_long_message_is_cut_between_characters(void **state)
{
    struct fixture *f = *state;
    struct message message = {.command = COMMAND_FAIL};
    char text[1000];

    for (size_t i = 0; i < sizeof text; i += 2) {
        memcpy(text + i, "\xc3\xa9", 2);
    }
    for (size_t from = 0; from < 2; from++) {
        given_echo(f, 1);
        submit_with(f, "s1", "t1", "echo", "in", &mourned);
        message.fail.id = id_of("t1");
        message.fail.attempt = 1;
        text[0] = from == 0 ? '\xc3' : 'x'; /* and once from the other side of a character */
        text[1] = from == 0 ? '\xa9' : 'x';
        message.fail.error.code = span_from_text("bad");
        message.fail.error.message = span_of(text + from, sizeof text - 2 * from);
        say(f, "w1", &message);
        drop_trace(f);
        query(f, QUERY_LETTER, "t1");
        assert_true(trace_has(f, "\xc3\xa9 ") || trace_has(f, "\xc3\xa9\n"));
        fixture_restart(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(every_attempt_leaves_its_cause),
        SPEC(who_asks_for_none_leaves_none),
        SPEC(a_letter_is_submitted_again),
        SPEC(a_refused_retry_keeps_the_letter),
        SPEC(a_refused_retry_keeps_the_outcome),
        SPEC(a_retry_while_the_id_is_in_use_is_a_conflict),
        SPEC(a_letter_gives_way_to_a_newer_one),
        SPEC(a_thousand_letters_at_once),
        SPEC(the_attempts_of_an_id_have_an_end),
        SPEC(a_service_drops_or_retries_all_of_its_own),
        SPEC(letters_are_bounded_and_the_oldest_goes_first),
        SPEC(of_many_causes_the_first_and_the_last_stay),
        SPEC(a_letter_outlives_the_outcome),
        SPEC(a_retry_while_a_join_still_needs_the_outcome_is_a_conflict),
        SPEC(a_retry_counts_on_from_an_attempt_that_is_still_out),
        SPEC(what_there_is_no_room_for_stays_a_letter),
        SPEC(letters_are_listed_by_service),
        SPEC(a_long_message_is_cut_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
