#include "common/option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static bool flag;
static uint64_t number;
static const char *text;
static struct arguments arguments;
static struct {
    const char *items[4];
    size_t count;
} words;
static char problem[160];

static bool take_word(void *target, const char *word, char *why, size_t why_size)
{
    assert_ptr_equal(target, &words);
    if (strcmp(word, "bad") == 0) {
        snprintf(why, why_size, "'bad' is no word");
        return false;
    }
    words.items[words.count++] = word;
    return true;
}

static const struct option_spec specs[] = {
    OPTION_FLAG_SPEC("flag", &flag, "a flag"),
    OPTION_UINT_SPEC("number", &number, "N", 5, 100, "a number"),
    OPTION_TEXT_SPEC("text", &text, "TEXT", "a text"),
    OPTION_GROUP_SPEC("times:"),
    OPTION_DURATION_SPEC("duration", &number, "a duration"),
    OPTION_TIME_SPEC("at", &number, "a time"),
    OPTION_WORDS_SPEC("words", &words, take_word, "WORD...", "some words"),
};
static const struct option_set sets[2] = {{specs, sizeof(specs) / sizeof(specs[0])}, {NULL, 0}};

static int setup(void **state)
{
    flag = false;
    number = 7;
    text = NULL;
    words.count = 0;
    problem[0] = '\0';
    return 0;
}

static int parse(bool first_only, int argc, char **argv)
{
    return options_parse(sets, argc, argv, first_only, &arguments, problem, sizeof(problem));
}

static int parse_value(char *option, char *value)
{
    char *argv[] = {option, value};

    return parse(false, 2, argv);
}

static void durations_have_units(void **state)
{
    static char *const wrong[] = {"", "s", "5x", "5 s", "-5s", "1.5s", "367d", "5ss"};

    assert_int_equal(parse_value("--duration", "250"), 2);
    assert_int_equal(number, 250);
    assert_int_equal(parse_value("--duration", "250ms"), 2);
    assert_int_equal(number, 250);
    assert_int_equal(parse_value("--duration", "5s"), 2);
    assert_int_equal(number, 5000);
    assert_int_equal(parse_value("--duration", "2m"), 2);
    assert_int_equal(number, 120000);
    assert_int_equal(parse_value("--duration", "366d"), 2);
    assert_int_equal(number, OPTION_DURATION_MS_MAX);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(parse_value("--duration", wrong[i]), -1);
        assert_non_null(strstr(problem, "--duration"));
    }
    assert_int_equal(number, OPTION_DURATION_MS_MAX); /* as it was */
}

static void times_are_of_a_calendar(void **state)
{
    static char *const wrong[] = {"", "10:00", "2026-13-01T10:00", "2026-12-01T10:00z", "tomorrow"};

    assert_int_equal(parse_value("--at", "2026-12-01T10:00Z"), 2);
    assert_int_equal(number, 1796119200000);
    assert_int_equal(parse_value("--at", "2026-12-01T10:00:07Z"), 2);
    assert_int_equal(number, 1796119207000);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(parse_value("--at", wrong[i]), -1);
    }
}

static void a_headline_is_no_option(void **state)
{
    assert_int_equal(parse_value("--=x", "y"), -1);
}

static void options_and_arguments_come_in_any_order(void **state)
{
    char *argv[] = {"one", "--number", "9", "two", "--flag", "--text=a=b", "three"};

    assert_int_equal(parse(false, 7, argv), 7);
    assert_true(flag);
    assert_int_equal(number, 9);
    assert_string_equal(text, "a=b");
    assert_int_equal(arguments.count, 3);
    assert_string_equal(arguments.items[2], "three");
}

