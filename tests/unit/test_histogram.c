/* links: cli */
#include "cli/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct histogram histogram; /* too large for a stack */

static void given_values(uint64_t first, uint64_t last)
{
    histogram_init(&histogram);
    for (uint64_t value = first; value <= last; value++) {
        histogram_add(&histogram, value);
    }
}

static void empty_histogram_answers_zero(void **state)
{
    histogram_init(&histogram);
    assert_int_equal(histogram_percentile(&histogram, 50), 0);
    assert_int_equal(histogram_percentile(&histogram, 100), 0);
}

static void small_values_are_exact(void **state)
{
    given_values(1, 200);
    assert_int_equal(histogram_percentile(&histogram, 0), 1);
    assert_int_equal(histogram_percentile(&histogram, 50), 100);
    assert_int_equal(histogram_percentile(&histogram, 99), 198);
    assert_int_equal(histogram_percentile(&histogram, 100), 200);
}

static void percentiles_err_by_less_than_a_128th_and_never_below(void **state)
{
    static const double percents[] = {1, 10, 50, 90, 99, 99.9};

    given_values(1, 1000000);
    for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
        uint64_t exact = (uint64_t)(percents[i] / 100.0 * 1000000 + 0.5);
        uint64_t got = histogram_percentile(&histogram, percents[i]);

        assert_true(got >= exact);
        assert_true(got - exact <= exact / 128);
    }
}

static void no_answer_exceeds_the_largest_value(void **state)
{
    histogram_init(&histogram);
    histogram_add(&histogram, 1000001);
    assert_int_equal(histogram_percentile(&histogram, 50), 1000001);
    assert_int_equal(histogram_percentile(&histogram, 100), 1000001);
}

static void every_value_has_a_bucket_up_to_the_largest(void **state)
{
    histogram_init(&histogram);
    for (unsigned bit = 0; bit < 64; bit++) {
        histogram_add(&histogram, UINT64_C(1) << bit);
        histogram_add(&histogram, (UINT64_C(1) << bit) - 1);
    }
    histogram_add(&histogram, UINT64_MAX);
    assert_int_equal(histogram.total, 129);
    assert_true(histogram_percentile(&histogram, 100) == UINT64_MAX);
}

static void one_slow_value_in_a_thousand_shows_beyond_p999(void **state)
{
    histogram_init(&histogram);
    for (int i = 0; i < 999; i++) {
        histogram_add(&histogram, 10);
    }
    histogram_add(&histogram, 100);
    assert_int_equal(histogram_percentile(&histogram, 99.9), 10);
    assert_int_equal(histogram_percentile(&histogram, 99.99), 100);
}

static void merged_histograms_are_one_of_all_their_values(void **state)
{
    static struct histogram other;

    histogram_init(&histogram);
    histogram_init(&other);
    for (int i = 1; i <= 50; i++) {
        histogram_add(&histogram, i);
        histogram_add(&other, i + 50);
    }
    histogram_merge(&histogram, &other);
    assert_int_equal(histogram.total, 100);
    assert_int_equal(histogram_percentile(&histogram, 50), 50);
    assert_int_equal(histogram_percentile(&histogram, 90), 90);
    assert_int_equal(histogram_percentile(&histogram, 100), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_histogram_answers_zero),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(percentiles_err_by_less_than_a_128th_and_never_below),
        cmocka_unit_test(no_answer_exceeds_the_largest_value),
        cmocka_unit_test(every_value_has_a_bucket_up_to_the_largest),
        cmocka_unit_test(one_slow_value_in_a_thousand_shows_beyond_p999),
        cmocka_unit_test(merged_histograms_are_one_of_all_their_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
