/* links: json */
/* The bridge between MessagePack and JSON: what comes back, and what never gets
 * as far as a tree. */
#include "common/json.h"
#include "common/packed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* JSON text to MessagePack and back; compares with `wanted`. */
static void check_round(const char *text, const char *wanted)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    json_t *expected = json_loads(wanted, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    json_t *back;
    uint8_t *bytes;
    size_t size;

    assert_non_null(value);
    assert_non_null(expected);
    bytes = json_pack_bytes(value, &size);
    assert_non_null(bytes);
    assert_true(packed_valid(span_of(bytes, size)));
    back = json_unpack_bytes(span_of(bytes, size));
    assert_non_null(back);
    assert_true(json_equal(back, expected));
    assert_int_equal(json_typeof(back), json_typeof(expected));
    free(bytes);
    json_decref(value);
    json_decref(expected);
    json_decref(back);
}

static void values_come_back(void **state)
{
    static const char *const texts[] = {
        "null",
        "true",
        "false",
        "0",
        "127",
        "128",
        "-1",
        "-32",
        "-33",
        "65536",
        "9223372036854775807",
        "-9223372036854775808",
        "1.0",
        "-0.5",
        "1e300",
        "\"\"",
        "\"\\u00e9\\ud83d\\ude00\"",
        "\"a\\u0000b\"",
        "[]",
        "{}",
        "[1, [2, [3]], {\"\": [null]}]",
        "{\"k\": {\"k\": \"v\"}, \"l\": 1}",
        "{\"$bin\": \"\"}",
        "{\"$bin\": \"AA==\"}",
        "{\"$bin\": \"AAE=\"}",
        "{\"$bin\": \"AAEC\"}",
        "{\"$bin\": \"AAECAw==\", \"also\": 1}",
        "{\"$bin\": \"no base64\"}",
        "{\"$bin\": 5}",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        check_round(texts[i], texts[i]);
    }
}

static void check_bytes(const char *text, const char *wanted, size_t wanted_size)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    uint8_t *bytes;
    size_t size;

    assert_non_null(value);
    bytes = json_pack_bytes(value, &size);
    assert_non_null(bytes);
    assert_true(span_equal(span_of(bytes, size), span_of(wanted, wanted_size)));
    free(bytes);
    json_decref(value);
}

static void bytes_are_the_shortest(void **state)
{
    check_bytes("5", "\x05", 1);
    check_bytes("200", "\xcc\xc8", 2);
    check_bytes("2.0", "\xcb\x40\0\0\0\0\0\0\0", 9); /* stays a real */
    check_bytes("{\"$bin\": \"AP8=\"}", "\xc4\x02\x00\xff", 4);
    check_bytes("{\"$bin\": \"AP9=\"}", "\x81\xa4$bin\xa4" "AP9=", 11); /* stray bits: no base64 */
    check_bytes("{\"$bin\": \"=\"}", "\x81\xa4$bin\xa1=", 8);
}

static json_t *unpack(const char *bytes, size_t size)
{
    return json_unpack_bytes(span_of(bytes, size));
}

#define assert_refused(literal) assert_null(unpack(literal, sizeof(literal) - 1))

static void what_is_no_json_is_refused(void **state)
{
    assert_refused("");
    assert_refused("\xc1");                              /* never used */
    assert_refused("\x01\x01");                          /* two values */
    assert_refused("\x92\x01");                          /* one of two */
    assert_refused("\x81\x01\x01");                      /* key is no str */
    assert_refused("\x81\xc4\x01k\x01");                 /* nor is a bin */
    assert_refused("\xd4\x01\x00");                      /* ext */
    assert_refused("\x91\xc7\x00\x05");                  /* ext in an array */
    assert_refused("\xa2\xc3\x28");                      /* bad UTF-8 */
    assert_refused("\x81\xa1\xff\x01");                  /* in a key */
    assert_refused("\x81\xa3\x61\x00\x62\x01");          /* a NUL in a key: "a" to C */
    assert_refused("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"); /* NaN */
    assert_refused("\xca\x7f\x80\x00\x00");              /* infinity */
    assert_refused("\xdd\xff\xff\xff\xff");              /* 4 billion elements, no bytes */
    assert_refused("\xdf\xff\xff\xff\xff");
    assert_refused("\xdb\xff\xff\xff\xff");
    assert_refused("\xc6\xff\xff\xff\xff");
}

static void large_unsigned_becomes_real(void **state)
{
    json_t *value = unpack("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9);

    assert_true(json_is_real(value));
    assert_true(json_real_value(value) > 1.8e19);
    json_decref(value);
}

static void the_last_of_equal_keys_counts(void **state)
{
    json_t *value = unpack("\x82\xa1k\x01\xa1k\x02", 7);

    assert_int_equal(json_object_size(value), 1);
    assert_int_equal(json_integer_value(json_object_get(value, "k")), 2);
    json_decref(value);
}

static void nesting_is_bounded_both_ways(void **state)
{
    uint8_t deep[PACKED_DEPTH_MAX + 2];
    uint8_t *bytes;
    json_t *value;
    size_t size;

    memset(deep, 0x91, sizeof deep);
    deep[PACKED_DEPTH_MAX] = 0x01; /* 32 arrays around a number */
    value = json_unpack_bytes(span_of(deep, PACKED_DEPTH_MAX + 1));
    assert_non_null(value);
    bytes = json_pack_bytes(value, &size);
    assert_true(span_equal(span_of(bytes, size), span_of(deep, PACKED_DEPTH_MAX + 1)));
    free(bytes);

    value = json_pack("[o]", value); /* 33 */
    assert_null(json_pack_bytes(value, &size));
    json_decref(value);
    deep[PACKED_DEPTH_MAX] = 0x91;
    deep[PACKED_DEPTH_MAX + 1] = 0x01;
    assert_null(json_unpack_bytes(span_of(deep, sizeof deep)));
    deep[PACKED_DEPTH_MAX] = 0x90; /* an empty one is one more, too */
    assert_null(json_unpack_bytes(span_of(deep, PACKED_DEPTH_MAX + 1)));
}

static void random_bytes_do_no_harm(void **state)
{
    uint32_t seed = 1;

    for (int i = 0; i < 100000; i++) {
        uint8_t bytes[24];
        size_t size;

        for (size = 0; size < sizeof bytes; size++) {
            seed = seed * 1664525 + 1013904223; /* Knuth's linear congruential generator */
            bytes[size] = (uint8_t)(seed >> 24);
        }
        /* containers first, or most of it would be a lone number */
        bytes[0] = (uint8_t)(0x80 | (bytes[0] & 0x1f));
        for (size = 1; size <= sizeof bytes; size++) {
            json_decref(json_unpack_bytes(span_of(bytes, size)));
        }
    }
}

static void a_text_has_no_nul(void **state)
{
    json_t *values = json_loads("[\"text\", \"\", \"a\\u0000b\", \"\\u0000\", 1]",
                                JSON_ALLOW_NUL, NULL);

    assert_non_null(values);
    assert_string_equal(json_text(json_array_get(values, 0)), "text");
    assert_string_equal(json_text(json_array_get(values, 1)), "");
    for (size_t i = 2; i < 6; i++) { /* the last one: none at all */
        assert_null(json_text(json_array_get(values, i)));
    }
    json_decref(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_back),
        cmocka_unit_test(bytes_are_the_shortest),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(large_unsigned_becomes_real),
        cmocka_unit_test(the_last_of_equal_keys_counts),
        cmocka_unit_test(nesting_is_bounded_both_ways),
        cmocka_unit_test(a_text_has_no_nul),
        cmocka_unit_test(random_bytes_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
