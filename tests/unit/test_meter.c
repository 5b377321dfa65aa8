/* Meters against what they promise, over any stretch of time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/core/gate.h"
#include "broker/core/meter.h"

#include <string.h>

static uint64_t random_state = 1;

static uint64_t random_below(uint64_t below)
{
    random_state = random_state * 6364136223846793005 + 1442695040888963407;
    return (random_state >> 33) % below;
}

static bool starts(const struct meter_bounds *bounds, struct meter *meter, uint64_t cost,
                   uint64_t now_ms)
{
    uint64_t ready_ms;

    if (meter_ask(bounds, meter, cost, now_ms, &ready_ms) != METER_ROOM) {
        assert_true(ready_ms > now_ms);
        return false;
    }
    assert_int_equal(ready_ms, now_ms);
    meter_take(bounds, meter, cost, now_ms);
    return true;
}

/* Greedy and lazy in turn: never more than burst + rate * n in any n milliseconds, and all of
 * the rate to who always asks. */
static void check_rate(uint64_t rate, uint64_t rate_ms, uint64_t burst)
{
    enum { SPAN_MS = 400 };
    static uint64_t sums[SPAN_MS + 1]; /* starts before the millisecond */
    struct limit_values values = {.rate = rate, .rate_ms = rate_ms, .burst = burst};
    struct meter_bounds bounds = {0};
    struct meter meter;

    meter_bounds_set(&bounds, &values);
    meter_init(&meter);
    for (uint64_t ms = 0; ms < SPAN_MS; ms++) {
        bool lazy = ms > SPAN_MS / 2 && random_below(3) > 0;

        sums[ms + 1] = sums[ms];
        while (!lazy && starts(&bounds, &meter, 0, ms + 1000)) {
            sums[ms + 1]++;
        }
    }
    for (unsigned from = 0; from < SPAN_MS; from++) {
        for (unsigned to = from + 1; to <= SPAN_MS; to++) {
            assert_true((sums[to] - sums[from]) * rate_ms <=
                        burst * rate_ms + rate * (to - from));
        }
    }
    assert_true((sums[SPAN_MS / 2] + 1) * rate_ms >= rate * (SPAN_MS / 2));
}

static void a_rate_holds_over_any_time(void **state)
{
    (void)state;
    check_rate(10, 1000, 1);
    check_rate(10, 1000, 20);
    check_rate(7, 50, 3);
    check_rate(1500, 1000, 1);
    check_rate(100000, 1000, 5);
    check_rate(1, 1, 1);
}

static void the_moment_that_it_names_is_the_first(void **state)
{
    struct limit_values values = {.rate = 3, .burst = 2, .budget = 10, .budget_ms = 700};
    struct meter_bounds bounds = {0};
    struct meter meter;
    uint64_t now_ms = 5, ready_ms, other_ms;

    (void)state;
    meter_bounds_set(&bounds, &values);
    meter_init(&meter);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t cost = random_below(25);

        if (meter_ask(&bounds, &meter, cost, now_ms, &ready_ms) != METER_ROOM) {
            assert_true(meter_ask(&bounds, &meter, cost, ready_ms - 1, &other_ms) != METER_ROOM);
            assert_int_equal(other_ms, ready_ms);
            now_ms = ready_ms;
        }
        assert_true(starts(&bounds, &meter, cost, now_ms));
        meter_release(&meter);
        now_ms += random_below(400);
    }
}

static void a_debt_is_paid_by_the_next_windows(void **state)
{
    struct limit_values values = {.budget = 100, .budget_ms = 10};
    struct meter_bounds bounds = {0};
    struct meter meter;

    (void)state;
    meter_bounds_set(&bounds, &values);
    meter_init(&meter);
    assert_true(starts(&bounds, &meter, 60, 3));
    assert_false(starts(&bounds, &meter, 60, 12));
    meter_correct(&bounds, &meter, 3, 60, 260, 12);
    assert_int_equal(meter_used(&bounds, &meter, 13), 160);
    assert_int_equal(meter_window_end_ms(&bounds, &meter, 13), 23);
    meter_correct(&bounds, &meter, 3, 260, 250, 14); /* of an earlier window: less debt */
    assert_int_equal(meter_used(&bounds, &meter, 14), 150);
    assert_int_equal(meter_used(&bounds, &meter, 23), 50);
    assert_int_equal(meter_used(&bounds, &meter, 33), 0);
    meter_correct(&bounds, &meter, 3, 250, 0, 34); /* nothing owed: nothing to give back */
    assert_int_equal(meter_used(&bounds, &meter, 34), 0);
}

static void huge_numbers_do_no_harm(void **state)
{
    struct limit_values values = {.rate = 1, .rate_ms = DURATION_MS_MAX, .burst = 1000000000};
    struct meter_bounds bounds = {0};
    struct meter meter;

    (void)state;
    meter_bounds_set(&bounds, &values);
    meter_init(&meter);
    for (unsigned i = 0; i < 100; i++) {
        assert_true(starts(&bounds, &meter, COST_MAX, 1ULL << 40));
    }
}

