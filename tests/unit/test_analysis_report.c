/* The report weighs: what is supported leads, what is not is said. */
/* links: analysis */
#include "agents/analysis/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static json_t *sentence(const char *ref, const char *text, const char *context, double score,
                        double coverage)
{
    return json_pack("{s:s, s:s, s:s, s:f, s:f, s:s, s:i, s:i, s:s}", "ref", ref, "text", text,
                     "context", context, "score", score, "coverage", coverage, "source", "f.md",
                     "line_start", 3, "line_end", 5, "heading", "Queues and bounds");
}

static json_t *report(json_t *sections, json_t *facts)
{
    json_t *args = json_pack("{s:s, s:o, s:o}", "question", "Q?", "sections", sections, "facts",
                             facts != NULL ? facts : json_array());
    struct fault fault = {{0}};
    json_t *answer = report_run(args, &fault);

    assert_non_null(answer);
    json_decref(args);
    return answer;
}

static const char *text_at(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void the_best_sentence_leads_with_its_context(void **state)
{
    json_t *answer =
        report(json_pack("[{s:s, s:[o, o]}]", "question", "Q?", "sentences",
                         sentence("p1", "Queues have bounds.",
                                  "Queues have bounds. Beyond them tasks are "
                                  "refused.",
                                  0.6, 0.9),
                         sentence("p2", "Every refusal says when to come again.", "", 0.4, 0.5)),
               NULL);
    const json_t *claims = json_object_get(answer, "claims");
    const json_t *citations = json_object_get(answer, "citations");

    assert_string_equal(
        text_at(answer, "answer"),
        "Queues and bounds \xE2\x80\x94 Queues have bounds. Beyond them tasks are refused. [1]");
    assert_int_equal(json_array_size(claims), 2);
    assert_true(json_is_true(json_object_get(json_array_get(claims, 0), "in_answer")));
    assert_false(json_is_true(json_object_get(json_array_get(claims, 1), "in_answer")));
    assert_string_equal(text_at(json_array_get(citations, 0), "quote"),
                        "Queues have bounds. Beyond them tasks are refused.");
    assert_string_equal(text_at(json_array_get(citations, 1), "ref"), "p2");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(citations, 1), "n")), 2);
    json_decref(answer);
}

static void sentences_that_agree_become_one_claim(void **state)
{
    json_t *answer = report(json_pack("[{s:s, s:[o, o]}]", "question", "Q?", "sentences",
                                      sentence("p1", "Queues have hard bounds.", "", 0.6, 0.9),
                                      sentence("p2", "Queues have hard bounds!", "", 0.5, 0.9)),
                            NULL);
    const json_t *claims = json_object_get(answer, "claims");

    assert_int_equal(json_array_size(claims), 1);
    assert_int_equal(json_array_size(json_object_get(json_array_get(claims, 0), "citations")), 2);
    json_decref(answer);
}

static void weak_evidence_is_no_answer(void **state)
{
    json_t *answer =
        report(json_pack("[{s:s, s:[o], s:[s]}, {s:s, s:[]}]", "question", "Q?", "sentences",
                         sentence("p1", "Queues have bounds.", "", 0.6, 0.3), "missing", "Kafka",
                         "question", "Other?", "sentences"),
               NULL);
    const json_t *not_found = json_object_get(answer, "not_found");

    assert_string_equal(text_at(answer, "answer"), "");
    assert_int_equal(json_array_size(json_object_get(answer, "claims")), 0);
    assert_int_equal(json_array_size(not_found), 2);
    assert_string_equal(text_at(json_array_get(not_found, 0), "reason"),
                        "no passage found mentions \"Kafka\"");
    assert_string_equal(text_at(json_array_get(not_found, 1), "reason"), "no passage was found");
    json_decref(answer);
}

static void an_answer_tells_of_words_that_no_passage_has(void **state)
{
    json_t *answer =
        report(json_pack("[{s:s, s:[o], s:[s]}]", "question", "Which option disables Nagle?",
                         "sentences", sentence("p1", "An option disables it.", "", 0.6, 0.7),
                         "missing", "Nagle"),
               NULL);
    const json_t *not_found = json_object_get(answer, "not_found");

    assert_int_equal(json_array_size(json_object_get(answer, "claims")), 1);
    assert_int_equal(json_array_size(not_found), 1);
    assert_string_equal(text_at(json_array_get(not_found, 0), "reason"),
                        "answered in part: no passage found mentions \"Nagle\"");
    json_decref(answer);
}

static void parts_found_answer_the_whole(void **state)
{
    json_t *answer = report(
        json_pack("[{s:s, s:[]}, {s:s, s:[o]}, {s:s, s:[o]}]", "question", "A and B?", "sentences",
                  "question", "A?", "sentences", sentence("p1", "A is first here.", "", 0.6, 0.9),
                  "question", "B?", "sentences", sentence("p2", "B comes later on.", "", 0.7, 0.9)),
        NULL);

    assert_int_equal(json_array_size(json_object_get(answer, "not_found")), 0);
    assert_true(strstr(text_at(answer, "answer"), "A is first") <
                strstr(text_at(answer, "answer"), "B comes"));
    json_decref(answer);
}

static void facts_stand_first(void **state)
{
    json_t *answer = report(
        json_pack("[{s:s, s:[o]}]", "question", "Q?", "sentences",
                  sentence("p1", "Queues have bounds.", "", 0.6, 0.9)),
        json_pack("[{s:s, s:s, s:s}]", "ref", "t1", "source", "tool.calc", "text", "17 * 3 = 51"));

    assert_int_equal(strncmp(text_at(answer, "answer"), "17 * 3 = 51 [1]", 15), 0);
    json_decref(answer);
}

static void wrong_arguments_are_named(void **state)
{
    const char *wrong[] = {"{}", "{\"question\":\"q\"}", "{\"question\":\"q\",\"sections\":3}",
                           "{\"question\":\"q\",\"sections\":[],\"limit\":0}"};
    size_t i;

    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        json_t *args = json_loads(wrong[i], 0, NULL);
        struct fault fault = {{0}};

        assert_null(report_run(args, &fault));
        assert_true(strlen(fault.message) > 0);
        json_decref(args);
    }
}

static void strange_sections_are_survived(void **state)
{
    json_t *answer = report(json_loads("[3, null, {}, {\"sentences\":[1, {}, {\"text\":\"\"}]},"
                                       "{\"sentences\":[{\"text\":\"x\",\"coverage\":\"9\"}]}]",
                                       0, NULL),
                            json_loads("[3, {\"text\":\"\"}]", 0, NULL));

    assert_string_equal(text_at(answer, "answer"), "");
    json_decref(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_sentence_leads_with_its_context),
        cmocka_unit_test(sentences_that_agree_become_one_claim),
        cmocka_unit_test(weak_evidence_is_no_answer),
        cmocka_unit_test(an_answer_tells_of_words_that_no_passage_has),
        cmocka_unit_test(parts_found_answer_the_whole),
        cmocka_unit_test(facts_stand_first),
        cmocka_unit_test(wrong_arguments_are_named),
        cmocka_unit_test(strange_sections_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
