/* links: retriever */
/* The command line: what is taken, and what is refused with a sentence about it. */
#include "tests/unit/retriever_fixture.h"

#include "agents/retriever/options.h"

#define ARGUMENTS_MAX 16

static bool parse(struct options *options, char *error, const char *line)
{
    static char text[512];
    char *argv[ARGUMENTS_MAX] = {(char *)"sluice-retriever"};
    int argc = 1;

    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
        argv[argc++] = strcmp(word, "''") == 0 ? (char *)"" : word;
    }
    return options_parse(options, argc, argv, error);
}

static void options_are_taken(void **state)
{
    char error[OPTIONS_ERROR_SIZE];
    struct options options;

    assert_true(parse(&options, error,
                      "--docs docs proto --index /x --broker ipc:///b --rescan-ms 500 --name n "
                      "--debug --docs tests"));
    assert_int_equal(options.docs_count, 3);
    assert_string_equal(options.docs[0], "docs");
    assert_string_equal(options.docs[2], "tests");
    assert_string_equal(options.index, "/x");
    assert_string_equal(options.broker, "ipc:///b");
    assert_string_equal(options.name, "n");
    assert_int_equal(options.rescan_ms, 500);
    assert_true(options.debug);
    options_deinit(&options);
    assert_true(parse(&options, error, "--docs docs"));
    assert_null(options.index);
    assert_int_equal(options.rescan_ms, OPTIONS_RESCAN_MS);
    options_deinit(&options);
    assert_true(parse(&options, error, "--help"));
    assert_true(options.help);
    options_deinit(&options);
}

static void wrong_ones_are_named(void **state)
{
    static const struct {
        const char *line, *error;
    } expected[] = {
        {"", "--docs DIR is missing"},
        {"--docs", "--docs needs"},
        {"--docs --debug", "--docs needs"},
        {"--docs /nonexistent", "'/nonexistent': No such file"},
        {"--docs ''", "empty"},
        {"--docs docs --rescan-ms", "--rescan-ms needs"},
        {"--docs docs --rescan-ms 99", "'99' is not a number from 100"},
        {"--docs docs --rescan-ms -1", "'-1' is not"},
        {"--docs docs --rescan-ms 1e3", "'1e3' is not"},
        {"--docs docs --rescan-ms 99999999999999999999999", "is not a number"},
        {"--docs docs --index ''", "--index needs"},
        {"--docs docs --frobnicate", "unknown argument '--frobnicate'"},
        {"docs", "unknown argument 'docs'"},
    };

    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        char error[OPTIONS_ERROR_SIZE] = "";
        struct options options;

        assert_false(parse(&options, error, expected[i].line));
        if (strstr(error, expected[i].error) == NULL) {
            fail_msg("'%s': %s", expected[i].line, error);
        }
        options_deinit(&options);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_taken),
        cmocka_unit_test(wrong_ones_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
