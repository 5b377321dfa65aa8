#include "agents/analysis/summarize.h"

#include "agents/analysis/lexrank.h"
#include "agents/analysis/rank.h"

#include <math.h>
#include <stdlib.h>

#define LIKENESS_MAX 0.5 /* a sentence closer than this to a chosen one says it again */
#define SENTENCE_TERMS_MIN 3

struct choice {
    uint32_t units[LEXRANK_UNITS_MAX];
    double centrality[LEXRANK_UNITS_MAX];
    double bias[LEXRANK_UNITS_MAX];
    bool chosen[LEXRANK_UNITS_MAX];
    size_t count;
};

static void choice_collect(struct choice *choice, const struct corpus *corpus)
{
    uint32_t i;

    for (i = 0; i < corpus->unit_count && choice->count < LEXRANK_UNITS_MAX; i++) {
        if (corpus->units[i].sentence.kind == SENTENCE_PROSE &&
            corpus->units[i].terms.length >= SENTENCE_TERMS_MIN) {
            choice->units[choice->count++] = i;
        }
    }
}

static bool choice_repeats(const struct choice *choice, const struct corpus *corpus,
                           const double *idf, size_t candidate)
{
    size_t i;

    for (i = 0; i < choice->count; i++) {
        if (choice->chosen[i] && term_vector_cosine(&corpus->units[choice->units[i]].terms,
                                                    &corpus->units[choice->units[candidate]].terms,
                                                    idf) > LIKENESS_MAX) {
            return true;
        }
    }
    return false;
}

/* Marks the `max` most central ones that do not repeat each other. */
static void choice_make(struct choice *choice, const struct corpus *corpus, const double *idf,
                        size_t max)
{
    bool *passed = arena_new(corpus->arena, choice->count + 1, sizeof *passed);
    size_t made = 0;
    size_t i;

    while (made < max) {
        size_t best = choice->count;

        for (i = 0; i < choice->count; i++) {
            if (!passed[i] &&
                (best == choice->count || choice->centrality[i] > choice->centrality[best])) {
                best = i;
            }
        }
        if (best == choice->count) {
            return;
        }
        passed[best] = true;
        if (!choice_repeats(choice, corpus, idf, best)) {
            choice->chosen[best] = true;
            made++;
        }
    }
}

static json_t *choice_json(const struct choice *choice, const struct corpus *corpus)
{
    json_t *summary = json_array();
    size_t i;

    for (i = 0; i < choice->count; i++) {
        const struct unit *unit = &corpus->units[choice->units[i]];
        struct span text = unit->sentence.text;
        char *out;
        json_t *item;

        if (!choice->chosen[i]) {
            continue;
        }
        out = arena_new(corpus->arena, text.size + 1, 1);
        item = json_object();
        json_object_set_new(item, "text", json_stringn(out, sentence_squeeze(text, out)));
        passage_cite(&corpus->passages[unit->passage], text, item);
        json_object_set_new(item, "score", json_real(round(choice->centrality[i] * 1e6) / 1e6));
        json_array_append_new(summary, item);
    }
    return summary;
}

static json_t *summarize(struct arena *arena, const struct passage *passages, size_t count,
                         struct span question, size_t max)
{
    struct corpus corpus;
    struct query *query = arena_new(arena, 1, sizeof *query);
    struct choice *choice = arena_new(arena, 1, sizeof *choice);
    struct rank rank;
    size_t i;

    corpus_init(&corpus, arena);
    query_init(query, &corpus, question);
    corpus_read(&corpus, passages, count);
    query_weigh(query, &corpus);
    rank_init(&rank, &corpus, query);
    choice_collect(choice, &corpus);
    for (i = 0; i < choice->count; i++) {
        choice->bias[i] = rank.own[choice->units[i]];
    }
    lexrank_compute(&corpus, rank.idf, choice->units, choice->count,
                    query->count > 0 ? choice->bias : NULL, choice->centrality);
    choice_make(choice, &corpus, rank.idf, max);
    return json_pack("{s:o, s:I}", "summary", choice_json(choice, &corpus), "of",
                     (json_int_t)choice->count);
}

json_t *summarize_run(const json_t *args, struct fault *fault)
{
    const json_t *max_value = json_object_get(args, "sentences");
    json_int_t max = max_value == NULL ? SUMMARY_SENTENCES_DEFAULT : json_integer_value(max_value);
    const json_t *list = json_object_get(args, "passages");
    struct span question = json_span(args, "question");
    const struct passage *passages;
    struct arena arena;
    json_t *single = NULL;
    json_t *answer = NULL;
    size_t count;

    if (max < 1 || max > SUMMARY_SENTENCES_MAX || question.size > QUESTION_BYTES_MAX) {
        fault_set(fault, "sentences: a number from 1 to %d; question: at most %d bytes",
                  SUMMARY_SENTENCES_MAX, QUESTION_BYTES_MAX);
        return NULL;
    }
    if (list == NULL && json_is_string(json_object_get(args, "text"))) {
        single = json_pack("[{s:O}]", "text", json_object_get(args, "text"));
    }
    arena_init(&arena);
    passages = passage_read_all(&arena, single != NULL ? single : list, &count, fault);
    if (passages != NULL) {
        answer = summarize(&arena, passages, count, question, (size_t)max);
    }
    arena_deinit(&arena);
    json_decref(single);
    return answer;
}
