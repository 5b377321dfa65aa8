#include "agents/analysis/report.h"

#include "agents/analysis/corpus.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define COVERAGE_MIN 0.5 /* of the question's weight, for a section to have evidence */
#define SUPPORT_MIN 0.5  /* of the best coverage, for a sentence to be a claim */
#define SHARE_MIN 0.55   /* of the best score, the same */
#define SAME_TERMS_MIN 0.8
#define CLAIMS_MAX (REPORT_SECTIONS_MAX * REPORT_SENTENCES_MAX + REPORT_FACTS_MAX)
#define CLAIM_CITATIONS_MAX 4
#define SUPPORT_BONUS 0.15 /* weight gained with each further citation */

struct claim {
    json_t *text;     /* borrowed */
    const char *lead; /* heading that says what it is about; "" : none */
    struct term_vector terms;
    json_t *evidence[CLAIM_CITATIONS_MAX]; /* sentences or facts; borrowed */
    const char *quotes[CLAIM_CITATIONS_MAX];
    size_t evidence_count;
    double weight;
    size_t section;
    bool in_answer;
};

struct writer {
    struct corpus corpus; /* for its vocabulary */
    struct claim *claims;
    size_t claim_count;
    json_t *citations;
    json_t *not_found;
};

static double number_at(const json_t *object, const char *key)
{
    double number = json_number_value(json_object_get(object, key));

    return isfinite(number) ? number : 0;
}

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

/* ---- weighing ------------------------------------------------------------------ */

/* Share of terms that both have, of all that either has (Jaccard). */
static double same_terms(const struct term_vector *a, const struct term_vector *b)
{
    size_t both = 0;
    size_t i;

    for (i = 0; i < a->count; i++) {
        both += term_vector_get(b, a->items[i].term) > 0;
    }
    return a->count + b->count > both ? (double)both / (double)(a->count + b->count - both) : 0;
}

static bool text_contains(const char *text, const char *part)
{
    return *part != '\0' && strstr(text, part) != NULL;
}

static bool claim_has_place(const struct claim *claim, const json_t *evidence)
{
    size_t i;

    for (i = 0; i < claim->evidence_count; i++) {
        if (strcmp(text_at(claim->evidence[i], "ref"), text_at(evidence, "ref")) == 0) {
            return true;
        }
    }
    return false;
}

static struct claim *claim_find_same(struct writer *writer, const char *text,
                                     const struct term_vector *terms)
{
    size_t i;

    for (i = 0; i < writer->claim_count; i++) {
        struct claim *claim = &writer->claims[i];

        if (text_contains(json_string_value(claim->text), text) ||
            same_terms(&claim->terms, terms) >= SAME_TERMS_MIN) {
            return claim;
        }
    }
    return NULL;
}

/* Adds what `evidence` says, quoting its `key`; or its support to the claim that
 * says it already. */
static void claim_add(struct writer *writer, json_t *evidence, const char *key, double weight,
                      size_t section, bool in_answer)
{
    json_t *text = json_object_get(evidence, key);
    struct term_vector terms = corpus_count(&writer->corpus, json_span(evidence, key));
    struct claim *claim = claim_find_same(writer, json_string_value(text), &terms);

    if (claim != NULL) {
        if (!claim_has_place(claim, evidence) && claim->evidence_count < CLAIM_CITATIONS_MAX) {
            claim->evidence[claim->evidence_count] = evidence;
            claim->quotes[claim->evidence_count++] = key;
            claim->weight *= 1 + SUPPORT_BONUS;
        }
        claim->in_answer |= in_answer;
        return;
    }
    if (writer->claim_count == CLAIMS_MAX) {
        return;
    }
    claim = &writer->claims[writer->claim_count++];
    *claim = (struct claim){.text = text,
                            .lead = text_at(evidence, "heading"),
                            .terms = terms,
                            .weight = weight,
                            .section = section,
                            .in_answer = in_answer};
    claim->evidence[claim->evidence_count] = evidence;
    claim->quotes[claim->evidence_count++] = key;
}

#define MISSING_SHOWN_MAX 5
#define MISSING_BYTES_MAX 60 /* a longer word is left out, not cut inside a character */

