#include "agents/research/report.h"

#include "agents/research/markdown.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CITATIONS_MAX 256
#define PASSAGE_QUOTE_BYTES 300

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

/* ---- checking ------------------------------------------------------------------ */

static bool fact_holds(const json_t *facts, const char *ref, const char *quote)
{
    size_t i;

    for (i = 0; i < json_array_size(facts); i++) {
        const json_t *fact = json_array_get(facts, i);

        if (strcmp(text_at(fact, "ref"), ref) == 0) {
            return text_holds(text_at(fact, "text"), quote);
        }
    }
    return false;
}

/* What readers get of a citation. Its place comes from our own passage, not from
 * what analysis repeated; only narrower lines are believed. */
static json_t *citation_make(const struct report *report, const json_t *given, json_int_t n)
{
    const json_t *passage = evidence_find(report->evidence, text_at(given, "ref"));
    json_t *citation = json_object();
    json_int_t start = json_integer_value(json_object_get(given, "line_start"));
    json_int_t end = json_integer_value(json_object_get(given, "line_end"));
    json_int_t first = json_integer_value(json_object_get(passage, "line_start"));
    json_int_t last = json_integer_value(json_object_get(passage, "line_end"));

    if (start < first || end > last || end < start) {
        start = first;
        end = last;
    }
    json_object_set_new(citation, "n", json_integer(n));
    json_object_set_new(citation, "source",
                        json_string(text_at(passage != NULL ? passage : given, "source")));
    json_object_set_new(citation, "line_start", start > 0 ? json_integer(start) : json_null());
    json_object_set_new(citation, "line_end", start > 0 ? json_integer(end) : json_null());
    json_object_set_new(citation, "page",
                        passage != NULL ? json_incref(json_object_get(passage, "page"))
                                        : json_null());
    json_object_set_new(citation, "url",
                        text_at(passage, "url")[0] != '\0' ? json_string(text_at(passage, "url"))
                                                           : json_null());
    json_object_set_new(citation, "title", json_string(text_at(passage, "title")));
    json_object_set_new(citation, "quote", json_string(text_at(given, "quote")));
    return citation;
}

/* Fills numbers[old] with the new number, 0 for what does not hold. */
static json_t *citations_check(const struct report *report, const json_t *given,
                               int numbers[CITATIONS_MAX + 1], bool *dropped)
{
    json_t *kept = json_array();
    size_t i;

    for (i = 0; i < json_array_size(given) && i < CITATIONS_MAX; i++) {
        const json_t *citation = json_array_get(given, i);
        const char *ref = text_at(citation, "ref");
        const char *quote = text_at(citation, "quote");

        numbers[i + 1] = 0;
        if (evidence_holds(report->evidence, ref, quote) || fact_holds(report->facts, ref, quote)) {
            numbers[i + 1] = (int)json_array_size(kept) + 1;
            json_array_append_new(kept, citation_make(report, citation, numbers[i + 1]));
        } else {
            *dropped = true;
        }
    }
    return kept;
}

static json_t *numbers_check(const json_t *given, const int numbers[CITATIONS_MAX + 1],
                             size_t count)
{
    json_t *kept = json_array();
    size_t i;

    for (i = 0; i < json_array_size(given); i++) {
        json_int_t n = json_integer_value(json_array_get(given, i));

        if (n >= 1 && (size_t)n <= count && n <= CITATIONS_MAX && numbers[n] > 0) {
            json_array_append_new(kept, json_integer(numbers[n]));
        }
    }
    return kept;
}

static void numbers_write(const json_t *numbers, struct text *out)
{
    size_t i;

    for (i = 0; i < json_array_size(numbers); i++) {
        text_addf(out, " [%d]", (int)json_integer_value(json_array_get(numbers, i)));
    }
}

/* The answer anew, from the claims that are left of it. */
static json_t *answer_rebuild(const json_t *claims)
{
    struct text answer = {0};
    json_t *value;
    size_t i;

    for (i = 0; i < json_array_size(claims); i++) {
        const json_t *claim = json_array_get(claims, i);

        if (json_is_true(json_object_get(claim, "in_answer"))) {
            text_addf(&answer, "%s%s", answer.size > 0 ? "\n\n" : "", text_at(claim, "text"));
            numbers_write(json_object_get(claim, "citations"), &answer);
        }
    }
    value = json_string(text_get(&answer));
    text_deinit(&answer);
    return value;
}

