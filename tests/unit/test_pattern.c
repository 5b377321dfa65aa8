/* links: runtime */
/* pattern: the documented subset, what it refuses, and its bounds. */
#include "agents/runtime/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool finds(const char *pattern_text, const char *text)
{
    char error[128];
    struct pattern *pattern = pattern_compile(pattern_text, error, sizeof error);
    size_t steps = 1000000;
    enum pattern_result result;

    if (!pattern) {
        fail_msg("%s: %s", pattern_text, error);
    }
    result = pattern_find(pattern, text, strlen(text), &steps);
    assert_int_not_equal(result, PATTERN_TOO_COMPLEX);
    pattern_free(pattern);
    return result == PATTERN_MATCH;
}

static void expect_refused(const char *text, const char *error)
{
    char told[128] = "";

    assert_null(pattern_compile(text, told, sizeof told));
    assert_string_equal(told, error);
}

static void a_match_may_be_anywhere_unless_anchored(void **state)
{
    assert_true(finds("b", "abc"));
    assert_true(finds("", ""));
    assert_false(finds("^b", "abc"));
    assert_true(finds("c$", "abc"));
    assert_false(finds("b$", "abc"));
    assert_true(finds("^abc$", "abc"));
    assert_false(finds("^$", "a"));
    assert_true(finds("^a|c$", "xc"));
    assert_false(finds("^a$", "a\n"));
}

static void repetitions_count(void **state)
{
    assert_true(finds("^a*$", ""));
    assert_false(finds("^a+$", ""));
    assert_true(finds("^a?b$", "b"));
    assert_false(finds("^a?b$", "aab"));
    assert_true(finds("^a{2}$", "aa"));
    assert_false(finds("^a{2}$", "aaa"));
    assert_true(finds("^a{2,}$", "aaaa"));
    assert_false(finds("^a{2,}$", "a"));
    assert_true(finds("^(?:ab){1,3}$", "ababab"));
    assert_false(finds("^(ab){1,3}$", "abababab"));
    assert_true(finds("^a{0}b$", "b"));
    assert_false(finds("^a{0}b$", "ab"));
    assert_true(finds("^(a|b{2,3}){2}$", "abbb"));
    assert_false(finds("^(a|b{2,3}){2}$", "ab"));
    assert_true(finds("^(a*)*$", "aaa"));
    assert_true(finds("^()*x$", "x"));
    assert_true(finds("^(a{0,2}b){2}$", "baab"));
}

static void alternatives_are_all_tried(void **state)
{
    assert_true(finds("^(one|two|three)$", "two"));
    assert_true(finds("^(one|two|three)$", "three"));
    assert_false(finds("^(one|two|three)$", "four"));
    assert_true(finds("^(|a)b$", "b"));
    assert_true(finds("^(a|ab)(c|bcd)$", "abcd"));
}

static void classes_hold_characters(void **state)
{
    assert_true(finds("^[a-cx]+$", "abcx"));
    assert_false(finds("^[a-cx]+$", "d"));
    assert_true(finds("^[^a-c]$", "d"));
    assert_true(finds("^[-a]+$", "-a"));
    assert_true(finds("^[a-]+$", "-a"));
    assert_true(finds("^[\\]\\\\]+$", "]\\"));
    assert_true(finds("^\\d\\D\\w\\W\\s\\S$", "1a_- x"));
    assert_true(finds("^[\\d_]+$", "1_"));
    assert_true(finds("^[\\W]$", "-"));
    assert_false(finds("^[\\W]$", "a"));
    assert_true(finds("^[^\\d]$", "a"));
    assert_false(finds("^.$", "\n"));
    assert_true(finds("^\\.$", "."));
    assert_false(finds("^\\.$", "a"));
    assert_true(finds("^\\t$", "\t"));
    assert_false(finds("^[]$", "a"));
    assert_true(finds("^[^]$", "\n"));
}

static void characters_are_code_points(void **state)
{
    assert_true(finds("^.$", "\xf0\x9f\x98\x80"));
    assert_true(finds("^[\xc3\xa0-\xc3\xbf]{2}$", "\xc3\xa9\xc3\xa8"));
    assert_false(finds("^[^\xc3\xa9]$", "\xc3\xa9"));
    assert_true(finds("^\\s$", "\xc2\xa0"));
}

static void what_is_not_supported_does_not_compile(void **state)
{
    expect_refused("a(?=b)", "pattern at offset 2: only (...) and (?:...) are supported");
    expect_refused("(a)\\1", "pattern at offset 4: escape not supported");
    expect_refused("\\bword", "pattern at offset 1: escape not supported");
    expect_refused("a\\", "pattern at offset 2: escape not supported");
    expect_refused("a+?", "pattern at offset 2: lazy repetitions are not supported");
    expect_refused("a**", "pattern at offset 2: nothing to repeat");
    expect_refused("*a", "pattern at offset 0: nothing to repeat");
    expect_refused("^*", "pattern at offset 1: nothing to repeat");
    expect_refused("(a", "pattern at offset 2: ( without )");
    expect_refused("a)", "pattern at offset 1: ) without (");
    expect_refused("[a", "pattern at offset 2: [ without ]");
    expect_refused("[z-a]", "pattern at offset 4: a range is the wrong way round");
    expect_refused("[\\d-z]", "pattern at offset 4: a class cannot begin a range");
    expect_refused("a{2,1}", "pattern at offset 5: a repetition is {m}, {m,} or {m,n}");
    expect_refused("a{x}", "pattern at offset 2: a repetition is {m}, {m,} or {m,n}");
    expect_refused("a}",
                   "pattern at offset 1: brackets that stand for themselves need a backslash");
}

static void a_pattern_has_bounds(void **state)
{
    static char text[PATTERN_BYTES_MAX + 2];

    expect_refused("a{1001}", "pattern at offset 7: a repetition is beyond the bound");
    expect_refused("((a{100}){100}){100}",
                   "pattern at offset 15: longer than the bound, once its repetitions are written "
                   "out");
    memset(text, '(', 40);
    expect_refused(text, "pattern at offset 33: nested too deep");
    memset(text, 'a', sizeof text - 1);
    expect_refused(text, "pattern longer than 1024 bytes");
    for (size_t i = 0; i < 1000; i++) {
        text[i] = i % 2 ? '|' : 'a';
    }
    text[1000] = '\0';
    assert_true(finds(text, "a"));
}

/* The classic trap of matchers that back up: 2^30 ways to split the text. */
static void time_is_linear(void **state)
{
    char error[128];
    struct pattern *pattern = pattern_compile("^(a+)+$", error, sizeof error);
    size_t steps = 2000;

    assert_non_null(pattern);
    assert_int_equal(pattern_find(pattern, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaX", 31, &steps),
                     PATTERN_NO_MATCH);
    assert_true(steps > 1500);
    steps = 10;
    assert_int_equal(pattern_find(pattern, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaX", 31, &steps),
                     PATTERN_TOO_COMPLEX);
    assert_int_equal(steps, 0);
    pattern_free(pattern);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_match_may_be_anywhere_unless_anchored),
        cmocka_unit_test(repetitions_count),
        cmocka_unit_test(alternatives_are_all_tried),
        cmocka_unit_test(classes_hold_characters),
        cmocka_unit_test(characters_are_code_points),
        cmocka_unit_test(what_is_not_supported_does_not_compile),
        cmocka_unit_test(a_pattern_has_bounds),
        cmocka_unit_test(time_is_linear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
