/* links: codec */
/* Docs: tokens in order, counts in their places, and nothing after an overflow. */
#include "common/doc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void containers_count_their_entries(void **state)
{
    struct doc_token tokens[16];
    uint8_t arena[16];
    struct doc doc;

    doc_init(&doc, tokens, 16, arena, sizeof arena);
    doc_map(&doc, NULL);                                    /* 0 */
    doc_uint(&doc, "n", 7);                                 /* 1 */
    doc_list(&doc, "list");                                 /* 2 */
    doc_nil(&doc, NULL);                                    /* 3 */
    doc_map(&doc, NULL);                                    /* 4 */
    doc_end(&doc);                                          /* 5 */
    doc_end(&doc);                                          /* 6 */
    doc_bool(&doc, "b", true);                              /* 7 */
    doc_text(&doc, "t", span_from_text("text"));            /* 8 */
    doc_end(&doc);                                          /* 9 */
    assert_false(doc.overflow);
    assert_int_equal(doc.depth, 0);
    assert_int_equal(doc.token_count, 10);
    assert_int_equal(tokens[0].kind, DOC_MAP);
    assert_int_equal(tokens[0].count, 4);
    assert_int_equal(tokens[0].key.size, 0);
    assert_true(span_is(tokens[1].key, "n"));
    assert_int_equal(tokens[1].number, 7);
    assert_int_equal(tokens[2].count, 2);
    assert_int_equal(tokens[4].count, 0);
    assert_int_equal(tokens[5].kind, DOC_END);
    assert_int_equal(tokens[7].number, 1);
    assert_true(span_is(tokens[8].bytes, "text"));
    assert_int_equal(tokens[9].kind, DOC_END);
}

static void text_is_copied(void **state)
{
    struct doc_token tokens[2];
    char text[] = "text";
    uint8_t arena[8];
    struct doc doc;

    doc_init(&doc, tokens, 2, arena, sizeof arena);
    doc_text(&doc, NULL, span_from_text(text));
    doc_bytes(&doc, NULL, span_from_text("1234")); /* the last of the arena */
    text[0] = 'T';
    assert_false(doc.overflow);
    assert_true(span_is(tokens[0].bytes, "text"));
    assert_true(span_is(tokens[1].bytes, "1234"));
}

static void too_many_tokens_overflow(void **state)
{
    struct doc_token tokens[3];
    struct doc doc;

    doc_init(&doc, tokens, 3, NULL, 0);
    doc_list(&doc, NULL);
    doc_uint(&doc, NULL, 1);
    doc_uint(&doc, NULL, 2);
    assert_false(doc.overflow);
    doc_uint(&doc, NULL, 3);
    assert_true(doc.overflow);
    doc_map(&doc, NULL); /* ignored, and so is its end */
    doc_end(&doc);
    doc_end(&doc);
    assert_int_equal(doc.token_count, 3);
}

static void too_much_text_overflows(void **state)
{
    struct doc_token tokens[4];
    uint8_t arena[4];
    struct doc doc;

    doc_init(&doc, tokens, 4, arena, sizeof arena);
    doc_text(&doc, NULL, span_from_text("1234"));
    assert_false(doc.overflow);
    doc_text(&doc, NULL, span_of(NULL, 0)); /* nothing needs no room */
    assert_false(doc.overflow);
    doc_text(&doc, NULL, span_from_text("5"));
    assert_true(doc.overflow);
}

static void nesting_reaches_its_bound(void **state)
{
    struct doc_token tokens[2 * DOC_DEPTH_MAX];
    struct doc doc;

    doc_init(&doc, tokens, 2 * DOC_DEPTH_MAX, NULL, 0);
    for (int i = 0; i < DOC_DEPTH_MAX; i++) {
        doc_list(&doc, NULL);
    }
    for (int i = 0; i < DOC_DEPTH_MAX; i++) {
        doc_end(&doc);
    }
    assert_false(doc.overflow);
    assert_int_equal(doc.depth, 0);
    assert_int_equal(tokens[DOC_DEPTH_MAX - 2].count, 1);
    assert_int_equal(tokens[DOC_DEPTH_MAX - 1].count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(containers_count_their_entries), cmocka_unit_test(text_is_copied),
        cmocka_unit_test(too_many_tokens_overflow),       cmocka_unit_test(too_much_text_overflows),
        cmocka_unit_test(nesting_reaches_its_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
