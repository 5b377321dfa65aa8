/* links: codec */
/* Where a MessagePack value ends: every type, every way to lie about a size. */
#include "common/packed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static bool skips(const void *bytes, size_t size, unsigned depth_max)
{
    const uint8_t *at = bytes;

    return packed_skip(at, at + size, depth_max) == at + size;
}

static void every_type_has_its_length(void **state)
{
    static const struct {
        uint8_t head[5];
        size_t head_size;
        size_t size; /* of the whole value */
    } values[] = {
        {{0x00}, 1, 1},             {{0x7f}, 1, 1},
        {{0x80}, 1, 1},             {{0x90}, 1, 1},
        {{0xa0}, 1, 1},             {{0xbf}, 1, 32},
        {{0xc0}, 1, 1},             {{0xc2}, 1, 1},
        {{0xc3}, 1, 1},             {{0xc4, 255}, 2, 257},
        {{0xc5, 1, 0}, 3, 259},     {{0xc6, 0, 0, 1, 0}, 5, 261},
        {{0xc7, 3}, 2, 6},          {{0xc8, 1, 0}, 3, 260},
        {{0xc9, 0, 0, 1, 0}, 5, 262}, {{0xca}, 1, 5},
        {{0xcb}, 1, 9},             {{0xcc}, 1, 2},
        {{0xcd}, 1, 3},             {{0xce}, 1, 5},
        {{0xcf}, 1, 9},             {{0xd0}, 1, 2},
        {{0xd1}, 1, 3},             {{0xd2}, 1, 5},
        {{0xd3}, 1, 9},             {{0xd4}, 1, 3},
        {{0xd5}, 1, 4},             {{0xd6}, 1, 6},
        {{0xd7}, 1, 10},            {{0xd8}, 1, 18},
        {{0xd9, 255}, 2, 257},      {{0xda, 1, 0}, 3, 259},
        {{0xdb, 0, 0, 1, 0}, 5, 261}, {{0xdc, 0, 3}, 3, 6},
        {{0xdd, 0, 0, 0, 3}, 5, 8}, {{0xde, 0, 3}, 3, 9},
        {{0xdf, 0, 0, 0, 3}, 5, 11}, {{0xe0}, 1, 1},
        {{0xff}, 1, 1},             {{0x93}, 1, 4},
        {{0x83}, 1, 7},
    };

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        uint8_t *bytes = calloc(1, values[i].size);

        memcpy(bytes, values[i].head, values[i].head_size);
        assert_true(skips(bytes, values[i].size, 1));
        for (size_t size = 0; size < values[i].size; size++) {
            uint8_t *cut = malloc(size + 1); /* exact, for the sanitizer */

            memcpy(cut, bytes, size);
            assert_null(packed_skip(cut, cut + size, 1));
            assert_null(packed_step(cut, cut + size));
            free(cut);
        }
        free(bytes);
    }
}

static void c1_is_nothing(void **state)
{
    assert_false(skips("\xc1", 1, 1));
    assert_false(skips("\x91\xc1", 2, 1));
}

static void counts_beyond_the_bytes_are_lies(void **state)
{
    static const char *const heads[] = {
        "\xc6\xff\xff\xff\xff", "\xc9\xff\xff\xff\xff", "\xdb\xff\xff\xff\xff",
        "\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff", "\xdf\x80\0\0\0",
    };
    uint8_t bytes[64] = {0};

    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        memcpy(bytes, heads[i], 5);
        assert_null(packed_skip(bytes, bytes + sizeof bytes, PACKED_DEPTH_MAX));
        assert_null(packed_step(bytes, bytes + sizeof bytes));
    }
}

/* `depth` arrays of one around `inner`. */
static bool nested_skips(unsigned depth, uint8_t inner, unsigned depth_max)
{
    uint8_t bytes[64];

    memset(bytes, 0x91, sizeof bytes);
    bytes[depth] = inner;
    assert_ptr_equal(packed_step(bytes, bytes + sizeof bytes), bytes + depth + 1);
    return skips(bytes, depth + 1, depth_max);
}

static void depth_is_bounded(void **state)
{
    for (unsigned max = 0; max <= PACKED_DEPTH_MAX; max++) {
        assert_true(nested_skips(max, 0xc0, max));
        assert_false(nested_skips(max + 1, 0xc0, max));
        if (max > 0) {
            assert_true(nested_skips(max - 1, 0x90, max));
        }
        assert_false(nested_skips(max, 0x90, max)); /* empty, but one deeper */
        assert_false(nested_skips(max, 0x80, max));
    }
}

static void siblings_do_not_add_to_the_depth(void **state)
{
    assert_true(skips("\x93\x91\x01\x91\x02\x81\x03\x90", 8, 3));
    assert_false(skips("\x93\x91\x01\x91\x02\x81\x03\x90", 8, 2));
    assert_true(skips("\x92\x92\x01\x02\x92\x03\x04", 7, 2));
}

static void valid_is_exactly_one(void **state)
{
    assert_true(packed_valid(span_of("\x01", 1)));
    assert_false(packed_valid(span_of("", 0)));
    assert_false(packed_valid(span_of(NULL, 0)));
    assert_false(packed_valid(span_of("\x01\x01", 2)));
    assert_false(packed_valid(span_of("\x92\x01", 2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_has_its_length),
        cmocka_unit_test(c1_is_nothing),
        cmocka_unit_test(counts_beyond_the_bytes_are_lies),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(siblings_do_not_add_to_the_depth),
        cmocka_unit_test(valid_is_exactly_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