static void a_pause_extends_and_resumes_one_by_one(void **state)
{
    struct limit_values values = {.concurrency = 0};
    struct span code = span_of(NULL, 0);
    struct gate_bounds bounds;
    struct gate gate = {.state = GATE_CLOSED};
    uint64_t ready_ms;

    (void)state;
    gate_bounds_set(&bounds, &values);
    gate_pause(&gate, GATE_RETRY_AFTER, 100, code, 0);
    gate_pause(&gate, GATE_RETRY_AFTER, 30, code, 50); /* not shortened */
    assert_false(gate_ask(&gate, &ready_ms));
    assert_int_equal(ready_ms, 100);
    gate_timer(&bounds, &gate, 99);
    assert_false(gate_ask(&gate, &ready_ms));
    gate_timer(&bounds, &gate, 100);
    assert_true(gate_ask(&gate, &ready_ms));
    gate_start(&gate, 110);
    assert_false(gate_ask(&gate, &ready_ms));
    gate_leave(&gate, 20); /* began before the pause: counts for nothing */
    assert_false(gate_ask(&gate, &ready_ms));
    gate_report(&bounds, &gate, GATE_SUCCESS, 100, code, 110);
    gate_leave(&gate, 100);
    gate_start(&gate, 110);
    assert_true(gate_ask(&gate, &ready_ms));
    gate_start(&gate, 110);
    assert_false(gate_ask(&gate, &ready_ms));
    gate_idle(&gate, 5, 2, 120); /* workers take no more than two anyway */
    assert_int_equal(gate.state, GATE_CLOSED);
}

static void old_failures_leave_the_window(void **state)
{
    struct limit_values values = {.breaker_percent = 50, .breaker_min = 4, .breaker_ms = 1000};
    struct span code = span_from_text("busy");
    struct gate_bounds bounds;
    struct gate gate = {.state = GATE_CLOSED};

    (void)state;
    gate_bounds_set(&bounds, &values);
    for (unsigned i = 0; i < 3; i++) {
        gate_report(&bounds, &gate, GATE_FAILURE, 0, code, 10);
    }
    gate_report(&bounds, &gate, GATE_FAILURE, 0, code, 2000);
    assert_int_equal(gate.state, GATE_CLOSED);
    for (unsigned i = 0; i < 3; i++) {
        gate_report(&bounds, &gate, GATE_FAILURE, 0, code, 2900);
    }
    assert_int_equal(gate.state, GATE_OPEN);
    assert_int_equal(gate.cause, GATE_PERCENT);
    assert_memory_equal(gate.code, "busy", 4);
}

static void what_is_left_is_told(void **state)
{
    struct limit_values values = {.rate = 10, .burst = 3, .budget = 100, .budget_ms = 1000};
    struct meter_bounds bounds = {0};
    struct meter meter;

    meter_bounds_set(&bounds, &values);
    meter_init(&meter);
    assert_int_equal(meter_tokens(&bounds, &meter, 1000), 3);
    assert_true(meter_window_end_ms(&bounds, &meter, 1000) == METER_NEVER); /* none has begun */
    for (int i = 0; i < 3; i++) {
        assert_true(starts(&bounds, &meter, 20, 1000));
    }
    assert_int_equal(meter_tokens(&bounds, &meter, 1000), 0);
    assert_int_equal(meter_used(&bounds, &meter, 1000), 60);
    assert_int_equal(meter_window_end_ms(&bounds, &meter, 1500), 2000);
    values.burst = 5; /* another rule: the row begins anew; the budget goes on */
    meter_bounds_set(&bounds, &values);
    assert_int_equal(meter_tokens(&bounds, &meter, 1000), 5);
    assert_int_equal(meter_used(&bounds, &meter, 1000), 60);
    values.budget_ms = 500; /* other windows: begins anew, too */
    meter_bounds_set(&bounds, &values);
    assert_int_equal(meter_used(&bounds, &meter, 1000), 0);
    assert_true(meter_window_end_ms(&bounds, &meter, 1000) == METER_NEVER);
    values.budget = values.rate = 0;
    meter_bounds_set(&bounds, &values);
    assert_int_equal(meter_used(&bounds, &meter, 1000), 0);
    assert_int_equal(meter_tokens(&bounds, &meter, 1000), 0);
    meter_correct(&bounds, &meter, 1000, 1, 100, 1000); /* nothing to correct */
    assert_int_equal(meter_used(&bounds, &meter, 1000), 0);
}

static void a_burst_of_a_century_is_no_bound(void **state)
{
    static const uint64_t bursts[] = {1ULL << 50, 100000}; /* beyond 64 bits, and within */
    struct limit_values values = {.rate = 1, .rate_ms = 86400000};

    for (size_t i = 0; i < sizeof bursts / sizeof *bursts; i++) {
        struct meter_bounds bounds = {0};
        struct meter meter;

        values.burst = bursts[i];
        meter_bounds_set(&bounds, &values);
        meter_init(&meter);
        for (int k = 0; k < 1000; k++) {
            assert_true(starts(&bounds, &meter, 0, 5));
        }
    }
}

static void after_a_century_every_debt_is_paid(void **state)
{
    struct limit_values values = {.budget = 1ULL << 60, .budget_ms = 1};
    struct meter_bounds bounds = {0};
    struct meter meter;

    meter_bounds_set(&bounds, &values);
    meter_init(&meter);
    assert_true(starts(&bounds, &meter, 1ULL << 61, 1));
    assert_int_equal(meter_used(&bounds, &meter, 1ULL << 40), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_holds_over_any_time),
        cmocka_unit_test(the_moment_that_it_names_is_the_first),
        cmocka_unit_test(a_debt_is_paid_by_the_next_windows),
        cmocka_unit_test(huge_numbers_do_no_harm),
        cmocka_unit_test(a_pause_extends_and_resumes_one_by_one),
        cmocka_unit_test(old_failures_leave_the_window),
        cmocka_unit_test(what_is_left_is_told),
        cmocka_unit_test(a_burst_of_a_century_is_no_bound),
        cmocka_unit_test(after_a_century_every_debt_is_paid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
