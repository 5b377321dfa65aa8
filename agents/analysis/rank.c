#include "agents/analysis/rank.h"

#include "agents/analysis/word.h"

#include <math.h>
#include <strings.h>

/* BM25. Sentences differ in length by what they say, not by how often they
 * repeat it, so length counts for less than in documents (b = 0.75 there). */
#define BM25_K1 1.2
#define BM25_B 0.3
#define HEADING_SHARE 0.4 /* of an occurrence: what stands in the heading */

#define WEIGHT_OWN 0.36
#define WEIGHT_COVERAGE 0.18
#define WEIGHT_HEADING 0.14
#define WEIGHT_CONTEXT 0.12
#define WEIGHT_PHRASE 0.12
#define WEIGHT_POSITION 0.03
#define WEIGHT_PASSAGE 0.05

#define NUMBER_BONUS 0.1
#define DEFINITION_BONUS 0.12
#define DEFINITION_WORDS 5 /* a definition names its subject this early */

#define CODE_FACTOR_DOES 1.0 /* of code, when it was asked how to do something */

#define MMR_LAMBDA 0.6
#define DUPLICATE_COSINE 0.9 /* the same sentence again, in another document */
#define SENTENCE_WORDS_MIN 4 /* of content; fewer are fragments */
#define WINDOW_SENTENCES 3
#define WINDOW_BYTES 700
#define WINDOW_SHARE 0.45
#define WINDOW_SHORT_BYTES 420
#define WINDOW_SHARE_SHORT 0.15

static const double kind_factor[] = {
    [SENTENCE_PROSE] = 1,  [SENTENCE_HEADING] = 0.45, [SENTENCE_ROW] = 0.8,
    [SENTENCE_CODE] = 0.4, [SENTENCE_NAMES] = 0,
};

static double strength_min(double a, double b)
{
    return a < b ? a : b;
}

/* The terms of the heading above `unit`, or of its passage's title. */
static const struct term_vector *heading_terms(const struct corpus *corpus, const struct unit *unit)
{
    return unit->heading != UNIT_NONE ? &corpus->units[unit->heading].terms
                                      : &corpus->titles[unit->passage];
}

static double bm25(const struct rank *rank, const struct unit *unit)
{
    const struct query *query = rank->query;
    const struct term_vector *vector = &unit->terms;
    const struct term_vector *heading = heading_terms(rank->corpus, unit);
    double norm = 1 - BM25_B + BM25_B * (double)vector->length / rank->corpus->length_mean;
    double sum = 0;
    size_t i;

    for (i = 0; i < query->count; i++) {
        double tf = query_slot_strength(&query->slots[i], vector);

        tf += HEADING_SHARE * strength_min(query_slot_strength(&query->slots[i], heading), 1);
        sum += query->slots[i].idf * tf * (BM25_K1 + 1) / (tf + BM25_K1 * norm);
    }
    return query->idf_sum > 0 ? sum / (query->idf_sum * (BM25_K1 + 1)) : 0;
}

static double strength_max(double a, double b)
{
    return a > b ? a : b;
}

/* Share of the question's weight in heading and title, and, with_unit, the unit. */
static double share(const struct rank *rank, uint32_t index, bool with_unit)
{
    const struct corpus *corpus = rank->corpus;
    const struct unit *unit = &corpus->units[index];
    double sum = 0;
    size_t i;

    for (i = 0; i < rank->query->count; i++) {
        const struct query_slot *slot = &rank->query->slots[i];
        double best = query_slot_strength(slot, &corpus->titles[unit->passage]);

        if (unit->heading != UNIT_NONE) {
            best =
                strength_max(best, query_slot_strength(slot, &corpus->units[unit->heading].terms));
        }
        if (with_unit) {
            best = strength_max(best, query_slot_strength(slot, &unit->terms));
        }
        /* A synonym alone is most of a match, never all of it. */
        sum += slot->idf * (best >= 1 ? 1 : best > 0 ? 0.4 + 0.6 * best : 0);
    }
    return rank->query->idf_sum > 0 ? sum / rank->query->idf_sum : 0;
}

