#include "agents/research/ask.h"

#include "agents/research/fact.h"
#include "agents/research/report.h"
#include "agents/research/stage.h"
#include "agents/research/text.h"
#include "common/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_DEFAULT 6
#define SENTENCES_PER_PART 10
#define CREDIT 64 /* a question waits nearly all of its time */

/* How the time that is left is shared out. What a stage does not use, the next
 * ones have. */
#define GATHER_SHARE 0.6
#define EXTRACT_SHARE 0.6
#define WRITE_SHARE 0.7

static void tell(struct inquiry *inquiry, const char *stage, size_t done, size_t total,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

static void tell(struct inquiry *inquiry, const char *stage, size_t done, size_t total,
                 const char *format, ...)
{
    char text[200];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    sluice_progress_json(inquiry->task,
                         json_pack("{s:s, s:s, s:I, s:I}", "stage", stage, "text", text, "done",
                                   (json_int_t)done, "total", (json_int_t)total));
}

/* ---- gather -------------------------------------------------------------------------- */

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

static void take_fetch(struct inquiry *inquiry, const struct step *step, const json_t *answer)
{
    json_int_t status = json_integer_value(json_object_get(answer, "status"));
    size_t parts = inquiry->plan.question.count > 0 ? inquiry->plan.question.count : 1;

    if (status >= 400) {
        char message[80];

        snprintf(message, sizeof message, "the server answered %" JSON_INTEGER_FORMAT, status);
        step_failed(inquiry, step, "http_status", message);
    } else if (evidence_add_fetch(&inquiry->evidence, answer, parts) == 0) {
        step_failed(inquiry, step, "no_text", "the page has no text");
    }
}

static void take_answers(struct inquiry *inquiry, const struct step *steps)
{
    size_t i;

    for (i = 0; i < inquiry->plan.count; i++) {
        const json_t *answer = step_answer(&steps[i]);

        if (answer == NULL) {
            continue;
        }
        switch (inquiry->plan.calls[i].kind) {
        case CALL_SEARCH:
            inquiry->searches_done++;
            inquiry->searched[inquiry->plan.calls[i].part] = true;
            evidence_add_search(&inquiry->evidence, answer, inquiry->plan.calls[i].part);
            break;
        case CALL_FETCH:
            take_fetch(inquiry, &steps[i], answer);
            break;
        case CALL_CALC:
            fact_add_calc(inquiry->facts, answer);
            break;
        case CALL_TIME:
            fact_add_time(inquiry->facts, inquiry->plan.calls[i].args, answer);
            break;
        }
    }
}

static bool gather(struct inquiry *inquiry)
{
    struct step steps[PLAN_CALLS_MAX] = {0};
    bool going;
    size_t tools;
    size_t i;

    for (i = 0; i < inquiry->plan.count; i++) {
        const struct call *call = &inquiry->plan.calls[i];

        steps[i] = (struct step){
            .service = call->service, .label = call->label, .args = json_incref(call->args)};
        inquiry->searches += call->kind == CALL_SEARCH;
    }
    tools = inquiry->plan.count - inquiry->searches;
    tell(inquiry, "gather", 0, inquiry->plan.count, "%zu search%s, %zu tool call%s",
         inquiry->searches, inquiry->searches == 1 ? "" : "es", tools, text_plural(tools));
    going = stage_run(inquiry, steps, inquiry->plan.count, GATHER_SHARE);
    if (going) {
        take_answers(inquiry, steps);
        tell(inquiry, "gather", inquiry->plan.count - json_array_size(inquiry->failed),
             inquiry->plan.count, "%zu passage%s from %zu source%s",
             json_array_size(inquiry->evidence.passages),
             text_plural(json_array_size(inquiry->evidence.passages)),
             inquiry->evidence.source_count, text_plural(inquiry->evidence.source_count));
    }
    steps_free(steps, inquiry->plan.count);
    return going;
}

/* ---- extract ------------------------------------------------------------------------- */

static const char *part_text(const struct inquiry *inquiry, size_t part)
{
    return inquiry->plan.digest ? inquiry->question : inquiry->plan.question.parts[part].text;
}

/* What to read for a part: what was found for it; when its search failed, what was
 * found for the others. */
static json_t *passages_for(const struct inquiry *inquiry, size_t part)
{
    return inquiry->searched[part] || inquiry->plan.digest
               ? evidence_of_part(&inquiry->evidence, part)
               : evidence_of_all(&inquiry->evidence);
}

static struct step extract_step(const struct inquiry *inquiry, size_t part, char **label)
{
    json_t *passages = passages_for(inquiry, part);
    struct text text = {0};
    struct step step;

    if (json_array_size(passages) == 0) {
        json_decref(passages);
        return (struct step){0};
    }
    text_addf(&text, "%s: %s", inquiry->plan.digest ? "summarize" : "extract",
              part_text(inquiry, part));
    *label = text.data;
    step = (struct step){.service = "analysis.extract", .label = text.data};
    if (inquiry->plan.digest) {
        step.service = "analysis.summarize";
        step.args = json_pack("{s:o, s:i}", "passages", passages, "sentences", 5);
    } else {
        step.args =
            json_pack("{s:s, s:o, s:i}", "question", inquiry->plan.question.parts[part].query,
                      "passages", passages, "limit", SENTENCES_PER_PART);
    }
    return step;
}

/* A summary stands for its text: every sentence is evidence, in the order it has. */
static json_t *summary_sentences(const json_t *answer)
{
    json_t *sentences = json_deep_copy(json_object_get(answer, "summary"));
    size_t i;

    for (i = 0; i < json_array_size(sentences); i++) {
        json_t *sentence = json_array_get(sentences, i);

        json_object_set_new(sentence, "coverage", json_real(1));
        json_object_set_new(sentence, "score", json_real(1.0 / (1.0 + 0.05 * (double)i)));
    }
    return sentences != NULL ? sentences : json_array();
}

/* What stands where analysis says; the rest is left out. */
static json_t *sentences_check(const struct inquiry *inquiry, json_t *sentences)
{
    size_t i = 0;

    while (i < json_array_size(sentences)) {
        json_t *sentence = json_array_get(sentences, i);
        const char *ref = text_at(sentence, "ref");

        if (!evidence_holds(&inquiry->evidence, ref, text_at(sentence, "text"))) {
            json_array_remove(sentences, i);
            continue;
        }
        if (!evidence_holds(&inquiry->evidence, ref, text_at(sentence, "context"))) {
            json_object_del(sentence, "context");
        }
        i++;
    }
    return sentences;
}

/* The section of one part; without analysis its best passages as they are. */
static json_t *section_make(const struct inquiry *inquiry, size_t part, const struct step *step)
{
    json_t *answer = step_answer(step);
    json_t *missing = json_object_get(answer, "missing");
    json_t *sentences;
    size_t i;

    if (answer != NULL) {
        sentences = inquiry->plan.digest ? summary_sentences(answer)
                                         : json_deep_copy(json_object_get(answer, "sentences"));
        sentences = sentences_check(inquiry, sentences != NULL ? sentences : json_array());
    } else {
        json_t *passages = evidence_of_part(&inquiry->evidence, part);

        sentences = json_array();
        for (i = 0; i < json_array_size(passages) && i < 3; i++) {
            json_array_append_new(sentences, report_quote_passage(json_array_get(passages, i)));
        }
        json_decref(passages);
    }
    return json_pack("{s:s, s:o, s:o}", "question", part_text(inquiry, part), "sentences",
                     sentences, "missing",
                     json_is_array(missing) ? json_deep_copy(missing) : json_array());
}

/* NULL: cancelled. */
static json_t *extract(struct inquiry *inquiry)
{
    size_t parts = inquiry->plan.digest ? 1 : inquiry->plan.question.count;
    struct step steps[QUESTION_PARTS_MAX] = {0};
    char *labels[QUESTION_PARTS_MAX] = {0};
    struct step *run = calloc(QUESTION_PARTS_MAX, sizeof *run);
    size_t at[QUESTION_PARTS_MAX];
    json_t *sections = NULL;
    size_t count = 0;
    size_t i;

    CHECK(run != NULL);
    for (i = 0; i < parts; i++) {
        steps[i] = extract_step(inquiry, i, &labels[i]);
        if (steps[i].service != NULL) { /* a part without passages has nothing to read */
            at[count] = i;
            run[count++] = steps[i];
        }
    }
    if (count > 0) {
        tell(inquiry, "extract", 0, count, "reading %zu passage%s",
             json_array_size(inquiry->evidence.passages),
             text_plural(json_array_size(inquiry->evidence.passages)));
    }
    if (count == 0 || stage_run(inquiry, run, count, EXTRACT_SHARE)) {
        for (i = 0; i < count; i++) {
            steps[at[i]].future = run[i].future;
        }
        sections = json_array();
        for (i = 0; i < parts; i++) {
            json_array_append_new(sections, section_make(inquiry, i, &steps[i]));
        }
    }
    steps_free(run, count);
    free(run);
    for (i = 0; i < parts; i++) {
        free(labels[i]);
    }
    return sections;
}

/* ---- write --------------------------------------------------------------------------- */

static struct report report_of(const struct inquiry *inquiry)
{
    return (struct report){
        .question = inquiry->question,
        .evidence = &inquiry->evidence,
        .facts = inquiry->facts,
        .failed = inquiry->failed,
        .timeline = &inquiry->timeline,
        .searches = inquiry->searches,
        .searches_done = inquiry->searches_done,
        .took_ms = sluice_now_ms(inquiry->sluice) - inquiry->started_ms,
    };
}

/* What was not found because nobody could look says so. */
static void explain_not_found(const struct inquiry *inquiry, json_t *checked)
{
    json_t *not_found = json_object_get(checked, "not_found");
    size_t i, part;

    for (i = 0; i < json_array_size(not_found); i++) {
        json_t *item = json_array_get(not_found, i);

        for (part = 0; part < inquiry->plan.question.count; part++) {
            if (!inquiry->searched[part] &&
                strcmp(text_at(item, "question"), part_text(inquiry, part)) == 0) {
                json_object_set_new(item, "reason", json_string("its search failed"));
            }
        }
    }
}

/* NULL: cancelled. */
static json_t *write_report(struct inquiry *inquiry, const json_t *sections)
{
    struct step step = {.service = "analysis.report", .label = "weigh and write"};
    struct report report = report_of(inquiry);
    json_t *checked = NULL;

    if (json_array_size(inquiry->evidence.passages) == 0) { /* nothing to weigh */
        return report_without_analysis(&report, sections);
    }
    tell(inquiry, "write", 0, 1, "weighing and writing");
    step.args = json_pack("{s:s, s:O, s:O, s:I}", "question", inquiry->question, "sections",
                          sections, "facts", inquiry->facts, "limit", inquiry->limit);
    if (stage_run(inquiry, &step, 1, WRITE_SHARE)) {
        const json_t *weighed = step_answer(&step);

        checked = weighed != NULL ? report_check(&report, weighed)
                                  : report_without_analysis(&report, sections);
    }
    steps_free(&step, 1);
    return checked;
}

/* ---- the whole ------------------------------------------------------------------------ */

static void ask_run(struct inquiry *inquiry)
{
    json_t *sections = gather(inquiry) ? extract(inquiry) : NULL;
    json_t *checked = sections != NULL ? write_report(inquiry, sections) : NULL;

    if (checked == NULL) {
        sluice_failf(inquiry->task, "cancelled", "the question was withdrawn");
    } else {
        struct report report = report_of(inquiry);

        explain_not_found(inquiry, checked);
        sluice_done_json(inquiry->task, report_json(&report, checked));
    }
    json_decref(sections);
}

/* When the answer must be under way: the caller's deadline, and a little before the
 * task's own. */
static uint64_t time_for(const struct sluice_task *task, const json_t *args,
                         const struct ask_options *options)
{
    const json_t *wanted = json_object_get(args, "deadline_ms");
    uint64_t time_ms = json_integer_value(wanted) > 0 ? (uint64_t)json_integer_value(wanted)
                                                      : options->deadline_ms;
    uint64_t task_ms = sluice_task_left_ms(task);

    if (task_ms != UINT64_MAX) {
        task_ms -= task_ms / 10;
        time_ms = task_ms < time_ms ? task_ms : time_ms;
    }
    return time_ms;
}

static void handle_ask(struct sluice_task *task, void *arg)
{
    const struct ask_options *options = arg;
    json_t *args = sluice_task_args(task);
    const json_t *limit = json_object_get(args, "limit");
    struct inquiry *inquiry;

    if (text_at(args, "question")[strspn(text_at(args, "question"), " \t\r\n")] == '\0') {
        sluice_failf(task, "bad_arguments", "question: a text is needed");
        return;
    }
    inquiry = calloc(1, sizeof *inquiry);
    CHECK(inquiry != NULL);
    inquiry->sluice = sluice_task_peer(task);
    inquiry->task = task;
    inquiry->question = text_at(args, "question");
    inquiry->limit = limit != NULL ? json_integer_value(limit) : LIMIT_DEFAULT;
    inquiry->started_ms = sluice_now_ms(inquiry->sluice);
    inquiry->ends_ms = inquiry->started_ms + time_for(task, args, options);
    inquiry->facts = json_array();
    inquiry->failed = json_array();
    evidence_init(&inquiry->evidence);
    plan_init(&inquiry->plan, inquiry->question,
              (unsigned)stage_budget_ms(inquiry, GATHER_SHARE * 0.9));

    ask_run(inquiry);

    plan_deinit(&inquiry->plan);
    evidence_deinit(&inquiry->evidence);
    timeline_deinit(&inquiry->timeline);
    json_decref(inquiry->facts);
    json_decref(inquiry->failed);
    free(inquiry);
}

int ask_offer(struct sluice *sluice, const struct ask_options *options)
{
    return sluice_serve(
        sluice,
        &(struct sluice_service){
            .name = "research.ask",
            .handler = handle_ask,
            .arg = (void *)options,
            .credit = CREDIT,
            .about = "Answers a question from the indexed documents, with citations, what was not "
                     "found, what failed, and a timeline.",
            .version = sluice_version(),
            .schema = "{\"type\":\"object\",\"required\":[\"question\"],\"properties\":{"
                      "\"question\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":2000},"
                      "\"deadline_ms\":{\"type\":\"integer\",\"minimum\":100,\"maximum\":600000},"
                      "\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":50}}}",
        });
}