json_t *report_check(const struct report *report, const json_t *weighed)
{
    const json_t *given = json_object_get(weighed, "citations");
    const json_t *given_claims = json_object_get(weighed, "claims");
    const json_t *not_found = json_object_get(weighed, "not_found");
    int numbers[CITATIONS_MAX + 1] = {0};
    bool dropped = false;
    json_t *citations = citations_check(report, given, numbers, &dropped);
    json_t *claims = json_array();
    size_t i;

    for (i = 0; i < json_array_size(given_claims); i++) {
        json_t *claim = json_copy(json_array_get(given_claims, i));
        json_t *kept =
            numbers_check(json_object_get(claim, "citations"), numbers, json_array_size(given));

        if (json_array_size(kept) > 0 && text_at(claim, "text")[0] != '\0') {
            json_object_set(claim, "citations", kept);
            json_array_append(claims, claim);
        } else {
            dropped = true;
        }
        json_decref(kept);
        json_decref(claim);
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "answer",
                     dropped ? answer_rebuild(claims) : json_string(text_at(weighed, "answer")),
                     "claims", claims, "citations", citations, "not_found",
                     json_is_array(not_found) ? json_deep_copy(not_found) : json_array());
}

/* ---- without analysis ---------------------------------------------------------------- */

json_t *report_quote_passage(const json_t *passage)
{
    const char *text = text_at(passage, "text");
    char *whole = text_squeeze(text, strlen(text));
    size_t size = strlen(whole);
    json_t *sentence = json_copy((json_t *)passage);

    if (size > PASSAGE_QUOTE_BYTES) {
        size = PASSAGE_QUOTE_BYTES;
        while (size > 1 && whole[size] != ' ') {
            size--;
        }
        if (size == 1) { /* no blank at all: not cut inside a character either */
            size = strlen(whole);
        }
    }
    json_object_set_new(sentence, "text", json_stringn(whole, size));
    json_object_set_new(sentence, "score", json_real(0.1));
    json_object_set_new(sentence, "coverage", json_real(0.5));
    free(whole);
    return sentence;
}

static void claim_append(json_t *weighed, json_t *evidence, bool in_answer)
{
    json_t *citations = json_object_get(weighed, "citations");
    json_int_t n = (json_int_t)json_array_size(citations) + 1;
    json_t *citation = json_copy(evidence);

    json_object_set(citation, "quote", json_object_get(evidence, "text"));
    json_array_append_new(citations, citation);
    json_array_append_new(json_object_get(weighed, "claims"),
                          json_pack("{s:O, s:[I], s:b}", "text", json_object_get(evidence, "text"),
                                    "citations", n, "in_answer", (int)in_answer));
}

json_t *report_without_analysis(const struct report *report, const json_t *sections)
{
    json_t *weighed = json_pack("{s:[], s:[], s:[]}", "claims", "citations", "not_found");
    json_t *checked;
    size_t i, k;

    for (i = 0; i < json_array_size(report->facts); i++) {
        claim_append(weighed, json_array_get(report->facts, i), true);
    }
    for (i = 0; i < json_array_size(sections); i++) {
        const json_t *section = json_array_get(sections, i);
        const json_t *sentences = json_object_get(section, "sentences");

        for (k = 0; k < json_array_size(sentences) && k < 3; k++) {
            claim_append(weighed, json_array_get(sentences, k), k == 0);
        }
        if (json_array_size(sentences) == 0) {
            json_array_append_new(json_object_get(weighed, "not_found"),
                                  json_pack("{s:s, s:s}", "question", text_at(section, "question"),
                                            "reason", "no passage was found"));
        }
    }
    checked = report_check(report, weighed);
    json_object_set_new(checked, "answer", answer_rebuild(json_object_get(checked, "claims")));
    json_decref(weighed);
    return checked;
}

/* ---- writing ------------------------------------------------------------------------- */

static const char *nothing_found(const struct report *report)
{
    if (report->searches > 0 && report->searches_done == 0) {
        return "No retriever answered, so nothing could be looked up. Start one with "
               "`sluice-retriever --docs DIR` and ask again.";
    }
    return "The documents that were searched do not answer this.";
}

static void write_paragraphs(const char *answer, struct text *out)
{
    while (*answer != '\0') {
        size_t size = strcspn(answer, "\n");

        if (size > 0) {
            char *line = text_copy(answer, size);

            markdown_line(out, line);
            text_addf(out, "\n\n");
            free(line);
        }
        answer += size + (answer[size] == '\n');
    }
}

static void write_claims(const json_t *claims, struct text *out)
{
    const json_t *lead = json_array_get(claims, 0); /* its heading stands in the answer */
    bool first = true;
    size_t i;

    for (i = 0; i < json_array_size(claims); i++) {
        const json_t *claim = json_array_get(claims, i);

        if (json_is_true(json_object_get(claim, "in_answer"))) {
            continue;
        }
        text_addf(out, "%s- ", first ? "## What else the sources say\n\n" : "");
        first = false;
        if (text_at(claim, "heading")[0] != '\0' &&
            strcmp(text_at(claim, "heading"), text_at(lead, "heading")) != 0) {
            text_addf(out, "(");
            markdown_line(out, text_at(claim, "heading"));
            text_addf(out, ") ");
        }
        markdown_line(out, text_at(claim, "text"));
        numbers_write(json_object_get(claim, "citations"), out);
        text_addf(out, "\n");
    }
    text_addf(out, "%s", first ? "" : "\n");
}

