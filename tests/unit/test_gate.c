/* The gate by itself: what each end of an attempt does to a pause, a breaker, a slow start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/core/gate.h"

#include <string.h>

static const struct gate_bounds unbroken; /* no breaker */

static struct gate_bounds by_failures(uint64_t failures, uint64_t probes)
{
    struct gate_bounds bounds;
    struct limit_values values = {.breaker_failures = failures, .breaker_probes = probes};

    gate_bounds_set(&bounds, &values);
    return bounds;
}

static void report(const struct gate_bounds *bounds, struct gate *gate, enum gate_report how,
                   uint64_t now_ms)
{
    gate_report(bounds, gate, how, now_ms, span_from_text("busy"), now_ms);
}

/* Starts at `now_ms` and ends at once. */
static void attempt(const struct gate_bounds *bounds, struct gate *gate, enum gate_report how,
                    uint64_t now_ms)
{
    gate_start(gate, now_ms);
    gate_leave(gate, now_ms);
    report(bounds, gate, how, now_ms);
}

/* Opened by a failure at `now_ms`. */
static struct gate opened(const struct gate_bounds *bounds, uint64_t now_ms)
{
    struct gate gate = {.state = GATE_CLOSED};

    attempt(bounds, &gate, GATE_FAILURE, now_ms);
    assert_int_equal(gate.state, GATE_OPEN);
    return gate;
}

static void a_paused_gate_says_when(void **state)
{
    struct gate gate = {.state = GATE_CLOSED};
    uint64_t ready_ms;

    assert_true(gate_ask(&gate, &ready_ms));
    gate_pause(&gate, GATE_RETRY_AFTER, 500, span_from_text("http_429"), 1000);
    assert_false(gate_ask(&gate, &ready_ms));
    assert_int_equal(ready_ms, 1500);
    assert_memory_equal(gate.code, "http_429", gate.code_size);
    gate_pause(&gate, GATE_RETRY_AFTER, 100, span_from_text("x"), 1000); /* known already */
    gate_ask(&gate, &ready_ms);
    assert_int_equal(ready_ms, 1500);
    gate_pause(&gate, GATE_RETRY_AFTER, 900, span_from_text("x"), 1000); /* and for longer */
    gate_ask(&gate, &ready_ms);
    assert_int_equal(ready_ms, 1900);
    assert_string_equal(gate_cause_name(gate.cause), "retry_after");
    gate_pause(&gate, GATE_OPERATOR, 0, span_of(NULL, 0), 1000);
    gate_ask(&gate, &ready_ms);
    assert_true(ready_ms == GATE_NEVER);
    assert_string_equal(gate_cause_name(gate.cause), "operator");
}

static void what_ends_during_a_pause_says_nothing(void **state)
{
    struct gate_bounds bounds = by_failures(1, 1);
    struct gate gate = {.state = GATE_CLOSED};

    gate_start(&gate, 10);
    gate_pause(&gate, GATE_OPERATOR, 100, span_of(NULL, 0), 20);
    gate_leave(&gate, 10);
    gate_report(&bounds, &gate, GATE_FAILURE, 10, span_from_text("x"), 30);
    assert_int_equal(gate.state, GATE_PAUSED);
    gate_timer(&bounds, &gate, 119);
    assert_int_equal(gate.state, GATE_PAUSED);
    gate_timer(&bounds, &gate, 120);
    assert_int_equal(gate.state, GATE_RESUMING);
    gate_report(&bounds, &gate, GATE_FAILURE, 10, span_from_text("x"), 130); /* of before */
    assert_int_equal(gate.state, GATE_RESUMING);
}

static void a_long_code_is_cut(void **state)
{
    char code[ERROR_CODE_MAX + 10];
    struct gate gate = {.state = GATE_CLOSED};

    memset(code, 'c', sizeof code);
    gate_pause(&gate, GATE_RETRY_AFTER, 1, span_of(code, sizeof code), 0);
    assert_int_equal(gate.code_size, ERROR_CODE_MAX);
}

