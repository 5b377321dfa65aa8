/* links: tool */
/* calc: what people type has the value they mean, or an error that says where. */
#include "agents/tool/calc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *expression, const char *text)
{
    struct calc_result result;

    if (calc_evaluate(expression, &result) != CALC_OK) {
        fail_msg("%s: %s", expression, result.error);
    }
    if (strcmp(result.text, text) != 0) {
        fail_msg("%s is %s, not %s", expression, result.text, text);
    }
}

static void expect_error(const char *expression, enum calc_outcome outcome, const char *error)
{
    struct calc_result result;

    assert_int_equal(calc_evaluate(expression, &result), outcome);
    assert_string_equal(result.error, error);
}

static void operators_bind_as_usual(void **state)
{
    expect("1 + 2 * 3", "7");
    expect("(1 + 2) * 3", "9");
    expect("10 - 4 - 3", "3");
    expect("100 / 5 / 2", "10");
    expect("-2^2", "-4");
    expect("2^3^2", "512");
    expect("2^-1", "0.5");
    expect("2**10", "1024");
    expect("2 * -3", "-6");
    expect("--5", "5");
    expect("\t1\n+ 1 ", "2");
    expect("6 \xc3\x97 7 \xc3\xb7 2 \xe2\x88\x92 1", "20");
}

static void percent_is_a_percentage_unless_an_operand_follows(void **state)
{
    expect("15% of 80", "12");
    expect("15% of 80 + 5", "17");
    expect("50% of 50% of 80", "20");
    expect("50%", "0.5");
    expect("50% - 1", "-0.5");
    expect("200 * 10%", "20");
    expect("(20%)", "0.2");
    expect("17 % 5", "2");
    expect("17%5", "2");
    expect("17 % (5)", "2");
    expect("-7 % 3", "-1");
    expect("10% ^ 2", "0.01");
    expect_error("10 % -3", CALC_MALFORMED,
                 "position 4: percentage or remainder? Write 10% - 3, or 10 % (-3)");
}

static void whole_numbers_are_exact(void **state)
{
    struct calc_result result;

    expect("9007199254740991", "9007199254740991");
    expect("2^53 - 1", "9007199254740991");
    expect("2^53 + 1 - 2", "9007199254740991");
    expect("3^33", "5559060566555523");
    expect("2^62", "4.61168601842739e+18");
    expect("6 / 2", "3");
    assert_int_equal(calc_evaluate("6/2", &result), CALC_OK);
    assert_true(result.whole);
    assert_int_equal(calc_evaluate("7/2", &result), CALC_OK);
    assert_false(result.whole);
    assert_true(result.value == 3.5);
    assert_int_equal(calc_evaluate("2^53", &result), CALC_OK);
    assert_false(result.whole);
}

static void fractions_are_rounded_once(void **state)
{
    expect("0.1 + 0.2", "0.3");
    expect("1/3", "0.333333333333333");
    expect("1.5e3", "1500");
    expect(".5 + 5.", "5.5");
    expect("1e-3", "0.001");
    expect("0 * -1", "0");
}

static void functions_and_constants(void **state)
{
    expect("sqrt(16)", "4");
    expect("abs(-3)", "3");
    expect("round(2.5)", "3");
    expect("round(2.345, 2)", "2.35");
    expect("round(1234, -2)", "1200");
    expect("floor(-1.5)", "-2");
    expect("ceil(1.2)", "2");
    expect("ln(e)", "1");
    expect("log(1000)", "3");
    expect("log(8, 2)", "3");
    expect("log(81, 3)", "4");
    expect("exp(0)", "1");
    expect("sin(0) + cos(0) + tan(0)", "1");
    expect("min(3, 1, 2)", "1");
    expect("max(3, 1 + 5, 2)", "6");
    expect("2 * pi", "6.28318530717959");
    expect("2 * e", "5.43656365691809");
}

