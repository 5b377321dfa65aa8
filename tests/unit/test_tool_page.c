/* links: tool */
/* charset and page: bytes of any encoding become valid UTF-8; what is no text stays out. */
#include "agents/tool/charset.h"
#include "agents/tool/page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

/* `bytes` is a literal, which may hold NULs. */
#define expect(name, bytes, is_html, text)                                                         \
    expect_decoded(name, bytes, sizeof bytes - 1, is_html, text)

static void expect_decoded(const char *name, const char *bytes, size_t size, bool is_html,
                           const char *text)
{
    size_t decoded_bytes;
    char *decoded = charset_decode(name, bytes, size, is_html, false, &decoded_bytes);

    assert_non_null(decoded);
    assert_string_equal(decoded, text);
    assert_int_equal(decoded_bytes, strlen(text));
    free(decoded);
}

static void the_content_type_names_the_charset(void **state)
{
    char name[16];

    charset_of_content_type("text/html; charset=UTF-8", name, sizeof name);
    assert_string_equal(name, "utf-8");
    charset_of_content_type("text/html;Charset = \"koi8-r\"; x=y", name, sizeof name);
    assert_string_equal(name, "koi8-r");
    charset_of_content_type("text/html", name, sizeof name);
    assert_string_equal(name, "");
    charset_of_content_type(NULL, name, sizeof name);
    assert_string_equal(name, "");
    charset_of_content_type("charset=", name, sizeof name);
    assert_string_equal(name, "");
    charset_of_content_type("charset=abcdefghijklmnopqrstuvwxyz", name, sizeof name);
    assert_string_equal(name, "abcdefghijklmno");
}

static void encodings_become_utf8(void **state)
{
    expect("utf-8", "caf\xc3\xa9", false, "caf\xc3\xa9");
    expect("iso-8859-1", "caf\xe9 \x80", false, "caf\xc3\xa9 \xe2\x82\xac");
    expect("shift_jis", "\x93\xfa\x96\x7b", false, "\xe6\x97\xa5\xe6\x9c\xac");
    expect("gb2312", "\xd6\xd0", false, "\xe4\xb8\xad");
    expect("koi8-r", "\xd0\xd2", false, "\xd0\xbf\xd1\x80");
    expect("utf-16le", "h\0i\0", false, "hi");
}

static void a_byte_order_mark_wins(void **state)
{
    expect("iso-8859-1", "\xef\xbb\xbf\xc3\xa9", false, "\xc3\xa9");
    expect("iso-8859-1", "\xff\xfeh\0i\0", false, "hi");
    expect("", "\xfe\xff\0h\0i", false, "hi");
}

static void without_a_name_the_bytes_decide(void **state)
{
    expect("", "caf\xc3\xa9", false, "caf\xc3\xa9");
    expect("", "caf\xe9", false, "caf\xc3\xa9");
    expect("no-such-charset", "caf\xe9", false, "caf\xc3\xa9");
    expect("utf-8//ignore", "caf\xe9", false, "caf\xc3\xa9");
    expect("", "<meta charset=koi8-r>\xd0", true, "<meta charset=koi8-r>\xd0\xbf");
    expect("", "<META http-equiv=x content='text/html; charset=koi8-r'>\xd0", true,
           "<META http-equiv=x content='text/html; charset=koi8-r'>\xd0\xbf");
    expect("", "<meta charset=utf-16>\xc3\xa9", true, "<meta charset=utf-16>\xc3\xa9");
    expect("", "<meta charset=koi8-r>\xc3\xa9", false, "<meta charset=koi8-r>\xc3\xa9");
}

static void what_does_not_decode_is_replaced(void **state)
{
    expect("utf-8", "a\xff\xc3z\xe2\x82", false,
           "a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd");
    expect("utf-8", "a\0b", false, "ab");
    expect("utf-16le", "\x00\xdc\x41\x00\x42", false, "\xef\xbf\xbd" "A\xef\xbf\xbd");
}

static void a_cut_character_is_dropped(void **state)
{
    size_t decoded_bytes;
    char *decoded = charset_decode("", "ab\xe2\x82", 4, false, true, &decoded_bytes);

    assert_string_equal(decoded, "ab");
    free(decoded);
}

static void random_bytes_become_valid_utf8(void **state)
{
    static const char *const names[] = {"utf-8", "shift_jis", "euc-jp", "iso-2022-jp", "gb18030",
                                        "big5",  "euc-kr",    "utf-16le", "windows-1255", ""};
    char bytes[256];

    srand(7);
    for (int round = 0; round < 2000; round++) {
        size_t size = (size_t)rand() % sizeof bytes, decoded_bytes;
        char *decoded;
        json_t *value;

        for (size_t i = 0; i < size; i++) {
            bytes[i] = (char)rand();
        }
        decoded = charset_decode(names[round % 10], bytes, size, round % 2, round % 3 == 0,
                                 &decoded_bytes);
        assert_non_null(decoded);
        value = json_stringn(decoded, decoded_bytes); /* NULL if it is not UTF-8 */
        assert_non_null(value);
        json_decref(value);
        free(decoded);
    }
}

static void kinds_follow_type_then_bytes(void **state)
{
    assert_int_equal(page_kind_of("text/html; charset=x", "", 0), PAGE_HTML);
    assert_int_equal(page_kind_of("Application/XHTML+xml", "", 0), PAGE_HTML);
    assert_int_equal(page_kind_of("text/markdown", "", 0), PAGE_TEXT);
    assert_int_equal(page_kind_of("application/json", "", 0), PAGE_TEXT);
    assert_int_equal(page_kind_of("application/ld+json; x=y", "", 0), PAGE_TEXT);
    assert_int_equal(page_kind_of("image/svg+xml", "", 0), PAGE_TEXT);
    assert_int_equal(page_kind_of("image/png", "", 0), PAGE_BINARY);
    assert_int_equal(page_kind_of(NULL, " \n<!DOCTYPE html>", 17), PAGE_HTML);
    assert_int_equal(page_kind_of("", "<?xml?><html>", 13), PAGE_HTML);
    assert_int_equal(page_kind_of(NULL, "plain", 5), PAGE_TEXT);
    assert_int_equal(page_kind_of(NULL, "PK\3\4", 4), PAGE_BINARY);
    assert_int_equal(page_kind_of(NULL, "", 0), PAGE_TEXT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_content_type_names_the_charset),
        cmocka_unit_test(encodings_become_utf8),
        cmocka_unit_test(a_byte_order_mark_wins),
        cmocka_unit_test(without_a_name_the_bytes_decide),
        cmocka_unit_test(what_does_not_decode_is_replaced),
        cmocka_unit_test(a_cut_character_is_dropped),
        cmocka_unit_test(random_bytes_become_valid_utf8),
        cmocka_unit_test(kinds_follow_type_then_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
