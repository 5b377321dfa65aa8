/* How a question is taken apart: its parts, and what the tools should do. */
/* links: research */
#include "agents/research/plan.h"
#include "agents/research/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_parts(const char *text, const char *expected)
{
    struct question question;
    struct text found = {0};
    size_t i;

    question_init(&question, text);
    for (i = 0; i < question.count; i++) {
        text_addf(&found, "%s\n", question.parts[i].text);
    }
    assert_string_equal(text_get(&found), expected);
    text_deinit(&found);
    question_deinit(&question);
}

static void a_plain_question_is_one_part(void **state)
{
    assert_parts("How does the broker bound its queues?",
                 "How does the broker bound its queues?\n");
    assert_parts("How do PUB and SUB sockets filter messages?",
                 "How do PUB and SUB sockets filter messages?\n");
    assert_parts("  what\n is \t a lease ", "what is a lease\n");
}

static void question_marks_part_questions(void **state)
{
    assert_parts("What is a lease? How long does a lease last?",
                 "What is a lease? How long does a lease last?\n"
                 "What is a lease?\nHow long does a lease last?\n");
    assert_parts("We run two brokers. What is a shard? Who owns a shard?",
                 "We run two brokers. What is a shard? Who owns a shard?\n"
                 "What is a shard?\nWho owns a shard?\n");
}

static void conjunctions_before_question_words_part_questions(void **state)
{
    assert_parts("What is ZMQ_LINGER, and how do I set a socket's timeout?",
                 "What is ZMQ_LINGER, and how do I set a socket's timeout?\n"
                 "What is ZMQ_LINGER\nhow do I set a socket's timeout?\n");
}

static void comparisons_search_both_sides(void **state)
{
    assert_parts("Compare inproc and tcp", "Compare inproc and tcp\ninproc\ntcp\n");
    assert_parts("What is the difference between PUSH and PUB sockets at the high water mark?",
                 "What is the difference between PUSH and PUB sockets at the high water mark?\n"
                 "PUSH sockets at the high water mark\nPUB sockets at the high water mark\n");
    assert_parts("ROUTER vs DEALER", "ROUTER vs DEALER\nROUTER\nDEALER\n");
    assert_parts("How does a ROUTER socket versus a DEALER socket route?",
                 "How does a ROUTER socket versus a DEALER socket route?\n"
                 "ROUTER socket route\nDEALER socket route\n");
}

static void it_is_searched_with_what_it_stands_for(void **state)
{
    struct question question;

    question_init(&question, "What is a ROUTER socket? How does it drop messages?");
    assert_int_equal(question.count, 3);
    assert_string_equal(question.parts[2].text, "How does it drop messages?");
    assert_non_null(strstr(question.parts[2].query, "ROUTER socket"));
    question_deinit(&question);
}

static void parts_are_bounded_and_survive_anything(void **state)
{
    struct question question;
    struct text text = {0};
    size_t i;

    for (i = 0; i < 200; i++) {
        text_addf(&text, "What is thing%zu? ", i);
    }
    question_init(&question, text.data);
    assert_int_equal(question.count, QUESTION_PARTS_MAX);
    question_deinit(&question);
    text_deinit(&text);
    assert_parts("", "");
    assert_parts("???", "");
    assert_parts("compare", "");
    assert_parts("between and", "");
    assert_parts("difference between x and", "difference between x and\n");
    assert_parts("vs", "vs\n");
    assert_parts("What is it? How are queues bounded?", "How are queues bounded?\n");
}

/* ---- tools ------------------------------------------------------------------- */

static const char *service_names(const char *text, char *out)
{
    struct plan plan;
    size_t i;

    out[0] = '\0';
    plan_init(&plan, text, 1000);
    for (i = 0; i < plan.count; i++) {
        char *args = json_dumps(plan.calls[i].args, JSON_COMPACT);

        if (plan.calls[i].kind != CALL_SEARCH) {
            sprintf(out + strlen(out), "%s %s\n", plan.calls[i].service, args);
        } else {
            sprintf(out + strlen(out), "search\n");
        }
        free(args);
    }
    plan_deinit(&plan);
    return out;
}

static void assert_calls(const char *text, const char *expected)
{
    char out[8192];

    assert_string_equal(service_names(text, out), expected);
}