static void malformed_text_names_the_position(void **state)
{
    expect_error("", CALC_MALFORMED, "position 1: expected a number, found the end");
    expect_error("1 +", CALC_MALFORMED, "position 4: expected a number, found the end");
    expect_error("2 * * 3", CALC_MALFORMED, "position 5: expected a number, found \"*\"");
    expect_error("(1", CALC_MALFORMED, "position 3: expected \")\", found the end");
    expect_error("1)", CALC_MALFORMED, "position 2: expected an operator, found \")\"");
    expect_error("2 pi", CALC_MALFORMED, "position 3: expected an operator, found \"p\"");
    expect_error("foo(1)", CALC_MALFORMED, "position 1: unknown name \"foo\"");
    expect_error("sqrt 4", CALC_MALFORMED, "position 6: expected \"(\", found \"4\"");
    expect_error("sqrt(1, 2)", CALC_MALFORMED, "position 8: sqrt takes at most 1 number");
    expect_error("min()", CALC_MALFORMED, "position 5: expected a number, found \")\"");
    expect_error("1..2", CALC_MALFORMED, "position 3: expected an operator, found \".\"");
    expect_error("3 of 4", CALC_MALFORMED, "position 3: expected an operator, found \"o\"");
    expect_error("0x10", CALC_MALFORMED, "position 2: expected an operator, found \"x\"");
    expect_error("\xc3\x97 1 \xe2\x82\xac", CALC_MALFORMED,
                 "position 1: expected a number, found \"\xc3\x97\"");
    /* Counted in characters, not in bytes. */
    expect_error("2 \xc3\x97 3 \xe2\x82\xac", CALC_MALFORMED,
                 "position 7: expected an operator, found \"\xe2\x82\xac\"");
    expect_error("1 \x01", CALC_MALFORMED,
                 "position 3: expected an operator, found a control character");
    expect_error("inf", CALC_MALFORMED, "position 1: unknown name \"inf\"");
}

static void what_has_no_value_says_so(void **state)
{
    expect_error("1 / 0", CALC_UNDEFINED, "position 3: division by zero");
    expect_error("5 % 0", CALC_UNDEFINED, "position 3: division by zero");
    expect_error("0 ^ -1", CALC_UNDEFINED, "position 3: division by zero");
    expect_error("sqrt(-1)", CALC_UNDEFINED, "position 1: not defined for this number");
    expect_error("1 + ln(0)", CALC_UNDEFINED, "position 5: not defined for this number");
    expect_error("(-8)^0.5", CALC_UNDEFINED, "position 5: not defined for this number");
    expect_error("10^400", CALC_UNDEFINED, "position 3: the result is too large");
    expect_error("1e308 * 1e308", CALC_UNDEFINED, "position 7: the result is too large");
    expect_error("1e999", CALC_UNDEFINED, "position 1: the result is too large");
}

static void text_and_depth_are_bounded(void **state)
{
    char text[CALC_BYTES_MAX + 8];

    memset(text, '(', sizeof text);
    text[60] = '\0';
    expect_error(text, CALC_MALFORMED, "position 51: nested too deep");
    memset(text, '-', sizeof text);
    text[60] = '\0';
    expect_error(text, CALC_MALFORMED, "position 51: nested too deep");
    memset(text, '1', sizeof text);
    text[CALC_BYTES_MAX + 1] = '\0';
    expect_error(text, CALC_MALFORMED, "position 1: longer than 1000 bytes");
    for (size_t i = 1; i < CALC_BYTES_MAX; i += 2) {
        text[i] = '+';
    }
    text[CALC_BYTES_MAX - 1] = '\0';
    expect(text, "500");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_bind_as_usual),
        cmocka_unit_test(percent_is_a_percentage_unless_an_operand_follows),
        cmocka_unit_test(whole_numbers_are_exact),
        cmocka_unit_test(fractions_are_rounded_once),
        cmocka_unit_test(functions_and_constants),
        cmocka_unit_test(malformed_text_names_the_position),
        cmocka_unit_test(what_has_no_value_says_so),
        cmocka_unit_test(text_and_depth_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
