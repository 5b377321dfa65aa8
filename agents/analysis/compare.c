#include "agents/analysis/compare.h"

#include "agents/analysis/corpus.h"

#include <math.h>
#include <stdlib.h>

#define SHARED_TERMS_MAX 20
#define DISTINCT_TERMS_MAX 15
#define LIKELIHOOD_MIN 3.84 /* chi-squared with one degree of freedom, p = 0.05 */

struct weighted_term {
    uint32_t term;
    double weight;
};

static double g2_part(double observed, double expected)
{
    return observed > 0 ? observed * log(observed / expected) : 0;
}

double compare_log_likelihood(double a, double a_total, double b, double b_total)
{
    double rate = a_total + b_total > 0 ? (a + b) / (a_total + b_total) : 0;

    if (rate <= 0 || rate >= 1 || a_total <= 0 || b_total <= 0) {
        return 0;
    }
    return 2 * (g2_part(a, a_total * rate) + g2_part(a_total - a, a_total * (1 - rate)) +
                g2_part(b, b_total * rate) + g2_part(b_total - b, b_total * (1 - rate)));
}

static int weight_compare(const void *a, const void *b)
{
    const struct weighted_term *x = a;
    const struct weighted_term *y = b;

    if (x->weight != y->weight) {
        return x->weight < y->weight ? 1 : -1;
    }
    return x->term < y->term ? -1 : x->term > y->term;
}

/* The best `max` of `terms` as they stood in the text. Sorts `terms`. */
static json_t *terms_json(const struct corpus *corpus, struct weighted_term *terms, size_t count,
                          size_t max)
{
    json_t *list = json_array();
    size_t i;

    qsort(terms, count, sizeof *terms, weight_compare);
    for (i = 0; i < count && i < max; i++) {
        json_array_append_new(list, json_from_span(corpus->vocabulary.terms[terms[i].term].shown));
    }
    return list;
}

/* Terms that every text has, by how much of them all have. */
static json_t *shared_json(const struct corpus *corpus, const struct term_vector *texts,
                           size_t count, const double *idf)
{
    struct weighted_term *terms = arena_new(corpus->arena, texts[0].count + 1, sizeof *terms);
    size_t shared = 0;
    size_t i, k;

    for (i = 0; i < texts[0].count; i++) {
        uint32_t least = texts[0].items[i].count;

        for (k = 1; k < count && least > 0; k++) {
            uint32_t here = term_vector_get(&texts[k], texts[0].items[i].term);

            least = here < least ? here : least;
        }
        if (least > 0) {
            uint32_t term = texts[0].items[i].term;

            terms[shared++] = (struct weighted_term){term, least * idf[term]};
        }
    }
    return terms_json(corpus, terms, shared, SHARED_TERMS_MAX);
}

static json_t *distinct_json(const struct corpus *corpus, const struct term_vector *texts,
                             size_t count, size_t self)
{
    const struct term_vector *here = &texts[self];
    struct weighted_term *terms = arena_new(corpus->arena, here->count + 1, sizeof *terms);
    double here_total = (double)here->length;
    double there_total = 0;
    size_t kept = 0;
    size_t i, k;

    for (k = 0; k < count; k++) {
        there_total += k == self ? 0 : (double)texts[k].length;
    }
    for (i = 0; i < here->count; i++) {
        double a = here->items[i].count;
        double b = 0;
        double likelihood;

        for (k = 0; k < count; k++) {
            b += k == self ? 0 : term_vector_get(&texts[k], here->items[i].term);
        }
        likelihood = compare_log_likelihood(a, here_total, b, there_total);
        if (a * there_total > b * here_total && likelihood >= LIKELIHOOD_MIN) {
            terms[kept++] = (struct weighted_term){here->items[i].term, likelihood};
        }
    }
    return terms_json(corpus, terms, kept, DISTINCT_TERMS_MAX);
}

static json_t *compare(struct arena *arena, const json_t *items, const struct passage *passages,
                       size_t count)
{
    struct term_vector texts[COMPARE_ITEMS_MAX];
    struct corpus corpus;
    const double *idf;
    json_t *pairs = json_array();
    json_t *distinct = json_array();
    size_t i, k;

    corpus_init(&corpus, arena);
    corpus_read(&corpus, passages, count);
    for (i = 0; i < count; i++) {
        texts[i] = corpus_count(&corpus, passages[i].text);
    }
    idf = corpus_idf(&corpus);
    for (i = 0; i < count; i++) {
        json_t *name = json_object_get(json_array_get(items, i), "name");

        for (k = i + 1; k < count; k++) {
            double cosine = term_vector_cosine(&texts[i], &texts[k], idf);

            json_array_append_new(pairs,
                                  json_pack("{s:O, s:O, s:f}", "a", name, "b",
                                            json_object_get(json_array_get(items, k), "name"),
                                            "similarity", round(cosine * 1e4) / 1e4));
        }
        json_array_append_new(distinct, json_pack("{s:O, s:o}", "name", name, "terms",
                                                  distinct_json(&corpus, texts, count, i)));
    }
    return json_pack("{s:o, s:o, s:o}", "pairs", pairs, "shared",
                     shared_json(&corpus, texts, count, idf), "distinct", distinct);
}

json_t *compare_run(const json_t *args, struct fault *fault)
{
    const json_t *items = json_object_get(args, "items");
    const struct passage *passages;
    struct arena arena;
    json_t *answer = NULL;
    size_t count = json_array_size(items);
    size_t i;

    if (count < COMPARE_ITEMS_MIN || count > COMPARE_ITEMS_MAX) {
        fault_set(fault, "items: %d to %d texts are needed", COMPARE_ITEMS_MIN, COMPARE_ITEMS_MAX);
        return NULL;
    }
    for (i = 0; i < count; i++) {
        if (!json_is_string(json_object_get(json_array_get(items, i), "name"))) {
            fault_set(fault, "items[%zu].name: a text is needed", i);
            return NULL;
        }
    }
    arena_init(&arena);
    passages = passage_read_all(&arena, items, &count, fault);
    if (passages != NULL) {
        answer = compare(&arena, items, passages, count);
    }
    arena_deinit(&arena);
    return answer;
}
