/* What the asker gets: places from our own passages, no quote that does not hold, and an honest
 * word about what is missing. */
/* links: research */
#include "agents/research/fact.h"
#include "agents/research/markdown.h"
#include "agents/research/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct evidence evidence;
    struct timeline timeline;
    json_t *facts;
    json_t *failed;
    struct report report;
};

static json_t *hit(const char *source, const char *text, int line)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:n, s:f}", "source", source, "text", text, "title",
                     "Guide > Queues", "line_start", line, "line_end", line + 3, "page", "score",
                     1.0);
}

static size_t search(struct fixture *f, size_t part, json_t *hits)
{
    json_t *answer = json_pack("{s:o}", "hits", hits);
    size_t taken = evidence_add_search(&f->evidence, answer, part);

    json_decref(answer);
    return taken;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    evidence_init(&f->evidence);
    f->facts = json_array();
    f->failed = json_array();
    f->report = (struct report){
        .question = "How are queues bounded?",
        .evidence = &f->evidence,
        .facts = f->facts,
        .failed = f->failed,
        .timeline = &f->timeline,
        .searches = 1,
        .searches_done = 1,
    };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    evidence_deinit(&f->evidence);
    timeline_deinit(&f->timeline);
    json_decref(f->facts);
    json_decref(f->failed);
    free(f);
    return 0;
}

static const char *text_at(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void passages_are_kept_once_and_for_their_part(void **state)
{
    struct fixture *f = *state;
    json_t *list;

    assert_int_equal(
        search(f, 0, json_pack("[o, o]", hit("a.md", "One.", 1), hit("b.md", "Two.", 5))), 2);
    assert_int_equal(
        search(f, 1, json_pack("[o, o]", hit("b.md", "Two.", 5), hit("c.md", "Two.", 5))), 2);
    assert_int_equal(json_array_size(f->evidence.passages), 3);
    assert_int_equal(f->evidence.source_count, 3);
    list = evidence_of_part(&f->evidence, 1);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(text_at(json_array_get(list, 0), "ref"), "p2");
    json_decref(list);
}

static void strange_hits_are_left_out(void **state)
{
    struct fixture *f = *state;
    struct text long_text = {0};
    size_t i;

    for (i = 0; i <= EVIDENCE_TEXT_BYTES_MAX; i++) {
        text_add(&long_text, "x", 1);
    }
    assert_int_equal(search(f, 0,
                            json_pack("[o, i, n, {}, {s:i}, {s:s}]", hit("a.md", long_text.data, 1),
                                      3, "text", 5, "text", "")),
                     0);
    assert_int_equal(search(f, 0, json_integer(3)), 0);
    assert_int_equal(json_array_size(f->evidence.passages), 0);
    text_deinit(&long_text);
}

static void evidence_is_bounded(void **state)
{
    struct fixture *f = *state;
    size_t i;

    for (i = 0; i < 2 * EVIDENCE_PASSAGES_MAX; i++) {
        char text[32];

        snprintf(text, sizeof text, "Passage %zu.", i);
        search(f, i % QUESTION_PARTS_MAX, json_pack("[o]", hit("a.md", text, 1)));
    }
    assert_int_equal(json_array_size(f->evidence.passages), EVIDENCE_PASSAGES_MAX);
}

static void fetched_pages_become_passages(void **state)
{
    struct fixture *f = *state;
    struct text page = {0};
    json_t *answer;
    json_t *passage;
    size_t i, bytes = 0;

    for (i = 0; i < 100; i++) {
        text_addf(&page, "Paragraph %zu says something about leases.\n\n", i);
    }
    answer = json_pack("{s:s, s:s, s:s}", "url", "https://example.org/", "title", "Example", "text",
                       page.data);
    assert_true(evidence_add_fetch(&f->evidence, answer, 2) > 2);
    json_array_foreach(f->evidence.passages, i, passage)
    {
        assert_non_null(strstr(page.data, text_at(passage, "text")));
        assert_string_equal(text_at(passage, "url"), "https://example.org/");
        bytes += strlen(text_at(passage, "text"));
    }
    assert_int_equal(bytes, page.size);
    assert_true(f->evidence.found_count[1] == json_array_size(f->evidence.passages));
    json_decref(answer);
    text_deinit(&page);
}

static json_t *claim(const char *text, json_t *citations)
{
    return json_pack("{s:s, s:o, s:b}", "text", text, "citations", citations, "in_answer", 1);
}

static json_t *citation(const char *ref, const char *quote)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:i}", "ref", ref, "quote", quote, "source", "evil",
                     "line_start", 999, "line_end", 1);
}

