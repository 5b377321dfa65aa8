/* links: runtime */
/* What a caller asks for becomes what SUBMIT says, or is refused here. */
#include "agents/runtime/terms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void nothing_asked_is_the_default(void **state)
{
    struct sluice_submit_options options = {0};
    struct submit submit = {.k = 0};

    assert_null(terms_set(&submit, &options));
    assert_int_equal(submit.priority, PRIORITY_DEFAULT);
    assert_int_equal(terms_text_bytes(&submit), 0);
    assert_int_equal(submit.route, ROUTE_ONE);
}

static void priorities_are_one_to_nine_and_the_lowest(void **state)
{
    struct sluice_submit_options options = {.priority = 9};
    struct submit submit = {.k = 0};

    assert_null(terms_set(&submit, &options));
    assert_int_equal(submit.priority, 9);
    options.priority = SLUICE_PRIORITY_LOWEST;
    assert_null(terms_set(&submit, &options));
    assert_int_equal(submit.priority, 0);
    options.priority = 10;
    assert_non_null(terms_set(&submit, &options));
    options.priority = -2;
    assert_non_null(terms_set(&submit, &options));
}

static void texts_keep_to_their_bounds(void **state)
{
    char text[KEY_MAX + 2];
    struct sluice_submit_options options = {.key = text};
    struct submit submit = {.k = 0};

    memset(text, 'k', sizeof text);
    text[KEY_MAX] = '\0';
    assert_null(terms_set(&submit, &options));
    text[KEY_MAX] = 'k';
    text[KEY_MAX + 1] = '\0';
    assert_non_null(terms_set(&submit, &options));
    options = (struct sluice_submit_options){.order = ""};
    assert_non_null(terms_set(&submit, &options));
    options = (struct sluice_submit_options){.affinity = "a\n"};
    assert_non_null(terms_set(&submit, &options));
    options = (struct sluice_submit_options){.cache_ms = 5};
    assert_non_null(terms_set(&submit, &options));
}

static void codes_have_single_spaces_between_them(void **state)
{
    static const char *const wrong[] = {"", " ", "a ", " a", "a  b", "a,b"};
    struct sluice_submit_options options = {.retry_on = "busy", .final_on = "a b.c d_e"};
    struct submit submit = {.k = 0};

    assert_null(terms_set(&submit, &options));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        options.final_on = wrong[i];
        assert_non_null(terms_set(&submit, &options));
    }
}

static void numbers_are_cut_to_their_bounds(void **state)
{
    struct sluice_submit_options options = {.delay_ms = UINT64_MAX, .cost = UINT64_MAX};
    struct submit submit = {.k = 0};

    assert_null(terms_set(&submit, &options));
    assert_int_equal(submit.delay_ms, DURATION_MS_MAX);
    assert_int_equal(submit.cost, COST_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_asked_is_the_default),
        cmocka_unit_test(priorities_are_one_to_nine_and_the_lowest),
        cmocka_unit_test(texts_keep_to_their_bounds),
        cmocka_unit_test(codes_have_single_spaces_between_them),
        cmocka_unit_test(numbers_are_cut_to_their_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
