/* Comparing and summarising: the published measures, on texts small enough to check by hand. */
/* links: analysis */
#include "agents/analysis/compare.h"
#include "agents/analysis/summarize.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static double similarity(const json_t *answer, size_t pair)
{
    return json_real_value(
        json_object_get(json_array_get(json_object_get(answer, "pairs"), pair), "similarity"));
}

static bool list_has(const json_t *list, const char *text)
{
    size_t i;

    for (i = 0; i < json_array_size(list); i++) {
        if (strcmp(json_string_value(json_array_get(list, i)), text) == 0) {
            return true;
        }
    }
    return false;
}

static void likelihood_is_dunnings(void **state)
{
    /* k = (110, 2442 - 110), (111, 29114 - 111): "the" against "can" in Dunning 1993 is 270.72
     * for the pair table (110, 2442, 111, 29114). */
    double g2 = compare_log_likelihood(110, 110 + 2442, 111, 111 + 29114);

    assert_true(fabs(g2 - 270.72) < 0.01);
    assert_true(compare_log_likelihood(5, 50, 10, 100) < 1e-9); /* just as expected */
    assert_true(compare_log_likelihood(0, 0, 1, 10) == 0);
}

static void alike_and_unlike_texts_are_told_apart(void **state)
{
    struct fault fault = {{0}};
    json_t *args = json_pack(
        "{s:[{s:s, s:s}, {s:s, s:s}, {s:s, s:s}]}", "items", "name", "pub", "text",
        "A PUB socket sends messages. Messages to a slow subscriber are dropped. Dropped messages "
        "are lost. A subscriber filters.",
        "name", "push", "text",
        "A PUSH socket sends messages. Messages wait when no worker is there: it blocks. It blocks "
        "and blocks.",
        "name", "cook", "text", "Boil water, add salt and pasta. Serve pasta with tomato.");
    json_t *answer = compare_run(args, &fault);
    const json_t *distinct = json_object_get(answer, "distinct");

    assert_int_equal(json_array_size(json_object_get(answer, "pairs")), 3);
    assert_true(similarity(answer, 0) > 0.1);
    assert_true(similarity(answer, 1) < 0.01);
    assert_int_equal(json_array_size(json_object_get(answer, "shared")), 0);
    assert_true(list_has(json_object_get(json_array_get(distinct, 1), "terms"), "blocks"));
    assert_true(list_has(json_object_get(json_array_get(distinct, 2), "terms"), "pasta"));
    json_decref(answer);
    json_decref(args);
}

static void a_text_is_like_itself(void **state)
{
    struct fault fault = {{0}};
    json_t *args = json_pack("{s:[{s:s, s:s}, {s:s, s:s}]}", "items", "name", "a", "text",
                             "One socket.", "name", "b", "text", "One socket.");
    json_t *answer = compare_run(args, &fault);

    assert_true(fabs(similarity(answer, 0) - 1) < 1e-6);
    assert_true(list_has(json_object_get(answer, "shared"), "socket"));
    assert_int_equal(json_array_size(json_object_get(
                         json_array_get(json_object_get(answer, "distinct"), 0), "terms")),
                     0);
    json_decref(answer);
    json_decref(args);
}

static const char text[] =
    "The broker routes tasks to workers. Pasta water needs salt. A worker that is lost gives its "
    "tasks back to the broker. The broker hands lost tasks to other workers. Birds sing in the "
    "morning.";

static void the_central_sentences_stand_for_the_text(void **state)
{
    struct fault fault = {{0}};
    json_t *args = json_pack("{s:s, s:i}", "text", text, "sentences", 2);
    json_t *answer = summarize_run(args, &fault);
    json_t *sentence;
    const char *before = text;
    size_t i;

    assert_int_equal(json_integer_value(json_object_get(answer, "of")), 5);
    assert_int_equal(json_array_size(json_object_get(answer, "summary")), 2);
    json_array_foreach(json_object_get(answer, "summary"), i, sentence)
    {
        const char *found = strstr(text, json_string_value(json_object_get(sentence, "text")));

        assert_non_null(found);
        assert_true(found >= before); /* in the order of the text */
        before = found;
        assert_null(strstr(json_string_value(json_object_get(sentence, "text")), "asta"));
        assert_null(strstr(json_string_value(json_object_get(sentence, "text")), "Birds"));
    }
    json_decref(answer);
    json_decref(args);
}

static void a_question_pulls_the_summary_towards_it(void **state)
{
    struct fault fault = {{0}};
    json_t *args = json_pack("{s:s, s:i, s:s}", "text", text, "sentences", 1, "question",
                             "What do birds do in the morning?");
    json_t *answer = summarize_run(args, &fault);
    const json_t *first = json_array_get(json_object_get(answer, "summary"), 0);

    assert_string_equal(json_string_value(json_object_get(first, "text")),
                        "Birds sing in the morning.");
    json_decref(answer);
    json_decref(args);
}

static void empty_texts_are_no_trouble(void **state)
{
    struct fault fault = {{0}};
    json_t *args = json_pack("{s:s}", "text", "");
    json_t *answer = summarize_run(args, &fault);

    assert_int_equal(json_array_size(json_object_get(answer, "summary")), 0);
    json_decref(answer);
    json_decref(args);
    args = json_object();
    assert_null(summarize_run(args, &fault));
    assert_null(compare_run(args, &fault));
    json_decref(args);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(likelihood_is_dunnings),
        cmocka_unit_test(alike_and_unlike_texts_are_told_apart),
        cmocka_unit_test(a_text_is_like_itself),
        cmocka_unit_test(the_central_sentences_stand_for_the_text),
        cmocka_unit_test(a_question_pulls_the_summary_towards_it),
        cmocka_unit_test(empty_texts_are_no_trouble),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