/* Words of the question that nobody mentions: `"a", "b"`. False: there are none to show. */
static bool missing_write(const json_t *missing, char *out, size_t size)
{
    size_t used = 0;
    size_t shown = 0;
    size_t i;

    for (i = 0; i < json_array_size(missing) && shown < MISSING_SHOWN_MAX; i++) {
        const char *word = json_string_value(json_array_get(missing, i));

        if (word != NULL && strlen(word) <= MISSING_BYTES_MAX &&
            size - used > MISSING_BYTES_MAX + 5) {
            used +=
                (size_t)snprintf(out + used, size - used, "%s\"%s\"", shown > 0 ? ", " : "", word);
            shown++;
        }
    }
    return shown > 0;
}

static void not_found_add(struct writer *writer, const json_t *section, size_t index,
                          const json_t *best)
{
    char words[MISSING_SHOWN_MAX * (MISSING_BYTES_MAX + 8)];
    json_t *reason;

    if (missing_write(json_object_get(section, "missing"), words, sizeof words)) {
        reason = json_sprintf("no passage found mentions %s", words);
    } else if (best != NULL) {
        reason = json_sprintf("the best passage covers only %d%% of the question (%d%% are needed)",
                              (int)(100 * number_at(best, "coverage")), (int)(100 * COVERAGE_MIN));
    } else {
        reason = json_string("no passage was found");
    }
    json_array_insert_new(
        writer->not_found, index == 0 ? 0 : json_array_size(writer->not_found),
        json_pack("{s:s, s:o}", "question", text_at(section, "question"), "reason", reason));
}

static bool sentence_usable(const json_t *sentence)
{
    return json_string_length(json_object_get(sentence, "text")) > 0;
}

static const json_t *best_of(const json_t *section)
{
    const json_t *sentences = json_object_get(section, "sentences");
    const json_t *best = NULL;
    size_t i;

    for (i = 0; i < json_array_size(sentences); i++) {
        const json_t *sentence = json_array_get(sentences, i);

        if (sentence_usable(sentence) &&
            (best == NULL || number_at(sentence, "score") > number_at(best, "score"))) {
            best = sentence;
        }
    }
    return best;
}

/* The answer quotes the best sentence with those around it that answer too. */
static const char *answer_key(const json_t *best)
{
    const char *context = text_at(best, "context");

    return text_contains(context, text_at(best, "text")) ? "context" : "text";
}

/* There is evidence, but not for all that was asked: whoever names what no document
 * knows is told so, and not given the rest as if it were the answer. */
static void doubt_add(struct writer *writer, const json_t *section)
{
    char words[MISSING_SHOWN_MAX * (MISSING_BYTES_MAX + 8)];

    if (missing_write(json_object_get(section, "missing"), words, sizeof words)) {
        json_array_append_new(
            writer->not_found,
            json_pack("{s:s, s:o}", "question", text_at(section, "question"), "reason",
                      json_sprintf("answered in part: no passage found mentions %s", words)));
    }
}

/* False: the section has no evidence. `leads`: its best sentence is part of the answer. */
static bool weigh_section(struct writer *writer, const json_t *section, size_t index, bool leads)
{
    json_t *sentences = json_object_get(section, "sentences");
    const json_t *best = best_of(section);
    double best_score = best != NULL ? number_at(best, "score") : 0;
    double best_coverage = 0;
    size_t i;

    for (i = 0; i < json_array_size(sentences); i++) {
        double coverage = number_at(json_array_get(sentences, i), "coverage");

        best_coverage = coverage > best_coverage ? coverage : best_coverage;
    }
    if (best == NULL || best_coverage < COVERAGE_MIN) {
        not_found_add(writer, section, index, best);
        return false;
    }
    if (leads) {
        doubt_add(writer, section);
    }
    claim_add(writer, (json_t *)best, leads ? answer_key(best) : "text", best_score * (1 + leads),
              index, leads);
    for (i = 0; i < json_array_size(sentences) && i < REPORT_SENTENCES_MAX; i++) {
        json_t *sentence = json_array_get(sentences, i);

        if (sentence_usable(sentence) && sentence != best &&
            number_at(sentence, "coverage") >= SUPPORT_MIN * best_coverage &&
            number_at(sentence, "score") >= SHARE_MIN * best_score) {
            claim_add(writer, sentence, "text", number_at(sentence, "score"), index, false);
        }
    }
    return true;
}