double rank_coverage(const struct rank *rank, uint32_t unit)
{
    return share(rank, unit, true);
}

static double context(const struct rank *rank, uint32_t index)
{
    const struct corpus *corpus = rank->corpus;
    uint32_t passage = corpus->units[index].passage;
    double sum = 0;

    if (index > 0 && corpus->units[index - 1].passage == passage) {
        sum += rank->own[index - 1];
    }
    if (index + 1 < corpus->unit_count && corpus->units[index + 1].passage == passage) {
        sum += rank->own[index + 1];
    }
    return sum / 2;
}

static bool slot_is(const struct query_slot *slot, uint32_t term)
{
    size_t i;

    for (i = 0; i < slot->count; i++) {
        if (slot->terms[i] == term) {
            return true;
        }
    }
    return false;
}

/* Share of the question's neighbours (slot k, slot k + 1) that follow each other
 * in the text, stop words between them not counted. */
static double phrase(const struct rank *rank, struct span text)
{
    const struct query *query = rank->query;
    uint64_t seen = 0;
    uint32_t before = TERM_NONE;
    struct word_reader reader;
    struct word word;
    size_t i, hits = 0;

    if (query->count < 2) {
        return 0;
    }
    word_reader_init(&reader, text);
    while (word_next(&reader, &word)) {
        uint32_t term = vocabulary_find(&rank->corpus->vocabulary, span_of(word.term, word.size));

        if (word.stop) {
            continue;
        }
        for (i = 0; i + 1 < query->count && before != TERM_NONE; i++) {
            if (slot_is(&query->slots[i], before) && slot_is(&query->slots[i + 1], term)) {
                seen |= UINT64_C(1) << i;
            }
        }
        before = term;
    }
    for (i = 0; i + 1 < query->count; i++) {
        hits += seen >> i & 1;
    }
    return (double)hits / (double)(query->count - 1);
}

/* Does `text` go on with `next` behind `word`, which is a piece of it? */
static bool span_after_is(struct span text, struct span word, const char *next)
{
    size_t at = (size_t)(word.data - text.data) + word.size;

    return text.size - at >= strlen(next) && memcmp(text.data + at, next, strlen(next)) == 0;
}

static bool word_in(struct span word, const char *const *list, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (word.size == strlen(list[i]) &&
            strncasecmp((const char *)word.data, list[i], word.size) == 0) {
            return true;
        }
    }
    return false;
}

#define WORD_IN(word, list) word_in(word, list, sizeof(list) / sizeof((list)[0]))

/* "X is ...", "X shall ...", "X - does ...": the subject of the question stands early
 * and what defines it follows. "When X is ..." says what happens to it instead. */
static bool unit_defines(const struct rank *rank, const struct unit *unit)
{
    static const char *const verbs[] = {"is",       "are",        "shall",   "sets",
                                        "means",    "defines",    "returns", "specifies",
                                        "controls", "determines", "gives"};
    static const char *const conditions[] = {"when", "if",  "while", "after", "before",
                                             "to",   "for", "once",  "unless"};
    struct span text = unit->sentence.text;
    struct word_reader reader;
    struct word word;
    size_t position = 0;
    size_t i;
    bool subject = false;

    word_reader_init(&reader, text);
    while (position < 2 * DEFINITION_WORDS && word_next(&reader, &word)) {
        position += !word.part;
        if (position == 1 && WORD_IN(word.raw, conditions)) {
            return false;
        }
        if (subject && WORD_IN(word.raw, verbs)) {
            return true;
        }
        for (i = 0; i < rank->query->count && position <= DEFINITION_WORDS; i++) {
            subject |=
                slot_is(&rank->query->slots[i],
                        vocabulary_find(&rank->corpus->vocabulary, span_of(word.term, word.size)));
        }
        if (subject && position == 1 && !word.part &&
            span_after_is(text, word.raw, " - ")) { /* NAME of a manual page */
            return true;
        }
    }
    return false;
}

