/* links: cli */
#include "cli/echo_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define TASKS 1000
#define PAYLOAD 64

static struct echo_check check;
static uint8_t payload[PAYLOAD];
static uint64_t sequence;

static int setup(void **state)
{
    return echo_check_init(&check, TASKS, PAYLOAD) ? 0 : -1;
}

static int teardown(void **state)
{
    echo_check_deinit(&check);
    return 0;
}

static void every_reply_counts_once(void **state)
{
    for (uint64_t i = 0; i < TASKS; i++) {
        echo_check_fill(&check, i, payload);
        assert_true(echo_check_reply(&check, payload, PAYLOAD, &sequence));
        assert_int_equal(sequence, i);
    }
    assert_int_equal(check.received, TASKS);
    assert_int_equal(check.duplicated, 0);
    assert_int_equal(check.corrupt, 0);
}

static void a_reply_that_comes_again_is_a_duplicate(void **state)
{
    echo_check_fill(&check, 7, payload);
    assert_true(echo_check_reply(&check, payload, PAYLOAD, &sequence));
    assert_false(echo_check_reply(&check, payload, PAYLOAD, &sequence));
    assert_int_equal(check.received, 1);
    assert_int_equal(check.duplicated, 1);
}

static void one_changed_bit_anywhere_is_corrupt(void **state)
{
    uint64_t bits = 0;

    for (size_t bit = 0; bit < PAYLOAD * 8; bit++) {
        echo_check_fill(&check, 3, payload);
        payload[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_false(echo_check_reply(&check, payload, PAYLOAD, &sequence));
        bits++;
    }
    assert_int_equal(check.corrupt, bits);
    assert_int_equal(check.received, 0);
}

static void a_wrong_length_is_corrupt(void **state)
{
    echo_check_fill(&check, 3, payload);
    assert_false(echo_check_reply(&check, payload, PAYLOAD - 1, &sequence));
    assert_false(echo_check_reply(&check, payload, 0, &sequence));
    assert_int_equal(check.corrupt, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_reply_counts_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reply_that_comes_again_is_a_duplicate, setup, teardown),
        cmocka_unit_test_setup_teardown(one_changed_bit_anywhere_is_corrupt, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_length_is_corrupt, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
