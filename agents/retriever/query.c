#include "agents/retriever/query.h"

#include "common/check.h"

#include <ctype.h>
#include <stdlib.h>

#define COMPOUND_PARTS_MAX 8
#define COMPOUND_PART_WEIGHT 0.5

/* Function words and the small change of questions. Sorted: looked up by bsearch. */
static const char *const stopwords[] = {
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be",
    "because", "been", "before", "being", "between", "both", "but", "by", "can", "could",
    "describe", "did", "do", "does", "doing", "done", "during", "each", "either", "etc", "explain",
    "for", "from", "give", "given", "had", "happen", "happened", "happens", "has", "have", "having",
    "he", "her", "here", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "just",
    "may", "me", "might", "more", "most", "much", "must", "my", "no", "nor", "not", "of", "on",
    "one", "only", "or", "other", "our", "out", "over", "own", "please", "s", "shall", "she",
    "should", "so", "some", "such", "t", "tell", "than", "that", "the", "their", "them", "then",
    "there", "these", "they", "this", "those", "through", "to", "too", "under", "up", "us", "very",
    "was", "we", "were", "what", "when", "where", "whether", "which", "while", "who", "whom",
    "whose", "why", "will", "with", "would", "you", "your",
};

static int stopword_compare(const void *key, const void *entry)
{
    return strcmp(key, *(const char *const *)entry);
}

static bool is_stopword(const char *word)
{
    return bsearch(word, stopwords, sizeof stopwords / sizeof stopwords[0], sizeof stopwords[0],
                   stopword_compare) != NULL;
}

/* One term: lower-case parts with blanks between, "zmq msg send". */
struct term {
    char text[QUERY_WORD_BYTES_MAX + 1];
    double weight;
};

struct builder {
    struct term terms[QUERY_TERMS_MAX];
    size_t count;
    bool keep_stopwords;
};

static void term_add(struct builder *builder, const char *text, double weight)
{
    for (size_t i = 0; i < builder->count; i++) {
        if (strcmp(builder->terms[i].text, text) == 0) {
            builder->terms[i].weight += weight;
            return;
        }
    }
    if (builder->count < QUERY_TERMS_MAX) {
        struct term *term = &builder->terms[builder->count++];

        CHECK(strlen(text) <= QUERY_WORD_BYTES_MAX);
        strcpy(term->text, text);
        term->weight = weight;
    }
}

/* Bytes at `at` that part words: ASCII that is no letter or digit, and the blanks,
 * dashes and quotes of Unicode (U+00A0-00BF, U+2000-206F). 0: part of a word. */
static size_t separator_size(struct span text, size_t at)
{
    const uint8_t *p = text.data + at;
    size_t left = text.size - at;

    if (p[0] < 0x80) {
        return isalnum(p[0]) ? 0 : 1;
    }
    if (p[0] == 0xC2 && left >= 2 && p[1] >= 0xA0) {
        return 2;
    }
    return p[0] == 0xE2 && left >= 3 && (p[1] == 0x80 || (p[1] == 0x81 && p[2] <= 0xAF)) ? 3 : 0;
}

static bool byte_joins(uint8_t byte)
{
    return byte == '_' || byte == '-' || byte == '.' || byte == '/' || byte == ':';
}

/* The parts of one word, split at what joins them. */
struct parts {
    char text[COMPOUND_PARTS_MAX][QUERY_WORD_BYTES_MAX + 1];
    size_t count;
    size_t bytes; /* of all, with blanks between */
    bool overflow;
};

static void part_add(struct parts *parts, struct span text)
{
    if (parts->count == COMPOUND_PARTS_MAX ||
        parts->bytes + text.size + 1 > QUERY_WORD_BYTES_MAX) {
        parts->overflow = true;
        return;
    }
    for (size_t i = 0; i < text.size; i++) {
        parts->text[parts->count][i] = (char)tolower(text.data[i]);
    }
    parts->text[parts->count][text.size] = '\0';
    parts->bytes += text.size + 1;
    parts->count++;
}

static void word_add(struct builder *builder, const struct parts *parts)
{
    char phrase[QUERY_WORD_BYTES_MAX + 1] = "";

    if (parts->count == 1) {
        if (builder->keep_stopwords || !is_stopword(parts->text[0])) {
            term_add(builder, parts->text[0], 1.0);
        }
        return;
    }
    for (size_t i = 0; i < parts->count; i++) {
        strcat(phrase, i > 0 ? " " : "");
        strcat(phrase, parts->text[i]);
    }
    term_add(builder, phrase, 1.0);
    for (size_t i = 0; i < parts->count; i++) {
        if (strlen(parts->text[i]) > 1 && !is_stopword(parts->text[i])) {
            term_add(builder, parts->text[i], COMPOUND_PART_WEIGHT);
        }
    }
}

/* Takes one word, with the parts it is joined from, from `*at`. */
static void word_take(struct builder *builder, struct span text, size_t *at)
{
    struct parts parts = {0};

    for (;;) {
        size_t start = *at;

        while (*at < text.size && separator_size(text, *at) == 0) {
            ++*at;
        }
        part_add(&parts, span_of(text.data + start, *at - start));
        if (*at + 1 < text.size && byte_joins(text.data[*at]) &&
            separator_size(text, *at + 1) == 0) {
            ++*at;
            continue;
        }
        break;
    }
    if (!parts.overflow) {
        word_add(builder, &parts);
        return;
    }
    for (size_t i = 0; i < parts.count; i++) { /* too long for a phrase: its first words */
        term_add(builder, parts.text[i], COMPOUND_PART_WEIGHT);
    }
}

static void words_take(struct builder *builder, struct span text)
{
    size_t at = 0;

    while (at < text.size && builder->count < QUERY_TERMS_MAX) {
        size_t separator = separator_size(text, at);

        if (separator > 0) {
            at += separator;
        } else {
            word_take(builder, text, &at);
        }
    }
}

bool query_build(struct query *query, struct span text)
{
    struct builder *builder = calloc(1, sizeof *builder);

    CHECK(builder != NULL);
    if (text.size > QUERY_BYTES_MAX) {
        text.size = QUERY_BYTES_MAX;
    }
    words_take(builder, text);
    if (builder->count == 0) {
        builder->keep_stopwords = true;
        words_take(builder, text);
    }
    buffer_truncate(&query->match, 0);
    for (size_t i = 0; i < builder->count; i++) {
        /* Terms hold letters, digits, blanks and bytes over 0x7F: no quote to escape. */
        buffer_add_text(&query->match, i > 0 ? " OR \"" : "\"");
        buffer_add_text(&query->match, builder->terms[i].text);
        buffer_add_text(&query->match, "\"");
        query->weights[i] = builder->terms[i].weight;
    }
    query->term_count = builder->count;
    free(builder);
    return query->term_count > 0;
}

void query_deinit(struct query *query)
{
    buffer_deinit(&query->match);
    *query = (struct query){0};
}
