/* The promise: after a crash, too, what shares an idempotency key runs once. */
#include "tests/spec/fixture.h"

static const struct submit durable = {.durable = true, .receipts = true, .attempts = 3};

#define DURABLE(name) cmocka_unit_test_setup_teardown(name, fixture_setup_stored, fixture_teardown)

static void a_key_is_under_way_after_a_crash_too(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;

    options.idempotency_key = span_from_text("k");
    submit_with(f, "s1", "t1", "echo", "x", &options);
    submit_with(f, "s1", "t2", "echo", "x", &options);
    stored(f);
    crash(f);
    given_echo_again(f);
    assert_int_equal(stats_of(f).leased, 1);
    assert_int_equal(stats_of(f).waiting, 1);
    done(f, "w1", "t1", 1, "y");
    stored(f); /* the first */
    stored(f); /* and who follows */
    assert_true(trace_has(f, "RESULT t1 done"));
    assert_true(trace_has(f, "RESULT t2 done"));
}

static void who_follows_a_cached_outcome_has_it_for_good(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;

    options.idempotency_key = span_from_text("k");
    options.cache_ms = 1000;
    submit_with(f, "s1", "t1", "echo", "x", &options);
    done(f, "w1", "t1", 1, "y");
    stored(f);
    submit_with(f, "s1", "t2", "echo", "x", &options);
    fixture_crash(f, shelf_last(f->shelf) - 1); /* what t2 became of it is lost */
    assert_false(shelf_row(f->shelf, 1)->ended);
    hello(f, "s1");
    stored(f);
    assert_true(trace_has(f, "RESULT t2 done"));
    crash(f);
    assert_true(shelf_row(f->shelf, 1)->ended);
}

/* A need may wait for another task of its key, and is still needed. */
static void what_follows_another_task_stays_where_a_join_waits_for_it(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable, join = durable;
    const char *const keyed[] = {"t1", "t2"};
    const struct id needs[] = {id_of("t2"), id_of("t3")};

    options.if_absent = IF_ABSENT_WAIT;
    for (unsigned i = 0; i < 2; i++) {
        options.idempotency_key = span_from_text("k");
        options.held = i == 1;
        submit_with(f, "s1", keyed[i], "later", "", &options);
    }
    options.idempotency_key = span_of(NULL, 0);
    options.attempts = 1;
    submit_with(f, "s1", "t3", "echo", "", &options);
    join.needs = needs[0].bytes;
    join.needs_count = 2;
    join.needs_stride = sizeof needs[0];
    join.join = JOIN_ALL;
    submit_with(f, "s1", "j1", "", "", &join);
    join.join = JOIN_SETTLED;
    submit_with(f, "s1", "j2", "", "", &join);
    stored(f);
    fail_task(f, "w1", "t3", 1, "bad", false);
    stored(f);
    crash(f);
    assert_int_equal(stats_of(f).waiting, 2); /* t2 and j2 */
}

/* It was handed out as a run of its own: what was cached was too old for it. */
static void what_was_cached_answers_nobody_who_came_too_late_for_it(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;

    options.idempotency_key = span_from_text("k");
    options.cache_ms = 100;
    options.retain_ms = 100000;
    submit_with(f, "s1", "t1", "echo", "x", &options);
    done(f, "w1", "t1", 1, "1");
    stored(f);
    advance_ms(f, 200);
    submit_with(f, "s1", "t2", "echo", "x", &options);
    assert_true(trace_has(f, "TASK t2 attempt=1"));
    stored(f);
    crash(f);
    given_echo_again(f);
    assert_int_equal(stats_of(f).leased, 1);
    submit_with(f, "s1", "t3", "echo", "x", &options);
    stored(f);
    assert_int_equal(stats_of(f).waiting, 1);
    done(f, "w1", "t2", 1, "2");
    stored(f);
    stored(f);
    assert_true(trace_has(f, "RESULT t2 done attempt=1 payload=2"));
    assert_true(trace_has(f, "RESULT t3 done payload=2"));
}

/* The end of the first one is stored and told, and those of who follow are not yet. */
static void who_follows_does_not_run_after_a_crash(void **state)
{
    static const bool fails[] = {false, true};
    struct fixture *f = *state;

    for (unsigned i = 0; i < 2; i++) {
        struct submit options = durable;
        uint64_t before;

        options.idempotency_key = span_from_text(i == 0 ? "k" : "other");
        options.attempts = 2;
        options.retain_ms = 100000;
        submit_with(f, "s1", numbered("first", i), "echo", "x", &options);
        submit_with(f, "s1", numbered("second", i), "echo", "x", &options);
        stored(f);
        if (fails[i]) {
            fail_task(f, "w1", numbered("first", i), 1, "bad", false);
        } else {
            done(f, "w1", numbered("first", i), 1, "y");
        }
        before = shelf_last(f->shelf);
        stored(f);
        assert_int_equal(shelf_last(f->shelf), before + 1);
        fixture_crash(f, before);
        given_echo_again(f);
        hello(f, "s1");
        assert_int_equal(stats_of(f).leased, 0);
        drop_trace(f);
        stored(f);
        assert_true(trace_has(f, fails[i] ? "failed" : "done"));
        assert_int_equal(stats_of(f).waiting + stats_of(f).ready + stats_of(f).storing, 0);
        submit_with(f, "s1", numbered("third", i), "echo", "x", &options);
        assert_int_equal(stats_of(f).leased, 1); /* nothing was to be cached */
        done(f, "w1", numbered("third", i), 1, "");
        stored(f);
    }
}

static void what_was_cached_answers_no_other_payload(void **state)
{
    struct fixture *f = *state;
    struct submit options = durable;

    options.idempotency_key = span_from_text("k");
    options.cache_ms = 100;
    options.retain_ms = 100000;
    submit_with(f, "s1", "t1", "echo", "one", &options);
    done(f, "w1", "t1", 1, "1");
    stored(f);
    advance_ms(f, 200);
    submit_with(f, "s1", "t2", "echo", "two", &options);
    stored(f);
    crash(f);
    drop_trace(f);
    given_echo_again(f);
    assert_int_equal(f->sent[COMMAND_TASK], 3);
    done(f, "w1", "t2", 1, "2");
    hello(f, "s1");
    submit_with(f, "s1", "t2", "echo", "two", &options);
    stored(f);
    assert_true(trace_has(f, "RESULT t2 done attempt=1 payload=2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DURABLE(a_key_is_under_way_after_a_crash_too),
        DURABLE(who_follows_a_cached_outcome_has_it_for_good),
        DURABLE(what_follows_another_task_stays_where_a_join_waits_for_it),
        DURABLE(what_was_cached_answers_nobody_who_came_too_late_for_it),
        DURABLE(who_follows_does_not_run_after_a_crash),
        DURABLE(what_was_cached_answers_no_other_payload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