static void one_failure_too_many_opens(void **state)
{
    struct gate_bounds bounds = by_failures(2, 1);
    struct gate gate = {.state = GATE_CLOSED};
    uint64_t ready_ms;

    attempt(&bounds, &gate, GATE_FAILURE, 1);
    attempt(&bounds, &gate, GATE_NEITHER, 2); /* cancelled: breaks no row */
    attempt(&bounds, &gate, GATE_SUCCESS, 3);
    attempt(&bounds, &gate, GATE_FAILURE, 4);
    assert_int_equal(gate.state, GATE_CLOSED);
    attempt(&bounds, &gate, GATE_FAILURE, 5);
    assert_int_equal(gate.state, GATE_OPEN);
    assert_int_equal(gate.cause, GATE_FAILURES);
    assert_false(gate_ask(&gate, &ready_ms));
    assert_int_equal(ready_ms, 5 + GATE_OPEN_MS);
    assert_false(gate_refuses(&bounds, &gate, 5, &ready_ms)); /* it was not told to */
    bounds.refuse = true;
    assert_true(gate_refuses(&bounds, &gate, 105, &ready_ms));
    assert_int_equal(ready_ms, GATE_OPEN_MS - 100);
}

static void a_ratio_needs_enough_attempts_and_forgets_old_ones(void **state)
{
    struct limit_values values = {.breaker_percent = 50, .breaker_min = 4, .breaker_ms = 900};
    struct gate gate = {.state = GATE_CLOSED};
    struct gate_bounds bounds;

    gate_bounds_set(&bounds, &values);
    attempt(&bounds, &gate, GATE_FAILURE, 0); /* all of three, but three */
    attempt(&bounds, &gate, GATE_FAILURE, 0);
    attempt(&bounds, &gate, GATE_FAILURE, 0);
    for (int i = 0; i < 4; i++) {
        attempt(&bounds, &gate, GATE_SUCCESS, 800);
    }
    attempt(&bounds, &gate, GATE_FAILURE, 5000); /* the window has passed */
    for (int i = 0; i < 4; i++) {
        attempt(&bounds, &gate, GATE_SUCCESS, 5000);
    }
    attempt(&bounds, &gate, GATE_FAILURE, 5001); /* two of six */
    attempt(&bounds, &gate, GATE_FAILURE, 5002);
    assert_int_equal(gate.state, GATE_CLOSED);
    attempt(&bounds, &gate, GATE_FAILURE, 5003); /* four of eight */
    assert_int_equal(gate.state, GATE_OPEN);
    assert_int_equal(gate.cause, GATE_PERCENT);
}

static void so_many_probes_must_succeed(void **state)
{
    struct gate_bounds bounds = by_failures(1, 2);
    struct gate gate = opened(&bounds, 0);
    uint64_t at_ms = GATE_OPEN_MS, ready_ms;

    gate_timer(&bounds, &gate, at_ms);
    assert_string_equal(gate_state_name(gate.state), "half_open");
    gate_start(&gate, at_ms);
    gate_start(&gate, at_ms);
    assert_false(gate_ask(&gate, &ready_ms)); /* both are out */
    bounds.refuse = true;
    assert_true(gate_refuses(&bounds, &gate, at_ms, &ready_ms));
    gate_leave(&gate, at_ms);
    assert_false(gate_refuses(&bounds, &gate, at_ms, &ready_ms)); /* room for a probe */
    report(&bounds, &gate, GATE_NEITHER, at_ms);                  /* cancelled: proves nothing */
    attempt(&bounds, &gate, GATE_SUCCESS, at_ms);
    assert_int_equal(gate.state, GATE_HALF_OPEN);
    report(&bounds, &gate, GATE_SUCCESS, at_ms);
    assert_int_equal(gate.state, GATE_RESUMING);
    assert_int_equal(gate.allowed, 4);
}

static void a_pause_of_a_broken_service_ends_in_probes(void **state)
{
    struct gate_bounds bounds = by_failures(1, 1);
    struct gate gate = opened(&bounds, 0);

    gate_pause(&gate, GATE_OPERATOR, 10, span_of(NULL, 0), 1); /* replaces the time it is open */
    gate_pause(&gate, GATE_OPERATOR, 20, span_of(NULL, 0), 2); /* and so does the next one */
    gate_timer(&bounds, &gate, 22);
    assert_int_equal(gate.state, GATE_HALF_OPEN);
    gate_pause(&gate, GATE_RETRY_AFTER, 5, span_from_text("x"), 23);
    gate_timer(&bounds, &gate, 28);
    assert_int_equal(gate.state, GATE_HALF_OPEN);
    attempt(&bounds, &gate, GATE_SUCCESS, 28);
    assert_int_equal(gate.state, GATE_RESUMING);
    gate_pause(&gate, GATE_OPERATOR, 5, span_of(NULL, 0), 29); /* whole again */
    gate_pause(&gate, GATE_OPERATOR, 5, span_of(NULL, 0), 29);
    gate_timer(&bounds, &gate, 34);
    assert_int_equal(gate.state, GATE_RESUMING);
}