/* The parts of the question are in sections[1] and on, the whole is sections[0]. It may need two
 * places to be answered: when each part was found, the parts are the answer. */
static void weigh_sections(struct writer *writer, const json_t *sections)
{
    size_t count = json_array_size(sections);
    size_t found = 0;
    bool answered;
    size_t i;

    for (i = 1; i < count; i++) {
        found += weigh_section(writer, json_array_get(sections, i), i, true);
    }
    answered = count > 1 && found + 1 == count;
    if (count > 0 && !weigh_section(writer, json_array_get(sections, 0), 0, !answered) &&
        answered) {
        json_array_remove(writer->not_found, 0);
    }
}

/* ---- writing ------------------------------------------------------------------- */

static int claim_compare(const void *a, const void *b)
{
    const struct claim *x = a;
    const struct claim *y = b;

    if (x->in_answer != y->in_answer) {
        return x->in_answer ? -1 : 1;
    }
    if (x->in_answer && x->section != y->section) {
        return x->section < y->section ? -1 : 1;
    }
    return x->weight > y->weight ? -1 : x->weight < y->weight;
}

/* The number of the citation of `quote` in `evidence`'s passage; new if need be. */
static json_int_t cite(struct writer *writer, const json_t *evidence, const char *key)
{
    const char *quote = text_at(evidence, key);
    const json_t *lines;
    json_t *citation;
    size_t i;

    for (i = 0; i < json_array_size(writer->citations); i++) {
        const json_t *known = json_array_get(writer->citations, i);

        if (strcmp(text_at(known, "ref"), text_at(evidence, "ref")) == 0 &&
            text_contains(text_at(known, "quote"), quote)) {
            return (json_int_t)i + 1;
        }
    }
    citation = json_copy((json_t *)evidence);
    lines = json_object_get(evidence, "context_lines");
    if (strcmp(key, "context") == 0 && json_array_size(lines) == 2) {
        json_object_set(citation, "line_start", json_array_get(lines, 0));
        json_object_set(citation, "line_end", json_array_get(lines, 1));
    }
    json_object_del(citation, "context_lines");
    json_object_del(citation, "score");
    json_object_del(citation, "coverage");
    json_object_del(citation, "context");
    json_object_del(citation, "order");
    json_object_del(citation, "text");
    json_object_set_new(citation, "quote", json_string(quote));
    json_object_set_new(citation, "n", json_integer((json_int_t)i + 1));
    json_array_append_new(writer->citations, citation);
    return (json_int_t)i + 1;
}

/* Headings that name a part of every page say nothing about this one. */
static bool heading_leads(const char *heading)
{
    static const char *const generic[] = {
        "name",   "synopsis",     "description", "example",  "examples",     "notes", "see also",
        "errors", "return value", "options",     "overview", "introduction", "usage"};
    size_t i;

    for (i = 0; i < sizeof generic / sizeof generic[0]; i++) {
        if (strcasecmp(heading, generic[i]) == 0) {
            return false;
        }
    }
    return strchr(heading, ' ') != NULL && strlen(heading) <= 120;
}

static void text_append(json_t **text, const char *more)
{
    json_t *longer = json_sprintf("%s%s", json_string_value(*text), more);

    json_decref(*text);
    *text = longer;
}

static void answer_append(json_t **answer, const struct claim *claim, const json_t *numbers)
{
    const char *gap = json_string_length(*answer) > 0 ? "\n\n" : "";
    const char *text = json_string_value(claim->text);
    json_t *piece;
    size_t i;

    piece = heading_leads(claim->lead) && !text_contains(text, claim->lead)
                ? json_sprintf("%s%s \xE2\x80\x94 %s", gap, claim->lead, text)
                : json_sprintf("%s%s", gap, text);
    text_append(answer, json_string_value(piece));
    json_decref(piece);
    for (i = 0; i < json_array_size(numbers); i++) {
        char mark[32];

        snprintf(mark, sizeof mark, " [%d]", (int)json_integer_value(json_array_get(numbers, i)));
        text_append(answer, mark);
    }
}

