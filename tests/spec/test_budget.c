/* The promise: of a budget no more is used than there is, whatever tasks said that they cost. */
#include "tests/spec/fixture.h"

static void limit(struct fixture *f, const struct limit_values *values)
{
    limit_of(f, "echo", "", "", values);
}

static void a_budget_takes_what_it_has_and_corrects(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 100);
    values.budget = 100;
    values.budget_ms = 1000;
    limit(f, &values);
    submit_numbered(f, 4, 40);
    assert_int_equal(stats_of(f).leased, 2);
    expect_why(f, "t3", "reason=budget");
    assert_true(trace_has(f, "in_ms=1000"));
    done_costing(f, "t1", 10); /* 30 are free again: 50 used, and room for one of 40 */
    assert_int_equal(stats_of(f).leased, 2);
    assert_int_equal(stats_of(f).ready, 1);
    done_costing(f, "t2", 140); /* 190 used: a debt of 90 */
    advance_ms(f, 1000);
    assert_int_equal(stats_of(f).ready, 1); /* 90 + 40 > 100 */
    advance_ms(f, 1000);
    assert_int_equal(stats_of(f).ready, 0);
}

static void fail_costing(struct fixture *f, const char *task, uint64_t cost)
{
    struct message message = {.command = COMMAND_FAIL};

    message.fail.id = id_of(task);
    message.fail.attempt = 1;
    message.fail.error.code = span_from_text("cancelled");
    message.fail.cost = cost;
    message.fail.costed = true;
    say(f, "w1", &message);
}

/* What a cancelled attempt took is known as well: by the answer that confirms it. */
static void a_cancelled_attempt_corrects_its_cost(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 100);
    values.budget = 100;
    limit(f, &values);
    submit_numbered(f, 3, 50);
    assert_int_equal(stats_of(f).leased, 2);
    cancel(f, "s1", "t1", 0);
    fail_costing(f, "t1", 10); /* 60 used */
    assert_int_equal(stats_of(f).leased, 1);
    cancel(f, "s1", "t2", 0);
    done_costing(f, "t2", 40); /* 50 used */
    assert_int_equal(stats_of(f).leased, 1);
    assert_int_equal(stats_of(f).ready, 0);
}

/* What the first of the queue may not, the next one may. */
static void who_leaves_the_head_of_the_queue_lets_others_start(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();
    struct submit big = {.cost = 50}, small = {.cost = 20};

    given_echo(f, 100);
    values.budget = 100;
    limit(f, &values);
    submit_numbered(f, 1, 80);
    submit_with(f, "s1", "b1", "echo", "", &big);
    submit_with(f, "s1", "c1", "echo", "", &small);
    assert_int_equal(stats_of(f).leased, 1);
    cancel(f, "s1", "b1", 0);
    assert_int_equal(stats_of(f).leased, 2);
}

static void a_failed_attempt_corrects_its_cost(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 100);
    values.budget = 100;
    limit(f, &values);
    submit_numbered(f, 2, 60);
    assert_int_equal(stats_of(f).leased, 1);
    fail_costing(f, "t1", 40);
    expect_why(f, "t2", "reason=running");
}

static void a_cost_above_the_budget_waits_for_an_empty_window(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();
    struct submit big = {.cost = 250};

    given_echo(f, 100);
    values.budget = 100;
    values.budget_ms = 1000;
    limit(f, &values);
    submit_numbered(f, 1, 1);
    submit_with(f, "s1", "b1", "echo", "", &big);
    assert_int_equal(stats_of(f).leased, 1);
    advance_ms(f, 1000);
    assert_int_equal(stats_of(f).leased, 2);
    submit(f, "s1", "t2", "echo");
    expect_why(f, "t2", "in_ms=2000"); /* 250, 150, 50 used: room in the third */
}

static void a_budget_that_refuses_says_when(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 100);
    values.budget = 100;
    values.refuse = 1;
    limit(f, &values);
    submit_numbered(f, 3, 50);
    assert_true(trace_has(f, "RESULT t3 refused code=budget_exhausted retry_after_ms=60000"));
}

/* Windows that passed under the old budget paid with that. */
static void another_budget_is_none_for_the_past(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();
    struct submit big = {.cost = 950};

    given_echo(f, 100);
    values.budget = 100;
    values.budget_ms = 1000;
    limit(f, &values);
    submit_numbered(f, 1, 300);
    advance_ms(f, 2000); /* 100 are still owed */
    values.budget = 1000;
    limit(f, &values);
    submit_with(f, "s1", "b1", "echo", "", &big);
    expect_why(f, "b1", "reason=budget");
    advance_ms(f, 1000);
    expect_why(f, "b1", "reason=running");
}