static void words_go_up_to_the_next_option(void **state)
{
    char *argv[] = {"--words", "one", "two", "--flag", "three", "--words=-4", "five"};
    char *last[] = {"--words", "one", "--", "two"};

    assert_int_equal(parse(false, 7, argv), 7);
    assert_true(flag);
    assert_int_equal(words.count, 3);
    assert_string_equal(words.items[1], "two");
    assert_string_equal(words.items[2], "-4");
    assert_int_equal(arguments.count, 2);
    words.count = 0;
    assert_int_equal(parse(false, 4, last), 4);
    assert_int_equal(words.count, 1);
    assert_int_equal(arguments.count, 1);
}

static void a_word_is_needed_and_each_must_be_one(void **state)
{
    char *none[] = {"--words", "--flag"};
    char *bad[] = {"--words", "one", "bad"};

    assert_int_equal(parse(false, 2, none), -1);
    assert_non_null(strstr(problem, "--words needs a value: WORD..."));
    assert_int_equal(parse(false, 1, none), -1);
    assert_int_equal(parse(false, 3, bad), -1);
    assert_string_equal(problem, "'bad' is no word");
}

static void two_dashes_end_the_options(void **state)
{
    char *argv[] = {"--", "--flag", "-x"};

    assert_int_equal(parse(false, 3, argv), 3);
    assert_false(flag);
    assert_int_equal(arguments.count, 2);
}

static void a_single_dash_and_a_negative_number_are_arguments(void **state)
{
    char *argv[] = {"-", "-1"};

    assert_int_equal(parse(false, 2, argv), 2);
    assert_int_equal(arguments.count, 2);
}

static void reading_stops_at_the_first_argument_when_asked_to(void **state)
{
    char *argv[] = {"--flag", "command", "--number", "bad"};

    assert_int_equal(parse(true, 4, argv), 1);
    assert_true(flag);
    assert_int_equal(number, 7);
}

static void a_number_out_of_range_or_malformed_is_refused_and_named(void **state)
{
    static char *values[] = {"4", "101", "", "-9", "9x", "99999999999999999999999", " 9"};

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char *argv[] = {"--number", values[i]};

        assert_true(parse(false, 2, argv) < 0);
        assert_non_null(strstr(problem, "--number"));
        assert_int_equal(number, 7);
    }
}

static void unknown_options_and_missing_values_are_refused(void **state)
{
    char *unknown[] = {"--nope"};
    char *missing[] = {"--text"};
    char *valued[] = {"--flag=yes"};
    char *prefix[] = {"--fla"};

    assert_true(parse(false, 1, unknown) < 0);
    assert_non_null(strstr(problem, "--nope"));
    assert_true(parse(false, 1, missing) < 0);
    assert_true(parse(false, 1, valued) < 0);
    assert_true(parse(false, 1, prefix) < 0);
}

static void more_arguments_than_any_command_has_are_refused(void **state)
{
    char *argv[ARGUMENTS_MAX + 1];

    for (int i = 0; i <= ARGUMENTS_MAX; i++) {
        argv[i] = "x";
    }
    assert_int_equal(parse(false, ARGUMENTS_MAX, argv), ARGUMENTS_MAX);
    assert_true(parse(false, ARGUMENTS_MAX + 1, argv) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(durations_have_units, setup),
        cmocka_unit_test_setup(times_are_of_a_calendar, setup),
        cmocka_unit_test_setup(a_headline_is_no_option, setup),
        cmocka_unit_test_setup(options_and_arguments_come_in_any_order, setup),
        cmocka_unit_test_setup(words_go_up_to_the_next_option, setup),
        cmocka_unit_test_setup(a_word_is_needed_and_each_must_be_one, setup),
        cmocka_unit_test_setup(two_dashes_end_the_options, setup),
        cmocka_unit_test_setup(a_single_dash_and_a_negative_number_are_arguments, setup),
        cmocka_unit_test_setup(reading_stops_at_the_first_argument_when_asked_to, setup),
        cmocka_unit_test_setup(a_number_out_of_range_or_malformed_is_refused_and_named, setup),
        cmocka_unit_test_setup(unknown_options_and_missing_values_are_refused, setup),
        cmocka_unit_test_setup(more_arguments_than_any_command_has_are_refused, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