static void quotes_that_do_not_hold_are_dropped_and_numbers_close_up(void **state)
{
    struct fixture *f = *state;
    json_t *weighed, *checked;

    search(f, 0, json_pack("[o]", hit("a.md", "Queues are\n bounded.", 7)));
    weighed = json_pack("{s:s, s:[o, o], s:[o, o, o]}", "answer", "x [1] y [2]", "claims",
                        claim("Lie.", json_pack("[i]", 1)),
                        claim("Queues are bounded.", json_pack("[i, i, i, i]", 2, 3, 0, 77)),
                        "citations", citation("p1", "Queues are endless."),
                        citation("p1", "Queues are bounded."), citation("p9", "Queues"));
    checked = report_check(&f->report, weighed);
    assert_string_equal(text_at(checked, "answer"), "Queues are bounded. [1]");
    assert_int_equal(json_array_size(json_object_get(checked, "claims")), 1);
    assert_int_equal(json_array_size(json_object_get(checked, "citations")), 1);
    assert_string_equal(text_at(json_array_get(json_object_get(checked, "citations"), 0), "source"),
                        "a.md");
    assert_int_equal(json_integer_value(json_object_get(
                         json_array_get(json_object_get(checked, "citations"), 0), "line_start")),
                     7);
    json_decref(checked);
    json_decref(weighed);
}

static void strange_answers_of_analysis_are_survived(void **state)
{
    struct fixture *f = *state;
    const char *strange[] = {"{}", "[]", "{\"claims\":3,\"citations\":{},\"not_found\":\"x\"}",
                             "{\"claims\":[3,{},{\"text\":\"x\",\"citations\":[\"1\",-1]}],"
                             "\"citations\":[null,3,{}]}"};
    size_t i;

    for (i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        json_t *weighed = json_loads(strange[i], 0, NULL);
        json_t *report = report_json(&f->report, report_check(&f->report, weighed));

        assert_string_equal(text_at(report, "answer"),
                            "The documents that were searched do not answer this.");
        json_decref(report);
        json_decref(weighed);
    }
}

static void the_report_reads_answer_first_and_timeline_last(void **state)
{
    struct fixture *f = *state;
    json_t *weighed, *report;
    const char *markdown;

    search(f, 0, json_pack("[o]", hit("a.md", "Queues are bounded.", 7)));
    json_array_append_new(
        f->failed, json_pack("{s:s, s:s, s:s, s:s}", "task", "fetch: https://x.org", "service",
                             "tool.fetch", "code", "expired", "message", "its deadline passed"));
    timeline_add(&f->timeline, &(struct timeline_row){.task = "search: a | b",
                                                      .service = "retriever.search",
                                                      .worker = "retriever-1",
                                                      .outcome = "done",
                                                      .attempt = 1,
                                                      .submitted_ms = 1,
                                                      .waited_ms = 4,
                                                      .ran_ms = 10});
    timeline_add(&f->timeline, &(struct timeline_row){.task = "fetch: https://x.org",
                                                      .service = "tool.fetch",
                                                      .worker = "",
                                                      .outcome = "expired",
                                                      .submitted_ms = 1,
                                                      .waited_ms = 29});
    weighed = json_pack("{s:s, s:[o], s:[o], s:[{s:s, s:s}]}", "answer", "Queues are bounded. [1]",
                        "claims", claim("Queues are bounded.", json_pack("[i]", 1)), "citations",
                        citation("p1", "Queues are bounded."), "not_found", "question", "By whom?",
                        "reason", "no passage was found");
    report = report_json(&f->report, report_check(&f->report, weighed));
    markdown = text_at(report, "markdown");
    assert_non_null(strstr(markdown, "# How are queues bounded?\n\nQueues are bounded. [1]\n"));
    assert_non_null(strstr(markdown, "[1] `a.md:7-10` - Guide > Queues\n> Queues are bounded.\n"));
    assert_non_null(strstr(markdown, "- By whom? (no passage was found)"));
    assert_non_null(strstr(markdown, "`expired`, its deadline passed"));
    assert_non_null(strstr(markdown, "| 1 | search: a \\| b | retriever.search | retriever-1 | 1 "
                                     "| 1 ms | 5 ms | 15 ms | done |"));
    assert_non_null(strstr(markdown, "| - | 0 | 1 ms | - | 30 ms | expired |"));
    assert_true(strstr(markdown, "## Sources") < strstr(markdown, "## What was not found"));
    assert_true(strstr(markdown, "## What failed") < strstr(markdown, "## Timeline"));
    assert_int_equal(json_array_size(json_object_get(report, "timeline")), 2);
    json_decref(report);
    json_decref(weighed);
}