/* The same of a key's, which has it by itself. */
static void another_budget_of_a_key_is_none_for_the_past(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();
    struct submit first = {.cost = 300, .key = span_from_text("a")};
    struct submit big = {.cost = 950, .key = span_from_text("a")};
    struct submit other = {.cost = 950, .key = span_from_text("b")};

    given_echo(f, 100);
    values.budget = 100;
    values.budget_ms = 1000;
    limit_of(f, "echo", "*", "", &values);
    submit_with(f, "s1", "t1", "echo", "", &first);
    advance_ms(f, 2000);
    values.budget = 1000;
    limit_of(f, "echo", "*", "", &values);
    submit_with(f, "s1", "b1", "echo", "", &big);
    submit_with(f, "s1", "c1", "echo", "", &other);
    expect_why(f, "b1", "reason=budget");
    expect_why(f, "c1", "reason=running");
    advance_ms(f, 1000);
    expect_why(f, "b1", "reason=running");
}

/* Of two that have no room the one that takes longer says when, whichever is asked first. */
static void the_longest_refusal_is_told(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 100);
    values.budget = 10;
    values.refuse = 1;
    values.budget_ms = 2000;
    limit_of(f, "echo", "", "", &values);
    values.budget_ms = 1000;
    limit_of(f, "", "", "default", &values);
    submit_numbered(f, 2, 10);
    assert_true(trace_has(f, "RESULT t2 refused code=budget_exhausted retry_after_ms=2000"));
    drop_trace(f);
    values.refuse = 0;
    limit_of(f, "", "", "default", &values);
    values.budget_ms = 2000;
    limit_of(f, "echo", "", "", &values);
    submit_with(f, "s1", "t3", "echo", "", &(struct submit){.cost = 1});
    expect_why(f, "t3", "in_ms=2000");
}

/* Whom the budget holds back passes a free place on to who needs less of it. */
static void a_free_place_goes_to_whom_the_budget_lets(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 10);
    hello(f, "w2");
    offer(f, "w2", "leaf", 10);
    offer(f, "w2", "twig", 10);
    values.concurrency = 1;
    values.budget = 100;
    limit_of(f, "", "", "default", &values);
    submit_with(f, "s1", "t1", "echo", "", &(struct submit){.cost = 50});
    submit_with(f, "s1", "l1", "leaf", "", &(struct submit){.cost = 80});
    submit_with(f, "s1", "m1", "twig", "", &(struct submit){.cost = 10});
    expect_why(f, "m1", "reason=concurrency_cap");
    done(f, "w1", "t1", 1, "");
    expect_why(f, "m1", "reason=running");
}

/* What a tenant has used up is used up for services, too, that nobody has offered yet. */
static void a_tenants_budget_refuses_for_a_service_to_come(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 10);
    values.budget = 10;
    values.refuse = 1;
    limit_of(f, "", "", "default", &values);
    submit_numbered(f, 1, 10);
    submit_with(f, "s1", "t2", "later", "", &(struct submit){.if_absent = IF_ABSENT_WAIT});
    assert_true(trace_has(f, "RESULT t2 refused code=budget_exhausted retry_after_ms=60000"));
    assert_int_equal(stats_of(f).services, 1);
    advance_ms(f, 1);
    limit_of(f, "", "", "default", &(struct limit_values){0});
    submit_with(f, "s1", "t3", "later", "", &(struct submit){.if_absent = IF_ABSENT_WAIT});
    assert_int_equal(stats_of(f).services, 2);
}

/* However many run: what is used up is used up. */
static void a_full_cap_hides_no_refusal(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 100);
    values.budget = 100;
    values.refuse = 1;
    values.concurrency = 1;
    limit(f, &values);
    submit_numbered(f, 2, 60);
    assert_int_equal(stats_of(f).leased, 1);
    assert_true(trace_has(f, "RESULT t2 refused code=budget_exhausted retry_after_ms=60000"));
}

/* The gate, which refuses too but is closed, has no say in when. */
static void a_breaker_that_refuses_hides_no_other_refusal(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 100);
    values.budget = 1;
    values.budget_ms = 50;
    values.refuse = 1;
    values.breaker_failures = 3;
    values.breaker_refuse = 1;
    limit(f, &values);
    submit_numbered(f, 2, 1);
    assert_true(trace_has(f, "RESULT t2 refused code=budget_exhausted retry_after_ms=50"));
}

