/* links: codec */
/* Log records: one line, whatever is in them. */
#include "common/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void check_value(struct span value, const char *wanted)
{
    struct log_field fields[] = {LOG_TEXT("k", value)};
    struct log_record record = {LOG_INFO, "e", fields, 1};
    char line[128];
    size_t length = log_format(&record, line, sizeof line);

    assert_int_equal(length, strlen(line));
    assert_memory_equal(line, "e k=", 4);
    assert_string_equal(line + 4, wanted);
}

static void fields_stand_in_order(void **state)
{
    struct id id = {{0x01, 0x7f, 0x22, 0xe2, 0x79, 0xb0, 0x70}};
    struct log_field fields[] = {LOG_WORD("peer", "worker-1"), LOG_UINT("credit", UINT64_MAX),
                                 LOG_ID("task", &id)};
    struct log_record record = {LOG_INFO, "offer", fields, 3};
    char line[256];

    log_format(&record, line, sizeof line);
    assert_string_equal(line, "offer peer=worker-1 credit=18446744073709551615 "
                              "task=017f22e2-79b0-7000-0000-000000000000");
}

static void nothing_breaks_the_line(void **state)
{
    check_value(span_from_text("plain-1.x"), "plain-1.x");
    check_value(span_from_text(""), "\"\"");
    check_value(span_from_text("two words"), "\"two words\"");
    check_value(span_from_text("a=b"), "\"a=b\"");
    check_value(span_from_text("a\"b\\c"), "\"a\\\"b\\\\c\"");
    check_value(span_of("a\nb\0c\x7f\x1b[", 8), "\"a\\x0ab\\x00c\\x7f\\x1b[\"");
    check_value(span_from_text("\xc3\xa9"), "\xc3\xa9");
}

static void long_lines_are_cut(void **state)
{
    struct log_field fields[] = {LOG_WORD("key", "a long value \n")};
    struct log_record record = {LOG_INFO, "event", fields, 1};
    char whole[64];

    log_format(&record, whole, sizeof whole);
    for (size_t size = 1; size <= strlen(whole) + 1; size++) {
        char *line = malloc(size); /* exact, for the sanitizer */

        assert_int_equal(log_format(&record, line, size), size - 1);
        assert_int_equal(line[size - 1], '\0');
        assert_memory_equal(line, whole, size - 1);
        free(line);
    }
}

static void a_printed_line_has_time_and_level(void **state)
{
    struct log_field fields[] = {LOG_UINT("n", 1)};
    struct log_record record = {LOG_WARN, "event", fields, 1};
    FILE *file = tmpfile();
    char line[128];
    int year, month, day, hour, minute, second, ms;
    char level[8], event[8];

    assert_non_null(file);
    log_print(file, &record);
    log_print(file, &record);
    rewind(file);
    for (int i = 0; i < 2; i++) {
        assert_non_null(fgets(line, sizeof line, file));
        assert_int_equal(sscanf(line, "%d-%d-%dT%d:%d:%d.%3dZ %7s %7s n=1\n", &year, &month, &day,
                                &hour, &minute, &second, &ms, level, event),
                         9);
        assert_string_equal(level, "warn");
        assert_string_equal(event, "event");
    }
    assert_null(fgets(line, sizeof line, file));
    fclose(file);
}

static void levels_have_names(void **state)
{
    enum log_level level;

    for (unsigned i = LOG_ERROR; i <= LOG_DEBUG; i++) {
        assert_true(log_level_parse(log_level_name((enum log_level)i), &level));
        assert_int_equal(level, i);
    }
    assert_false(log_level_parse("loud", &level));
    assert_false(log_level_parse("", &level));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_stand_in_order),
        cmocka_unit_test(nothing_breaks_the_line),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(a_printed_line_has_time_and_level),
        cmocka_unit_test(levels_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
