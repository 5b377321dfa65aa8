/* links: codec */
/* Names and texts of the protocol: what is one, and what is not. */
#include "proto/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void service_names_have_one_alphabet(void **state)
{
    char name[SERVICE_NAME_MAX + 1];

    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool wanted = is_letter || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';

        for (size_t size = 1; size < 12; size++) {
            for (size_t at = 0; at < size; at++) {
                memset(name, 'a', size);
                name[at] = byte;
                assert_int_equal(service_name_valid(span_of(name, size)), wanted);
            }
        }
    }
    memset(name, 'n', sizeof name);
    assert_false(service_name_valid(span_of(NULL, 0)));
    assert_true(service_name_valid(span_of(name, SERVICE_NAME_MAX)));
    assert_false(service_name_valid(span_of(name, SERVICE_NAME_MAX + 1)));
}

static bool valid(const char *text)
{
    size_t size = strlen(text);
    char *bytes = malloc(size + 1); /* exact, for the sanitizer */
    bool result;

    memcpy(bytes, text, size);
    result = text_valid(span_of(bytes, size), 64);
    free(bytes);
    return result;
}

static void text_is_utf8(void **state)
{
    assert_true(valid(""));
    assert_true(valid("plain ~ text"));
    assert_true(valid("\xc2\x80 \xdf\xbf"));         /* U+0080, U+07FF */
    assert_true(valid("\xe0\xa0\x80 \xef\xbf\xbf")); /* U+0800, U+FFFF */
    assert_true(valid("\xed\x9f\xbf \xee\x80\x80")); /* around the surrogates */
    assert_true(valid("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"));

    assert_false(valid("\x80"));              /* begins in the middle */
    assert_false(valid("\xc2"));              /* ends in the middle */
    assert_false(valid("\xe0\xa0"));
    assert_false(valid("\xf0\x90\x80"));
    assert_false(valid("\xc2 "));
    assert_false(valid("\xe0\xa0 "));
    assert_false(valid("\xf0\x90\x80 "));
    assert_false(valid("\xc0\x80"));          /* overlong forms */
    assert_false(valid("\xc1\xbf"));
    assert_false(valid("\xe0\x9f\xbf"));
    assert_false(valid("\xf0\x8f\xbf\xbf"));
    assert_false(valid("\xed\xa0\x80"));      /* surrogates */
    assert_false(valid("\xed\xbf\xbf"));
    assert_false(valid("\xf4\x90\x80\x80"));  /* past U+10FFFF */
    assert_false(valid("\xf5\x80\x80\x80"));
    assert_false(valid("\xff"));
}

static void text_has_no_control_characters(void **state)
{
    for (int c = 0; c < 0x80; c++) {
        char bytes[] = {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', (char)c, 'j'};

        assert_int_equal(text_valid(span_of(bytes, sizeof bytes), 64), c >= 0x20 && c != 0x7f);
        assert_int_equal(text_valid(span_of(bytes + 8, 1), 64), c >= 0x20 && c != 0x7f);
    }
}

/* Words of it are looked at at once; which bytes make one up does not matter. */
static void where_in_a_text_a_byte_stands_does_not_matter(void **state)
{
    static const char e[] = "\xe2\x82\xac"; /* U+20AC */

    for (size_t at = 0; at < 24; at++) {
        char bytes[24 + sizeof e];

        memset(bytes, '~', sizeof bytes);
        for (int c = 0; c < 0x100; c++) {
            bytes[at] = (char)c;
            bytes[23 - at] = at == 23 - at ? (char)c : ' ';
            assert_int_equal(text_valid(span_of(bytes, 24), 64),
                             c >= 0x20 && c < 0x80 && c != 0x7f);
            assert_int_equal(prose_valid(span_of(bytes, 24), 64),
                             (c >= 0x20 && c < 0x80 && c != 0x7f) || c == '\t' || c == '\n' ||
                                 c == '\r');
        }
        memset(bytes, '~', sizeof bytes);
        memcpy(bytes + at, e, 3);
        assert_true(text_valid(span_of(bytes, 24 + 3), 64));
        assert_false(text_valid(span_of(bytes, at + 2), 64));
    }
}

static void text_has_a_bound_in_bytes(void **state)
{
    assert_true(text_valid(span_from_text("\xc3\xa9\xc3\xa9"), 4));
    assert_false(text_valid(span_from_text("\xc3\xa9\xc3\xa9"), 3));
}

static void names_end_where_their_enum_does(void **state)
{
    assert_string_equal(command_name(COMMAND_SUBMIT), "SUBMIT");
    assert_string_equal(command_name(COMMAND_FLOW), "FLOW");
    assert_null(command_name(0));
    assert_null(command_name(COMMAND_SEQUENCE + 1));
    assert_null(command_name(COMMAND_FLOW + 1));
    assert_null(command_name(UINT32_MAX));
    for (unsigned i = 0; i < ERROR_CODE_COUNT; i++) {
        assert_non_null(error_code_name(i));
    }
    assert_null(error_code_name(ERROR_CODE_COUNT));
    for (unsigned i = 0; i < OUTCOME_COUNT; i++) {
        assert_non_null(outcome_name(i));
    }
    assert_null(outcome_name(OUTCOME_COUNT));
    for (unsigned i = 0; i < QUERY_WHAT_COUNT; i++) {
        assert_non_null(query_what_name(i));
    }
    assert_null(query_what_name(QUERY_WHAT_COUNT));
    assert_string_equal(join_policy_name(JOIN_SETTLED), "settled");
    assert_null(join_policy_name(JOIN_K + 1));
    assert_string_equal(run_if_name(RUN_IF_ALWAYS), "always");
    assert_null(run_if_name(RUN_IF_ALWAYS + 1));
    for (unsigned i = 0; i < CONTROL_WHAT_COUNT; i++) {
        assert_non_null(control_what_name(i));
    }
    assert_null(control_what_name(CONTROL_WHAT_COUNT));
}

/* The column `retryable` of PROTOCOL.md, section 1.4. */
static void retryable_is_as_documented(void **state)
{
    static const enum error_code codes[] = {
        ERROR_QUEUE_FULL,      ERROR_WINDOW_EXCEEDED, ERROR_MEMORY_FULL,    ERROR_WORKER_LOST,
        ERROR_LEASE_EXPIRED,   ERROR_UNKNOWN_SERVICE, ERROR_DRAINING,       ERROR_HELLO_REQUIRED,
        ERROR_LIMIT_EXCEEDED,  ERROR_RATE_LIMITED,    ERROR_BUDGET_EXHAUSTED,
        ERROR_CIRCUIT_OPEN,    ERROR_STORE_UNAVAILABLE,
    };
    size_t count = 0;

    for (unsigned i = 0; i < ERROR_CODE_COUNT; i++) {
        count += error_code_retryable((enum error_code)i);
    }
    assert_int_equal(count, sizeof codes / sizeof codes[0]);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        assert_true(error_code_retryable(codes[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(service_names_have_one_alphabet),
        cmocka_unit_test(text_is_utf8),
        cmocka_unit_test(text_has_no_control_characters),
        cmocka_unit_test(where_in_a_text_a_byte_stands_does_not_matter),
        cmocka_unit_test(text_has_a_bound_in_bytes),
        cmocka_unit_test(names_end_where_their_enum_does),
        cmocka_unit_test(retryable_is_as_documented),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