/* A minute of windows of a second; every task costs up to 30 % more or less than it said. */
static void token_budgets_hold_within_one_percent(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();
    struct submit options = {.cost = 20};
    uint64_t spent = 0, random = 1;
    unsigned submitted = 0, ended = 0;

    given_echo(f, 1000);
    values.budget = 1000;
    values.budget_ms = 1000;
    limit(f, &values);
    f->quiet = true;
    while (f->now_ms < 60000) {
        while (stats_of(f).ready < 5) {
            submit_with(f, "s1", numbered("t", ++submitted), "echo", "", &options);
        }
        advance_ms(f, 5);
        while (ended < submitted - stats_of(f).ready) {
            uint64_t cost;

            random = random * 6364136223846793005 + 1442695040888963407;
            cost = 14 + (random >> 33) % 13;
            spent += cost;
            done_costing(f, numbered("t", ++ended), cost);
        }
        drop_trace(f);
    }
    assert_in_range(spent, 59400, 60600);
}

#define MINUTE_MS 60000
#define TOKENS 600000
#define TASKS_MAX 4096

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005 + 1442695040888963407;
    return *state >> 33;
}

/* Three minutes of a rate-limited model: 20 calls at once, each of which takes up to a second and as
 * many tokens as it said, or up to half as many more. What they took is known when they end. */
static void a_minutes_tokens_are_met_within_one_percent(void **state)
{
    static uint64_t ends_ms[TASKS_MAX], costs[TASKS_MAX];
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();
    struct submit options = {.cost = 1000};
    uint64_t spent[3] = {0}, random = 1;
    unsigned submitted = 0, started = 0;

    given_echo(f, 20);
    values.budget = TOKENS; /* a minute is the default */
    limit(f, &values);
    f->quiet = true;
    while (f->now_ms < 3 * MINUTE_MS) {
        for (; submitted < stats_of(f).attempts + 5; submitted++) {
            submit_with(f, "s1", numbered("t", submitted), "echo", "", &options);
        }
        for (; started < stats_of(f).attempts; started++) {
            assert_in_range(started, 0, TASKS_MAX - 1);
            ends_ms[started] = f->now_ms + 10 * (1 + next_random(&random) % 100);
            costs[started] = 800 + next_random(&random) % 701;
            spent[f->now_ms / MINUTE_MS] += costs[started];
        }
        advance_ms(f, 10);
        ping(f, "w1");
        ping(f, "s1");
        for (unsigned i = 0; i < started; i++) {
            if (ends_ms[i] == f->now_ms) {
                done_costing(f, numbered("t", i), costs[i]);
            }
        }
        drop_trace(f);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_in_range(spent[i], TOKENS - TOKENS / 100, TOKENS + TOKENS / 100);
    }
}

/* 2^40 windows of 2^24 ms: their product is no number. */
static void a_debt_is_paid_however_large(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 10);
    values.budget = 1;
    values.budget_ms = 1 << 24;
    limit(f, &values);
    submit(f, "s1", "t1", "echo");
    done_costing(f, "t1", COST_MAX);
    submit(f, "s1", "t2", "echo");
    expect_why(f, "t2", "reason=budget");
    assert_int_equal(stats_of(f).ready, 1);
}

/* A peer can read no longer one. */
static void a_refusal_says_a_duration(void **state)
{
    struct fixture *f = *state;
    struct limit_values values = limits_unchanged();

    given_echo(f, 10);
    values.budget = 1000;
    values.refuse = 1;
    limit(f, &values);
    submit(f, "s1", "t1", "echo");
    done_costing(f, "t1", COST_MAX);
    submit(f, "s1", "t2", "echo");
    assert_int_equal(f->refused, 1);
    assert_int_equal(f->retry_after_ms, DURATION_MS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPEC(a_budget_takes_what_it_has_and_corrects),
        SPEC(a_cancelled_attempt_corrects_its_cost),
        SPEC(a_failed_attempt_corrects_its_cost),
        SPEC(who_leaves_the_head_of_the_queue_lets_others_start),
        SPEC(a_cost_above_the_budget_waits_for_an_empty_window),
        SPEC(a_budget_that_refuses_says_when),
        SPEC(a_debt_is_paid_however_large),
        SPEC(a_refusal_says_a_duration),
        SPEC(another_budget_is_none_for_the_past),
        SPEC(another_budget_of_a_key_is_none_for_the_past),
        SPEC(the_longest_refusal_is_told),
        SPEC(a_free_place_goes_to_whom_the_budget_lets),
        SPEC(a_tenants_budget_refuses_for_a_service_to_come),
        SPEC(a_full_cap_hides_no_refusal),
        SPEC(a_breaker_that_refuses_hides_no_other_refusal),
        SPEC(token_budgets_hold_within_one_percent),
        SPEC(a_minutes_tokens_are_met_within_one_percent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
