/* links: runtime */
/* Timers come out in order, whatever was set, moved and cleared before. */
#include "agents/runtime/timers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT 500

static uint64_t earliest(const struct timer *all)
{
    uint64_t first = TIMERS_NEVER;

    for (size_t i = 0; i < COUNT; i++) {
        if (all[i].place > 0 && all[i].at_ms < first) {
            first = all[i].at_ms;
        }
    }
    return first;
}

static void the_first_is_always_the_earliest(void **state)
{
    static struct timer all[COUNT];
    struct timers timers;
    uint64_t random = 1;

    timers_init(&timers);
    for (size_t step = 0; step < 20000; step++) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        struct timer *timer = &all[(random >> 33) % COUNT];

        if ((random >> 20) % 3 == 0) {
            timers_clear(&timers, timer);
        } else {
            assert_true(timers_set(&timers, timer, (random >> 40) % 1000));
        }
        assert_int_equal(timers_next_ms(&timers), earliest(all));
    }
    uint64_t before = 0;
    for (struct timer *first; (first = timers_first(&timers)) != NULL;) {
        assert_true(first->at_ms >= before);
        before = first->at_ms;
        timers_clear(&timers, first);
    }
    assert_int_equal(timers_next_ms(&timers), TIMERS_NEVER);
    timers_deinit(&timers);
}

static void clearing_what_is_not_set_does_nothing(void **state)
{
    struct timers timers;
    struct timer timer = {0};

    timers_init(&timers);
    timers_clear(&timers, &timer);
    assert_true(timers_set(&timers, &timer, 5));
    timers_clear(&timers, &timer);
    timers_clear(&timers, &timer);
    assert_null(timers_first(&timers));
    timers_deinit(&timers);
}

static void room_that_was_made_is_enough(void **state)
{
    struct timers timers;
    struct timer reserved[100] = {{0}};
    struct timer **heap;

    timers_init(&timers);
    assert_true(timers_reserve(&timers, 100));
    assert_null(timers_first(&timers));
    heap = timers.heap;
    for (size_t i = 0; i < 100; i++) {
        assert_true(timers_set(&timers, &reserved[i], 100 - i));
    }
    assert_ptr_equal(timers.heap, heap);
    assert_ptr_equal(timers_first(&timers), &reserved[99]);
    for (size_t i = 0; i < 100; i++) {
        timers_clear(&timers, &reserved[i]);
    }
    timers_deinit(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_always_the_earliest),
        cmocka_unit_test(clearing_what_is_not_set_does_nothing),
        cmocka_unit_test(room_that_was_made_is_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
