/* Extraction finds what answers, says where it stands, and invents nothing. */
/* links: analysis */
#include "agents/analysis/extract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Abridged from zmq_setsockopt(3) and zmq_socket(3), MPL-2.0. */
static const char passages[] =
    "[{'ref':'linger','source':'setsockopt.3','line_start':100,'line_end':110,"
    "'title':'zmq_setsockopt',"
    "'text':'ZMQ_LINGER: Set linger period for socket shutdown\\n\\nThe ZMQ_LINGER option shall "
    "set the linger period for the specified socket. The linger period determines how long "
    "pending messages shall linger in memory after a socket is closed.'},"
    "{'ref':'mandatory','source':'setsockopt.3','line_start':200,'line_end':202,"
    "'title':'zmq_setsockopt',"
    "'text':'ZMQ_ROUTER_MANDATORY: accept only routable messages on ROUTER sockets\\n\\nSets the "
    "ROUTER socket behaviour when an unroutable message is encountered. A value of 0 is the "
    "default and discards the message silently when it cannot be routed. A value of 1 returns an "
    "EHOSTUNREACH error code if the message cannot be routed.'},"
    "{'ref':'copy','source':'mirror.3','line_start':1,'line_end':9,'title':'mirror',"
    "'text':'Sets the ROUTER socket behaviour when an unroutable message is encountered.'},"
    "{'ref':'page','source':'guide.pdf','line_start':null,'line_end':null,'page':7,"
    "'title':'Guide','text':'A PUB socket drops messages for a slow subscriber.'}]";

static json_t *extract(const char *question, const char *list, int limit)
{
    json_error_t error;
    char text[8192];
    json_t *args;
    json_t *answer;
    struct fault fault = {{0}};
    size_t i;

    assert_true(strlen(list) < sizeof text);
    for (i = 0; list[i] != '\0'; i++) {
        text[i] = list[i] == '\'' ? '"' : list[i];
    }
    args = json_pack("{s:s, s:o, s:i}", "question", question, "passages",
                     json_loadb(text, i, 0, &error), "limit", limit);
    assert_non_null(args);
    answer = extract_run(args, &fault);
    json_decref(args);
    assert_string_equal(fault.message, "");
    assert_non_null(answer);
    return answer;
}

static const char *text_of(const json_t *answer, size_t index, const char *key)
{
    const char *text = json_string_value(
        json_object_get(json_array_get(json_object_get(answer, "sentences"), index), key));

    assert_non_null(text);
    return text;
}

static void the_sentence_that_answers_comes_first(void **state)
{
    json_t *answer = extract("How do I make a ZeroMQ ROUTER socket report unroutable messages "
                             "instead of dropping them?",
                             passages, 8);

    assert_string_equal(text_of(answer, 0, "ref"), "mandatory");
    assert_string_equal(text_of(answer, 0, "text"),
                        "Sets the ROUTER socket behaviour when an unroutable message is "
                        "encountered.");
    assert_non_null(strstr(text_of(answer, 0, "context"), "EHOSTUNREACH"));
    assert_string_equal(text_of(answer, 0, "heading"),
                        "ZMQ_ROUTER_MANDATORY: accept only routable messages on ROUTER sockets");
    json_decref(answer);
}

static void nothing_is_said_twice(void **state)
{
    json_t *answer = extract("unroutable message ROUTER socket", passages, 50);
    size_t i, count = 0;

    for (i = 0; i < json_array_size(json_object_get(answer, "sentences")); i++) {
        count += strstr(text_of(answer, i, "text"), "Sets the ROUTER socket") != NULL;
    }
    assert_int_equal(count, 1);
    json_decref(answer);
}

static void every_sentence_stands_in_its_passage(void **state)
{
    json_t *answer = extract("socket message linger drop", passages, 50);
    json_t *sentence;
    size_t i;

    assert_true(json_array_size(json_object_get(answer, "sentences")) >= 4);
    json_array_foreach(json_object_get(answer, "sentences"), i, sentence)
    {
        assert_non_null(strstr(passages, json_string_value(json_object_get(sentence, "text"))));
        assert_non_null(strstr(passages, json_string_value(json_object_get(sentence, "context"))));
        assert_true(json_number_value(json_object_get(sentence, "coverage")) <= 1.0001);
    }
    json_decref(answer);
}

static void lines_narrow_when_the_text_has_the_lines_of_its_file(void **state)
{
    json_t *answer =
        extract("second subject",
                "[{'ref':'a','source':'f.md','line_start':10,'line_end':14,'title':'',"
                "'text':'# Title\\n\\nThe first thing is here.\\n\\nThe second subject is here.'}]",
                1);
    const json_t *sentence = json_array_get(json_object_get(answer, "sentences"), 0);

    assert_int_equal(json_integer_value(json_object_get(sentence, "line_start")), 14);
    assert_int_equal(json_integer_value(json_object_get(sentence, "line_end")), 14);
    json_decref(answer);
    answer = extract("PUB socket drops", passages, 1);
    sentence = json_array_get(json_object_get(answer, "sentences"), 0);
    assert_true(json_is_null(json_object_get(sentence, "line_start")));
    assert_int_equal(json_integer_value(json_object_get(sentence, "page")), 7);
    json_decref(answer);
}