static json_t *write_report(struct writer *writer, const json_t *question, size_t max)
{
    json_t *answer = json_string("");
    json_t *claims = json_array();
    size_t i, k;

    qsort(writer->claims, writer->claim_count, sizeof *writer->claims, claim_compare);
    for (i = 0; i < writer->claim_count && (i < max || writer->claims[i].in_answer); i++) {
        const struct claim *claim = &writer->claims[i];
        json_t *numbers = json_array();

        for (k = 0; k < claim->evidence_count; k++) {
            json_array_append_new(numbers,
                                  json_integer(cite(writer, claim->evidence[k], claim->quotes[k])));
        }
        if (claim->in_answer) {
            answer_append(&answer, claim, numbers);
        }
        json_array_append_new(claims,
                              json_pack("{s:O, s:o, s:b, s:f, s:s}", "text", claim->text,
                                        "citations", numbers, "in_answer", (int)claim->in_answer,
                                        "weight", round(claim->weight * 1e4) / 1e4, "heading",
                                        heading_leads(claim->lead) ? claim->lead : ""));
    }
    return json_pack("{s:O, s:o, s:o, s:o, s:o}", "question", question, "answer", answer, "claims",
                     claims, "citations", json_incref(writer->citations), "not_found",
                     json_incref(writer->not_found));
}

static json_t *report_write(struct arena *arena, const json_t *args, size_t max)
{
    const json_t *sections = json_object_get(args, "sections");
    const json_t *facts = json_object_get(args, "facts");
    struct writer writer = {.citations = json_array(), .not_found = json_array()};
    json_t *report;
    size_t i;

    corpus_init(&writer.corpus, arena);
    writer.claims = arena_new(arena, CLAIMS_MAX, sizeof *writer.claims);
    for (i = 0; i < json_array_size(facts); i++) {
        json_t *fact = json_array_get(facts, i);

        if (sentence_usable(fact)) {
            claim_add(&writer, fact, "text", 2, 0, true);
        }
    }
    weigh_sections(&writer, sections);
    report = write_report(&writer, json_object_get(args, "question"), max);
    json_decref(writer.citations);
    json_decref(writer.not_found);
    return report;
}

json_t *report_run(const json_t *args, struct fault *fault)
{
    const json_t *sections = json_object_get(args, "sections");
    const json_t *limit_value = json_object_get(args, "limit");
    json_int_t limit =
        limit_value == NULL ? REPORT_CLAIMS_DEFAULT : json_integer_value(limit_value);
    struct arena arena;
    json_t *report;
    size_t i;

    if (json_span(args, "question").size == 0) {
        fault_set(fault, "question: a text is needed");
        return NULL;
    }
    if (!json_is_array(sections) || json_array_size(sections) > REPORT_SECTIONS_MAX ||
        json_array_size(json_object_get(args, "facts")) > REPORT_FACTS_MAX) {
        fault_set(fault, "sections: an array of at most %d is needed; facts: at most %d",
                  REPORT_SECTIONS_MAX, REPORT_FACTS_MAX);
        return NULL;
    }
    for (i = 0; i < json_array_size(sections); i++) {
        const json_t *sentences = json_object_get(json_array_get(sections, i), "sentences");

        if (json_array_size(sentences) > REPORT_SENTENCES_MAX) {
            fault_set(fault, "sections[%zu].sentences: at most %d", i, REPORT_SENTENCES_MAX);
            return NULL;
        }
    }
    if (limit < 1 || limit > REPORT_CLAIMS_MAX) {
        fault_set(fault, "limit: a number from 1 to %d is needed", REPORT_CLAIMS_MAX);
        return NULL;
    }
    arena_init(&arena);
    report = report_write(&arena, args, (size_t)limit);
    arena_deinit(&arena);
    return report;
}