static void an_operator_lets_an_open_gate_probe_now(void **state)
{
    struct gate_bounds bounds = by_failures(1, 1);
    struct gate gate = opened(&bounds, 0);

    gate_resume(&gate, 3);
    gate_timer(&bounds, &gate, 3);
    assert_int_equal(gate.state, GATE_OPEN); /* with the next millisecond */
    gate_timer(&bounds, &gate, 4);
    assert_int_equal(gate.state, GATE_HALF_OPEN);
    gate_resume(&gate, 5); /* nothing to end */
    assert_int_equal(gate.state, GATE_HALF_OPEN);
    attempt(&bounds, &gate, GATE_FAILURE, 6);
    assert_int_equal(gate.state, GATE_OPEN);
    assert_int_equal(gate.cause, GATE_PROBE);
}

static void slow_start_doubles_with_each_success(void **state)
{
    struct gate gate = {.state = GATE_CLOSED};
    uint64_t ready_ms;

    gate_pause(&gate, GATE_OPERATOR, 1, span_of(NULL, 0), 0);
    gate_timer(&unbroken, &gate, 1);
    assert_int_equal(gate.allowed, 1);
    gate_start(&gate, 1);
    assert_false(gate_ask(&gate, &ready_ms));
    assert_int_equal(ready_ms, 1 + GATE_PATIENCE_MS);
    gate_timer(&unbroken, &gate, GATE_PATIENCE_MS); /* nobody waits for ever for it */
    assert_int_equal(gate.allowed, 1);
    gate_timer(&unbroken, &gate, 1 + GATE_PATIENCE_MS);
    assert_int_equal(gate.allowed, 2);
    gate_timer(&unbroken, &gate, 1 + 2 * GATE_PATIENCE_MS); /* the bound is not reached */
    assert_int_equal(gate.allowed, 2);
    gate_leave(&gate, 1);
    for (int i = 0; i < 100; i++) {
        attempt(&unbroken, &gate, GATE_SUCCESS, 2000);
    }
    assert_true(gate.allowed >= 1ULL << 32); /* and stays there */
    assert_true(gate.allowed <= 1ULL << 33);
}

static void slow_start_ends_when_it_no_longer_matters(void **state)
{
    struct gate gate = {.state = GATE_CLOSED};

    gate_idle(&gate, 0, 0, 0);
    gate_pause(&gate, GATE_OPERATOR, 1, span_of(NULL, 0), 0);
    gate_idle(&gate, 0, 0, 0);
    assert_int_equal(gate.state, GATE_PAUSED);
    gate_timer(&unbroken, &gate, 1);
    gate_idle(&gate, 5, 0, 1); /* nobody takes anything: that proves nothing */
    gate_idle(&gate, 5, 2, 1); /* two would be taken, one may */
    assert_int_equal(gate.state, GATE_RESUMING);
    attempt(&unbroken, &gate, GATE_SUCCESS, 1);
    gate_idle(&gate, 5, 2, 1);
    assert_int_equal(gate.state, GATE_CLOSED);
    gate_pause(&gate, GATE_OPERATOR, 1, span_of(NULL, 0), 5);
    gate_timer(&unbroken, &gate, 6);
    gate_idle(&gate, 0, 9, 6); /* nothing waits */
    assert_int_equal(gate.state, GATE_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_paused_gate_says_when),
        cmocka_unit_test(what_ends_during_a_pause_says_nothing),
        cmocka_unit_test(a_long_code_is_cut),
        cmocka_unit_test(one_failure_too_many_opens),
        cmocka_unit_test(a_ratio_needs_enough_attempts_and_forgets_old_ones),
        cmocka_unit_test(so_many_probes_must_succeed),
        cmocka_unit_test(a_pause_of_a_broken_service_ends_in_probes),
        cmocka_unit_test(an_operator_lets_an_open_gate_probe_now),
        cmocka_unit_test(slow_start_doubles_with_each_success),
        cmocka_unit_test(slow_start_ends_when_it_no_longer_matters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