static void sums_are_calculated(void **state)
{
    assert_calls("What is 17 * 23?", "tool.calc {\"expression\":\"17 * 23\"}\n");
    assert_calls("what is 2+2", "tool.calc {\"expression\":\"2 + 2\"}\n");
    assert_calls("What is 15% of 1,200?", "tool.calc {\"expression\":\"15 / 100 * 1200\"}\n");
    assert_calls("what is the square root of 2?", "tool.calc {\"expression\":\"sqrt(2)\"}\n");
    assert_calls("calculate (3 + 4) * -2.5", "tool.calc {\"expression\":\"(3 + 4) * -2.5\"}\n");
    assert_calls("What is 12 divided by 5 plus 1?", "tool.calc {\"expression\":\"12 / 5 + 1\"}\n");
}

static void what_only_looks_like_a_sum_is_not(void **state)
{
    assert_calls("Why does version 4.3.4 need 10-20 sockets 24/7 since 2026-11-20?", "search\n");
    assert_calls("How long does zmq_poll wait when the timeout is -1?", "search\n");
    assert_calls("Which C++ and C11 compilers does libzmq 4 need?", "search\n");
    assert_calls("What does a value of (0) mean?", "search\n");
}

static void dates_go_to_the_clock(void **state)
{
    assert_calls("What day is 2026-11-20?", "tool.time {\"date\":\"2026-11-20\"}\n");
    assert_calls("How many days between 1 March 2024 and November 20, 2026?",
                 "tool.time {\"from\":\"2024-03-01\",\"to\":\"2026-11-20\"}\n");
    assert_calls("What date is 90 days after 2024-02-29?",
                 "tool.time {\"date\":\"2024-02-29\",\"add_days\":90}\n");
    assert_calls("What time is it in Europe/Berlin?", "tool.time {\"zone\":\"Europe/Berlin\"}\n");
    assert_calls("What day is 2023-02-29?", "");
}

static void urls_are_fetched_and_not_searched_for(void **state)
{
    assert_calls("Summarize https://example.org/a_(b).html.",
                 "tool.fetch {\"url\":\"https://example.org/a_(b).html\",\"max_bytes\":2097152,"
                 "\"timeout_ms\":1000}\n");
    assert_calls("Does https://example.org/x?y=1 mention leases?",
                 "search\ntool.fetch {\"url\":\"https://example.org/x?y=1\",\"max_bytes\":2097152,"
                 "\"timeout_ms\":1000}\n");
    assert_calls("Is a lease at ftp://example.org/b or http:// ?", "search\n");
}

static void dates_nobody_asks_about_are_searched_for(void **state)
{
    struct plan plan;

    plan_init(&plan, "Which release came out on 2026-11-20?", 1000);
    assert_int_equal(plan.count, 1);
    assert_non_null(strstr(plan.calls[0].label, "2026-11-20"));
    plan_deinit(&plan);
    plan_init(&plan, "How are queues bounded? And what is 6 * 7?", 1000);
    assert_int_equal(plan.count, 2);
    assert_string_equal(json_string_value(json_object_get(plan.calls[0].args, "query")),
                        "How are queues bounded?");
    plan_deinit(&plan);
}

static void calls_are_bounded(void **state)
{
    struct plan plan;
    struct text text = {0};
    size_t i;

    for (i = 0; i < 60; i++) {
        text_addf(&text, "What is thing%zu + %zu * 3? http://example.org/%zu ", i, i, i);
    }
    plan_init(&plan, text.data, 1000);
    assert_true(plan.count <= PLAN_CALLS_MAX);
    plan_deinit(&plan);
    text_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_question_is_one_part),
        cmocka_unit_test(question_marks_part_questions),
        cmocka_unit_test(conjunctions_before_question_words_part_questions),
        cmocka_unit_test(comparisons_search_both_sides),
        cmocka_unit_test(it_is_searched_with_what_it_stands_for),
        cmocka_unit_test(parts_are_bounded_and_survive_anything),
        cmocka_unit_test(sums_are_calculated),
        cmocka_unit_test(what_only_looks_like_a_sum_is_not),
        cmocka_unit_test(dates_go_to_the_clock),
        cmocka_unit_test(urls_are_fetched_and_not_searched_for),
        cmocka_unit_test(dates_nobody_asks_about_are_searched_for),
        cmocka_unit_test(calls_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