/* Sections that say little about what a thing is. */
static bool unit_is_aside(const struct rank *rank, const struct unit *unit)
{
    static const char *const asides[] = {"return value", "errors", "see also", "authors",
                                         "history",      "notes",  "copyright"};
    struct span title = rank->corpus->passages[unit->passage].title;
    size_t i;

    for (i = 0; i < sizeof asides / sizeof asides[0]; i++) {
        size_t size = strlen(asides[i]);

        if (title.size >= size &&
            strncasecmp((const char *)title.data + title.size - size, asides[i], size) == 0) {
            return true;
        }
    }
    return false;
}

/* A number: a word that is digits, perhaps with a unit; not "0MQ" inside a name. */
static bool unit_has_number(const struct unit *unit)
{
    struct word_reader reader;
    struct word word;

    word_reader_init(&reader, unit->sentence.text);
    while (word_next(&reader, &word)) {
        uint8_t last = word.raw.data[word.raw.size - 1];

        if (word.raw.data[0] >= '0' && word.raw.data[0] <= '9' && !(last >= 'A' && last <= 'Z')) {
            return true;
        }
    }
    return false;
}

/* "The following are supported:" says that an answer comes, not what it is. */
static bool unit_introduces(const struct unit *unit)
{
    struct span text = unit->sentence.text;

    return text.size > 0 && text.data[text.size - 1] == ':';
}

/* Has the sentence itself a word of the question, not only its heading? */
static bool unit_speaks(const struct rank *rank, const struct unit *unit)
{
    size_t i;

    for (i = 0; i < rank->query->count; i++) {
        if (query_slot_strength(&rank->query->slots[i], &unit->terms) > 0) {
            return true;
        }
    }
    return false;
}

/* A question that names identifiers is about one of them. */
static bool names_covered(const struct rank *rank, const struct unit *unit)
{
    bool any = false;
    size_t i;

    for (i = 0; i < rank->query->count; i++) {
        const struct query_slot *slot = &rank->query->slots[i];

        if (!slot->name || !slot->found) {
            continue;
        }
        any = true;
        if (query_slot_strength(slot, &unit->terms) > 0 ||
            query_slot_strength(slot, &rank->corpus->titles[unit->passage]) > 0 ||
            query_slot_strength(slot, heading_terms(rank->corpus, unit)) > 0) {
            return true;
        }
    }
    return !any;
}

static double unit_score(const struct rank *rank, uint32_t index)
{
    const struct corpus *corpus = rank->corpus;
    const struct unit *unit = &corpus->units[index];
    double passages = (double)corpus->passage_count;
    double score = WEIGHT_OWN * rank->own[index] + WEIGHT_COVERAGE * share(rank, index, true) +
                   WEIGHT_HEADING * share(rank, index, false) +
                   WEIGHT_CONTEXT * context(rank, index) +
                   WEIGHT_PHRASE * phrase(rank, unit->sentence.text) +
                   WEIGHT_POSITION / (1.0 + unit->position) +
                   WEIGHT_PASSAGE * (passages - unit->passage) / passages;

    if (rank->query->counts && unit_has_number(unit)) {
        score += NUMBER_BONUS;
    }
    if (rank->query->defines) {
        score += unit_defines(rank, unit) ? DEFINITION_BONUS : 0;
        score *= unit_is_aside(rank, unit) ? 0.75 : 1;
    }
    score *= unit->sentence.kind == SENTENCE_CODE && rank->query->does
                 ? CODE_FACTOR_DOES
                 : kind_factor[unit->sentence.kind];
    if (unit_introduces(unit)) {
        score *= 0.6;
    }
    if (unit->terms.length < SENTENCE_WORDS_MIN &&
        !(rank->query->counts && unit_has_number(unit))) {
        score *= 0.6;
    }
    if (!unit_speaks(rank, unit)) {
        score *= 0.5;
    }
    if (!names_covered(rank, unit)) {
        score *= 0.6;
    }
    return score;
}

