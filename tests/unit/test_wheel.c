/* The timing wheel against a sorted list: the same timers, the same order of time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/core/wheel.h"

#include <stdlib.h>

static void a_timer_fires_at_its_time_and_not_before(void **state)
{
    static const uint64_t delays_ms[] = {1,    2,     63,     64,      65,        4095,
                                         4096, 4097,  262143, 262144,  262145,    16777216,
                                         1u << 30, 366ULL * 24 * 3600 * 1000};
    static const uint64_t starts_ms[] = {0, 1, 63, 64, 4095, 4096, 123456789, 1ULL << 35};
    struct wheel wheel;
    struct timer timer;

    for (size_t s = 0; s < sizeof starts_ms / sizeof *starts_ms; s++) {
        for (size_t d = 0; d < sizeof delays_ms / sizeof *delays_ms; d++) {
            uint64_t due_ms = starts_ms[s] + delays_ms[d];

            wheel_init(&wheel, starts_ms[s]);
            timer_init(&timer, 3);
            wheel_arm(&wheel, &timer, due_ms);
            assert_true(wheel_next_ms(&wheel) <= due_ms);
            wheel_advance(&wheel, due_ms - 1);
            assert_null(wheel_pop(&wheel));
            wheel_advance(&wheel, due_ms);
            assert_ptr_equal(wheel_pop(&wheel), &timer);
            assert_false(timer_armed(&timer));
            assert_int_equal(timer.kind, 3);
            assert_int_equal(wheel_next_ms(&wheel), WHEEL_NEVER);
            wheel_deinit(&wheel);
        }
    }
}

/* Following wheel_next_ms from step to step reaches every timer exactly in time. */
static void next_never_oversleeps(void **state)
{
    struct wheel wheel;
    struct timer timer;

    wheel_init(&wheel, 77);
    for (uint64_t delay = 1; delay < 300000; delay = delay * 3 + 1) {
        uint64_t due_ms = wheel.now_ms + delay;
        unsigned steps = 0;

        timer_init(&timer, 0);
        wheel_arm(&wheel, &timer, due_ms);
        for (;;) {
            struct timer *fired;

            wheel_advance(&wheel, wheel_next_ms(&wheel));
            fired = wheel_pop(&wheel);
            if (fired != NULL) {
                break;
            }
            assert_true(++steps <= WHEEL_LEVELS);
        }
        assert_int_equal(wheel.now_ms, due_ms);
    }
    wheel_deinit(&wheel);
}

#define RANDOM_TIMERS 2000

static void random_timers_agree_with_a_plain_list(void **state)
{
    static struct timer timers[RANDOM_TIMERS];
    static uint64_t due[RANDOM_TIMERS];
    struct wheel wheel;
    uint64_t now_ms = 5;

    srand(42);
    wheel_init(&wheel, now_ms);
    for (size_t i = 0; i < RANDOM_TIMERS; i++) {
        timer_init(&timers[i], 0);
    }
    for (unsigned round = 0; round < 20000; round++) {
        size_t i = (size_t)rand() % RANDOM_TIMERS;
        struct timer *fired;

        switch (rand() % 4) {
        case 0:
            wheel_cancel(&wheel, &timers[i]);
            due[i] = 0;
            break;
        case 1:
        case 2:
            due[i] = now_ms + 1 + (uint64_t)rand() % (1u << (rand() % 20));
            wheel_arm(&wheel, &timers[i], due[i]);
            break;
        default:
            now_ms += (uint64_t)rand() % (1u << (rand() % 16));
            wheel_advance(&wheel, now_ms);
            while ((fired = wheel_pop(&wheel)) != NULL) {
                size_t index = (size_t)(fired - timers);

                assert_true(due[index] > 0);
                assert_true(due[index] <= now_ms);
                due[index] = 0;
            }
            for (size_t k = 0; k < RANDOM_TIMERS; k++) {
                assert_true(due[k] == 0 || due[k] > now_ms);
                assert_int_equal(timer_armed(&timers[k]), due[k] != 0);
            }
        }
    }
    for (size_t i = 0; i < RANDOM_TIMERS; i++) {
        wheel_cancel(&wheel, &timers[i]);
    }
    wheel_deinit(&wheel);
}

static void what_is_due_already_fires_next(void **state)
{
    struct wheel wheel;
    struct timer timer;

    wheel_init(&wheel, 100);
    timer_init(&timer, 0);
    wheel_arm(&wheel, &timer, 40);
    assert_int_equal(wheel_next_ms(&wheel), 100);
    assert_ptr_equal(wheel_pop(&wheel), &timer);
    wheel_arm(&wheel, &timer, 40);
    wheel_cancel(&wheel, &timer);
    assert_null(wheel_pop(&wheel));
    wheel_deinit(&wheel);
}

/* The highest digit turns over between now and then, from its last slot or from one before. */
static void a_timer_beyond_the_turn_of_the_wheel_fires_in_time(void **state)
{
    static const uint64_t befores_ms[] = {1, 10, 1ULL << 30, (1ULL << 30) + 1, 1ULL << 34};
    static const uint64_t afters_ms[] = {0, 1, 63, 64, 4097, 1ULL << 30, 1ULL << 34};
    const uint64_t turn_ms = WHEEL_REACH_MS + 1;
    struct wheel wheel;
    struct timer timer;

    for (size_t b = 0; b < sizeof befores_ms / sizeof *befores_ms; b++) {
        for (size_t a = 0; a < sizeof afters_ms / sizeof *afters_ms; a++) {
            uint64_t due_ms = turn_ms + afters_ms[a];

            wheel_init(&wheel, turn_ms - befores_ms[b]);
            timer_init(&timer, 0);
            wheel_arm(&wheel, &timer, due_ms);
            while (wheel_next_ms(&wheel) < due_ms) {
                wheel_advance(&wheel, wheel_next_ms(&wheel));
                assert_null(wheel_pop(&wheel));
            }
            assert_int_equal(wheel_next_ms(&wheel), due_ms);
            wheel_advance(&wheel, due_ms);
            assert_ptr_equal(wheel_pop(&wheel), &timer);
            wheel_deinit(&wheel);
        }
    }
}

static void a_timer_out_of_reach_fires_at_the_end_of_it(void **state)
{
    struct wheel wheel;
    struct timer timer;

    wheel_init(&wheel, 1000);
    timer_init(&timer, 0);
    wheel_arm(&wheel, &timer, WHEEL_NEVER - 1);
    wheel_advance(&wheel, 1000 + WHEEL_REACH_MS - 1);
    assert_null(wheel_pop(&wheel));
    wheel_advance(&wheel, 1000 + WHEEL_REACH_MS);
    assert_ptr_equal(wheel_pop(&wheel), &timer);
    wheel_deinit(&wheel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timer_fires_at_its_time_and_not_before),
        cmocka_unit_test(next_never_oversleeps),
        cmocka_unit_test(random_timers_agree_with_a_plain_list),
        cmocka_unit_test(what_is_due_already_fires_next),
        cmocka_unit_test(a_timer_beyond_the_turn_of_the_wheel_fires_in_time),
        cmocka_unit_test(a_timer_out_of_reach_fires_at_the_end_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
