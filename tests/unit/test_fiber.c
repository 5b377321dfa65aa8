/* links: runtime */
/* Fibers: each has a stack of its own, ten thousand fit in a process, and one that
 * recurses without end hits its guard page instead of a neighbour. */
#include "agents/runtime/fiber.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 10000

struct counter {
    size_t number;
    size_t steps;
    size_t sum;
};

/* Keeps a value on its stack over every suspension. */
static void count(void *arg)
{
    struct counter *counter = arg;
    volatile size_t here[16];

    for (size_t i = 0; i < 16; i++) {
        here[i] = counter->number + i;
    }
    for (counter->steps = 0; counter->steps < 3; counter->steps++) {
        fiber_suspend();
    }
    for (size_t i = 0; i < 16; i++) {
        counter->sum += here[i];
    }
}

static void a_fiber_goes_on_where_it_stopped(void **state)
{
    struct fiber_pool *pool = fiber_pool_new(64 * 1024);
    struct counter counter = {.number = 5};
    struct fiber *fiber = fiber_new(pool, count, &counter);

    assert_null(fiber_current());
    for (size_t i = 0; i < 3; i++) {
        assert_true(fiber_resume(fiber));
        assert_int_equal(counter.steps, i);
        assert_int_equal(counter.sum, 0);
        assert_null(fiber_current());
    }
    assert_false(fiber_resume(fiber));
    assert_int_equal(counter.sum, 16 * 5 + 120);
    fiber_pool_free(pool);
}

static void ten_thousand_fibers_wait_at_once(void **state)
{
    struct fiber_pool *pool = fiber_pool_new(64 * 1024);
    struct fiber **fibers = calloc(MANY, sizeof(struct fiber *));
    struct counter *counters = calloc(MANY, sizeof *counters);

    for (size_t i = 0; i < MANY; i++) {
        counters[i].number = i;
        fibers[i] = fiber_new(pool, count, &counters[i]);
        assert_non_null(fibers[i]);
    }
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < MANY; i++) {
            assert_true(fiber_resume(fibers[i]));
        }
    }
    for (size_t i = MANY; i-- > 0;) {
        assert_false(fiber_resume(fibers[i]));
        assert_int_equal(counters[i].sum, 16 * i + 120);
    }
    free(fibers);
    free(counters);
    fiber_pool_free(pool);
}

static void take_address(void *arg)
{
    char here;

    *(uintptr_t *)arg = (uintptr_t)&here;
}

static void a_stack_is_used_again(void **state)
{
    struct fiber_pool *pool = fiber_pool_new(64 * 1024);
    uintptr_t first = 0, second = 0;

    assert_false(fiber_resume(fiber_new(pool, take_address, &first)));
    assert_false(fiber_resume(fiber_new(pool, take_address, &second)));
    assert_true(first == second);
    fiber_pool_free(pool);
}

static void a_dropped_fiber_gives_its_stack_back(void **state)
{
    struct fiber_pool *pool = fiber_pool_new(64 * 1024);
    struct counter counter = {.number = 1};
    struct fiber *fiber = fiber_new(pool, count, &counter);

    assert_true(fiber_resume(fiber));
    fiber_drop(fiber);
    counter = (struct counter){.number = 2};
    fiber = fiber_new(pool, count, &counter);
    while (fiber_resume(fiber)) {
    }
    assert_int_equal(counter.sum, 16 * 2 + 120);
    fiber_pool_free(pool);
}

/* volatile, and used after the call: the compiler may not make a loop of it. */
static int recurse(volatile int left)
{
    volatile char room[512];

    memset((char *)room, left, sizeof room);
    return left == 0 ? 0 : recurse(left - 1) + room[left % 512];
}

static void recurse_too_deep(void *arg)
{
    *(volatile int *)arg = recurse(1000000);
}

static void a_stack_that_overflows_stops_the_process(void **state)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        struct fiber_pool *pool = fiber_pool_new(64 * 1024);
        int result;

        signal(SIGSEGV, SIG_DFL); /* not the sanitizer's report */
        fiber_resume(fiber_new(pool, recurse_too_deep, &result));
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fiber_goes_on_where_it_stopped),
        cmocka_unit_test(ten_thousand_fibers_wait_at_once),
        cmocka_unit_test(a_stack_is_used_again),
        cmocka_unit_test(a_dropped_fiber_gives_its_stack_back),
        cmocka_unit_test(a_stack_that_overflows_stops_the_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