static void bars_show_waiting_and_running(void **state)
{
    struct fixture *f = *state;
    struct text out = {0};
    const char *bar;

    timeline_add(&f->timeline, &(struct timeline_row){.task = "a",
                                                      .service = "s",
                                                      .worker = "w",
                                                      .outcome = "done",
                                                      .attempt = 1,
                                                      .waited_ms = 24,
                                                      .ran_ms = 24});
    timeline_write(&f->timeline, &out);
    bar = strstr(out.data, "|......");
    assert_non_null(bar);
    assert_int_equal(strspn(bar + 1, "."), 24);
    assert_int_equal(strspn(bar + 25, "#"), 24);
    text_deinit(&out);
}

static void without_a_retriever_the_way_out_is_named(void **state)
{
    struct fixture *f = *state;
    json_t *weighed = json_object();
    json_t *report;

    f->report.searches_done = 0;
    report = report_json(&f->report, report_check(&f->report, weighed));
    assert_non_null(strstr(text_at(report, "markdown"), "sluice-retriever --docs DIR"));
    json_decref(report);
    json_decref(weighed);
}

static void strangers_text_cannot_break_the_layout(void **state)
{
    struct text out = {0};

    markdown_line(&out, "# not a heading\n<script> | x");
    assert_string_equal(out.data, "\\# not a heading \\<script> | x");
    out.size = 0;
    markdown_cut(&out, "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9", 4);
    assert_string_equal(out.data, "\xC3\xA9...");
    out.size = 0;
    markdown_cell(&out, "a|b", 10);
    assert_string_equal(out.data, "a\\|b");
    text_deinit(&out);
}

static void facts_say_what_tools_found(void **state)
{
    struct fixture *f = *state;
    json_t *calc = json_pack("{s:s, s:s}", "expression", "6 * 7", "text", "42");
    json_t *days = json_pack("{s:i}", "days", 3);
    json_t *args = json_pack("{s:s, s:s}", "from", "2026-11-20", "to", "2026-11-23");
    json_t *day = json_pack("{s:s, s:s}", "date", "2026-11-20", "weekday", "Friday");
    json_t *none = json_object();

    fact_add_calc(f->facts, calc);
    fact_add_time(f->facts, args, days);
    fact_add_time(f->facts, none, day);
    fact_add_time(f->facts, none, none);
    fact_add_calc(f->facts, none);
    assert_int_equal(json_array_size(f->facts), 3);
    assert_string_equal(text_at(json_array_get(f->facts, 0), "text"), "6 * 7 = 42");
    assert_string_equal(text_at(json_array_get(f->facts, 1), "text"),
                        "From 2026-11-20 to 2026-11-23: 3 days");
    assert_string_equal(text_at(json_array_get(f->facts, 2), "text"), "2026-11-20 is a Friday");
    json_decref(calc);
    json_decref(days);
    json_decref(args);
    json_decref(day);
    json_decref(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(passages_are_kept_once_and_for_their_part, setup, teardown),
        cmocka_unit_test_setup_teardown(strange_hits_are_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(evidence_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(fetched_pages_become_passages, setup, teardown),
        cmocka_unit_test_setup_teardown(quotes_that_do_not_hold_are_dropped_and_numbers_close_up,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(strange_answers_of_analysis_are_survived, setup, teardown),
        cmocka_unit_test_setup_teardown(the_report_reads_answer_first_and_timeline_last, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(bars_show_waiting_and_running, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_retriever_the_way_out_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(strangers_text_cannot_break_the_layout, setup, teardown),
        cmocka_unit_test_setup_teardown(facts_say_what_tools_found, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