static void write_place(const json_t *citation, struct text *out)
{
    json_int_t start = json_integer_value(json_object_get(citation, "line_start"));
    json_int_t end = json_integer_value(json_object_get(citation, "line_end"));
    json_int_t page = json_integer_value(json_object_get(citation, "page"));

    if (text_at(citation, "url")[0] != '\0') {
        text_addf(out, "<%s>", text_at(citation, "url"));
    } else if (page > 0) {
        text_addf(out, "`%s`, page %" JSON_INTEGER_FORMAT, text_at(citation, "source"), page);
    } else if (start > 0 && end > start) {
        text_addf(out, "`%s:%" JSON_INTEGER_FORMAT "-%" JSON_INTEGER_FORMAT "`",
                  text_at(citation, "source"), start, end);
    } else if (start > 0) {
        text_addf(out, "`%s:%" JSON_INTEGER_FORMAT "`", text_at(citation, "source"), start);
    } else {
        text_addf(out, "`%s`", text_at(citation, "source"));
    }
}

static void write_citations(const json_t *citations, struct text *out)
{
    size_t i;

    text_addf(out, "%s", json_array_size(citations) > 0 ? "## Sources\n\n" : "");
    for (i = 0; i < json_array_size(citations); i++) {
        const json_t *citation = json_array_get(citations, i);

        text_addf(out, "[%zu] ", i + 1);
        write_place(citation, out);
        if (text_at(citation, "title")[0] != '\0') {
            text_addf(out, " - ");
            markdown_cut(out, text_at(citation, "title"), 120);
        }
        text_addf(out, "\n> ");
        markdown_line(out, text_at(citation, "quote"));
        text_addf(out, "\n\n");
    }
}

static void write_not_found(const json_t *not_found, struct text *out)
{
    size_t i;

    text_addf(out, "%s", json_array_size(not_found) > 0 ? "## What was not found\n\n" : "");
    for (i = 0; i < json_array_size(not_found); i++) {
        text_addf(out, "- ");
        markdown_line(out, text_at(json_array_get(not_found, i), "question"));
        text_addf(out, " (");
        markdown_line(out, text_at(json_array_get(not_found, i), "reason"));
        text_addf(out, ")\n");
    }
    text_addf(out, "%s", json_array_size(not_found) > 0 ? "\n" : "");
}

static void write_failed(const json_t *failed, struct text *out)
{
    size_t i;

    text_addf(out, "%s", json_array_size(failed) > 0 ? "## What failed\n\n" : "");
    for (i = 0; i < json_array_size(failed); i++) {
        const json_t *failure = json_array_get(failed, i);

        text_addf(out, "- %s (%s): `%s`, ", text_at(failure, "task"), text_at(failure, "service"),
                  text_at(failure, "code"));
        markdown_line(out, text_at(failure, "message"));
        text_addf(out, "\n");
    }
    text_addf(out, "%s", json_array_size(failed) > 0 ? "\n" : "");
}

static void write_markdown(const struct report *report, const json_t *checked, struct text *out)
{
    char *title = text_squeeze(report->question, strlen(report->question));
    size_t passages = json_array_size(report->evidence->passages);
    size_t sources = report->evidence->source_count;
    size_t tasks = report->timeline->count;

    text_addf(out, "# ");
    markdown_line(out, title);
    text_addf(out, "\n\n");
    free(title);
    write_paragraphs(text_at(checked, "answer"), out);
    write_claims(json_object_get(checked, "claims"), out);
    write_citations(json_object_get(checked, "citations"), out);
    write_not_found(json_object_get(checked, "not_found"), out);
    write_failed(report->failed, out);
    text_addf(out,
              "## Timeline\n\n%zu passage%s from %zu source%s, %zu task%s, %" PRIu64 " ms.\n\n",
              passages, text_plural(passages), sources, text_plural(sources), tasks,
              text_plural(tasks), report->took_ms);
    timeline_write(report->timeline, out);
}

json_t *report_json(const struct report *report, json_t *checked)
{
    struct text markdown = {0};

    if (text_at(checked, "answer")[0] == '\0') {
        json_object_set_new(checked, "answer", json_string(nothing_found(report)));
    }
    write_markdown(report, checked, &markdown);
    json_object_set_new(checked, "question", json_string(report->question));
    json_object_set_new(checked, "markdown", json_string(text_get(&markdown)));
    json_object_set_new(checked, "failed", json_deep_copy(report->failed));
    json_object_set_new(checked, "timeline", timeline_json(report->timeline));
    json_object_set_new(checked, "took_ms", json_integer((json_int_t)report->took_ms));
    text_deinit(&markdown);
    return checked;
}