void rank_init(struct rank *rank, const struct corpus *corpus, const struct query *query)
{
    size_t i;

    *rank = (struct rank){.corpus = corpus, .query = query, .idf = corpus_idf(corpus)};
    rank->own = arena_new(corpus->arena, corpus->unit_count + 1, sizeof *rank->own);
    rank->scores = arena_new(corpus->arena, corpus->unit_count + 1, sizeof *rank->scores);
    for (i = 0; i < corpus->unit_count; i++) {
        rank->own[i] = bm25(rank, &corpus->units[i]);
    }
    for (i = 0; i < corpus->unit_count; i++) {
        /* Next to an answer, under a heading that matches, a sentence may answer
         * without a word of the question; alone it never does. */
        if (rank->own[i] > 0 || share(rank, (uint32_t)i, false) > 0) {
            rank->scores[i] = unit_score(rank, (uint32_t)i);
        }
    }
}

/* The unit that adds most to what is chosen; UNIT_NONE: none is left. Likeness is
 * scaled by the score: a cosine and a share of BM25 are not the same unit. */
static uint32_t next_by_mmr(const struct rank *rank, const double *likeness, const bool *taken)
{
    uint32_t best = UNIT_NONE;
    double best_value = 0;
    uint32_t i;

    for (i = 0; i < rank->corpus->unit_count; i++) {
        double value = rank->scores[i] * (MMR_LAMBDA - (1 - MMR_LAMBDA) * likeness[i]);

        if (!taken[i] && likeness[i] < DUPLICATE_COSINE && rank->scores[i] > 0 &&
            rank->corpus->units[i].sentence.kind != SENTENCE_HEADING && value > best_value) {
            best = i;
            best_value = value;
        }
    }
    return best;
}

size_t rank_select(const struct rank *rank, uint32_t *chosen, size_t max)
{
    const struct corpus *corpus = rank->corpus;
    double *likeness = arena_new(corpus->arena, corpus->unit_count + 1, sizeof *likeness);
    bool *taken = arena_new(corpus->arena, corpus->unit_count + 1, sizeof *taken);
    size_t count;
    size_t i;

    for (count = 0; count < max; count++) {
        uint32_t next = next_by_mmr(rank, likeness, taken);

        if (next == UNIT_NONE) {
            break;
        }
        chosen[count] = next;
        taken[next] = true;
        for (i = 0; i < corpus->unit_count; i++) {
            if (rank->scores[i] > 0) {
                likeness[i] = strength_max(
                    likeness[i], term_vector_cosine(&corpus->units[i].terms,
                                                    &corpus->units[next].terms, rank->idf));
            }
        }
    }
    return count;
}

/* The next sentence elaborates: a short window takes it when it has anything to do with the
 * question. Beyond that a sentence must score for itself. */
static bool window_takes(const struct rank *rank, uint32_t anchor, uint32_t candidate,
                         struct span window)
{
    const struct unit *a = &rank->corpus->units[anchor];
    const struct unit *b = &rank->corpus->units[candidate];
    size_t bytes = window.size + b->sentence.text.size;
    bool elaborates = candidate == anchor + 1 && bytes <= WINDOW_SHORT_BYTES;

    return a->passage == b->passage && a->sentence.block == b->sentence.block &&
           a->sentence.kind == SENTENCE_PROSE && b->sentence.kind == SENTENCE_PROSE &&
           !unit_introduces(b) && bytes <= WINDOW_BYTES &&
           rank->scores[candidate] >=
               (elaborates ? WINDOW_SHARE_SHORT : WINDOW_SHARE) * rank->scores[anchor];
}

static struct span window_text(const struct corpus *corpus, uint32_t first, uint32_t last)
{
    struct span a = corpus->units[first].sentence.text;
    struct span b = corpus->units[last].sentence.text;

    return span_of(a.data, (size_t)(b.data + b.size - a.data));
}

void rank_window(const struct rank *rank, uint32_t unit, uint32_t *first, uint32_t *last)
{
    const struct corpus *corpus = rank->corpus;
    bool grown = true;

    *first = *last = unit;
    while (grown && *last - *first + 1 < WINDOW_SENTENCES) {
        struct span window = window_text(corpus, *first, *last);

        grown = true;
        if (*last + 1 < corpus->unit_count && window_takes(rank, unit, *last + 1, window)) {
            (*last)++;
        } else if (*first > 0 && window_takes(rank, unit, *first - 1, window)) {
            (*first)--;
        } else {
            grown = false;
        }
    }
}
