#include "agents/analysis/corpus.h"

#include "agents/analysis/word.h"

#include <math.h>
#include <stdlib.h>

#define UNITS_FIRST 256

void corpus_init(struct corpus *corpus, struct arena *arena)
{
    *corpus = (struct corpus){.arena = arena};
    vocabulary_init(&corpus->vocabulary, arena);
}

static int term_compare(const void *a, const void *b)
{
    const struct term_count *x = a;
    const struct term_count *y = b;

    return x->term < y->term ? -1 : x->term > y->term;
}

/* Sorts and adds up what occurs more than once. */
static void term_vector_fold(struct term_vector *vector)
{
    size_t kept = 0;
    size_t i;

    qsort(vector->items, vector->count, sizeof *vector->items, term_compare);
    for (i = 0; i < vector->count; i++) {
        if (kept > 0 && vector->items[kept - 1].term == vector->items[i].term) {
            vector->items[kept - 1].count += vector->items[i].count;
        } else {
            vector->items[kept++] = vector->items[i];
        }
    }
    vector->count = kept;
}

struct term_vector corpus_count(struct corpus *corpus, struct span text)
{
    struct term_vector vector = {0};
    struct word_reader reader;
    struct word word;
    size_t max = 0;

    word_reader_init(&reader, text);
    while (word_next(&reader, &word)) {
        max++;
    }
    vector.items = arena_new(corpus->arena, max + 1, sizeof *vector.items);
    word_reader_init(&reader, text);
    while (word_next(&reader, &word)) {
        if (!word.stop) {
            uint32_t term =
                vocabulary_add(&corpus->vocabulary, span_of(word.term, word.size), word.raw);

            vector.items[vector.count++] = (struct term_count){term, 1};
        }
    }
    vector.length = vector.count;
    term_vector_fold(&vector);
    return vector;
}

struct reading {
    struct corpus *corpus;
    uint32_t passage;
    uint32_t heading;
    uint32_t position;
};

static bool unit_add(const struct sentence *sentence, void *arg)
{
    struct reading *reading = arg;
    struct corpus *corpus = reading->corpus;

    if (corpus->unit_count == CORPUS_SENTENCES_MAX) {
        corpus->cut = true;
        return false;
    }
    if (corpus->unit_count == corpus->unit_max) {
        size_t max = corpus->unit_max == 0 ? UNITS_FIRST : corpus->unit_max * 2;
        struct unit *units = arena_new(corpus->arena, max, sizeof *units);

        if (corpus->unit_count > 0) {
            memcpy(units, corpus->units, corpus->unit_count * sizeof *units);
        }
        corpus->units = units;
        corpus->unit_max = max;
    }
    corpus->units[corpus->unit_count] = (struct unit){
        .sentence = *sentence,
        .passage = reading->passage,
        .heading = reading->heading,
        .position = reading->position++,
        .terms = corpus_count(corpus, sentence->text),
    };
    if (sentence->kind == SENTENCE_HEADING) {
        reading->heading = (uint32_t)corpus->unit_count;
    }
    corpus->unit_count++;
    return true;
}

void corpus_read(struct corpus *corpus, const struct passage *passages, size_t count)
{
    size_t total = 0;
    size_t i;

    corpus->passages = passages;
    corpus->passage_count = count;
    corpus->titles = arena_new(corpus->arena, count + 1, sizeof *corpus->titles);
    for (i = 0; i < count; i++) {
        struct reading reading = {corpus, (uint32_t)i, UNIT_NONE, 0};

        corpus->titles[i] = corpus_count(corpus, passages[i].title);
        sentence_split(passages[i].text, unit_add, &reading);
    }
    for (i = 0; i < corpus->unit_count; i++) {
        total += corpus->units[i].terms.length;
    }
    corpus->length_mean = corpus->unit_count > 0 ? (double)total / (double)corpus->unit_count : 1;
    if (corpus->length_mean < 1) {
        corpus->length_mean = 1;
    }
}

uint32_t term_vector_get(const struct term_vector *vector, uint32_t term)
{
    struct term_count key = {.term = term};
    const struct term_count *found =
        vector->count == 0 ? NULL
                           : bsearch(&key, vector->items, vector->count, sizeof key, term_compare);

    return found == NULL ? 0 : found->count;
}

double *corpus_idf(const struct corpus *corpus)
{
    size_t terms = corpus->vocabulary.term_count;
    double *idf = arena_new(corpus->arena, terms + 1, sizeof *idf);
    double units = (double)corpus->unit_count;
    size_t i, k;

    for (i = 0; i < corpus->unit_count; i++) {
        for (k = 0; k < corpus->units[i].terms.count; k++) {
            idf[corpus->units[i].terms.items[k].term] += 1;
        }
    }
    for (i = 0; i < terms; i++) {
        idf[i] = log(1 + (units - idf[i] + 0.5) / (idf[i] + 0.5));
    }
    return idf;
}

static double term_vector_norm(const struct term_vector *vector, const double *idf)
{
    double sum = 0;
    size_t i;

    for (i = 0; i < vector->count; i++) {
        double weight = vector->items[i].count * idf[vector->items[i].term];

        sum += weight * weight;
    }
    return sqrt(sum);
}

double term_vector_cosine(const struct term_vector *a, const struct term_vector *b,
                          const double *idf)
{
    double product = 0;
    double norm;
    size_t i = 0, k = 0;

    while (i < a->count && k < b->count) {
        if (a->items[i].term < b->items[k].term) {
            i++;
        } else if (a->items[i].term > b->items[k].term) {
            k++;
        } else {
            double weight = idf[a->items[i].term];

            product += weight * weight * a->items[i].count * b->items[k].count;
            i++;
            k++;
        }
    }
    norm = term_vector_norm(a, idf) * term_vector_norm(b, idf);
    return norm > 0 ? product / norm : 0;
}