static void words_that_no_passage_has_are_named(void **state)
{
    json_t *answer = extract("What does Kafka do with a socket?", passages, 3);
    const json_t *missing = json_object_get(answer, "missing");

    assert_int_equal(json_array_size(missing), 1);
    assert_string_equal(json_string_value(json_array_get(missing, 0)), "Kafka");
    json_decref(answer);
    answer = extract("What is the capital of France?", passages, 3);
    assert_int_equal(json_array_size(json_object_get(answer, "sentences")), 0);
    json_decref(answer);
}

static void synonyms_and_parts_of_names_match(void **state)
{
    json_t *answer = extract("When does PUB discard messages?", passages, 1);

    assert_string_equal(text_of(answer, 0, "ref"), "page");
    json_decref(answer);
    answer = extract("mandatory", passages, 1);
    assert_string_equal(text_of(answer, 0, "ref"), "mandatory");
    json_decref(answer);
}

/* What stands in a manual about two options, and how it is used. */
static const char options[] =
    "[{'ref':'tcp','source':'a','title':'options > VALVE_TCP: keep the pipe',"
    "'text':'Default value of the option is the default value 7 of the system.'},"
    "{'ref':'hwm','source':'a','title':'options > VALVE_HWM: bound of the pipe',"
    "'text':'Limits how many drops wait. When VALVE_HWM is reached, a valve blocks. "
    "VALVE_HWM is the bound of a pipe. Default value 1000.'},"
    "{'ref':'see','source':'b','title':'valve > SEE ALSO','text':'valve(3) pipe(3) drop(3)'},"
    "{'ref':'use','source':'b','title':'valve > Use',"
    "'text':'A valve starts by itself when it is told to start.\\n\\nvalve start --pipe 3 --drop 7'}]";

static void who_names_an_identifier_means_that_one(void **state)
{
    json_t *answer = extract("What is the default value of VALVE_HWM?", options, 1);

    assert_string_equal(text_of(answer, 0, "text"), "Default value 1000.");
    assert_string_equal(text_of(answer, 0, "heading"), "VALVE_HWM: bound of the pipe");
    json_decref(answer);
}

static void what_defines_leads_a_definition(void **state)
{
    json_t *answer = extract("What is VALVE_HWM?", options, 1);

    assert_string_equal(text_of(answer, 0, "text"), "VALVE_HWM is the bound of a pipe.");
    json_decref(answer);
}

/* The score of the sentence that is `text`; 0: it was not chosen. */
static double score_of(const json_t *answer, const char *text)
{
    size_t i;

    for (i = 0; i < json_array_size(json_object_get(answer, "sentences")); i++) {
        if (strcmp(text_of(answer, i, "text"), text) == 0) {
            return json_number_value(
                json_object_get(json_array_get(json_object_get(answer, "sentences"), i), "score"));
        }
    }
    return 0;
}

static void commands_answer_how_to_do_it(void **state)
{
    const char *command = "valve start --pipe 3 --drop 7";
    json_t *how = extract("How do I start a valve?", options, 50);
    json_t *who = extract("Who may start a valve?", options, 50);

    assert_true(score_of(who, command) > 0);
    assert_true(score_of(how, command) > 1.5 * score_of(who, command));
    assert_true(score_of(how, "valve(3) pipe(3) drop(3)") == 0); /* names answer nothing */
    json_decref(how);
    json_decref(who);
}

static void wrong_arguments_are_named(void **state)
{
    const char *wrong[][2] = {
        {"{}", "question"},
        {"{\"question\":\"x\"}", "passages"},
        {"{\"question\":\"x\",\"passages\":[{}]}", "passages[0].text"},
        {"{\"question\":\"x\",\"passages\":[3]}", "passages[0].text"},
        {"{\"question\":\"x\",\"passages\":[],\"limit\":0}", "limit"},
        {"{\"question\":\"x\",\"passages\":[],\"limit\":51}", "limit"},
    };
    size_t i;

    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        json_t *args = json_loads(wrong[i][0], 0, NULL);
        struct fault fault = {{0}};

        assert_null(extract_run(args, &fault));
        assert_int_equal(strncmp(fault.message, wrong[i][1], strlen(wrong[i][1])), 0);
        json_decref(args);
    }
}

static void too_many_passages_are_refused(void **state)
{
    json_t *list = json_array();
    json_t *args;
    struct fault fault = {{0}};
    size_t i;

    for (i = 0; i <= PASSAGES_MAX; i++) {
        json_array_append_new(list, json_pack("{s:s}", "text", "x"));
    }
    args = json_pack("{s:s, s:o}", "question", "x", "passages", list);
    assert_null(extract_run(args, &fault));
    json_array_remove(list, 0);
    json_decref(extract_run(args, &fault)); /* one fewer is taken */
    json_decref(args);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sentence_that_answers_comes_first),
        cmocka_unit_test(nothing_is_said_twice),
        cmocka_unit_test(every_sentence_stands_in_its_passage),
        cmocka_unit_test(lines_narrow_when_the_text_has_the_lines_of_its_file),
        cmocka_unit_test(words_that_no_passage_has_are_named),
        cmocka_unit_test(synonyms_and_parts_of_names_match),
        cmocka_unit_test(who_names_an_identifier_means_that_one),
        cmocka_unit_test(what_defines_leads_a_definition),
        cmocka_unit_test(commands_answer_how_to_do_it),
        cmocka_unit_test(wrong_arguments_are_named),
        cmocka_unit_test(too_many_passages_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
